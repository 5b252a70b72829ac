// Package attention puts the Attention operator together from the MatMuls,
// Transposes and the Softmax that exporters write, merges the MatMuls that
// read one input, and takes Attention apart again for targets that compute its
// parts.
package attention

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
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

func recognize(c *passes.Context, op *ir.Op) (bool, error) {
	f := match(op)
	if f == nil {
		return false, nil
	}
	return c.Apply("attention", op, inside(op, f.q.x, f.k.x, f.v.x, f.mask.value()), func(r *passes.Rewriter) []*ir.Value {
		return []*ir.Value{f.build(r, op)}
	})
}

// inside returns the ops between inputs and op that only op needs, producers
// first.
func inside(op *ir.Op, inputs ...*ir.Value) []*ir.Op {
	in := map[*ir.Op]bool{op: true}
	needed := func(v *ir.Value) bool {
		return v != nil && v.Def() != nil && v.Data() == nil && !slices.Contains(inputs, v) &&
			!slices.ContainsFunc(v.Def().Results(), func(r *ir.Value) bool {
				return slices.ContainsFunc(r.Uses(), func(u ir.Use) bool { return !in[u.Op] })
			})
	}
	list := []*ir.Op{op}
	for grew := true; grew; { // an op read twice is needed once both readers are known
		grew = false
		for i := 0; i < len(list); i++ {
			for _, v := range list[i].Operands() {
				if needed(v) && !in[v.Def()] {
					in[v.Def()], grew = true, true
					list = append(list, v.Def())
				}
			}
		}
	}
	slices.Reverse(list)
	return list[:len(list)-1]
}
