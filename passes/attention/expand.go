package attention

import (
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// expand takes apart what recognize puts together: heads in channels or in a
// dim of their own, and nothing of the past.
func expand(c *passes.Context, op *ir.Op) (bool, error) {
	if op.Name != "Attention" || op.NumOperands() > 4 || op.NumResults() != 1 || !plain(op) {
		return false, nil
	}
	q, k, v, mask := op.Operand(0), op.Operand(1), op.Operand(2), op.Operand(3)
	if q.Type.DType != tensor.Float32 || mask != nil && mask.Type.DType != tensor.Float32 && mask.Type.DType != tensor.Bool {
		return false, nil
	}
	heads, size, ok1 := headsOf(q, op, "q_num_heads")
	groups, _, ok2 := headsOf(k, op, "kv_num_heads")
	_, vSize, ok3 := headsOf(v, op, "kv_num_heads")
	if !ok1 || !ok2 || !ok3 || heads%groups != 0 {
		return false, nil
	}
	scale, ok := op.Attrs.Get("scale").(float32)
	if !ok || scale == 0 {
		scale = float32(1 / math.Sqrt(float64(size)))
	}
	return c.Apply("expand", op, nil, func(r *passes.Rewriter) []*ir.Value {
		number := func(x float32) *ir.Value { return r.Tensor(tensor.Scalar(tensor.Float32, x)) }
		transpose := func(v *ir.Value, perm ...int64) *ir.Value {
			return r.Op("Transpose", []*ir.Value{v}, ir.Attr{Name: "perm", Value: perm})
		}
		// stack returns [B,heads,S,size], or keys as [B,heads,size,S].
		stack := func(v *ir.Value, heads, size int64, keys bool) *ir.Value {
			if v.Type.Rank() == 3 {
				v = r.Op("Reshape", []*ir.Value{v, r.Int64s(0, 0, heads, -1)})
				if keys {
					return transpose(v, 0, 2, 3, 1)
				}
				return transpose(v, 0, 2, 1, 3)
			}
			if keys {
				return transpose(v, 0, 1, 3, 2)
			}
			return v
		}
		// repeat lets each head serve a group of queries.
		repeat := func(v *ir.Value) *ir.Value {
			if groups == heads || v == nil {
				return v
			}
			d := v.Type.Dims[2:]
			last := []int64{-1, -1}
			for i := range d {
				if n, ok := d[i].Int(); ok {
					last[i] = n
				}
			}
			v = r.Op("Expand", []*ir.Value{r.Op("Unsqueeze", []*ir.Value{v, r.Int64s(2)}), r.Int64s(1, 1, heads/groups, 1, 1)})
			return r.Op("Reshape", []*ir.Value{v, r.Int64s(0, heads, last[0], last[1])})
		}
		s := r.Op("MatMul", []*ir.Value{stack(q, heads, size, false), repeat(stack(k, groups, size, true))})
		s = r.Op("Mul", []*ir.Value{s, number(scale)})
		bools := mask != nil && mask.Type.DType == tensor.Bool
		if bools {
			mask = r.Op("Where", []*ir.Value{mask, number(0), number(float32(math.Inf(-1)))})
		}
		if mask != nil {
			s = r.Op("Add", []*ir.Value{s, mask})
		}
		p := r.Op("Softmax", []*ir.Value{s}, ir.Attr{Name: "axis", Value: int64(-1)})
		if bools { // zeros where a query sees no key
			p = r.Op("Where", []*ir.Value{r.Op("IsNaN", []*ir.Value{p}), number(0), p})
		}
		y := r.Op("MatMul", []*ir.Value{p, repeat(stack(v, groups, vSize, false))})
		if q.Type.Rank() == 4 {
			return []*ir.Value{y}
		}
		return []*ir.Value{r.Op("Reshape", []*ir.Value{transpose(y, 0, 2, 1, 3), r.Int64s(0, 0, -1)})}
	})
}

// headsOf returns the number and size of heads of [B,S,heads*size], or
// [B,heads,S,size].
func headsOf(v *ir.Value, op *ir.Op, attr string) (heads, size int64, ok bool) {
	d := v.Type.Dims
	switch v.Type.Rank() {
	case 3:
		heads, _ = op.Attrs.Get(attr).(int64)
		width, known := d[2].Int()
		if !known || heads < 1 || width%heads != 0 {
			return 0, 0, false
		}
		return heads, width / heads, true
	case 4:
		heads, ok1 := d[1].Int()
		size, ok2 := d[3].Int()
		return heads, size, ok1 && ok2 && heads > 0
	}
	return 0, 0, false
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
