package attention

import (
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// expand takes apart what recognize puts together: heads in three dims, as
// many of keys as of queries, and nothing of the past.
func expand(c *passes.Context, op *ir.Op) (bool, error) {
	if op.Name != "Attention" || op.NumOperands() > 4 || op.NumResults() != 1 || !plain(op) {
		return false, nil
	}
	heads, _ := op.Attrs.Get("q_num_heads").(int64)
	kv, _ := op.Attrs.Get("kv_num_heads").(int64)
	q, k, v, mask := op.Operand(0), op.Operand(1), op.Operand(2), op.Operand(3)
	if heads < 1 || kv != heads || q.Type.Rank() != 3 || k.Type.Rank() != 3 || v.Type.Rank() != 3 || q.Type.DType != tensor.Float32 {
		return false, nil
	}
	width, ok := q.Type.Dims[2].Int()
	if !ok || width%heads != 0 || mask != nil && mask.Type.DType != tensor.Float32 {
		return false, nil
	}
	scale, ok := op.Attrs.Get("scale").(float32)
	if !ok || scale == 0 {
		scale = float32(1 / math.Sqrt(float64(width/heads)))
	}
	return c.Apply("expand", op, nil, func(r *passes.Rewriter) []*ir.Value {
		split := func(v *ir.Value, perm ...int64) *ir.Value {
			v = r.Op("Reshape", []*ir.Value{v, r.Int64s(0, 0, heads, -1)})
			return r.Op("Transpose", []*ir.Value{v}, ir.Attr{Name: "perm", Value: perm})
		}
		s := r.Op("MatMul", []*ir.Value{split(q, 0, 2, 1, 3), split(k, 0, 2, 3, 1)})
		s = r.Op("Mul", []*ir.Value{s, r.Tensor(tensor.Scalar(tensor.Float32, scale))})
		if mask != nil {
			s = r.Op("Add", []*ir.Value{s, mask})
		}
		y := r.Op("MatMul", []*ir.Value{r.Op("Softmax", []*ir.Value{s}, ir.Attr{Name: "axis", Value: int64(-1)}), split(v, 0, 2, 1, 3)})
		y = r.Op("Transpose", []*ir.Value{y}, ir.Attr{Name: "perm", Value: []int64{0, 2, 1, 3}})
		return []*ir.Value{r.Op("Reshape", []*ir.Value{y, r.Int64s(0, 0, -1)})}
	})
}

// plain reports whether no attribute asks for more than scaled scores.
func plain(op *ir.Op) bool {
	for _, a := range op.Attrs {
		switch a.Name {
		case "q_num_heads", "kv_num_heads", "scale":
		case "softmax_precision":
			if a.Value != int64(tensor.Float32) {
				return false
			}
		default:
			switch v := a.Value.(type) {
			case int64:
				if v != 0 {
					return false
				}
			case float32:
				if v != 0 {
					return false
				}
			default:
				return false
			}
		}
	}
	return true
}
