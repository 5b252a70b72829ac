package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/internal/nearest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
)

// outputFlags are the flags of every command that writes a model as ONNX or IR.
type outputFlags struct {
	path, emit string
	opset      int
}

func (f *outputFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.path, "output", "o", "", "the `FILE` to write: .onnx, or .ir for text")
	c.Flags().StringVar(&f.emit, "emit", "", "what to write, onnx or ir, whatever the file's name (default without a file: ir)")
}

func (f *outputFlags) addOpset(c *cobra.Command) {
	c.Flags().IntVar(&f.opset, "opset", 0, "the ONNX opset to write (default: the lowest that has every operator)")
}

// check refuses what can not be written before any work is done.
func (f *outputFlags) check() error {
	if f.emit == "" {
		switch ext := filepath.Ext(f.path); {
		case ext == ".onnx":
			f.emit = "onnx"
		case ext == ".ir" || f.path == "":
			f.emit = "ir"
		default:
			return usagef("-o %s: call it .onnx or .ir, or say which with --emit", f.path)
		}
	}
	newest := ops.NewestOpset("")
	switch {
	case f.emit != "ir" && f.emit != "onnx":
		return usagef("--emit %s%s: onnx and ir can be written", f.emit, nearest.Hint(f.emit, []string{"onnx", "ir"}))
	case f.emit == "onnx" && f.path == "":
		return usagef("--emit onnx needs a file: -o MODEL.onnx")
	case f.opset < 0 || f.opset > newest:
		return usagef("--opset %d: the newest is %d", f.opset, newest)
	case f.path == "":
		return nil
	}
	return checkOutput(f.path)
}

// write writes the module, and where that goes to a file says what became of
// the model: before counts its ops.
func (f *outputFlags) write(cmd *cobra.Command, a *app, m *ir.Module, before int) error {
	if f.path == "" {
		return ir.Fprint(a.out, m, ir.PrintOptions{})
	}
	a.work.at("writing " + f.path)
	if err := writeModule(cmd.Context(), f.path, m, f.emit, f.opset); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "wrote %s: %s (%d before), %s\n", f.path, plural(passes.CountOps(m), "operator"), before, size(fileSize(f.path)))
	return nil
}

func writeModule(ctx context.Context, path string, m *ir.Module, emit string, opset int) error {
	if emit == "onnx" {
		return onnx.WriteFile(ctx, path, m, onnx.ExportOptions{Opset: opset, Native: opset == 0})
	}
	// The constants come first: a text that is there has them.
	data := func(w *atomicfile.File) error { return ir.WriteData(w, m, ir.PrintOptions{}) }
	if err := atomicfile.Write(ctx, hone.SideFile(path), data); err != nil {
		return err
	}
	return writeIR(ctx, path, m)
}

// writeIR writes the text alone, in a folder that it makes where it is missing.
func writeIR(ctx context.Context, path string, m *ir.Module) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(ctx, path, func(w *atomicfile.File) error { return ir.Fprint(w, m, ir.PrintOptions{}) })
}

// checkOutput refuses a path whose folder is missing before any work is done.
func checkOutput(path string) error {
	if path == "-" {
		return usagef("models and pages are written to files, not to standard output: name one instead of -")
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usagef("there is no folder %s to write %s into", dir, filepath.Base(path))
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return usagef("%s is a folder: name a file to write", path)
	case err == nil && !info.Mode().IsRegular():
		return nil // a pipe or device, which is not replaced
	}
	// As the file itself will be: beside the one that is there.
	f, err := os.CreateTemp(dir, ".hone-*")
	if err != nil {
		return fmt.Errorf("nothing can be written into %s: %w", dir, errors.Unwrap(err))
	}
	f.Close()
	return os.Remove(f.Name())
}

// fileSize is that of a model with the data beside it.
func fileSize(path string) int64 {
	n := int64(0)
	for _, p := range []string{path, hone.SideFile(path)} {
		if info, err := os.Stat(p); err == nil {
			n += info.Size()
		}
	}
	return n
}
