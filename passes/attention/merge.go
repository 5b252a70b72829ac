package attention

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// branch is a MatMul with constant weights [K,N] that feeds an Attention,
// through the Add of a constant bias [N] if there is one.
type branch struct {
	mul, add *ir.Op
	w, b     *tensor.Tensor
}

// merge computes the MatMuls of one value that feed an Attention as one
// MatMul, one Add and a Split. Elsewhere the Split costs more than it saves.
func merge(c *passes.Context, op *ir.Op) (bool, error) {
	if op.Name != "MatMul" {
		return false, nil
	}
	x := op.Operand(0)
	seen := map[*ir.Op]bool{}
	for _, u := range x.Uses() {
		seen[u.Op] = u.Index == 0
	}
	var list []branch // in program order
	for o := op; o != nil && len(seen) > 0; o = o.Next() {
		if seen[o] {
			if b, ok := branchOf(o); ok {
				list = append(list, b)
			}
		}
		delete(seen, o)
	}
	if len(list) < 2 || list[0].mul != op {
		return false, nil
	}
	k, biased := list[0].w.Shape[0], list[0].b != nil
	for _, b := range list {
		if b.w.Shape[0] != k || (b.b != nil) != biased {
			return false, nil
		}
	}
	return c.Change("merge", op, func() error { return replace(x, list) })
}

func branchOf(mul *ir.Op) (b branch, ok bool) {
	if mul.Name != "MatMul" {
		return b, false
	}
	b.mul = mul
	if b.w, ok = constant(mul.Operand(1), 2); !ok {
		return b, false
	}
	y := mul.Result(0)
	if y.NumUses() == 1 && y.Uses()[0].Op.Name == "Add" {
		b.add = y.Uses()[0].Op
		if b.b, ok = constant(b.add.Operand(1-y.Uses()[0].Index), 1); !ok || b.b.Shape[0] != b.w.Shape[1] {
			return b, false
		}
		y = b.add.Result(0)
	}
	return b, y.NumUses() == 1 && y.Uses()[0].Op.Name == "Attention" && y.Uses()[0].Index < 3 && mul.Block() == y.Uses()[0].Op.Block()
}

func constant(v *ir.Value, rank int) (*tensor.Tensor, bool) {
	if v == nil || v.Data() == nil || v.NumUses() > 1 && rank > 1 || v.Data().DType != tensor.Float32 || len(v.Data().Shape) != rank {
		return nil, false
	}
	t, err := v.Data().Tensor()
	return t, err == nil
}

func replace(x *ir.Value, list []branch) error {
	r := ir.Before(list[0].mul)
	var ws, bs []*tensor.Tensor
	var sizes []int64
	var loc []string
	for _, b := range list {
		ws, bs, sizes = append(ws, b.w), append(bs, b.b), append(sizes, int64(b.w.Shape[1]))
		loc = append(loc, b.mul.Loc...)
		if b.add != nil {
			loc = append(loc, b.add.Loc...)
		}
	}
	r.Loc = loc
	w, err := ref.Concat(1, ws...)
	if err != nil {
		return err
	}
	op, err := ops.Build(r, "MatMul", []*ir.Value{x, r.Tensor(w)})
	if err != nil {
		return err
	}
	if list[0].b != nil {
		b, err := ref.Concat(0, bs...)
		if err != nil {
			return err
		}
		if op, err = ops.Build(r, "Add", []*ir.Value{op.Result(0), r.Tensor(b)}); err != nil {
			return err
		}
	}
	split, err := ops.BuildN(r, "Split", len(list), []*ir.Value{op.Result(0), r.Int64s(sizes...)}, ir.Attr{Name: "axis", Value: int64(-1)})
	if err != nil {
		return fmt.Errorf("splitting the merged product: %w", err)
	}
	for i, b := range list {
		end := b.mul
		if b.add != nil {
			end = b.add
		}
		split.Result(i).Origin = end.Result(0).Origin
		end.Result(0).ReplaceAllUsesWith(split.Result(i))
		end.Erase()
		if b.add != nil {
			b.mul.Erase()
		}
	}
	return nil
}
