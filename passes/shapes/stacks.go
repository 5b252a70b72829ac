package shapes

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// stack computes the Gemm of a stack of matrices that was flattened for it as
// the MatMul and Add of the stack itself.
func (s *simplifier) stack(op *ir.Op) (bool, error) {
	if op.Name != "Reshape" {
		return false, nil
	}
	gemm := before(op, "Gemm")
	if gemm == nil || gemm.Operand(0).Def() == nil || gemm.Operand(0).Def().Name != "Reshape" {
		return false, nil
	}
	x, w, bias := gemm.Operand(0).Def().Operand(0), gemm.Operand(1), gemm.Operand(2)
	from, to, flat := x.Type.Dims, op.Result(0).Type.Dims, gemm.Operand(0).Type.Dims
	last := len(from) - 1
	if last < 2 || len(to) != len(from) || len(flat) != 2 || !flat[1].Equal(from[last]) || w.Data() == nil || len(w.Type.Dims) != 2 {
		return false, nil
	}
	for i := range last {
		if !from[i].Equal(to[i]) {
			return false, nil
		}
	}
	columns := int64(0)
	for _, a := range gemm.Attrs {
		switch {
		case a.Name == "transB":
			columns, _ = a.Value.(int64)
		case a.Name == "transA" && a.Value == int64(0), a.Name == "alpha" && a.Value == float32(1):
		case a.Name == "beta" && (bias == nil || a.Value == float32(1)):
		default:
			return false, nil
		}
	}
	n := w.Type.Dims[1]
	if columns != 0 {
		if n = w.Type.Dims[0]; w.NumUses() > 1 {
			return false, nil // it would be there twice, once transposed
		}
	}
	if !n.Equal(to[last]) || bias != nil && (bias.Type.Rank() != 1 || bias.Type.DType != x.Type.DType) {
		return false, nil
	}
	return s.Apply("stack", op, []*ir.Op{gemm.Operand(0).Def(), gemm}, func(r *passes.Rewriter) []*ir.Value {
		if columns != 0 {
			w = r.Op("Transpose", []*ir.Value{w}, ir.Attr{Name: "perm", Value: []int64{1, 0}})
		}
		y := r.Op("MatMul", []*ir.Value{x, w})
		if bias != nil {
			y = r.Op("Add", []*ir.Value{y, bias})
		}
		return []*ir.Value{y}
	})
}
