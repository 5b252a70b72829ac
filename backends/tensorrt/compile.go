package tensorrt

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/hone-ml/hone/backends/tensorrt/internal/nvinfer"
	"github.com/hone-ml/hone/backends/tensorrt/legalize"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/internal/mmap"
	"github.com/hone-ml/hone/ir"
)

// Table says what becomes of each op of a model: taken, rewritten or refused, at which precision.
type Table = legalize.Table

// Explain says layer by layer what TensorRT will take of a module of the core
// level, without building and without NVIDIA's library. Where it will refuse
// some, the error is a *legalize.RefusedError and the table is whole all the same.
func Explain(ctx context.Context, m *ir.Module, o Options) (Table, error) {
	table, _, err := o.legalize(ctx, m.Clone())
	return table, err
}

// legalize rewrites m, and returns the calibration data that it read for that.
func (o Options) legalize(ctx context.Context, m *ir.Module) (table Table, batches []calibrate.Batch, err error) {
	if batches, err = calibrate.LoadIfGiven(o.Calibrate, m.Main().Body.Args); err != nil {
		return nil, nil, err
	}
	table, err = legalize.Run(ctx, m, legalize.Options{SM: o.SM, Precision: o.Precision, Keep: o.Keep, Batches: batches, Choice: o.Choice, Note: o.Note})
	return table, batches, err
}

// Compile legalizes a module of the core level and builds a plan of it. What
// TensorRT is known to refuse is refused before anything is built.
func Compile(ctx context.Context, m *ir.Module, o Options) (engine []byte, rep *Report, err error) {
	return inMemory(func(out *os.File) (*Report, error) { return compile(ctx, m, out, o) })
}

// CompileFile is Compile to a file, which appears when it is whole, or not at all.
func CompileFile(ctx context.Context, m *ir.Module, planPath string, o Options) (rep *Report, err error) {
	err = atomicfile.Write(ctx, planPath, func(out *atomicfile.File) (err error) {
		rep, err = compile(ctx, m, out.OS(), o)
		return err
	})
	return rep, err
}

func compile(ctx context.Context, m *ir.Module, out *os.File, o Options) (*Report, error) {
	legal := m.Clone()
	table, batches, err := o.legalize(ctx, legal)
	if err != nil {
		return nil, err
	}
	var costs []Accuracy
	if o.Accuracy {
		if costs, err = accuracy(ctx, m, legal, batches, o); err != nil {
			return nil, err
		}
	}
	in, err := memoryFile("model", nil)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := memoryFile("weights", nil)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	moved, err := onnx.ExportSplit(in, data, "weights", legal, onnx.ExportOptions{})
	if err != nil {
		return nil, fmt.Errorf("handing the model to TensorRT: %w", err)
	}
	var j nvinfer.Job
	for _, w := range moved {
		j.Weights = append(j.Weights, nvinfer.Weights(w))
	}
	// The weights are in the builder's hands: here they need no memory while it works.
	legal = nil
	if o.spend {
		m.Funcs = nil
	}
	mmap.LetGo()
	debug.FreeOSMemory()
	rep, err := build(ctx, files{in, data, out}, j, o)
	if err != nil {
		return nil, err
	}
	rep.Table, rep.Accuracy, rep.Warnings = table, costs, append(table.Warnings(), rep.Warnings...)
	return rep, nil
}
