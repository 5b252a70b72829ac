// Package cli is the command line of hone: one file a subcommand, none with
// logic that the library lacks. A program of one's own that imports it, and
// registers passes, is a hone that has them.
//
// Exit codes: 0 for success, 1 for a failure, 2 for bad usage.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/backends"
	"github.com/hone-ml/hone/backends/tensorrt"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/nearest"
)

// commands makes the subcommands; each file of this folder adds its own.
var commands []func(*app) *cobra.Command

// app is what subcommands share.
type app struct {
	out, err io.Writer
	in       io.Reader
	work     *stages // what long work is at
}

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errSilent ends the program with code 1 when everything has been said.
var errSilent = errors.New("")

// Main runs the program's arguments and ends the program.
func Main() {
	tensorrt.ChildMain() // where hone was started as TensorRT's builder
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, errw io.Writer) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(errw, "hone: a mistake in hone itself, please report it with the model: %v\n%s", p, debug.Stack())
			code = 1
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	work := newStages(errw)
	defer work.done()
	a := &app{out: work.before(out), err: work.before(errw), in: in, work: work}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	var input *hone.InputError
	var option *backends.OptionError
	var named *onnx.OptionError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSilent):
		return 1
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.err, "hone: interrupted")
		return 1
	case errors.As(err, &usage), errors.As(err, &input), errors.As(err, &option), errors.As(err, &named):
		fmt.Fprintf(a.err, "hone: %v\n", err)
		return 2
	default:
		fmt.Fprintf(a.err, "hone: %v\n", err)
		return 1
	}
}

// root makes the command that holds all others.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "hone",
		Short:         "hone makes neural networks smaller and faster, and proves that they still answer the same",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(flagError)
	var names []string
	for _, c := range commands {
		root.AddCommand(c(a))
	}
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return usagef("there is no command %q%s; hone --help lists them", args[0], nearest.Hint(args[0], names))
	}
	return root
}

// exactly is cobra.ExactArgs with our errors.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s takes %s, got %s; see hone %s --help", c.Name(), what, plural(len(args), "argument"), c.Name())
		}
		return nil
	}
}

// flagTypes says what values the kinds of flags take.
var flagTypes = map[string]string{
	"int": "a whole number", "float64": "a number", "bool": "true or false", "duration": "a duration, for example 2s or 500ms",
}

// flagError says what a flag takes, and adds the nearest flag to one that is not there.
func flagError(c *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		flag := invalid.GetFlag()
		return usagef("--%s %s: it takes %s; hone %s --help says more", flag.Name, invalid.GetValue(), flagTypes[flag.Value.Type()], c.Name())
	}
	var missing *pflag.ValueRequiredError
	if errors.As(err, &missing) {
		flag := missing.GetFlag()
		value, _ := pflag.UnquoteUsage(flag)
		return usagef("--%s needs a value, %s; hone %s --help says more", flag.Name, value, c.Name())
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return usageError{err}
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	typed := "--" + unknown.GetSpecifiedName()
	return usagef("hone %s has no flag %s%s; hone %s --help lists them", c.Name(), typed, nearest.Hint(typed, names), c.Name())
}
