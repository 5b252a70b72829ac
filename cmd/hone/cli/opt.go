package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/internal/nearest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/rewrite"
)

func init() { commands = append(commands, optCommand, passesCommand) }

// passFlags are the flags of every command that runs passes.
type passFlags struct {
	pipeline string
	level    int
	rules    []string
	before   []string
	after    []string
	dumpDir  string
	timing   bool
	verify   bool
	limit    int
}

func (f *passFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.pipeline, "pipeline", "", "the passes to run, for example 'fold-constants,cse,dce'")
	c.Flags().IntVarP(&f.level, "level", "O", 2, "optimization level: 0 to 3")
	c.Flags().StringArrayVar(&f.rules, "rules", nil, "a file of rewrite rules to apply first")
	c.Flags().StringSliceVar(&f.before, "print-before", nil, "print the IR before these passes (all: every pass)")
	c.Flags().StringSliceVar(&f.after, "print-after", nil, "print the IR after these passes (all: every pass)")
	c.Flags().StringVar(&f.dumpDir, "dump-dir", "", "write the IR after each pass into this folder")
	c.Flags().BoolVar(&f.timing, "time-passes", false, "show what each pass took and did")
	c.Flags().BoolVar(&f.verify, "verify-each", false, "check the module after each pass")
	c.Flags().IntVar(&f.limit, "stop-after", -1, "stop changing the module after this many applications")
}

// text returns the pipeline.
func (f *passFlags) text() (string, error) {
	if f.pipeline != "" {
		if _, err := passes.ParsePipeline(f.pipeline); err != nil {
			return "", usagef("--pipeline: %v", err)
		}
		return f.pipeline, nil
	}
	if f.level < 0 || f.level > 3 {
		return "", usagef("-O%d: levels are 0 to 3", f.level)
	}
	return fmt.Sprintf("O%d", f.level), nil
}

// context returns the context that the flags describe.
func (f *passFlags) context(cmd *cobra.Command, a *app) *passes.Context {
	c := passes.NewContext(cmd.Context())
	c.Limit, c.VerifyEach = f.limit, c.VerifyEach || f.verify
	n := 0
	c.Around = func(p passes.Pass, m *ir.Module, done, changed bool) error {
		name, _, _ := strings.Cut(p.Name(), "{")
		list := f.before
		if done {
			list = f.after
			n++
			if f.dumpDir != "" && changed {
				if err := dump(cmd, filepath.Join(f.dumpDir, fmt.Sprintf("%03d-%s.ir", n, name)), m); err != nil {
					return err
				}
			}
		}
		for _, l := range list {
			if l == name || l == "all" {
				when := map[bool]string{false: "before", true: "after"}[done]
				fmt.Fprintf(a.out, "// %s %s\n", when, p.Name())
				if err := ir.Fprint(a.out, m, ir.PrintOptions{}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return c
}

func dump(cmd *cobra.Command, path string, m *ir.Module) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(cmd.Context(), path, func(w *atomicfile.File) error { return ir.Fprint(w, m, ir.PrintOptions{}) })
}

// userRules applies the rule files of --rules.
func (f *passFlags) userRules(c *passes.Context, m *ir.Module) error {
	for _, path := range f.rules {
		text, err := os.ReadFile(path)
		if err != nil {
			return missingFile(path, err)
		}
		rules, err := rewrite.Parse(path, string(text))
		if err != nil {
			return err
		}
		if _, err := passes.NewPipeline(rewrite.NewSet(rules).Pass(filepath.Base(path))).Run(c, m); err != nil {
			return err
		}
	}
	return nil
}

func optCommand(a *app) *cobra.Command {
	var mf modelFlags
	var pf passFlags
	var out, emit string
	var opset int
	c := &cobra.Command{
		Use:   "opt MODEL -o MODEL.onnx",
		Short: "run passes over a model and write ONNX or IR text",
		Args:  exactly(1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out != "" {
				if err := checkOutput(out); err != nil {
					return err
				}
			}
			m, err := mf.open(args[0])
			if err != nil {
				return err
			}
			text, err := pf.text()
			if err != nil {
				return err
			}
			ctx := pf.context(cmd, a)
			if err := pf.userRules(ctx, m.Module()); err != nil {
				return err
			}
			if err := m.Optimize(ctx, text); err != nil {
				return err
			}
			if pf.timing {
				printPasses(a.err, ctx.Stats)
			}
			return emitModule(cmd, a, m.Module(), emit, out, opset)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the file to write")
	c.Flags().IntVar(&opset, "opset", 0, "the ONNX opset to write (default: the lowest that has every operator)")
	c.Flags().StringVar(&emit, "emit", "", "what to write: onnx or ir (default: by the file's name; ir without one)")
	pf.add(c)
	mf.add(c)
	return c
}

func emitModule(cmd *cobra.Command, a *app, m *ir.Module, emit, out string, opset int) error {
	if emit == "" {
		emit = "ir"
		if strings.HasSuffix(out, ".onnx") {
			emit = "onnx"
		}
	}
	switch {
	case emit == "ir" && out == "":
		return ir.Fprint(a.out, m, ir.PrintOptions{})
	case emit == "ir":
		if err := dump(cmd, out, m); err != nil {
			return err
		}
		return atomicfile.Write(cmd.Context(), hone.SideFile(out), func(w *atomicfile.File) error { return ir.WriteData(w, m, ir.PrintOptions{}) })
	case emit == "onnx" && out != "":
		return onnx.WriteFile(cmd.Context(), out, m, onnx.ExportOptions{Opset: opset, Native: opset == 0})
	case emit == "onnx":
		return usagef("--emit onnx needs a file: -o MODEL.onnx")
	}
	return usagef("--emit %s: onnx and ir can be written", emit)
}

func passesCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "passes [NAME]",
		Short: "list the passes, their options and the pipelines of -O0 to -O3",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, name := range passes.Names() {
				if len(args) == 1 && args[0] != name {
					continue
				}
				s, _ := passes.Lookup(name)
				fmt.Fprintf(a.out, "%-16s %s\n", s.Name, s.Help)
				for _, o := range s.Options {
					fmt.Fprintf(a.out, "%-16s   %s=%s  %s\n", "", o.Name, o.Default, o.Help)
				}
			}
			if len(args) == 1 {
				if _, ok := passes.Lookup(args[0]); !ok {
					return usagef("there is no pass %q%s; hone passes lists them", args[0], nearest.Hint(args[0], passes.Names()))
				}
				return nil
			}
			for _, l := range []string{"O0", "O1", "O2", "O3"} {
				text, _ := passes.Level(l)
				fmt.Fprintf(a.out, "-%s  %s\n", l, text)
			}
			return nil
		},
	}
}
