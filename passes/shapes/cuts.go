package shapes

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// concat takes the operands of a Concat that is an operand of another one
// along the same axis.
func (s *simplifier) concat(op *ir.Op) (bool, error) {
	if op.Name != "Concat" {
		return false, nil
	}
	axis, ok := axisOf(op)
	if !ok {
		return false, nil
	}
	var flat []*ir.Value
	var also []*ir.Op
	for _, v := range op.Operands() {
		d := v.Def()
		if d != nil && d.Name == "Concat" && v.NumUses() == 1 && d.Block() == op.Block() {
			if a, ok := axisOf(d); ok && a == axis {
				flat = append(flat, d.Operands()...)
				also = append(also, d)
				continue
			}
		}
		flat = append(flat, v)
	}
	if len(also) == 0 {
		return false, nil
	}
	return s.Apply("concat", op, also, func(r *passes.Rewriter) []*ir.Value {
		return []*ir.Value{r.Op("Concat", flat, op.Attrs...)}
	})
}

// axisOf returns a Concat's axis, counted from the front.
func axisOf(op *ir.Op) (int64, bool) {
	a, ok := op.Attrs.Get("axis").(int64)
	r := int64(op.Result(0).Type.Rank())
	if a < 0 {
		a += r
	}
	return a, ok && a >= 0 && a < r
}

// slice joins two Slices along different axes.
func (s *simplifier) slice(op *ir.Op) (bool, error) {
	if op.Name != "Slice" {
		return false, nil
	}
	inner := op.Operand(0).Def()
	if inner == nil || inner.Name != "Slice" || inner.Result(0).NumUses() != 1 || inner.Block() != op.Block() {
		return false, nil
	}
	a, ok1 := cutsOf(inner)
	b, ok2 := cutsOf(op)
	if !ok1 || !ok2 {
		return false, nil
	}
	for _, axis := range b[2] {
		if slices.Contains(a[2], axis) {
			return false, nil
		}
	}
	return s.Apply("slice", op, []*ir.Op{inner}, func(r *passes.Rewriter) []*ir.Value {
		operands := []*ir.Value{inner.Operand(0)}
		for i := range a {
			operands = append(operands, r.Int64s(append(slices.Clone(a[i]), b[i]...)...))
		}
		return []*ir.Value{r.Op("Slice", operands)}
	})
}

// cutsOf returns the starts, ends, axes and steps of a Slice whose operands
// are constants.
func cutsOf(op *ir.Op) (cuts [4][]int64, ok bool) {
	rank := op.Result(0).Type.Rank()
	for i := range cuts {
		v := op.Operand(1 + i)
		if v == nil && i >= 2 {
			for j := range cuts[0] {
				cuts[i] = append(cuts[i], []int64{int64(j), 1}[i-2])
			}
			continue
		}
		if cuts[i], ok = ints(v); !ok || len(cuts[i]) != len(cuts[0]) {
			return cuts, false
		}
	}
	cuts[2] = slices.Clone(cuts[2])
	for j, a := range cuts[2] {
		if a < 0 {
			cuts[2][j] += int64(rank)
		}
	}
	return cuts, rank > 0
}
