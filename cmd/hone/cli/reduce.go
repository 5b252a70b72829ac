package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/cut"
)

func init() { commands = append(commands, reduceCommand) }

func reduceCommand(a *app) *cobra.Command {
	var mf modelFlags
	var of outputFlags
	var check string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "reduce MODEL --check 'COMMAND {}' [-o SMALL.onnx]",
		Short: "find the smallest part of a model that still fails",
		Long: `reduce looks for the smallest part of a model with which a command still fails.

The command runs in the shell with {} replaced by a candidate's file. It fails where it ends with the same status
other than 0 as it did with the whole model; where several mistakes share a status, let it look for its message.
The part is printed as text, or written with -o.`,
		Example: `  hone reduce model.onnx --check 'my-runtime {}' -o small.onnx
  hone reduce model.onnx --check 'my-runtime {} 2>&1 | grep -q "bad reshape" && exit 3; exit 0' -o small.onnx`,
		Args: exactly(1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !strings.Contains(check, "{}") {
				return usagef("reduce needs --check 'COMMAND {}', in which {} stands for the file to check")
			}
			if err := of.check(); err != nil {
				return err
			}
			form := of.emit
			if of.path == "" && !cmd.Flags().Changed("emit") {
				form = "onnx" // what commands read; what is found is printed as text
			}
			m, err := mf.open(a, args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			dir, err := os.MkdirTemp("", "hone-reduce-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			v := &verdict{command: check, file: filepath.Join(dir, "model."+form), emit: form, timeout: timeout}
			tried := 0
			part, err := cut.Reduce(cmd.Context(), m.Module(), cut.Options{
				Fails: func(ctx context.Context, m *ir.Module) (bool, error) {
					a.work.at(fmt.Sprintf("running the command on candidate %d, %s", tried, plural(passes.CountOps(m), "op")))
					tried++
					return v.fails(ctx, m)
				},
				Progress: func(tried, ops int) {
					fmt.Fprintf(a.err, "%s left (%s tried)\n", plural(ops, "op"), plural(tried, "candidate"))
				},
			})
			if err != nil {
				return err
			}
			told := a.out
			if of.path == "" {
				told = a.err // the text of the part is what is printed
			}
			fmt.Fprintf(told, "fails as the whole model does: %s\n", v.want)
			return of.write(cmd, a, part, passes.CountOps(m.Module()))
		},
	}
	c.Flags().StringVar(&check, "check", "", "the `COMMAND` that fails; {} stands for the file to check")
	of.add(c)
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long the command may take; taking longer is a failure of its own kind")
	mf.add(c)
	return c
}

// verdict runs the check on candidates.
type verdict struct {
	command string
	file    string // of the candidate
	emit    string // its form
	timeout time.Duration
	want    string // how the whole model failed
}

func (v *verdict) fails(ctx context.Context, m *ir.Module) (bool, error) {
	if err := writeModule(ctx, v.file, m, v.emit, 0); err != nil {
		if v.want == "" || ctx.Err() != nil {
			return false, err
		}
		return false, nil // a part that can not be written is no candidate
	}
	status, err := v.run(ctx)
	if err != nil {
		return false, err
	}
	if v.want == "" {
		switch status {
		case "":
			return false, errors.New("the command succeeds on the whole model: there is nothing to reduce")
		case "exit status 126", "exit status 127": // of the shell
			return false, usagef("--check: the shell can not run the command: %s", status)
		}
		v.want = status
	}
	return status == v.want, nil
}

// run returns how the command ended, "" for success.
func (v *verdict) run(ctx context.Context) (string, error) {
	limited, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	c := exec.CommandContext(limited, "sh", "-c", strings.ReplaceAll(v.command, "{}", "'"+v.file+"'"))
	c.WaitDelay = time.Second
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case limited.Err() != nil:
		return "timed out", nil
	case errors.As(err, &exit):
		return exit.String(), nil
	default:
		return "", err
	}
}
