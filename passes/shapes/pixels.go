package shapes

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// blocks are the orders in which exporters move blocks of depth to pixels and
// back: a Reshape to six dims, a Transpose and a Reshape. rows and cols are
// the places of the block's sides in the six dims.
var blocks = []struct {
	perm       []int64
	op, mode   string
	rows, cols int
}{
	{[]int64{0, 3, 4, 1, 5, 2}, "DepthToSpace", "DCR", 1, 2},
	{[]int64{0, 1, 4, 2, 5, 3}, "DepthToSpace", "CRD", 2, 3},
	{[]int64{0, 3, 5, 1, 2, 4}, "SpaceToDepth", "", 3, 5},
}

// pixels puts DepthToSpace and SpaceToDepth together.
func (s *simplifier) pixels(op *ir.Op) (bool, error) {
	if op.Name != "Reshape" {
		return false, nil
	}
	t := before(op, "Transpose")
	if t == nil {
		return false, nil
	}
	first := before(t, "Reshape")
	perm, _ := t.Attrs.Get("perm").([]int64)
	if first == nil || len(perm) != 6 {
		return false, nil
	}
	x, six, y := first.Operand(0), t.Operand(0).Type.Dims, op.Result(0).Type
	if x.Type.Rank() != 4 || y.Rank() != 4 || len(six) != 6 {
		return false, nil
	}
	for _, b := range blocks {
		side, ok := six[b.rows].Int()
		if !slices.Equal(perm, b.perm) || !ok || side < 2 || !six[b.cols].IsInt(side) {
			continue
		}
		// The dims of the pixels are those of the operand or of the result.
		low, high := x.Type.Dims, y.Dims
		if b.op == "SpaceToDepth" {
			low, high = high, low
		}
		n := ir.Const(side)
		if !low[0].Equal(high[0]) || !high[1].Mul(n).Mul(n).Equal(low[1]) || !low[2].Mul(n).Equal(high[2]) || !low[3].Mul(n).Equal(high[3]) || !fits(six, b.op, low, high, perm) {
			continue
		}
		attrs := []ir.Attr{{Name: "blocksize", Value: side}}
		if b.mode != "" {
			attrs = append(attrs, ir.Attr{Name: "mode", Value: b.mode})
		}
		return s.Apply("pixels", op, []*ir.Op{t, first}, func(r *passes.Rewriter) []*ir.Value {
			return []*ir.Value{r.Op(b.op, []*ir.Value{x}, attrs...)}
		})
	}
	return false, nil
}

// fits reports whether the six dims are those of the tensor of low resolution
// in the order that the permutation takes apart or puts together.
func fits(six []ir.Dim, op string, low, high []ir.Dim, perm []int64) bool {
	want := []ir.Dim{low[0], high[1], low[2], low[3]} // batch, depth, rows, columns
	at := []int64{perm[0], perm[1], perm[2], perm[4]}
	if op == "SpaceToDepth" {
		at = []int64{perm[0], perm[3], perm[4], perm[5]}
	}
	for i, d := range want {
		if !six[at[i]].Equal(d) {
			return false
		}
	}
	return true
}

// before returns the op of that name whose result, read once, op reshapes.
func before(op *ir.Op, name string) *ir.Op {
	d := op.Operand(0).Def()
	if d == nil || d.Name != name || op.Operand(0).NumUses() != 1 || d.Block() != op.Block() {
		return nil
	}
	return d
}
