package cli

import "github.com/spf13/cobra"

func init() { commands = append(commands, quantizeCommand) }

func quantizeCommand(a *app) *cobra.Command {
	return compressor{
		use: "quantize", short: "store and compute layers in int8, and write ONNX",
		pass: "quantize", after: "dce",
		examples: []string{
			"-o model.int8.onnx",
			"--mode static --calibration samples/ -o model.int8.onnx",
			"--weights int4 -o model.int4.onnx --html report.html",
		},
	}.command(a)
}
