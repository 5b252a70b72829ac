package quantize

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/tensor"
)

// dynamic lets the matrix products multiply integers, their input rounded by
// the range that it has in each run. Convolutions get int8 weights only: the
// common runtimes have no integer convolution for them.
func (p *pass) dynamic(c *passes.Context, found []layers.Layer) (changed bool, err error) {
	rounded := map[*ir.Value]*ir.Op{}
	for _, l := range found {
		w, err := l.Values()
		if err != nil {
			return changed, err
		}
		t, _ := l.Op.Attrs.Get("transA").(int64)
		matrix := len(l.Weight.Shape) == 2 && (l.Op.Name == "MatMul" || l.Op.Name == "Gemm" && t == 0 && plainGemm(l.Op))
		var ok bool
		if matrix {
			ok, err = c.Apply("dynamic-int8", l.Op, nil, func(r *passes.Rewriter) []*ir.Value {
				return []*ir.Value{integerProduct(r, l, w, rounded)}
			})
		} else {
			ok, err = l.Replace(c, "int8-weights", func(b *ir.Builder) (*ir.Value, error) {
				q, err := quantizeWeights(w, l.Weight.Shape, l.Out, formats["int8"])
				if err != nil {
					return nil, err
				}
				return q.dequantized(b)
			})
		}
		changed = changed || ok
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// integerProduct inserts y = (q(x) . q(w)) * scale(x) * scale(w) + bias. Layers
// with the same input share its rounding.
func integerProduct(r *passes.Rewriter, l layers.Layer, w []float32, rounded map[*ir.Value]*ir.Op) *ir.Value {
	x := l.Op.Operand(0)
	q := rounded[x]
	if q == nil {
		var err error
		if q, err = ops.BuildN(behind(x), "DynamicQuantizeLinear", 3, []*ir.Value{x}); err != nil {
			r.Fail(err)
			return nil
		}
		rounded[x] = q
	}
	k, n := l.Weight.Shape[l.In], l.Weight.Shape[l.Out]
	c, err := quantizeWeights(w, l.Weight.Shape, l.Out, formats["int8"])
	if err != nil {
		r.Fail(err)
		return nil
	}
	if l.Out == 0 {
		c.q = transposed(c.q, n, k)
	}
	acc := r.Op("MatMulInteger", []*ir.Value{q.Result(0), r.Tensor(c.q), q.Result(2)})
	y := r.Op("Cast", []*ir.Value{acc}, ir.Attr{Name: "to", Value: int64(tensor.Float32)})
	scale := r.Op("Mul", []*ir.Value{q.Result(1), r.Tensor(c.scale)})
	y = r.Op("Mul", []*ir.Value{y, scale})
	if bias := l.Op.Operand(2); bias != nil {
		y = r.Op("Add", []*ir.Value{y, bias})
	}
	return y
}

func transposed(t *tensor.Tensor, rows, cols int) *tensor.Tensor {
	out := tensor.New(t.DType, cols, rows)
	from, to := tensor.Of[int8](t), tensor.Of[int8](out)
	for r := range rows {
		for c := range cols {
			to[c*rows+r] = from[r*cols+c]
		}
	}
	return out
}
