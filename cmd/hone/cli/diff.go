package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone/ir/diff"
)

func init() { commands = append(commands, diffCommand) }

func diffCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "diff A B",
		Short: "show how two models differ in structure; exit code 1 where they do",
		Long: `diff compares the operators of two models, IR dumps or bundles by the names of the values that they compute:
- is in A only, + in B only, ~ in both and not the same.`,
		Example: `  hone diff model.onnx model.opt.onnx
  hone diff before.ir after.ir`,
		Args: exactly(2, "two models"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var mf modelFlags
			x, err := mf.open(a, args[0])
			if err != nil {
				return err
			}
			defer x.Close()
			y, err := mf.open(a, args[1])
			if err != nil {
				return err
			}
			defer y.Close()
			changes, err := diff.Modules(x.Module(), y.Module())
			if err != nil {
				return err
			}
			count := map[diff.Kind]int{}
			for _, c := range changes {
				fmt.Fprintln(a.out, c)
				count[c.Kind]++
			}
			if len(changes) == 0 {
				fmt.Fprintln(a.out, "no difference")
				return nil
			}
			fmt.Fprintf(a.out, "%d removed, %d added, %d changed\n", count[diff.Removed], count[diff.Added], count[diff.Changed])
			return errSilent
		},
	}
}
