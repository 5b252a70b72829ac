package hone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/tensor"
)

// Tap receives the values that a run computes, with the origin that names
// them in the source model.
type Tap func(origin ir.Origin, t *tensor.Tensor)

// Reference runs a model on the reference interpreter: slowly, and as the
// definition of every operator says. tap may be nil.
func (m *Model) Reference(ctx context.Context, inputs map[string]*tensor.Tensor, tap Tap) (map[string]*tensor.Tensor, error) {
	ins, err := order(Inputs(m.module), inputs)
	if err != nil {
		return nil, err
	}
	opt := interp.Options{}
	if tap != nil {
		opt.Observe = func(v *ir.Value, x tensor.Value) {
			if t, ok := x.(*tensor.Tensor); ok && v.Origin.Name != "" {
				tap(v.Origin, t)
			}
		}
	}
	outs, err := interp.New(m.module).Run(ctx, ins, opt)
	if err != nil {
		return nil, err
	}
	return named(Outputs(m.module), outs)
}

// OutputDiff is how one output of a model differs from another model's.
type OutputDiff struct {
	Name string
	*compare.Diff
}

// MarshalJSON writes null for figures that are infinite, or no number.
func (d OutputDiff) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name string `json:"name"`
		compare.Figures
	}{d.Name, d.Figures()})
}

// LayerDiff is how one value inside of a model differs.
type LayerDiff struct {
	Origin string
	*compare.Diff
}

// MarshalJSON writes null for figures that are infinite, or no number.
func (d LayerDiff) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Origin string `json:"origin"`
		compare.Figures
	}{d.Origin, d.Figures()})
}

// Report is the answer of Verify.
type Report struct {
	Outputs []OutputDiff `json:"outputs"`
	// Layers has the values that both models name, in the order of the second;
	// empty unless VerifyOptions.Layers asks for them.
	Layers []LayerDiff `json:"layers,omitempty"`
	// First is the first layer whose error passes the bound, "" where none
	// does.
	First string  `json:"first,omitempty"`
	Bound float64 `json:"bound"`
}

// OK reports whether every output is within the bound.
func (r *Report) OK() bool {
	for _, o := range r.Outputs {
		if !o.Within(r.Bound) {
			return false
		}
	}
	return true
}

// VerifyOptions adjust Verify.
type VerifyOptions struct {
	// Bound is the largest error allowed, relative to the largest element of
	// the output; 0 means 1e-4.
	Bound float64
	// Layers compares the values inside as well. For these both models run on
	// the interpreter, even where Runner runs the second for its outputs.
	Layers bool
	// Runner runs the second model; nil means the interpreter does.
	Runner Runner
}

// Runner runs a model on named inputs: a Session, or what runs it elsewhere.
type Runner interface {
	Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error)
}

// Verify runs two models on the same inputs and reports how far the answers of
// b are from those of a, the original, which runs on the interpreter. b may be
// nil where opt.Runner runs and no layers are asked for.
func Verify(ctx context.Context, a, b *Model, inputs map[string]*tensor.Tensor, opt VerifyOptions) (*Report, error) {
	if b == nil && (opt.Runner == nil || opt.Layers) {
		return nil, errors.New("there is no second model to run")
	}
	if opt.Bound == 0 {
		opt.Bound = 1e-4
	}
	r := &Report{Bound: opt.Bound}
	var keep, compared Tap
	if opt.Layers {
		keep, compared = r.layers()
	}
	want, err := a.Reference(ctx, inputs, keep)
	if err != nil {
		return nil, fmt.Errorf("the original: %w", err)
	}
	var got map[string]*tensor.Tensor
	if opt.Runner == nil || opt.Layers {
		got, err = b.Reference(ctx, inputs, compared)
	}
	if opt.Runner != nil && err == nil {
		got, err = opt.Runner.Run(ctx, inputs)
	}
	if err != nil {
		return nil, fmt.Errorf("the optimized model: %w", err)
	}
	for _, p := range Outputs(a.module) {
		g := got[p.Name]
		if g == nil {
			return nil, fmt.Errorf("the optimized model has no output %q", p.Name)
		}
		d, err := compare.Tensors(g, want[p.Name])
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", p.Name, err)
		}
		r.Outputs = append(r.Outputs, OutputDiff{p.Name, d})
	}
	return r, nil
}

// layers returns a tap that keeps the values of the original, and one that
// compares with them those of the same name in the second model.
func (r *Report) layers() (keep, compared Tap) {
	kept := map[string]*tensor.Tensor{}
	keep = func(o ir.Origin, t *tensor.Tensor) {
		if o.Relation == ir.Exact {
			kept[o.Name] = t
		}
	}
	compared = func(o ir.Origin, t *tensor.Tensor) {
		w := kept[o.Name]
		if w == nil || o.Relation != ir.Exact {
			return
		}
		delete(kept, o.Name)
		d, err := compare.Tensors(t, w)
		if err != nil {
			return // another shape: the two do not stand for the same value
		}
		r.Layers = append(r.Layers, LayerDiff{o.Name, d})
		if r.First == "" && !d.Within(r.Bound) {
			r.First = o.Name
		}
	}
	return keep, compared
}
