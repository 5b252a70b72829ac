package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hone-ml/hone/backends/cpu"
	"github.com/hone-ml/hone/internal/nearest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/rewrite"
)

// passFlags are the flags of every command that runs passes.
type passFlags struct {
	flags  *pflag.FlagSet
	text   string
	level  int
	rules  []string
	before []string
	after  []string
	dumps  string
	timing bool
	verify bool
	limit  int
	lowers bool // the command lowers the module for the CPU too
}

// choose adds the flags that say which passes run.
func (f *passFlags) choose(c *cobra.Command) {
	f.limit, f.flags = -1, c.Flags()
	c.Flags().StringVar(&f.text, "pipeline", "", "the `PASSES` to run, for example 'fold-constants,cse,dce'; hone passes lists them")
	c.Flags().IntVarP(&f.level, "level", "O", 2, "or an optimization `LEVEL`: 0 to 3")
	c.Flags().StringArrayVar(&f.rules, "rules", nil, "a `FILE` of rewrite rules to apply first")
}

// add adds those that show what passes do, too.
func (f *passFlags) add(c *cobra.Command) {
	f.choose(c)
	c.Flags().StringSliceVar(&f.before, "print-before", nil, "print the IR before these `PASSES` (all: every pass)")
	c.Flags().StringSliceVar(&f.after, "print-after", nil, "print the IR after these `PASSES` (all: every pass)")
	c.Flags().StringVar(&f.dumps, "dump-dir", "", "write the IR after each pass that changes it into this `FOLDER`")
	c.Flags().BoolVar(&f.timing, "time-passes", false, "show what each pass took and did")
	c.Flags().BoolVar(&f.verify, "verify-each", false, "check the module after each pass")
	c.Flags().IntVar(&f.limit, "stop-after", -1, "stop changing the module after `N` applications")
}

// pipeline returns the passes that the flags ask for.
func (f *passFlags) pipeline(a *app) (*passes.Pipeline, error) {
	rules, named, err := f.parts(a)
	if err != nil || len(rules.Steps()) == 0 {
		return named, err
	}
	return passes.NewPipeline(append(rules.Steps(), named)...), nil
}

// parts returns the rules, which run first, and the passes that have names.
func (f *passFlags) parts(a *app) (rules, named *passes.Pipeline, err error) {
	if f.dumps != "" {
		if info, err := os.Stat(f.dumps); err == nil && !info.IsDir() {
			return nil, nil, usagef("--dump-dir %s: this is a file, not a folder", f.dumps)
		}
	}
	text := f.text
	switch {
	case f.limit < -1:
		return nil, nil, usagef("--stop-after %d: a number of applications is 0 or more", f.limit)
	case f.flags.Changed("pipeline") && f.flags.Changed("level"):
		return nil, nil, usagef("-O and --pipeline both say which passes run: give one; --pipeline 'O%d,%s' runs both", f.level, f.text)
	case !f.flags.Changed("pipeline"):
		if f.level < 0 || f.level > 3 {
			return nil, nil, usagef("-O%d: levels are 0 to 3", f.level)
		}
		text = fmt.Sprintf("O%d", f.level)
	}
	if named, err = passes.ParsePipeline(text); err != nil {
		return nil, nil, usagef("--pipeline: %v", err)
	}
	if err := passes.CheckOrder(named); err != nil {
		fmt.Fprintln(a.err, "warning:", err)
	}
	var own []passes.Pass
	for _, path := range f.rules {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, missingFile(path, err)
		}
		list, err := rewrite.Parse(path, string(text))
		if err != nil {
			return nil, nil, err
		}
		if len(list) == 0 {
			return nil, nil, fmt.Errorf("%s: there is no rule in it", path)
		}
		own = append(own, rewrite.NewSet(list).Pass(filepath.Base(path)))
	}
	rules = passes.NewPipeline(own...)
	return rules, named, f.checkNames(a, text, slices.Concat(rules.Names(), named.Names()))
}

// checkNames refuses to print around passes that are not there, and warns of
// those that do not run. Behind the named passes run those that lower for the
// CPU, where the command compiles.
func (f *passFlags) checkNames(a *app, text string, run []string) error {
	if f.lowers {
		run = append(run, cpu.Pipeline().Names()...)
	}
	for _, list := range []struct {
		flag  string
		names []string
	}{{"--print-before", f.before}, {"--print-after", f.after}} {
		for _, name := range list.names {
			if name == "all" || slices.Contains(run, name) {
				continue
			}
			if _, ok := passes.Lookup(name); !ok {
				return usagef("%s: there is no pass %q%s", list.flag, name, nearest.Hint(name, append(run, passes.Names()...)))
			}
			fmt.Fprintf(a.err, "warning: %s: %s does not run; --pipeline '%s,%s' has it\n", list.flag, name, text, name)
		}
	}
	return nil
}

// context returns the context that the flags describe.
func (f *passFlags) context(cmd *cobra.Command, a *app) *passes.Context {
	c := a.passes(cmd)
	c.Limit, c.VerifyEach = f.limit, c.VerifyEach || f.verify
	around, n := c.Around, 0
	c.Around = func(p passes.Pass, m *ir.Module, done, changed bool) error {
		if err := around(p, m, done, changed); err != nil {
			return err
		}
		list, when := f.before, "before"
		if done {
			list, when = f.after, "after"
			n++
		}
		name, _, _ := strings.Cut(p.Name(), "{")
		if done && changed && f.dumps != "" {
			if err := writeIR(cmd.Context(), filepath.Join(f.dumps, fmt.Sprintf("%03d-%s.ir", n, name)), m); err != nil {
				return err
			}
		}
		if !slices.Contains(list, name) && !slices.Contains(list, "all") {
			return nil
		}
		fmt.Fprintf(a.out, "// %s %s\n", when, p.Name())
		return ir.Fprint(a.out, m, ir.PrintOptions{})
	}
	return c
}

// passes returns a context whose passes are told as stages of work.
func (a *app) passes(cmd *cobra.Command) *passes.Context {
	c := passes.NewContext(cmd.Context())
	name := ""
	c.Around = func(p passes.Pass, _ *ir.Module, done, _ bool) error {
		if name = p.Name(); !done {
			a.work.at("pass " + name)
		}
		return nil
	}
	c.Progress = func(done float64) { a.work.part("pass "+name, done) }
	return c
}
