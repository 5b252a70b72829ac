package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/passes"
)

func init() { commands = append(commands, compileCommand) }

func compileCommand(a *app) *cobra.Command {
	var mf modelFlags
	var out, pipeline string
	c := &cobra.Command{
		Use:   "compile MODEL.onnx -o MODEL.hone",
		Short: "optimize a model and pack it for deployment",
		Args:  exactly(1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				out = strings.TrimSuffix(args[0], ".onnx") + ".hone"
			}
			opt, err := mf.options()
			if err != nil {
				return err
			}
			start := time.Now()
			m, err := hone.Open(args[0], opt)
			if err != nil {
				return err
			}
			defer m.Close()
			ctx := passes.NewContext(cmd.Context())
			compiled, err := hone.Compile(cmd.Context(), m, hone.CompileOptions{Pipeline: pipeline, Context: ctx})
			if err != nil {
				return err
			}
			if err := compiled.WriteFile(cmd.Context(), out); err != nil {
				return err
			}
			info, err := os.Stat(out)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: %d ops -> %d, %.1f MB -> %.1f MB, %.1f s\n", out, compiled.Stats.OpsBefore, compiled.Stats.OpsAfter,
				float64(m.Bytes())/1e6, float64(info.Size())/1e6, time.Since(start).Seconds())
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the file to write (default: the model's name with .hone)")
	c.Flags().StringVar(&pipeline, "pipeline", "O2", "the passes to run before lowering")
	mf.add(c)
	return c
}

// add declares the flags.
func (f *modelFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.dims, "dim", nil, "freeze a symbolic dim: NAME=NUMBER")
	c.Flags().StringArrayVar(&f.shapes, "input-shape", nil, "freeze the shape of an input: NAME=1x3x224x224")
}
