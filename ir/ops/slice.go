package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// farEnd is past the end of every dim: exporters write the largest int32 or
// int64 where they mean the end.
const farEnd = math.MaxInt32 - 1

// sliceBound returns where a bound of a slice with a positive step falls in a
// dim of size n, and false where the sign of the bound is not known.
func sliceBound(v, n ir.Dim) (ir.Dim, bool) {
	c, static := v.Int()
	switch {
	case IsUnknown(v):
		return ir.Dim{}, false
	case static && c >= farEnd:
		return n, true
	case static && c < 0:
		return n.Add(v).Max(ir.Const(0)), true
	case v.NonNegative():
		return v.Min(n), true
	case v.Mul(ir.Const(-1)).Sub(ir.Const(1)).NonNegative():
		return n.Add(v).Max(ir.Const(0)), true
	}
	return ir.Dim{}, false
}

// slicedDim returns the size of a slice of a dim of size n.
func slicedDim(n, start, end, step ir.Dim) (ir.Dim, bool, error) {
	s, static := step.Int()
	if !static || IsUnknown(step) {
		return ir.Dim{}, false, nil
	}
	a, aok := start.Int()
	b, bok := end.Int()
	if size, ok := n.Int(); ok && aok && bok {
		_, count, err := ref.SliceRange(int(size), int(a), int(b), int(s))
		return ir.Const(int64(count)), true, err
	}
	switch {
	case s == 0:
		return ir.Dim{}, false, fmt.Errorf("a step of a slice is 0")
	case s > 0:
		from, ok := sliceBound(start, n)
		to, also := sliceBound(end, n)
		if !ok || !also {
			return ir.Dim{}, false, nil
		}
		if to.Equal(n) { // the rest of the dim, or its last -start elements
			to, from = n.Sub(start), ir.Const(0)
			if aok && a < 0 {
				to = n.Min(ir.Const(-a))
			}
		}
		return to.Sub(from).Max(ir.Const(0)).CeilDiv(ir.Const(s)), true, nil
	case s > math.MinInt32 && aok && bok && (a == -1 || a >= farEnd) && b <= -farEnd:
		return n.CeilDiv(ir.Const(-s)), true, nil
	}
	return ir.Dim{}, false, nil
}

func inferSlice(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	r := in.Rank()
	if r < 0 {
		return nil
	}
	starts, ok := x.elems(1)
	ends, also := x.elems(2)
	var axes []int
	known := true
	if x.HasIn(3) {
		var err error
		if axes, known, err = x.axesIn(3, r); err != nil {
			return err
		}
	} else if n := max(len(starts), len(ends)); n <= r {
		axes = allAxes(n)
	}
	if !known || !x.HasIn(3) && !ok && !also {
		x.Set(0, x.FreshType(in.DType, r))
		return nil
	}
	steps, stepsKnown := x.elems(4)
	dims := slices.Clone(in.Dims)
	for i, a := range axes {
		one := func(e []ir.Dim, known bool) ir.Dim {
			if !known || i >= len(e) {
				return unknownElem
			}
			return e[i]
		}
		step := ir.Const(1)
		if x.HasIn(4) {
			step = one(steps, stepsKnown)
		}
		n, known, err := slicedDim(in.Dims[a], one(starts, ok), one(ends, also), step)
		if err != nil {
			return err
		}
		if !known {
			n = x.Fresh()
		}
		dims[a] = n
	}
	x.Set(0, ir.TensorOf(in.DType, dims...))
	x.sliceElems(starts, ends, steps, axes)
	return nil
}

// sliceElems follows the elements of a sliced list.
func (x *Inference) sliceElems(starts, ends, steps []ir.Dim, axes []int) {
	e, ok := x.elems(0)
	if !ok || x.In(0).Rank() != 1 || len(axes) != 1 || len(starts) != 1 || len(ends) != 1 {
		return
	}
	a, aok := starts[0].Int()
	b, bok := ends[0].Int()
	s, sok := int64(1), true
	if len(steps) == 1 {
		s, sok = steps[0].Int()
	}
	if !aok || !bok || !sok {
		return
	}
	first, count, err := ref.SliceRange(len(e), int(a), int(b), int(s))
	if err != nil {
		return
	}
	out := make([]ir.Dim, count)
	for i := range out {
		out[i] = e[first+i*int(s)]
	}
	x.SetContents(0, out)
}

func evalSlice(c *Call) error {
	x := c.In(0)
	starts, ends, axes, steps := intsIn(c.In(1)), intsIn(c.In(2)), intsIn(c.In(3)), intsIn(c.In(4))
	if c.In(3) == nil {
		axes = allAxes(len(starts))
	}
	if c.In(4) == nil {
		steps = slices.Repeat([]int{1}, len(starts))
	}
	return c.done(ref.Slice(x, starts, ends, axes, steps))
}

// sliceOperands turns the attributes of opset 9 and older into operands.
func sliceOperands(b *ir.Builder, op *ir.Op) error {
	for i, n := range []string{"starts", "ends", "axes"} {
		if err := operandFromInts(n, i+1)(b, op); err != nil {
			return err
		}
	}
	return nil
}

// sliceAttrs is the inverse of sliceOperands.
func sliceAttrs(_ *ir.Builder, op *ir.Op) error {
	if v := op.Operand(4); v != nil {
		t, err := constantOf(v)
		if err != nil || slices.ContainsFunc(intsIn(t), func(s int) bool { return s != 1 }) {
			return fmt.Errorf("steps have no older form")
		}
	}
	op.SetOperands(op.Operands()[:min(4, op.NumOperands())]...)
	for i := 3; i > 0; i-- {
		if err := intsFromOperand([]string{"", "starts", "ends", "axes"}[i], i)(nil, op); err != nil {
			return err
		}
	}
	return nil
}

func inferPad(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	r := in.Rank()
	if r < 0 {
		return nil
	}
	axes, known := allAxes(r), true
	if x.HasIn(3) {
		var err error
		if axes, known, err = x.axesIn(3, r); err != nil {
			return err
		}
	}
	pads, ok := x.elems(1)
	if !known {
		x.Set(0, x.FreshType(in.DType, r))
		return nil
	}
	if ok && len(pads) != 2*len(axes) {
		return x.Errorf("%d pads for %d axes", len(pads), len(axes))
	}
	dims := slices.Clone(in.Dims)
	for i, a := range axes {
		if !ok || IsUnknown(pads[i]) || IsUnknown(pads[i+len(axes)]) {
			dims[a] = x.Fresh()
		} else {
			dims[a] = dims[a].Add(pads[i]).Add(pads[i+len(axes)])
		}
		if n, static := dims[a].Int(); static && n < 0 {
			return x.Errorf("pads take more than all of dim %d of %s", a, in)
		}
	}
	x.Set(0, ir.TensorOf(in.DType, dims...))
	return nil
}

func evalPad(c *Call) error {
	x := c.In(0)
	axes := allAxes(x.Rank())
	if c.In(3) != nil {
		var err error
		if axes, err = ref.Axes(intsIn(c.In(3)), x.Rank()); err != nil {
			return err
		}
	}
	pads := intsIn(c.In(1))
	if len(pads) != 2*len(axes) {
		return c.Errorf("%d pads for %d axes", len(pads), len(axes))
	}
	begin, end := make([]int, x.Rank()), make([]int, x.Rank())
	for i, a := range axes {
		begin[a], end[a] = pads[i], pads[i+len(axes)]
	}
	return c.done(ref.Pad(x, begin, end, c.Str("mode"), c.In(2)))
}

// padOperands turns the attributes of opset 10 and older into operands.
func padOperands(b *ir.Builder, op *ir.Op) error {
	if v, ok := op.Attrs.Get("paddings").([]int64); ok { // opset 1
		op.Attrs.Delete("paddings")
		op.Attrs.Set("pads", v)
	}
	if err := operandFromInts("pads", 1)(b, op); err != nil {
		return err
	}
	v, ok := op.Attrs.Get("value").(float32)
	op.Attrs.Delete("value")
	if !ok || v == 0 {
		return nil
	}
	d := knownDType(op.Operand(0).Type, ir.Unranked(tensor.Float32))
	t, err := ref.Cast(tensor.Scalar(tensor.Float32, v), d, ref.CastOptions{Saturate: true})
	if err != nil {
		return err
	}
	setOperand(op, 2, b.Tensor(t))
	return nil
}

// padAllAxes refuses axes, which older opsets do not know.
func padAllAxes(_ *ir.Builder, op *ir.Op) error {
	if op.Operand(3) != nil {
		return fmt.Errorf("axes have no older form")
	}
	op.SetOperands(op.Operands()[:min(3, op.NumOperands())]...)
	return nil
}

// padAttrs is the inverse of padOperands.
func padAttrs(_ *ir.Builder, op *ir.Op) error {
	if v := op.Operand(2); v != nil {
		t, err := constantOf(v)
		if err != nil || !t.DType.IsFloat() || t.Len() != 1 {
			return fmt.Errorf("a value that is no constant float has no older form")
		}
		op.Attrs.Set("value", float32(ref.Float64s(t)[0]))
	}
	op.SetOperands(op.Operands()[:min(2, op.NumOperands())]...)
	return intsFromOperand("pads", 1)(nil, op)
}
