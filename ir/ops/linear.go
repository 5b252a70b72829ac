package ops

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"MatMul":        {Infer: inferMatMul(0, 1, func(x *Inference) tensor.DType { return knownDType(x.In(0), x.In(1)) }), Eval: eval2(ref.MatMul)},
		"MatMulInteger": {Infer: inferMatMul(0, 1, func(*Inference) tensor.DType { return tensor.Int32 }), Eval: evalMatMulInteger},
		"QLinearMatMul": {Infer: inferMatMul(0, 3, func(x *Inference) tensor.DType { return x.In(7).DType }), Eval: evalQLinearMatMul},
		"Gemm":          {Infer: inferGemm, Eval: evalGemm, Upgrades: []Upgrade{{To: 7, Do: dropAttrs("broadcast")}}},
		"Einsum":        {Infer: inferEinsum, Eval: evalEinsum},
		"Det":           {Infer: inferDet, Eval: eval1(ref.Det)},
	})
}

// inferMatMul infers the product of operands i and j.
func inferMatMul(i, j int, dtype func(*Inference) tensor.DType) func(*Inference) error {
	return func(x *Inference) error {
		d, a, b := dtype(x), x.In(i), x.In(j)
		x.Set(0, ir.Unranked(d))
		if a.Rank() < 0 || b.Rank() < 0 {
			return nil
		}
		if a.Rank() == 0 || b.Rank() == 0 {
			return x.Errorf("matrix product of %s and %s: a scalar is no matrix", a, b)
		}
		p, q := a.Dims, b.Dims
		if len(p) == 1 {
			p = []ir.Dim{ir.Const(1), p[0]}
		}
		if len(q) == 1 {
			q = []ir.Dim{q[0], ir.Const(1)}
		}
		if err := agree("columns of the left matrix and rows of the right one", p[len(p)-1], q[len(q)-2]); err != nil {
			return err
		}
		t, err := x.broadcast(d, ir.TensorOf(d, p[:len(p)-2]...), ir.TensorOf(d, q[:len(q)-2]...))
		if err != nil {
			return err
		}
		if a.Rank() > 1 {
			t.Dims = append(t.Dims, p[len(p)-2])
		}
		if b.Rank() > 1 {
			t.Dims = append(t.Dims, q[len(q)-1])
		}
		x.Set(0, t)
		return nil
	}
}

func evalMatMulInteger(c *Call) error {
	return c.done(ref.MatMulInteger(c.In(0), c.In(1), c.In(2), c.In(3)))
}

func evalQLinearMatMul(c *Call) error {
	return c.done(ref.QLinearMatMul(c.In(0), c.In(3), ref.Quant{Scale: c.In(1), Zero: c.In(2)}, ref.Quant{Scale: c.In(4), Zero: c.In(5)}, ref.Quant{Scale: c.In(6), Zero: c.In(7)}))
}

func inferGemm(x *Inference) error {
	a, b := x.In(0), x.In(1)
	d := knownDType(a, b)
	x.Set(0, ir.Unranked(d))
	if a.Rank() < 0 || b.Rank() < 0 {
		return nil
	}
	if a.Rank() != 2 || b.Rank() != 2 {
		return x.Errorf("operands are %s and %s, want matrices", a, b)
	}
	m, k, k2, n := a.Dims[0], a.Dims[1], b.Dims[0], b.Dims[1]
	if x.Bool("transA") {
		m, k = k, m
	}
	if x.Bool("transB") {
		k2, n = n, k2
	}
	x.Set(0, ir.TensorOf(d, m, n))
	return agree("columns of A and rows of B", k, k2)
}

func evalGemm(c *Call) error {
	return c.done(ref.Gemm(c.In(0), c.In(1), c.In(2), float64(c.Float("alpha")), float64(c.Float("beta")), c.Bool("transA"), c.Bool("transB")))
}

func inferEinsum(x *Inference) error {
	d := tensor.Undefined
	ranks := make([]int, x.NumIn())
	for i := range ranks {
		d = knownDType(ir.Unranked(d), x.In(i))
		ranks[i] = x.In(i).Rank()
	}
	x.Set(0, ir.Unranked(d))
	if slices.Contains(ranks, -1) {
		return nil
	}
	ins, out, err := ref.ParseEinsum(x.Str("equation"), ranks)
	if err != nil {
		return err
	}
	size := map[rune]ir.Dim{}
	for i, labels := range ins {
		for j, l := range labels {
			dim := x.In(i).Dims[j]
			if known, ok := size[l]; ok {
				dim = ir.Broadcast(known, dim)
			}
			size[l] = dim
		}
	}
	dims := make([]ir.Dim, len(out))
	for i, l := range out {
		dims[i] = size[l]
	}
	x.Set(0, ir.TensorOf(d, dims...))
	return nil
}

func evalEinsum(c *Call) error {
	xs := make([]*tensor.Tensor, c.NumIn())
	for i := range xs {
		xs[i] = c.In(i)
	}
	return c.done(ref.Einsum(c.Str("equation"), xs...))
}

func inferDet(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	r := in.Rank()
	if r < 0 {
		return nil
	}
	if r < 2 {
		return x.Errorf("%s holds no matrices", in)
	}
	x.Set(0, ir.TensorOf(in.DType, in.Dims[:r-2]...))
	return agree("rows and columns", in.Dims[r-2], in.Dims[r-1])
}
