package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/passes"
)

func init() { commands = append(commands, compileCommand) }

// compileFlags are the flags of hone compile.
type compileFlags struct {
	modelFlags
	passFlags
	backendFlags
	out, preprocess string
}

func compileCommand(a *app) *cobra.Command {
	var f compileFlags
	c := &cobra.Command{
		Use:   "compile MODEL.onnx -o MODEL.hone",
		Short: "optimize a model and pack it for deployment",
		Example: `  hone compile model.onnx -o model.hone
  hone compile model.onnx --dim N=1 --preprocess imagenet
  hone compile model.onnx --backend tensorrt --sm 86,89 -o model.plan
  hone compile model.onnx --backend tensorrt --explain`,
		Args: exactly(1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.explain || f.backend != "cpu" {
				return f.runBackend(cmd, a, args[0])
			}
			return f.run(cmd, a, args[0])
		},
	}
	c.Flags().StringVarP(&f.out, "output", "o", "", "the `FILE` to write (default: the model's name with .hone)")
	c.Flags().StringVar(&f.preprocess, "preprocess", "", preprocessHelp+"; kept in the bundle")
	f.lowers = true
	f.passFlags.add(c)
	f.backendFlags.add(c)
	f.modelFlags.add(c)
	return c
}

func (f *compileFlags) run(cmd *cobra.Command, a *app, path string) error {
	out := cmp.Or(f.out, strings.TrimSuffix(path, ".onnx")+".hone")
	if err := checkOutput(out); err != nil {
		return err
	}
	rules, named, err := f.parts(a)
	if err != nil {
		return err
	}
	m, err := f.open(a, path)
	if err != nil {
		return err
	}
	defer m.Close()
	compiled, err := f.compile(cmd, a, m, rules, named)
	if err != nil {
		return err
	}
	a.work.at("writing " + out)
	if err := compiled.WriteFile(cmd.Context(), out); err != nil {
		return err
	}
	if f.timing {
		printPasses(a.err, compiled.Stats.Passes)
	}
	return summarize(a, m, compiled, out, f.preprocess, time.Since(a.work.start))
}

// compile runs the passes that the flags ask for and lowers the model.
func (f *compileFlags) compile(cmd *cobra.Command, a *app, m *hone.Model, rules, named *passes.Pipeline) (*hone.Compiled, error) {
	opt := hone.CompileOptions{Pipeline: named.Name(), Context: f.context(cmd, a)}
	if f.preprocess != "" {
		spec, err := namedSpec(f.preprocess, hone.Inputs(m.Module()))
		if err != nil {
			return nil, err
		}
		if opt.Preprocess, err = json.Marshal(spec); err != nil {
			return nil, err
		}
	}
	if _, err := rules.Run(opt.Context, m.Module()); err != nil {
		return nil, err
	}
	return hone.Compile(cmd.Context(), m, opt)
}

// summarize shows what came out, by opening the bundle as a user will.
func summarize(a *app, m *hone.Model, c *hone.Compiled, out, preprocess string, took time.Duration) error {
	info, err := os.Stat(out)
	if err != nil {
		return err
	}
	s, err := hone.Load(out, hone.SessionOptions{Threads: 1})
	if err != nil {
		return err
	}
	defer s.Close()
	table := rows{
		{"bundle", out},
		{"operators", fmt.Sprintf("%d before, %d fused, %d after", c.Stats.OpsBefore, c.Stats.OpsFused, c.Stats.OpsAfter)},
		{"size", fmt.Sprintf("%s before, %s after", size(m.Bytes()), size(info.Size()))},
	}
	table = append(table, planRows(s)...)
	if preprocess != "" {
		table = append(table, [2]string{"preprocess", preprocess})
	}
	table = append(table, [2]string{"time", fmt.Sprintf("%.2f s", took.Seconds())})
	table.print(a.out)
	return nil
}

// maxFallbacks bounds the reasons that are shown.
const maxFallbacks = 12

// planRows says what the plan for the smallest shapes takes and leaves to the
// reference.
func planRows(s *hone.Session) rows {
	ins, err := randomInputs(s.Inputs())
	if err != nil {
		return rows{{"memory", "depends on the inputs"}}
	}
	arena, err := s.CPU().ArenaBytes(ins)
	if err != nil {
		return rows{{"memory", "no plan for dims of 1: " + err.Error()}}
	}
	shapes := make([]string, len(ins))
	for i, p := range s.Inputs() {
		shapes[i] = fmt.Sprintf("%s %s", p.Name, ins[i])
	}
	table := rows{{"arena", size(arena) + " for " + strings.Join(shapes, ", ")}, {"kernels", s.Tier()}}
	fallbacks, err := s.CPU().Fallbacks(ins)
	if err != nil {
		return append(table, [2]string{"fell back", err.Error()})
	}
	if len(fallbacks) == 0 {
		return append(table, [2]string{"fell back", "nothing: every operator has a kernel"})
	}
	for i, b := range fallbacks {
		name := ""
		if i == 0 {
			name = "fell back"
		}
		if i == maxFallbacks {
			return append(table, [2]string{"", fmt.Sprintf("and %d kinds more", len(fallbacks)-i)})
		}
		table = append(table, [2]string{name, fmt.Sprintf("%d %s: %s", b.Count, b.Op, b.Why)})
	}
	return table
}
