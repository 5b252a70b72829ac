package cli

import (
	"github.com/spf13/cobra"

	"github.com/hone-ml/hone/passes/cut"
)

func init() { commands = append(commands, extractCommand) }

func extractCommand(a *app) *cobra.Command {
	var mf modelFlags
	var out, emit string
	var outputs, inputs []string
	c := &cobra.Command{
		Use:   "extract MODEL --outputs NAME -o PART.onnx",
		Short: "cut out the part of a model that computes chosen values",
		Args:  exactly(1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(outputs) == 0 {
				return usagef("extract needs --outputs: names of values or nodes, as hone inspect --ir shows them in origin(...) and loc(...)")
			}
			if out != "" {
				if err := checkOutput(out); err != nil {
					return err
				}
			}
			m, err := mf.open(args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			part, err := cut.Extract(m.Module(), outputs, inputs)
			if err != nil {
				return err
			}
			return emitModule(cmd, a, part, emit, out, 0)
		},
	}
	c.Flags().StringSliceVar(&outputs, "outputs", nil, "the values that the part computes: output, value or node names")
	c.Flags().StringSliceVar(&inputs, "inputs", nil, "values at which the part begins; the model's own inputs by default")
	c.Flags().StringVarP(&out, "output", "o", "", "the file to write")
	c.Flags().StringVar(&emit, "emit", "", "what to write: onnx or ir (default: by the file's name; ir without one)")
	mf.add(c)
	return c
}
