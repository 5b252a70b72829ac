package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/bisect"
	"github.com/hone-ml/hone/tensor"
)

func init() { commands = append(commands, bisectCommand) }

func bisectCommand(a *app) *cobra.Command {
	var mf modelFlags
	var pf passFlags
	var inputs string
	var tolerance float64
	c := &cobra.Command{
		Use:   "bisect MODEL",
		Short: "name the pass, rule and op that make a model answer otherwise",
		Long: `bisect runs passes over a model, and where its answers change, searches for the one change that did it.
Exit code 1 where there is one.`,
		Example: `  hone bisect model.onnx --rules my.rules
  hone bisect model.onnx -O3 --inputs samples/ --tolerance 1e-3
  hone bisect model.onnx --pipeline 'fold-constants,recognize,dce'`,
		Args: exactly(1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(tolerance >= 0) {
				return usagef("--tolerance %g: an error is 0 or more", tolerance)
			}
			pipeline, err := pf.pipeline(a)
			if err != nil {
				return err
			}
			m, err := mf.open(a, args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			cases, err := readCases(cmd.Context(), a, hone.Inputs(m.Module()), inputs)
			if err != nil {
				return err
			}
			a.work.at("running the model as it is")
			culprit, err := bisect.Find(cmd.Context(), m.Module(), bisect.Options{
				Run: func(c *passes.Context, m *ir.Module) error {
					a.work.at("passes, " + trial(c.Limit))
					_, err := pipeline.Run(c, m)
					a.work.at("running the model behind " + trial(c.Limit))
					return err
				},
				Cases: cases, Tolerance: tolerance,
				Progress: func(limit int, broken error) { progress(a, limit, broken) },
			})
			if err != nil {
				return err
			}
			if culprit == nil {
				fmt.Fprintf(a.out, "%s keeps the answers within %g on %s\n", pipeline.Name(), tolerance, plural(len(cases), "set of inputs"))
				return nil
			}
			fmt.Fprintf(a.out, "%s\n  %s\n  then: %v\n", culprit, strings.TrimSpace(culprit.Text), culprit.Broken)
			return errSilent
		},
	}
	pf.choose(c)
	c.Flags().StringVar(&inputs, "inputs", "random", "random, or a `FOLDER` with a file NAME.npy for each input; sub folders are further cases")
	c.Flags().Float64Var(&tolerance, "tolerance", 1e-4, "largest error allowed, relative to the output's largest element")
	mf.add(c)
	return c
}

func progress(a *app, limit int, broken error) {
	verdict := "right"
	if broken != nil {
		verdict = "broken"
	}
	fmt.Fprintf(a.err, "%s: %s\n", trial(limit), verdict)
}

// trial names a run of the passes that makes so many applications, -1 for all.
func trial(limit int) string {
	if limit < 0 {
		return "all applications"
	}
	return plural(limit, "application")
}

// readCases reads the inputs to judge a model by.
func readCases(ctx context.Context, a *app, ports []hone.Port, from string) ([][]tensor.Value, error) {
	if from == "random" {
		c, err := randomInputs(ports)
		return [][]tensor.Value{c}, err
	}
	if info, err := os.Stat(from); err == nil && !info.IsDir() {
		return nil, usagef("--inputs %s: name a folder of .npy files, not a file", from)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil, missingFile(from, err)
	}
	var cases [][]tensor.Value
	files := false
	for _, e := range entries {
		files = files || strings.HasSuffix(e.Name(), ".npy")
		if e.IsDir() {
			c, err := readCase(ctx, a, ports, filepath.Join(from, e.Name()))
			if err != nil {
				return nil, err
			}
			cases = append(cases, c)
		}
	}
	if files {
		c, err := readCase(ctx, a, ports, from)
		if err != nil {
			return nil, err
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		return nil, usagef("--inputs %s: there is no .npy file in it; the model takes %s", from, portList(ports))
	}
	return cases, nil
}

// readCase reads one value an input from a folder.
func readCase(ctx context.Context, a *app, ports []hone.Port, dir string) ([]tensor.Value, error) {
	var f inputFlags
	for _, p := range ports {
		f.inputs = append(f.inputs, p.Name+"="+filepath.Join(dir, safeName(p.Name)+".npy"))
	}
	named, err := f.read(ctx, a, ports, nil, false)
	if err != nil {
		return nil, err
	}
	ins := make([]tensor.Value, len(ports))
	for i, p := range ports {
		ins[i] = named[p.Name]
	}
	return ins, nil
}
