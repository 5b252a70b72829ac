// Package hone compiles neural networks ahead of time, in pure Go.
//
// Open reads a model, Compile optimizes it and packs it for the CPU, and a
// Session runs it:
//
//	model, err := hone.Open("resnet50.onnx")
//	defer model.Close()
//	compiled, err := hone.Compile(ctx, model, hone.CompileOptions{})
//	err = compiled.WriteFile(ctx, "resnet50.hone")
//	...
//	session, err := hone.Load("resnet50.hone", hone.SessionOptions{})
//	defer session.Close()
//	outputs, err := session.Run(ctx, map[string]*tensor.Tensor{"input": x})
//
// Verify tells whether a compiled model still answers as the original does, and
// Model.Reference runs a model as the definitions of its operators say.
//
// Mistakes in the inputs of a run are an *InputError; whatever else goes wrong
// is an error that says what, where, and in which file. Models, modules and
// sessions view their files, which stay mapped until they are closed.
package hone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hone-ml/hone/backends/cpu"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/bundle"
	"github.com/hone-ml/hone/internal/mmap"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"

	_ "github.com/hone-ml/hone/passes/all" // the pipelines -O0 to -O3
)

// Model is a model as it was read: ONNX, IR text, or a bundle's module.
type Model struct {
	module *ir.Module
	path   string
	bytes  int64
	bundle *bundle.Bundle // where it is one
}

// OpenOptions adjust how an ONNX model is read.
type OpenOptions struct {
	// Dims freezes symbolic dims by name: {"N": 1}.
	Dims map[string]int64
	// InputShapes sets the shape of inputs by name, dims below 0 left alone.
	InputShapes map[string][]int64
	// SplitDims are names that inputs share for sizes that may differ.
	SplitDims []string
}

// Open reads a model from a file: .onnx, .ir text (with the side file beside
// it, if there is one) or a .hone bundle. What a file is is told by its
// content, not its name. At most one OpenOptions counts.
func Open(path string, opts ...OpenOptions) (*Model, error) {
	var opt OpenOptions
	if len(opts) > 0 {
		opt = opts[0]
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	head, err := readHead(path)
	if err != nil {
		return nil, err
	}
	m := &Model{path: path, bytes: info.Size()}
	switch {
	case len(head) == 0:
		err = errors.New("the file is empty")
	case bundle.IsBundle(head):
		if m.bundle, err = bundle.Open(path); err == nil {
			if m.module, err = m.bundle.Module(); err == nil {
				err = check(m.module)
			}
		}
	case strings.HasPrefix(strings.TrimSpace(string(head)), "module @"):
		m.module, err = openText(path)
	default:
		m.module, err = onnx.Open(path, onnx.Options{Dims: opt.Dims, InputShapes: opt.InputShapes})
		opt = OpenOptions{SplitDims: opt.SplitDims}
		if ext := filepath.Ext(path); err != nil && (ext == ".hone" || ext == ".ir") {
			err = fmt.Errorf("neither a bundle nor IR text, which begins with \"module @\"; and %w", err)
		}
	}
	if err == nil && len(opt.Dims)+len(opt.InputShapes) > 0 {
		err = errors.New("dims can be frozen only where an ONNX model is read")
	}
	for _, name := range opt.SplitDims {
		if err == nil && m.module.Level == ir.CPU {
			err = errors.New("dims can be split only before a model is compiled")
		}
		if err == nil {
			err = ops.SplitDim(m.module, name)
		}
	}
	if err != nil {
		_ = m.Close()
		return nil, inFile(path, err)
	}
	return m, nil
}

// inFile names the file of an error that does not.
func inFile(path string, err error) error {
	var named *fs.PathError
	if errors.As(err, &named) && named.Path == path {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 256)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return nil, err
	}
	return head[:n], nil
}

// maxText bounds the size of an IR dump.
const maxText = 1 << 30

func openText(path string) (*ir.Module, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxText {
		err = fmt.Errorf("%d bytes of IR text, more than %d", info.Size(), int64(maxText))
	}
	if err != nil {
		return nil, err
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var opt ir.ParseOptions
	side, err := mmap.Open(SideFile(path))
	switch {
	case err == nil:
		if opt.Data, err = ir.ReadData(side.Bytes()); err != nil {
			err = fmt.Errorf("%s: %w", SideFile(path), err)
		}
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	var m *ir.Module
	if err == nil {
		m, err = ir.Parse(string(src), opt)
	}
	if err == nil {
		err = check(m)
	}
	if side != nil && err == nil {
		m.Own(side)
	} else if side != nil {
		_ = side.Close()
	}
	return m, err
}

// SideFile returns the path of the file that holds the constants of an IR
// dump: model.ir has model.ir.data.
func SideFile(path string) string { return path + ".data" }

// check verifies a module that came from outside, and computes its types
// anew, so that only those are claims that inference can not tell.
func check(m *ir.Module) error {
	if err := ops.Verify(m); err != nil {
		return err
	}
	return ops.InferModule(m)
}

// NewModel wraps a module that was built or changed in memory.
func NewModel(m *ir.Module) *Model { return &Model{module: m} }

// Module returns the model's IR. Changing it changes the model.
func (m *Model) Module() *ir.Module { return m.module }

// Path returns the file that the model was read from, "" for a NewModel.
func (m *Model) Path() string { return m.path }

// Bytes returns the size of that file in bytes.
func (m *Model) Bytes() int64 { return m.bytes }

// Bundle returns the sections of the bundle that the model was read from,
// nil where it was not.
func (m *Model) Bundle() *bundle.Bundle { return m.bundle }

// Close releases the mapped files. Nothing that was made from the model may be
// used any more: what was compiled from it, its sessions and their outputs view
// the same weights.
func (m *Model) Close() error {
	var errs []error
	if m.module != nil {
		errs = append(errs, m.module.Close())
	}
	if m.bundle != nil {
		errs = append(errs, m.bundle.Close())
	}
	return errors.Join(errs...)
}

// FixInput makes a constant of an input of one element, which is an input no more.
func (m *Model) FixInput(name string, value float64) error {
	f := m.module.Main()
	for _, a := range f.Body.Args {
		if a.Name != name {
			continue
		}
		shape, ok := a.Type.StaticShape()
		if n, err := tensor.NumElements(shape); !ok || err != nil || n != 1 || !a.Type.IsTensor() {
			return fmt.Errorf("input %q is %s: only one of a single element can be fixed to a number", name, a.Type)
		}
		if m.module.Level == ir.CPU {
			return fmt.Errorf("input %q: a bundle's inputs can not be fixed; fix them when it is compiled", name)
		}
		t, err := ref.Cast(tensor.Scalar(tensor.Float64, value), a.Type.DType, ref.CastOptions{})
		if err != nil {
			return fmt.Errorf("input %q: %w", name, err)
		}
		t.Shape = shape
		a.ReplaceAllUsesWith(ir.Before(f.Body.First()).Tensor(t))
		f.Body.RemoveArg(a)
		return nil
	}
	return fmt.Errorf("there is no input %q", name)
}

// Optimize runs a pipeline over the model: "O2", or any text that
// passes.ParsePipeline takes.
func (m *Model) Optimize(ctx *passes.Context, pipeline string) error {
	p, err := passes.ParsePipeline(pipeline)
	if err != nil {
		return err
	}
	_, err = p.Run(ctx, m.module)
	return err
}

// CompileOptions adjust Compile.
type CompileOptions struct {
	// Pipeline optimizes the model before it is lowered; "" means O2.
	Pipeline string
	// Context carries limits, dumps and timing; nil means none.
	Context *passes.Context
	// Preprocess is the JSON of the preprocessing to store, if any.
	Preprocess []byte
}

// Compiled is a model lowered for the CPU.
type Compiled struct {
	split  func(ctx context.Context, name string) (*Compiled, error) // compiles anew with a dim's name split
	module *ir.Module
	Stats  CompileStats
	extra  []bundle.Section
}

// CompileStats says what compiling did.
type CompileStats struct {
	OpsBefore int           `json:"ops_before"` // constants left out
	OpsFused  int           `json:"ops_fused"`  // at the fused level: what the CPU computes in one go counts once
	OpsAfter  int           `json:"ops_after"`
	Source    string        `json:"source"`
	Pipeline  string        `json:"pipeline"`
	Passes    []passes.Stat `json:"-"`
}

// Compile optimizes a model and lowers it for the CPU. The model is not
// changed.
func Compile(ctx context.Context, m *Model, opt CompileOptions) (*Compiled, error) {
	if m.module.Level == ir.CPU {
		return nil, fmt.Errorf("model %q is compiled already: its level is %s", m.module.Name, m.module.Level)
	}
	c := opt.Context
	if c == nil {
		c = passes.NewContext(ctx)
	}
	if opt.Pipeline == "" {
		opt.Pipeline = "O2"
	}
	module := m.module.Clone()
	stats := CompileStats{OpsBefore: passes.CountOps(module), Source: filepath.Base(m.path), Pipeline: opt.Pipeline}
	p, err := passes.ParsePipeline(opt.Pipeline)
	if err != nil {
		return nil, err
	}
	for _, p := range []passes.Pass{p, cpu.Pipeline()} {
		if _, err := p.Run(c, module); err != nil {
			return nil, err
		}
	}
	stats.OpsAfter, stats.Passes = passes.CountOps(module), c.Stats
	if i := slices.IndexFunc(c.Stats, func(s passes.Stat) bool { return s.Pass == "fuse" }); i >= 0 {
		stats.OpsFused = c.Stats[i].OpsAfter
	}
	out := &Compiled{module: module, Stats: stats}
	facts, err := json.Marshal(stats)
	if err != nil {
		return nil, err
	}
	out.extra = append(out.extra, bundle.Section{Name: "facts", Data: facts})
	if opt.Preprocess != nil {
		out.extra = append(out.extra, bundle.Section{Name: "preprocess", Data: opt.Preprocess})
	}
	out.split = func(ctx context.Context, name string) (*Compiled, error) {
		module := m.module.Clone()
		if err := ops.SplitDim(module, name); err != nil {
			return nil, err
		}
		return Compile(ctx, &Model{module: module, path: m.path, bytes: m.bytes}, CompileOptions{Pipeline: opt.Pipeline})
	}
	return out, nil
}

// Module returns the lowered IR.
func (c *Compiled) Module() *ir.Module { return c.module }

// WriteFile writes the bundle; the file appears when it is whole.
func (c *Compiled) WriteFile(ctx context.Context, path string) error {
	return cpu.WriteBundle(ctx, path, c.module, c.extra...)
}

// Session starts a session on the module without a file in between.
func (c *Compiled) Session(opt SessionOptions) (*Session, error) {
	s, err := newSession(c.module, nil, opt)
	if err != nil {
		return nil, err
	}
	s.split, s.opt = c.split, opt
	return s, nil
}
