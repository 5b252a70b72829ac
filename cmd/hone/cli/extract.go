package cli

import (
	"github.com/spf13/cobra"

	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/cut"
)

func init() { commands = append(commands, extractCommand) }

func extractCommand(a *app) *cobra.Command {
	var mf modelFlags
	var of outputFlags
	var outputs, inputs []string
	c := &cobra.Command{
		Use:   "extract MODEL --outputs NAME -o PART.onnx",
		Short: "cut out the part of a model that computes chosen values",
		Example: `  hone extract model.onnx --outputs relu_7 -o head.onnx
  hone extract model.onnx --outputs logits --inputs features -o tail.onnx`,
		Args: exactly(1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(outputs) == 0 {
				return usagef("extract needs --outputs: names of values or nodes, as hone inspect --ir shows them in origin(...) and loc(...)")
			}
			if err := of.check(); err != nil {
				return err
			}
			m, err := mf.open(a, args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			part, err := cut.Extract(m.Module(), outputs, inputs)
			if err != nil {
				return usageError{err}
			}
			return of.write(cmd, a, part, passes.CountOps(m.Module()))
		},
	}
	c.Flags().StringSliceVar(&outputs, "outputs", nil, "the `VALUES` that the part computes: output, value or node names")
	c.Flags().StringSliceVar(&inputs, "inputs", nil, "`VALUES` at which the part begins; the model's own inputs by default")
	of.add(c)
	mf.add(c)
	return c
}
