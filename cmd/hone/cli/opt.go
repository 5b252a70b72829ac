package cli

import (
	"github.com/spf13/cobra"

	"github.com/hone-ml/hone/passes"
)

func init() { commands = append(commands, optCommand) }

func optCommand(a *app) *cobra.Command {
	var mf modelFlags
	var pf passFlags
	var of outputFlags
	c := &cobra.Command{
		Use:   "opt MODEL [-o FILE]",
		Short: "run passes over a model and write ONNX or IR text",
		Example: `  hone opt model.onnx -O2 -o model.opt.onnx
  hone opt model.onnx --pipeline 'fold-constants,fix(simplify,dce)' --emit ir
  hone opt model.onnx --print-after=recognize --dump-dir dumps --time-passes --verify-each
  hone opt model.onnx --rules my.rules -o model.mine.onnx`,
		Args: exactly(1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := of.check(); err != nil {
				return err
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
			before := passes.CountOps(m.Module())
			ctx := pf.context(cmd, a)
			if _, err := pipeline.Run(ctx, m.Module()); err != nil {
				return err
			}
			if pf.timing {
				printPasses(a.err, ctx.Stats)
			}
			return of.write(cmd, a, m.Module(), before)
		},
	}
	of.add(c)
	of.addOpset(c)
	pf.add(c)
	mf.add(c)
	return c
}
