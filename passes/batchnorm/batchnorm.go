// Package batchnorm folds what is affine in each channel into the weights of
// the op before it or behind it: BatchNormalization, and constants that are
// added or multiplied.
package batchnorm

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "fold-batchnorm",
		Help: "scale the weights of a Conv, ConvTranspose or MatMul by the BatchNormalization behind it; turn others into Mul and Add",
		Example: `func @main(%x: f32[N,1,4,4]) -> (y: f32[N,2,4,4]) {
  %0 = const f32[2,1,1,1] [1.0, -2.0]
  %1 = const f32[2] [0.5, 2.0]
  %2 = const f32[2] [1.0, 0.0]
  %3 = const f32[2] [0.25, 0.5]
  %4 = const f32[2] [1.0, 4.0]
  %5 = Conv(%x, %0) : f32[N,2,4,4]
  %6 = BatchNormalization(%5, %1, %2, %3, %4) : f32[N,2,4,4]
  return(%6)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return passes.EachOp("fold-batchnorm", apply), nil },
	})
}

// affine is y = x*scale + shift, one pair a channel, kept in float64 so that
// folding rounds once.
type affine struct{ scale, shift []float64 }

// shifts reports whether anything is added.
func (a affine) shifts() bool {
	return slices.ContainsFunc(a.shift, func(f float64) bool { return f != 0 })
}

func apply(c *passes.Context, op *ir.Op) (bool, error) {
	x := op.Operand(0)
	if op.Name != "BatchNormalization" || op.NumResults() != 1 || x == nil || x.Type.Rank() < 2 || x.Type.DType != tensor.Float32 {
		return false, nil
	}
	a, ok := parameters(op)
	if !ok {
		return false, nil
	}
	if l := linearOf(op, x); l != nil && l.axis == 1 && l.n == len(a.scale) {
		if ok, err := l.fold(c, "conv-bn", op, a); ok || err != nil {
			return ok, err
		}
	}
	return c.Apply("bn-affine", op, nil, func(r *passes.Rewriter) []*ir.Value {
		shape := make([]int, x.Type.Rank()-1)
		for i := range shape {
			shape[i] = 1
		}
		shape[0] = len(a.scale)
		y := r.Op("Mul", []*ir.Value{x, r.Tensor(tensor.Float32s(narrow(a.scale), shape...))})
		return []*ir.Value{r.Op("Add", []*ir.Value{y, r.Tensor(tensor.Float32s(narrow(a.shift), shape...))})}
	})
}

// weights makes w, the scaled weights of op, which keep their name.
func weights(r *passes.Rewriter, op *ir.Op, w *tensor.Tensor) *ir.Value {
	v := r.Tensor(w)
	if o := op.Operand(1).Origin; o.Name != "" {
		v.Origin = ir.Origin{Name: o.Name, Relation: ir.Scaled}
	}
	return v
}

func narrow(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

func floats(v *ir.Value) ([]float32, *tensor.Tensor, bool) {
	d := v.Data()
	if d == nil || d.DType != tensor.Float32 {
		return nil, nil, false
	}
	t, err := d.Tensor()
	if err != nil {
		return nil, nil, false
	}
	return tensor.Of[float32](t), t, true
}

func parameters(op *ir.Op) (affine, bool) {
	if m, _ := op.Attrs.Get("training_mode").(int64); m != 0 {
		return affine{}, false
	}
	var p [4][]float32
	for i := range p {
		var ok bool
		if p[i], _, ok = floats(op.Operand(i + 1)); !ok || len(p[i]) != len(p[0]) {
			return affine{}, false
		}
	}
	eps := float32(1e-5)
	if e, ok := op.Attrs.Get("epsilon").(float32); ok {
		eps = e
	}
	a := affine{make([]float64, len(p[0])), make([]float64, len(p[0]))}
	for i := range a.scale {
		a.scale[i] = float64(p[0][i]) / math.Sqrt(float64(p[3][i])+float64(eps))
		a.shift[i] = float64(p[1][i]) - float64(p[2][i])*a.scale[i]
	}
	return a, true
}
