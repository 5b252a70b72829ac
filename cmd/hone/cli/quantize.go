package cli

import "github.com/spf13/cobra"

func init() { commands = append(commands, quantizeCommand) }

func quantizeCommand(a *app) *cobra.Command {
	return compressor{use: "quantize", short: "store and compute layers in int8, and write ONNX", pass: "quantize", after: "dce"}.command(a)
}
