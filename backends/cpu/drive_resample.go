package cpu

import (
	"fmt"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// resample binds an op that makes some axes of x anew; an axis without a
// table stays as it is. Two neighbouring ones have a kernel.
func (b *binder) resample(x, y *ir.Value, axes []rt.Axis) ([]rt.Work, error) {
	xp, yp := b.places[x], b.places[y]
	in, out := xp.shape, yp.shape
	if !isF32(x) || xp.layout != yp.layout || len(in) != len(out) || xp.strides != nil {
		return nil, fmt.Errorf("only f32 in one layout has a kernel")
	}
	first, last := -1, -1
	for i, a := range axes {
		if a.K == 0 {
			if in[i] != out[i] {
				return nil, fmt.Errorf("%v does not fit %v", in, out)
			}
			continue
		}
		if last = i; first < 0 {
			first = i
		}
	}
	if first < 0 {
		first, last = len(in)-1, len(in)-1
	}
	if last-first > 1 || xp.layout == ir.C16 && first < 2 {
		return nil, fmt.Errorf("axes %d to %d have no kernel", first, last)
	}
	whole := func(i int) rt.Axis { // an axis that stays
		if axes[i].K > 0 {
			return axes[i]
		}
		a := rt.Axis{K: 1, Index: make([]int32, in[i])}
		for j := range a.Index {
			a.Index[j] = int32(j)
		}
		return a
	}
	r := rt.Resample{
		Set: b.kernels, Outer: product(in[:first]), H: 1, OH: 1, W: in[last], OW: out[last], Inner: product(in[last+1:]),
		Rows: rt.Axis{K: 1, Index: []int32{0}}, Columns: whole(last), X: b.ptr(x), Y: b.ptr(y),
	}
	if last > first {
		r.H, r.OH, r.Rows = in[first], out[first], whole(first)
	}
	if xp.layout == ir.C16 {
		r.Outer = in[0] * blocks(in[1]) * product(in[2:first])
		r.Inner *= rt.Lanes
	}
	return one(r.Work())
}

// bindResize resizes images.
func bindResize(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	o := ops.ResamplingOf(op)
	if o.Transform == "tf_crop_and_resize" {
		return nil, fmt.Errorf("cropping has no kernel")
	}
	if v := op.Operand(2); v != nil {
		t := b.dataOf(v)
		if t == nil || t.DType != tensor.Float32 {
			return nil, fmt.Errorf("scales are computed")
		}
		o.Scales = ref.Float64s(t)
	}
	if v := op.Operand(3); v != nil {
		var ok bool
		if o.Sizes, ok = b.ints(v); !ok {
			return nil, fmt.Errorf("sizes are computed")
		}
	}
	shape := b.shape(x)
	if product(b.shape(y)) == 0 || product(shape) == 0 {
		return nil, fmt.Errorf("nothing to resize")
	}
	_, filters, err := o.Filters(shape)
	if err != nil {
		return nil, err
	}
	axes := make([]rt.Axis, len(shape))
	for i, f := range filters {
		if f != nil {
			axes[i] = axisOf(f, shape[i])
		}
	}
	return b.resample(x, y, axes)
}

// axisOf turns filters of an axis of n inputs to a kernel's table.
func axisOf(filters []ref.Filter, n int) rt.Axis {
	a := rt.Axis{K: 1}
	for _, f := range filters {
		a.K = max(a.K, len(f.Weights))
	}
	plain := true
	for _, f := range filters {
		for j := range a.K {
			w := 0.0
			if j < len(f.Weights) {
				w = f.Weights[j]
			}
			a.Index = append(a.Index, int32(min(max(f.First+j, 0), n-1)))
			a.Weights = append(a.Weights, float32(w))
			plain = plain && w == 1
		}
	}
	if plain && a.K == 1 {
		a.Weights = nil
	}
	return a
}

// padAround binds a Pad that repeats what is there, or one of zeros on blocks.
func (b *binder) padAround(op *ir.Op, mode string) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	shape, out := b.shape(x), b.shape(y)
	begin, err := b.padBegins(op, len(shape))
	if err != nil {
		return nil, err
	}
	if product(out) == 0 || product(shape) == 0 {
		return nil, fmt.Errorf("nothing to pad")
	}
	axes := make([]rt.Axis, len(shape))
	for i, n := range shape {
		if begin[i] == 0 && out[i] == n {
			continue
		}
		axes[i] = rt.Axis{K: 1, Index: make([]int32, out[i])}
		for j := range axes[i].Index {
			p, err := ref.PadIndex(mode, j-begin[i], n)
			if err != nil {
				return nil, err
			}
			axes[i].Index[j] = int32(p)
		}
	}
	return b.resample(x, y, axes)
}

// padBegins returns what a Pad adds before each axis.
func (b *binder) padBegins(op *ir.Op, rank int) ([]int, error) {
	pads, ok := b.ints(op.Operand(1))
	if !ok {
		return nil, fmt.Errorf("pads are computed")
	}
	axes := make([]int, rank)
	for i := range axes {
		axes[i] = i
	}
	if v := op.Operand(3); v != nil {
		if axes, ok = b.ints(v); !ok {
			return nil, fmt.Errorf("axes are computed")
		}
	}
	if len(pads) != 2*len(axes) {
		return nil, fmt.Errorf("%d pads for %d axes", len(pads), len(axes))
	}
	begin := make([]int, rank)
	for i, a := range axes {
		if a < 0 {
			a += rank
		}
		if a < 0 || a >= rank {
			return nil, fmt.Errorf("axis %d is out of range", a)
		}
		begin[a] = pads[i]
	}
	return begin, nil
}

// keepsChannels reports whether an op leaves batch and channels as they are,
// so that it works on blocks as well.
func keepsChannels(op *ir.Op) bool {
	x, y := op.Operand(0).Type, op.Result(0).Type
	if x.Rank() != y.Rank() || x.Rank() < 3 || !x.Dims[0].Equal(y.Dims[0]) || !x.Dims[1].Equal(y.Dims[1]) {
		return false
	}
	mode, _ := op.Attrs.Get("mode").(string)
	if op.Name == "Resize" {
		t, _ := op.Attrs.Get("coordinate_transformation_mode").(string)
		return t != "tf_crop_and_resize" && x.Rank() <= 4
	}
	if x.Rank() > 4 {
		return false
	}
	if mode != "" && mode != "constant" {
		return true
	}
	v := op.Operand(2)
	if v == nil {
		return true
	}
	f, ok := scalarOf(v)
	return ok && f == 0
}
