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

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes/cut"
)

func init() { commands = append(commands, reduceCommand) }

func reduceCommand(a *app) *cobra.Command {
	var mf modelFlags
	var out, check string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "reduce MODEL --check 'COMMAND {}' -o SMALL.onnx",
		Short: "find the smallest part of a model that still fails",
		Long: `reduce looks for the smallest part of a model with which a command still fails.

The command runs in the shell with {} replaced by a candidate's file. It fails where it ends with the same status
other than 0 as it did with the whole model; where several mistakes share a status, let it look for its message:

  hone reduce model.onnx -o small.onnx --check 'my-runtime {} 2>&1 | grep -q "bad reshape" && exit 3; exit 0'`,
		Args: exactly(1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" || !strings.Contains(check, "{}") {
				return usagef("reduce needs --check 'COMMAND {}' and -o FILE; {} stands for the file to check")
			}
			if err := checkOutput(out); err != nil {
				return err
			}
			m, err := mf.open(args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			dir, err := os.MkdirTemp("", "hone-reduce-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			v := &verdict{cmd: cmd, app: a, command: check, file: filepath.Join(dir, "model"+filepath.Ext(out)), timeout: timeout}
			part, err := cut.Reduce(cmd.Context(), m.Module(), cut.Options{
				Fails:    v.fails,
				Progress: func(tried, ops int) { fmt.Fprintf(a.err, "%d ops still fail (%d candidates)\n", ops, tried) },
			})
			if err != nil {
				return err
			}
			s := hone.Summarize(part)
			fmt.Fprintf(a.out, "%d of %d ops, %d of %d parameters: %s\n", s.Ops, hone.Summarize(m.Module()).Ops, s.Parameters, hone.Summarize(m.Module()).Parameters, v.want)
			return emitModule(cmd, a, part, "", out, 0)
		},
	}
	c.Flags().StringVar(&check, "check", "", "the command that fails; {} stands for the file to check")
	c.Flags().StringVarP(&out, "output", "o", "", "the file to write: .onnx or .ir; candidates have the same form")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long the command may take; taking longer is a failure of its own kind")
	mf.add(c)
	return c
}

// verdict runs the check on candidates.
type verdict struct {
	cmd     *cobra.Command
	app     *app
	command string
	file    string
	timeout time.Duration
	want    string // how the whole model failed
}

func (v *verdict) fails(ctx context.Context, m *ir.Module) (bool, error) {
	if err := emitModule(v.cmd, v.app, m, "", v.file, 0); err != nil {
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
		if status == "" {
			return false, errors.New("the command succeeds on the whole model: there is nothing to reduce")
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
