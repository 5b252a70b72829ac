package cli

import "github.com/spf13/cobra"

func init() { commands = append(commands, convertCommand) }

func convertCommand(a *app) *cobra.Command {
	return compressor{
		use: "convert", short: "compute or store in fp16 or bf16, and write ONNX",
		pass: "precision", after: "dce",
		examples: []string{
			"-o model.fp16.onnx",
			"--precision bf16 --scope weights -o model.bf16.onnx",
		},
	}.command(a)
}
