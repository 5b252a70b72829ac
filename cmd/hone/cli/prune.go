package cli

import "github.com/spf13/cobra"

func init() { commands = append(commands, pruneCommand) }

func pruneCommand(a *app) *cobra.Command {
	return compressor{
		use: "prune", short: "set weights to zero, or cut whole channels, and write ONNX",
		pass: "prune", after: "O2",
		examples: []string{
			"--method 2:4 -o model.sparse.onnx",
			"--method channels --amount 0.4 --calibration samples/ -o model.small.onnx",
		},
	}.command(a)
}
