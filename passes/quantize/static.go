package quantize

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/tensor"
)

// static gives every layer an input in 8 bits, weights in int8 (or fp8, as the
// input) and a bias in int32 (where zero points may be other than zero), each behind a DequantizeLinear. The values between layers keep
// their float32 type, so any runtime may fuse as much as it can, and none has
// to.
func (p *pass) static(c *passes.Context, m *ir.Module, found []layers.Layer) (changed bool, err error) {
	batches, err := p.batches(m)
	if err != nil {
		return false, err
	}
	inputs := map[*ir.Value]bool{}
	for _, l := range found {
		inputs[l.Op.Operand(0)] = true
	}
	stats, err := calibrate.Observe(c, m, batches, func(v *ir.Value) bool { return inputs[v] }, p.Observer != "minmax")
	if err != nil {
		return false, err
	}
	type shared struct {
		scale float32
		value *ir.Value
	}
	done := map[*ir.Value]shared{}
	for _, l := range found {
		x := l.Op.Operand(0)
		s := stats[x]
		if s == nil {
			continue // not computed for any batch: a branch that was not taken
		}
		if s.NonFinite > 0 {
			return changed, fmt.Errorf("%d elements of the input of %s are NaN or infinite: exclude the layer or look at the data", s.NonFinite, ops.Describe(l.Op))
		}
		w, err := l.Values()
		if err != nil {
			return changed, err
		}
		ok, err := c.Change("int8-layer", l.Op, func() error {
			d, ok := done[x]
			if !ok {
				lo, hi := p.cut(s)
				v, scale, err := p.qdq(x, lo, hi)
				if err != nil {
					return err
				}
				d = shared{scale, v}
				done[x] = d
				p.share(x, v)
			}
			l.Op.SetOperand(0, d.value)
			return p.layer(l, w, d.scale)
		})
		changed = changed || ok
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// batches are the calibration data; none where there is none.
func (p *pass) batches(m *ir.Module) ([]calibrate.Batch, error) {
	args := m.Main().Body.Args
	if p.Batches != nil || p.Calibration == "" {
		return calibrate.As(p.Batches, args)
	}
	return calibrate.Load(p.Calibration, args)
}

// cut returns the range that the observer chooses.
func (p *pass) cut(s *calibrate.Stats) (lo, hi float64) {
	switch p.Observer {
	case "percentile":
		return s.Percentile(p.Percentile)
	case "entropy":
		return s.Entropy(256)
	}
	return s.Min, s.Max
}

// affine returns scale and zero point of a range, which is widened to hold
// zero, so that zero has a code of its own.
func (p *pass) affine(lo, hi float64) (scale float32, zero *tensor.Tensor) {
	f := formats[p.Activations]
	symmetric := p.Symmetric || f.dtype == tensor.Float8E4M3FN
	lo, hi = min(lo, 0), max(hi, 0)
	if symmetric {
		scale = float32(max(-lo, hi) / f.max)
	} else {
		scale = float32((hi - lo) / 255)
	}
	if scale == 0 || math.IsInf(float64(1/scale), 0) {
		scale = 1
	}
	z := min(max(math.RoundToEven(-lo/float64(scale)), 0), 255)
	switch {
	case symmetric:
		return scale, tensor.New(f.dtype)
	case f.dtype == tensor.Int8:
		return scale, tensor.Scalar(f.dtype, int8(z-128))
	}
	return scale, tensor.Scalar(f.dtype, uint8(z))
}

// qdq inserts the pair that rounds x, right behind where x is defined.
func (p *pass) qdq(x *ir.Value, lo, hi float64) (*ir.Value, float32, error) {
	scale, zero := p.affine(lo, hi)
	b := behind(x)
	s, z := b.Tensor(tensor.Scalar(tensor.Float32, scale)), b.Tensor(zero)
	q, err := ops.Build(b, "QuantizeLinear", []*ir.Value{x, s, z})
	if err != nil {
		return nil, 0, err
	}
	d, err := ops.Build(b, "DequantizeLinear", []*ir.Value{q.Result(0), s, z})
	if err != nil {
		return nil, 0, err
	}
	return d.Result(0), scale, nil
}

// behind returns a builder right behind the definition of x.
func behind(x *ir.Value) *ir.Builder {
	if x.Def() != nil {
		return ir.After(x.Def())
	}
	if first := x.Block().First(); first != nil {
		b := ir.Before(first)
		b.Loc = nil
		return b
	}
	return ir.AtEnd(x.Block())
}

// share lets the additions that read x read the rounded value as well: then
// the float one need not be kept, and both sides of a residual are the same.
func (p *pass) share(x, rounded *ir.Value) {
	for _, u := range x.Uses() {
		if u.Op.Name == "Add" && u.Op.Block() == x.Block() && x.Type.Rank() == 4 {
			u.Op.SetOperand(u.Index, rounded)
		}
	}
}

// layer replaces weights and bias of a layer whose input has the scale.
func (p *pass) layer(l layers.Layer, w []float32, scale float32) error {
	f := formats["int8"]
	if p.Activations == "fp8" {
		f = formats["fp8"]
	}
	c, err := quantizeWeights(w, l.Weight.Shape, l.Out, f)
	if err != nil {
		return err
	}
	v, err := c.dequantized(ir.Before(l.Op))
	if err != nil {
		return err
	}
	v.Origin = l.Op.Operand(layers.WeightOperand).Origin
	l.Op.SetOperand(layers.WeightOperand, v)
	if p.Symmetric || f.dtype != tensor.Int8 {
		return nil
	}
	return int32Bias(l.Op, tensor.Of[float32](c.scale), scale)
}

// int32Bias stores a bias with the scale of the layer's accumulator, where it
// is one number a channel and fits.
func int32Bias(op *ir.Op, weights []float32, input float32) error {
	b := op.Operand(2).Data()
	if b == nil || b.DType != tensor.Float32 || len(b.Shape) != 1 || b.Len() != len(weights) || !plainGemm(op) {
		return nil
	}
	t, err := b.Tensor()
	if err != nil {
		return err
	}
	q, scale := make([]int32, b.Len()), make([]float32, b.Len())
	for i, x := range tensor.Of[float32](t) {
		scale[i] = weights[i] * input
		r := math.RoundToEven(float64(x) / float64(scale[i]))
		if !(math.Abs(r) < math.MaxInt32) {
			return nil
		}
		q[i] = int32(r)
	}
	at := ir.Before(op)
	operands := []*ir.Value{at.Tensor(tensor.From(tensor.Int32, q, len(q))), at.Tensor(tensor.Float32s(scale, len(scale)))}
	d, err := ops.Build(at, "DequantizeLinear", operands, ir.Attr{Name: "axis", Value: int64(0)})
	if err != nil {
		return err
	}
	d.Result(0).Origin = op.Operand(2).Origin
	op.SetOperand(2, d.Result(0))
	return nil
}

// plainGemm reports whether op is no Gemm that scales its operands.
func plainGemm(op *ir.Op) bool {
	for _, name := range []string{"alpha", "beta"} {
		if f, ok := op.Attrs.Get(name).(float32); ok && f != 1 {
			return false
		}
	}
	return true
}
