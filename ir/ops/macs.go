package ops

import "github.com/hone-ml/hone/ir"

// MACs returns the multiply-accumulates that an op computes, as far as its
// types tell: products of matrices and convolutions count, the rest is 0.
func MACs(op *ir.Op) ir.Dim {
	y := op.Result(0)
	if y == nil || !y.Type.Ranked {
		return ir.Const(0)
	}
	out := y.Type.NumElements()
	w := op.Operand(1)
	switch op.Name {
	case "Conv", "ConvInteger", "QLinearConv":
		if op.Name == "QLinearConv" {
			w = op.Operand(3)
		}
		if w == nil || w.Type.Rank() < 3 {
			return ir.Const(0)
		}
		return out.Mul(w.Type.WithDims(w.Type.Dims[1:]...).NumElements())
	case "ConvTranspose":
		x := op.Operand(0)
		if w == nil || w.Type.Rank() < 3 || !x.Type.Ranked {
			return ir.Const(0)
		}
		return x.Type.NumElements().Mul(w.Type.WithDims(w.Type.Dims[1:]...).NumElements())
	case "MatMul", "MatMulInteger", "QLinearMatMul":
		if x := op.Operand(0); x != nil && x.Type.Rank() > 0 {
			return out.Mul(x.Type.Dims[x.Type.Rank()-1])
		}
	case "Gemm":
		if x := op.Operand(0); x.Type.Rank() == 2 {
			k := x.Type.Dims[1]
			if t, _ := op.Attrs.Get("transA").(int64); t != 0 {
				k = x.Type.Dims[0]
			}
			return out.Mul(k)
		}
	}
	return ir.Const(0)
}
