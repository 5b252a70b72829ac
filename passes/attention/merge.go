package attention

import (
	"fmt"
	"slices"

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
func merge(c *passes.Context, body *ir.Block) (changed bool, err error) {
	of := map[*ir.Value][]branch{} // in program order
	var inputs []*ir.Value
	for op := range body.Ops() {
		if b, ok := branchOf(op); ok {
			x := op.Operand(0)
			if of[x] == nil {
				inputs = append(inputs, x)
			}
			of[x] = append(of[x], b)
		}
	}
	for _, x := range inputs {
		list := of[x]
		if len(list) < 2 || !alike(list) {
			continue
		}
		ok, err := c.Change("merge", list[0].mul, func() error { return replace(x, list) })
		if changed = changed || ok; err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// alike reports whether all branches have a bias, or none.
func alike(list []branch) bool {
	return !slices.ContainsFunc(list, func(b branch) bool {
		return b.w.Shape[0] != list[0].w.Shape[0] || (b.b == nil) != (list[0].b == nil)
	})
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
	var merged []*ir.Op
	for _, b := range list {
		ws, bs, sizes = append(ws, b.w), append(bs, b.b), append(sizes, int64(b.w.Shape[1]))
		merged = append(merged, b.mul)
		if b.add != nil {
			merged = append(merged, b.add)
		}
	}
	r.Loc = passes.JoinLocs(merged...)
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
