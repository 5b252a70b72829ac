package cpu

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// roundInFloat turns a QuantizeLinear and the DequantizeLinear that undoes it
// into the float32 ops of the same meaning, which programs compute and kernels
// take into their epilogues: the values of a static INT8 model are rounded as
// it says, by the bits, where no kernel multiplies integers.
func roundInFloat(c *passes.Context, op *ir.Op) (bool, error) {
	if op.Name != "DequantizeLinear" || op.Operand(0).Def() == nil {
		return false, nil
	}
	q := op.Operand(0).Def()
	if q.Name != "QuantizeLinear" || !isF32(q.Operand(0)) || !isF32(op.Result(0)) || q.Operand(0).Type.Rank() < 0 {
		return false, nil
	}
	scale, ok := scalarOf(q.Operand(1))
	again, same := scalarOf(op.Operand(1))
	least, most, known := codes(q)
	if !ok || !same || !known || scale != again || !(scale > 0) {
		return false, nil
	}
	zero, ok := zeroPoint(q.Operand(2))
	undone, same := zeroPoint(op.Operand(2))
	if !ok || !same || zero != undone {
		return false, nil
	}
	return c.Apply("", op, nil, func(r *passes.Rewriter) []*ir.Value {
		number := func(x float64) *ir.Value { return r.Tensor(tensor.Scalar(tensor.Float32, float32(x))) }
		s := number(float64(scale))
		y := r.Op("Round", []*ir.Value{r.Op("Div", []*ir.Value{q.Operand(0), s})})
		y = r.Op("Clip", []*ir.Value{y, number(least - zero), number(most - zero)})
		return []*ir.Value{r.Op("Mul", []*ir.Value{y, s})}
	})
}

// codes returns the range of what a QuantizeLinear gives; false where its codes
// are no integers of 8 or 16 bits.
func codes(q *ir.Op) (least, most float64, ok bool) {
	switch d := q.Result(0).Type.DType; d {
	case tensor.Uint8, tensor.Uint16, tensor.Int8, tensor.Int16:
		least, most = d.Range()
		return least, most, true
	}
	return 0, 0, false
}

// zeroPoint returns the one number of a constant; an absent operand is 0.
func zeroPoint(v *ir.Value) (float64, bool) {
	if v == nil {
		return 0, true
	}
	d := v.Data()
	if d == nil || d.Len() != 1 {
		return 0, false
	}
	t, err := d.Tensor()
	if err != nil {
		return 0, false
	}
	return ref.Float64s(t)[0], true
}
