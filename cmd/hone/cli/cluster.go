package cli

import "github.com/spf13/cobra"

func init() { commands = append(commands, clusterCommand) }

func clusterCommand(a *app) *cobra.Command {
	return compressor{
		use: "cluster", short: "let weights share the values of a codebook, and write ONNX",
		pass: "cluster", after: "dce",
		examples: []string{
			"-o model.clustered.onnx",
			"--bits 4 --storage uint4 -o model.clustered.onnx",
		},
	}.command(a)
}
