// Package attention puts the Attention operator together from the MatMuls,
// Transposes and the Softmax that exporters write, merges the MatMuls that
// read one input, and takes Attention apart again for targets that compute its
// parts.
package attention

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
)

func init() {
	for _, p := range []struct {
		name, help, example string
		pass                passes.Pass
	}{
		{"recognize-attention", "put Attention together: softmax(q k' * scale + mask) v, heads split and joined around it", `func @main(%q: f32[N,S,4], %k: f32[N,T,4], %v: f32[N,T,4]) -> (y: f32[N,S,4]) {
  %0 = const i64[4] [0, 0, 2, 2]
  %1 = const i64[3] [0, 0, 4]
  %2 = const f32[] [1.5]
  %3 = Reshape(%q, %0) : f32[N,S,2,2]
  %4 = Transpose(%3) {perm=[0, 2, 1, 3]} : f32[N,2,S,2]
  %5 = Reshape(%k, %0) : f32[N,T,2,2]
  %6 = Transpose(%5) {perm=[0, 2, 3, 1]} : f32[N,2,2,T]
  %7 = Reshape(%v, %0) : f32[N,T,2,2]
  %8 = Transpose(%7) {perm=[0, 2, 1, 3]} : f32[N,2,T,2]
  %9 = MatMul(%4, %6) : f32[N,2,S,T]
  %10 = Div(%9, %2) : f32[N,2,S,T]
  %11 = Softmax(%10) {axis=-1} : f32[N,2,S,T]
  %12 = MatMul(%11, %8) : f32[N,2,S,2]
  %13 = Transpose(%12) {perm=[0, 2, 1, 3]} : f32[N,S,2,2]
  %14 = Reshape(%13, %1) : f32[N,S,4]
  return(%14)
}
`, passes.EachOp("recognize-attention", recognize)},
		{"expand-attention", "take Attention without past and causal mask apart into MatMuls and a Softmax", `func @main(%q: f32[N,S,4], %k: f32[N,T,4], %v: f32[N,T,4], %m: f32[N,1,1,T]) -> (y: f32[N,S,4]) {
  %0 = Attention(%q, %k, %v, %m) {q_num_heads=2, kv_num_heads=2, scale=0.5} : f32[N,S,4]
  return(%0)
}
`, passes.EachOp("expand-attention", expand)},
		{"merge-matmuls", "compute MatMuls of one input (queries, keys, values) as one, their biases with them", `func @main(%x: f32[N,S,2]) -> (y: f32[N,S,2]) {
  %0 = const f32[2,2] [0.0, 2.0, 3.0, -1.0]
  %1 = const f32[2,2] [1.0, 2.0, 3.0, -1.0]
  %2 = const f32[2,2] [2.0, 2.0, 3.0, -1.0]
  %3 = MatMul(%x, %0) : f32[N,S,2]
  %4 = MatMul(%x, %1) : f32[N,S,2]
  %5 = MatMul(%x, %2) : f32[N,S,2]
  %6 = Attention(%3, %4, %5) {q_num_heads=1, kv_num_heads=1} : f32[N,S,2]
  return(%6)
}
`, passes.EachBlock("merge-matmuls", merge)},
	} {
		passes.Register(passes.Spec{Name: p.name, Help: p.help, Example: p.example, New: func(passes.Options) (passes.Pass, error) { return p.pass, nil }})
	}
}

// def returns the op that computes v if it is called name and v is read once.
func def(v *ir.Value, name string) *ir.Op {
	if v == nil || v.Def() == nil || v.Def().Name != name || v.NumUses() != 1 {
		return nil
	}
	return v.Def()
}

func transposed(v *ir.Value, perm ...int64) *ir.Op {
	t := def(v, "Transpose")
	if t == nil {
		return nil
	}
	if p, _ := t.Attrs.Get("perm").([]int64); !slices.Equal(p, perm) {
		return nil
	}
	return t
}

// split matches [B,S,H*D] split into heads [B,H,S,D], or for keys, where they
// are transposed in the same step, [B,H,D,S].
func split(v *ir.Value, perm ...int64) (x *ir.Value, heads, size int64, ok bool) {
	t := transposed(v, perm...)
	if t == nil {
		return nil, 0, 0, false
	}
	r := def(t.Operand(0), "Reshape")
	if r == nil || r.Result(0).Type.Rank() != 4 || r.Operand(0).Type.Rank() != 3 {
		return nil, 0, 0, false
	}
	x = r.Operand(0)
	to := r.Result(0).Type.Dims
	heads, ok1 := to[2].Int()
	size, ok2 := to[3].Int()
	from := x.Type.Dims
	if !ok1 || !ok2 || !from[0].Equal(to[0]) || !from[1].Equal(to[1]) || !from[2].IsInt(heads*size) {
		return nil, 0, 0, false
	}
	return x, heads, size, true
}

// scaling takes a division or multiplication by a constant off v.
func scaling(v *ir.Value) (*ir.Value, float64) {
	if d := def(v, "Div"); d != nil {
		if s, ok := scalar(d.Operand(1)); ok && s != 0 {
			return d.Operand(0), 1 / s
		}
	}
	if m := def(v, "Mul"); m != nil {
		for i := range 2 {
			if s, ok := scalar(m.Operand(i)); ok {
				return m.Operand(1 - i), s
			}
		}
	}
	return v, 1
}

func scalar(v *ir.Value) (float64, bool) {
	d := v.Data()
	if d == nil || d.Len() != 1 || !d.DType.IsFloat() {
		return 0, false
	}
	t, err := d.Tensor()
	if err != nil {
		return 0, false
	}
	return ref.Float64s(t)[0], true
}

// found is an attention.
type found struct {
	q, k, v, mask *ir.Value
	heads         int64
	scale         float64
}

func recognize(c *passes.Context, op *ir.Op) (bool, error) {
	f, ok := match(op)
	if !ok {
		return false, nil
	}
	return c.Apply("attention", op, inside(op, f.q, f.k, f.v, f.mask), func(r *passes.Rewriter) []*ir.Value {
		operands := []*ir.Value{f.q, f.k, f.v}
		if f.mask != nil {
			operands = append(operands, f.perQuery(r))
		}
		return []*ir.Value{r.Op("Attention", operands, ir.Attr{Name: "q_num_heads", Value: f.heads},
			ir.Attr{Name: "kv_num_heads", Value: f.heads}, ir.Attr{Name: "scale", Value: float32(f.scale)})}
	})
}

// inside returns the ops between inputs and op that only op needs, producers
// first.
func inside(op *ir.Op, inputs ...*ir.Value) []*ir.Op {
	var list []*ir.Op
	for _, v := range op.Operands() {
		if v != nil && v.Def() != nil && v.NumUses() == 1 && v.Data() == nil && !slices.Contains(inputs, v) {
			list = append(append(list, inside(v.Def(), inputs...)...), v.Def())
		}
	}
	return list
}

// perQuery returns the mask with a row for every query, as runtimes want it:
// an exporter's mask is often one row for all. The rows are counted on the
// mask where there are as many queries as keys, so that attentions that share
// a mask share this too.
func (f *found) perQuery(r *passes.Rewriter) *ir.Value {
	d := f.mask.Type.Dims
	queries := f.q.Type.Dims[1]
	if !d[len(d)-2].IsInt(1) || queries.IsInt(1) {
		return f.mask
	}
	from, axis := f.q, int64(1)
	if d[len(d)-1].Equal(queries) {
		from, axis = f.mask, int64(len(d)-1)
	}
	rows := r.Op("Shape", []*ir.Value{from}, ir.Attr{Name: "start", Value: axis}, ir.Attr{Name: "end", Value: axis + 1})
	shape := r.Op("Concat", []*ir.Value{rows, r.Int64s(1)}, ir.Attr{Name: "axis", Value: int64(0)})
	return r.Op("Expand", []*ir.Value{f.mask, shape})
}

// match goes from the Reshape that joins the heads up to the three inputs.
func match(op *ir.Op) (f found, ok bool) {
	if op.Name != "Reshape" || op.Result(0).Type.Rank() != 3 {
		return f, false
	}
	t := transposed(op.Operand(0), 0, 2, 1, 3)
	if t == nil {
		return f, false
	}
	product := def(t.Operand(0), "MatMul")
	if product == nil {
		return f, false
	}
	softmax := def(product.Operand(0), "Softmax")
	if softmax == nil {
		return f, false
	}
	if a, ok := softmax.Attrs.Get("axis").(int64); ok && a != -1 && a != 3 {
		return f, false
	}
	var vHeads, kHeads, size, kSize int64
	if f.v, vHeads, _, ok = split(product.Operand(1), 0, 2, 1, 3); !ok {
		return f, false
	}
	scores := softmax.Operand(0)
	if add := def(scores, "Add"); add != nil {
		for i := range 2 {
			if s, _ := scaling(add.Operand(i)); def(s, "MatMul") != nil && masks(add.Operand(1-i), s) {
				scores, f.mask = add.Operand(i), add.Operand(1-i)
				break
			}
		}
	}
	scores, f.scale = scaling(scores)
	qk := def(scores, "MatMul")
	if qk == nil || scores.Type.Rank() != 4 {
		return f, false
	}
	q, qs := scaling(qk.Operand(0))
	k, ks := scaling(qk.Operand(1))
	f.scale *= qs * ks
	if f.q, f.heads, size, ok = split(q, 0, 2, 1, 3); !ok {
		return f, false
	}
	if f.k, kHeads, kSize, ok = split(k, 0, 2, 3, 1); !ok {
		if t := transposed(k, 0, 1, 3, 2); t != nil {
			f.k, kHeads, kSize, ok = split(t.Operand(0), 0, 2, 1, 3)
		}
	}
	out := op.Result(0).Type.Dims
	ok = ok && kHeads == f.heads && vHeads == f.heads && kSize == size && f.scale > 0 &&
		out[0].Equal(f.q.Type.Dims[0]) && out[1].Equal(f.q.Type.Dims[1]) && out[2].Equal(f.v.Type.Dims[2])
	return f, ok
}

// masks reports whether m may be added to scores as Attention's mask: it
// broadcasts to them, its last dim excepted, which is that of the keys.
func masks(m, scores *ir.Value) bool {
	if m.Type.Rank() < 2 || m.Type.Rank() > 4 || m.Type.DType != scores.Type.DType || scores.Type.Rank() != 4 {
		return false
	}
	s := scores.Type.Dims
	for i, d := range m.Type.Dims {
		j := 4 - m.Type.Rank() + i
		if !ir.Broadcast(d, s[j]).Equal(s[j]) || j == 3 && d.IsInt(1) {
			return false
		}
	}
	return true
}
