package onnxgo

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

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

// program runs a module. Values are in the order of its signature.
type program func(ctx context.Context, ins []tensor.Value) ([]tensor.Value, error)

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
		if err != nil {
			return fmt.Errorf("input %d, %q: %w", i, v.name, err)
		}
		ins[i] = t
	}
	if err := adapt(ins, names(inputs), g.declared(inputs)); err != nil {
		return err
	}
	outputs := g.modelOutputs()
	p, err := g.program(inputs, ins, outputs)
	if err != nil {
		return err
	}
	outs, err := p(ctx, ins)
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

// declared returns the element types that the model declares for its inputs.
func (g *Graph) declared(inputs []*value) []tensor.DType {
	types := make([]tensor.DType, len(inputs))
	for i, v := range inputs {
		types[i] = v.dtype
	}
	return types
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
func (g *Graph) program(inputs []*value, ins []tensor.Value, outputs []*value) (program, error) {
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
	p, err := g.opt.prepare(m)
	if err != nil {
		return nil, err
	}
	if len(g.programs) >= maxPrograms {
		clear(g.programs)
	}
	g.programs[key.String()] = p
	return p, nil
}

// prepare makes a module ready to run.
func (o options) prepare(m *ir.Module) (program, error) {
	p := interp.New(m)
	return func(ctx context.Context, ins []tensor.Value) ([]tensor.Value, error) {
		return p.Run(ctx, ins, interp.Options{})
	}, nil
}

// adapt turns inputs into the element types that the model takes, where no
// element changes by it; the types that gorgonia lacks round. Programs on
// onnx-go give counts and indices as floats.
func adapt(ins []tensor.Value, names []string, want []tensor.DType) error {
	for i, d := range want {
		x := ins[i].(*tensor.Tensor)
		if d == tensor.Undefined || d == x.DType {
			continue
		}
		t, err := ref.Cast(x, d, ref.CastOptions{Saturate: true})
		if err != nil {
			return fmt.Errorf("input %q is %s, the model takes %s", names[i], x, d)
		}
		if _, both := byDType[d]; both || x.DType != widened(d) {
			back, err := ref.Cast(t, x.DType, ref.CastOptions{Saturate: true})
			if err != nil || !bytes.Equal(back.Data, x.Data) || !slices.Equal(back.Strings, x.Strings) {
				return fmt.Errorf("input %q is %s, the model takes %s, which does not hold its elements", names[i], x, d)
			}
		}
		ins[i] = t
	}
	return nil
}
