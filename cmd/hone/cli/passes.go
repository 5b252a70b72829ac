package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone/internal/nearest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/rewrite"
)

func init() { commands = append(commands, passesCommand) }

var levels = []string{"O0", "O1", "O2", "O3"}

func passesCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "passes [NAME]",
		Short: "list the passes and the pipelines of -O0 to -O3, or show one pass or rule",
		Example: `  hone passes
  hone passes fold-constants
  hone passes gelu-erf`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("passes takes one name or none, got %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				listPasses(a.out)
				return nil
			}
			if s, ok := passes.Lookup(args[0]); ok {
				return showPass(a.out, s)
			}
			names := passes.Names()
			for _, pass := range passes.Names() {
				for _, r := range rulesOf(pass) {
					if r.Name == args[0] {
						return showRule(a.out, pass, r)
					}
					names = append(names, r.Name)
				}
			}
			return usagef("there is no pass or rule %q%s; hone passes lists them", args[0], nearest.Hint(args[0], names))
		},
	}
}

func listPasses(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range passes.Names() {
		s, _ := passes.Lookup(name)
		help := s.Help
		if n := len(rulesOf(name)); n > 0 {
			help += fmt.Sprintf(" (%d rules)", n)
		}
		fmt.Fprintf(t, "%s\t%s\n", name, help)
	}
	fmt.Fprintln(t)
	for _, l := range levels {
		text, _ := passes.Level(l)
		fmt.Fprintf(t, "-%s\t%s\n", l, text)
	}
	_ = t.Flush()
	fmt.Fprintln(w, "\nA pipeline is passes with commas between them, options in braces, fix(...) around what repeats until nothing changes:\n"+
		"'fold-constants{max-growth=0},fix(simplify,cse,dce)'. hone passes NAME shows a pass or a rule.")
}

// rulesOf returns the rules that a registered pass applies, if it is made of rules.
func rulesOf(name string) []*rewrite.Rule {
	p, err := passes.New(name, nil)
	if err != nil {
		return nil
	}
	return rewrite.RulesOf(p)
}

func showPass(w io.Writer, s passes.Spec) error {
	fmt.Fprintf(w, "%s: %s\n", s.Name, s.Help)
	var in []string
	for _, l := range levels {
		if p, err := passes.ParsePipeline(l); err == nil && slices.Contains(p.Names(), s.Name) {
			in = append(in, "-"+l)
		}
	}
	if len(in) > 0 {
		fmt.Fprintf(w, "part of %s\n", strings.Join(in, ", "))
	}
	for _, o := range passes.Orders(s.Name) {
		if o.First == s.Name {
			fmt.Fprintf(w, "comes before %s: %s\n", o.Then, o.Reason)
		} else {
			fmt.Fprintf(w, "comes behind %s: %s\n", o.First, o.Reason)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(s.Options) > 0 {
		fmt.Fprintln(t, "\noptions")
	}
	for _, o := range s.Options {
		fmt.Fprintf(t, "  %s=%s\t%s\n", o.Name, o.Default, o.Help)
	}
	rules := rulesOf(s.Name)
	if len(rules) > 0 {
		fmt.Fprintln(t, "\nrules")
	}
	for _, r := range rules {
		fmt.Fprintf(t, "  %s\t%s\n", r.Name, r.Doc)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	before, after, err := s.RunExample()
	if err != nil || before == nil {
		return err
	}
	return showExample(w, before, after)
}

func showRule(w io.Writer, pass string, r *rewrite.Rule) error {
	fmt.Fprintf(w, "%s: %s\na rule of pass %s\n\n%s", r.Name, r.Doc, pass, r.Source)
	before, after, err := r.Example()
	if err != nil {
		return err
	}
	return showExample(w, before, after)
}

// showExample prints the functions of two modules, without what the pass left behind for dce.
func showExample(w io.Writer, before, after *ir.Module) error {
	dce, err := passes.New("dce", nil)
	if err != nil {
		return err
	}
	if _, err := dce.Run(passes.NewContext(context.Background()), after); err != nil {
		return err
	}
	for _, m := range []*ir.Module{before, after} {
		text, err := ir.Print(m)
		if err != nil {
			return err
		}
		title := "before"
		if m == after {
			title = "after"
		}
		fmt.Fprintf(w, "\n%s\n  %s\n", title, strings.ReplaceAll(strings.TrimSpace(text[strings.Index(text, "func "):]), "\n", "\n  "))
	}
	return nil
}
