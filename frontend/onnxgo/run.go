package onnxgo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// options adjust a graph.
type options struct {
	opset    int
	compiled bool
}

// Option adjusts a Graph.
type Option func(*options)

// Opset says which opset of the standard domain the model uses, where the
// forms of its operators do not tell. Without it, it is the one nearest to 9
// that they all fit. It is of no account for Unmarshal, which reads it.
func Opset(n int) Option { return func(o *options) { o.opset = n } }

// Compiled lets a Graph run on the kernels for the CPU at hand, through
// package hone, in the place of the interpreter. The first run on inputs of
// new shapes compiles the model, unless Unmarshal read it: that compiles once.
func Compiled() Option { return func(o *options) { o.compiled = true } }

// program runs a module. Values are in the order of its signature.
type program struct {
	run   func(ctx context.Context, ins []tensor.Value) ([]tensor.Value, error)
	close func() error
}

// maxPrograms bounds the shapes of inputs that are remembered.
const maxPrograms = 8

// Run computes the outputs from the inputs that are set.
func (g *Graph) Run() error { return g.RunContext(context.Background()) }

// RunContext is Run that ends early, with an error, when ctx is done.
func (g *Graph) RunContext(ctx context.Context) (err error) {
	defer guard("hone", &err)
	if g.err != nil {
		return g.err
	}
	if len(g.ops) == 0 && g.module == nil {
		return fmt.Errorf("the graph is empty: decode a model into it before it is run")
	}
	g.ran = false
	for _, v := range g.values {
		v.computed = false
	}
	inputs := g.modelInputs()
	ins := make([]tensor.Value, len(inputs))
	for i, v := range inputs {
		if !v.set {
			return fmt.Errorf("input %d, %q, is not set: call SetInput(%d, t) before the run", i, v.name, i)
		}
		t, err := FromGorgonia(v.tensor)
		if err == nil {
			t, err = adapt(t, v.typ)
		}
		if err != nil {
			return fmt.Errorf("input %d, %q: %w", i, v.name, err)
		}
		ins[i] = t
	}
	outputs := g.modelOutputs()
	p, err := g.program(ctx, inputs, ins, outputs)
	if err != nil {
		return err
	}
	outs, err := p.run(ctx, ins)
	if err != nil {
		return err
	}
	for i, v := range outputs {
		t, ok := outs[i].(*tensor.Tensor)
		if !ok {
			return fmt.Errorf("output %q is a %T: onnx-go knows tensors only", v.name, outs[i])
		}
		if v.tensor, err = ToGorgonia(t); err != nil {
			return fmt.Errorf("output %q: %w", v.name, err)
		}
		v.computed = true
	}
	g.ran = true
	return nil
}

// modelOutputs returns the values to compute: those that no operation reads,
// and those within the model that were asked for.
func (g *Graph) modelOutputs() []*value {
	if g.outputs == nil {
		for _, op := range g.ops {
			for _, v := range op.outs {
				if v.name != "" && !v.read {
					g.outputs = append(g.outputs, v)
				}
			}
		}
	}
	return g.outputs
}

// program returns what runs on inputs of these types, made anew where it is
// not at hand.
func (g *Graph) program(ctx context.Context, inputs []*value, ins []tensor.Value, outputs []*value) (*program, error) {
	var key strings.Builder
	if g.module == nil {
		for _, x := range ins {
			fmt.Fprint(&key, x)
		}
	}
	if p := g.programs[key.String()]; p != nil {
		return p, nil
	}
	m := g.module
	if m == nil {
		var err error
		if m, err = g.build(inputs, ins, outputs); err != nil {
			return nil, err
		}
	}
	p, err := g.opt.prepare(ctx, m)
	if err != nil {
		return nil, err
	}
	if len(g.programs) >= maxPrograms {
		if err := g.Close(); err != nil {
			return nil, err
		}
	}
	g.programs[key.String()] = p
	return p, nil
}

// prepare makes a module ready to run.
func (o options) prepare(ctx context.Context, m *ir.Module) (*program, error) {
	if !o.compiled {
		p := interp.New(m)
		run := func(ctx context.Context, ins []tensor.Value) ([]tensor.Value, error) {
			return p.Run(ctx, ins, interp.Options{})
		}
		return &program{run, func() error { return nil }}, nil
	}
	c, err := hone.Compile(ctx, hone.NewModel(m), hone.CompileOptions{})
	if err != nil {
		return nil, err
	}
	s, err := c.Session(hone.SessionOptions{})
	if err != nil {
		return nil, err
	}
	return &program{s.RunValues, s.Close}, nil
}

// Close frees what runs have kept: compiled models and their memory. The
// graph can be used again.
func (g *Graph) Close() error {
	var errs []error
	for _, p := range g.programs {
		errs = append(errs, p.close())
	}
	clear(g.programs)
	return errors.Join(errs...)
}

// adapt gives x the type that the model takes, where no element changes by it;
// only the element types that gorgonia lacks round. Programs on onnx-go give
// counts and indices as floats, and gorgonia takes [1] for a scalar's shape.
func adapt(x *tensor.Tensor, want ir.Type) (*tensor.Tensor, error) {
	if x.Len() == 1 && (want.Rank() == 0 || want.Rank() == 1 && x.Rank() == 0) {
		x = x.Reshaped([]int{1}[:want.Rank()]...)
	}
	d := want.DType
	if d == tensor.Undefined || d == x.DType {
		return x, nil
	}
	t, err := ref.Cast(x, d, ref.CastOptions{Saturate: true})
	if err != nil {
		return nil, fmt.Errorf("it is %s, the model takes %s", x, want)
	}
	if _, both := byDType[d]; !both && x.DType == widened(d) {
		return t, nil
	}
	back, err := ref.Cast(t, x.DType, ref.CastOptions{Saturate: true})
	if err != nil || !bytes.Equal(back.Data, x.Data) || !slices.Equal(back.Strings, x.Strings) {
		return nil, fmt.Errorf("it is %s, the model takes %s, which does not hold its elements", x, want)
	}
	return t, nil
}
