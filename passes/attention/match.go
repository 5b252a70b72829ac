package attention

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// found is an attention: what it reads, what becomes of its scores, and in
// which form its result is wanted.
type found struct {
	q, k, v  *operand
	scale    float64
	mask     mask
	scores   []ir.Dim // where the mask is added
	guarded  bool     // NaNs of the Softmax become zeros
	inStacks bool     // operands and result are [B,heads,S,size], else the heads are in channels
	seqFirst bool     // the result has the queries first, then the batch
}

// match finds the attention whose result op is the last to move.
func match(op *ir.Op) *found {
	product := productBefore(op)
	if product == nil {
		return nil
	}
	f := &found{scale: 1}
	scores := f.softmax(product.Operand(0))
	if scores == nil {
		return nil
	}
	qk := f.scoresFrom(scores.Operand(0))
	if qk == nil || !sameRank(qk) || !sameRank(product) {
		return nil
	}
	q, k, v := read(qk.Operand(0), false, true), read(qk.Operand(1), true, true), read(product.Operand(1), false, false)
	if f.q, f.k, f.v = q.channels, k.channels, v.channels; f.agree() {
		last, seqFirst := f.joined(product)
		if f.seqFirst = seqFirst; last == op {
			return f.checked()
		}
		if last != nil {
			return nil // that one's turn comes
		}
	}
	f.inStacks = true
	if f.q, f.k, f.v = q.any(), k.any(), v.any(); op == product && product.Result(0).Type.Rank() == 4 && f.agree() {
		return f.checked()
	}
	return nil
}

// sameRank reports whether a product is one of two stacks of as many dims.
func sameRank(mul *ir.Op) bool {
	r := mul.Result(0).Type.Rank()
	return r >= 3 && mul.Operand(0).Type.Rank() == r && mul.Operand(1).Type.Rank() == r
}

// sole returns the op that computes v if nothing else reads v.
func sole(v *ir.Value) *ir.Op {
	if v == nil || v.NumUses() != 1 {
		return nil
	}
	return v.Def()
}

// orders are the ops that heads are joined with.
var orders = map[string]bool{"Reshape": true, "Squeeze": true, "Unsqueeze": true, "Flatten": true, "Transpose": true}

// productBefore returns the product of matrices whose result op is the last to
// move, or op itself.
func productBefore(op *ir.Op) *ir.Op {
	for range farthest {
		switch {
		case op == nil:
			return nil
		case op.Name == "MatMul":
			return op
		case !orders[op.Name]:
			return nil
		}
		op = sole(op.Operand(0))
	}
	return nil
}

// unstacked returns the matrices that v holds, stacked in other dims than they
// were computed in; v itself where its matrices are others.
func unstacked(v *ir.Value) *ir.Value {
	x := v
	for range farthest {
		d := sole(x)
		if d == nil || !orders[d.Name] || d.Name == "Transpose" {
			break
		}
		x = d.Operand(0)
	}
	m, n := v.Type.Rank(), x.Type.Rank()
	if m < 2 || n < 2 || !v.Type.Dims[m-1].Equal(x.Type.Dims[n-1]) || !v.Type.Dims[m-2].Equal(x.Type.Dims[n-2]) {
		return v
	}
	return x
}

// softmax returns the Softmax along the keys that gives v.
func (f *found) softmax(v *ir.Value) *ir.Op {
	v = unstacked(v)
	if where := sole(v); where != nil && where.Name == "Where" {
		v = where.Operand(2)
		nan := sole(where.Operand(0))
		if zero, ok := scalar(where.Operand(1)); !ok || zero != 0 || nan == nil || nan.Name != "IsNaN" || nan.Operand(0) != v || v.NumUses() != 2 {
			return nil
		}
		f.guarded = true
	} else if v.NumUses() != 1 {
		return nil
	}
	s := v.Def()
	if s == nil || s.Name != "Softmax" {
		return nil
	}
	if a, ok := s.Attrs.Get("axis").(int64); ok && a != -1 && a != int64(v.Type.Rank())-1 {
		return nil
	}
	return s
}

// scoresFrom returns the product of queries and keys of which scaling and
// masking make v.
func (f *found) scoresFrom(v *ir.Value) *ir.Op {
	d := sole(unstacked(v))
	if d == nil {
		return nil
	}
	dims := d.Result(0).Type.Dims
	masked := func(m mask, scores *ir.Value) *ir.Op {
		if f.mask.value() != nil || f.scale != 1 || !m.fits(dims) || m.add != nil && m.add.Type.DType != scores.Type.DType {
			return nil
		}
		g := *f
		g.mask, g.scores = m, dims
		qk := g.scoresFrom(scores)
		if qk != nil {
			*f = g
		}
		return qk
	}
	switch d.Name {
	case "MatMul":
		return d
	case "Mul", "Div":
		if x, by := scaled(d); x != nil && x.Type.Rank() == len(dims) {
			f.scale *= by
			return f.scoresFrom(x)
		}
	case "Add":
		for i := range 2 {
			if qk := masked(maskOf(d.Operand(1-i)), d.Operand(i)); qk != nil {
				return qk
			}
		}
	case "Where":
		for i := range 2 {
			if fill, ok := scalar(d.Operand(2 - i)); ok && fill <= hiding {
				return masked(conditional(d.Operand(0), i == 1, fill), d.Operand(1+i))
			}
		}
	}
	return nil
}

// agree reports whether queries, keys and values are there and fit together.
func (f *found) agree() bool {
	q, k, v := f.q, f.k, f.v
	return q != nil && k != nil && v != nil && q.repeat == 1 && q.heads == k.heads*k.repeat && k.heads == v.heads && k.repeat == v.repeat &&
		q.size == k.size && q.batch.Equal(k.batch) && k.batch.Equal(v.batch) && k.seq.Equal(v.seq)
}

// checked returns f if Attention does what it asks for.
func (f *found) checked() *found {
	f.scale *= f.q.scale * f.k.scale
	if s := float32(f.scale); !(s > 0) || s > math.MaxFloat32 || !f.mask.exact(f.guarded) {
		return nil
	}
	m := f.mask.value()
	if m == nil {
		return f
	}
	// The mask must not make more of the scores than queries and keys do.
	n, heads := len(f.scores), ir.Const(f.q.heads)
	if n < 3 || !f.scores[n-2].Equal(f.q.seq) || !f.scores[n-1].Equal(f.k.seq) {
		return nil
	}
	switch {
	case n == 4 && f.scores[0].Equal(f.q.batch) && f.scores[1].Equal(heads):
	case n == 3 && f.scores[0].Equal(f.q.batch.Mul(heads)) && (f.q.heads == 1 || m.Type.Rank() == 2 || m.Type.Dims[0].IsInt(1)):
	default:
		return nil
	}
	return f
}

// joined returns the last op behind the product that leaves its result in the
// order of [B,S,heads*size], or [S,B,heads*size].
func (f *found) joined(product *ir.Op) (last *ir.Op, seqFirst bool) {
	size, channels := f.v.size, f.q.heads*f.v.size
	batch, seq := run(atom{0, 1, f.q.batch}), run(atom{1, 1, f.q.seq})
	w := &view{dims: [][]atom{batch, run(atom{2, size, ir.Const(f.q.heads)}), seq, run(atom{2, 1, ir.Const(size)})}}
	y := product.Result(0)
	if !regroup(w, product, y) {
		return nil, false
	}
	whole := run(atom{2, 1, ir.Const(channels)})
	want := ir.TensorOf(y.Type.DType, f.q.batch, f.q.seq, ir.Const(channels))
	for op := product; ; {
		order := joined(w.dims...)
		natural, swapped := alikeAtoms(order, batch, seq, whole), alikeAtoms(order, seq, batch, whole)
		if natural && y.Type.Equal(want) {
			return op, false
		}
		if (natural || swapped) && reshapes(op) {
			last, seqFirst = op, !natural
		}
		if y.NumUses() != 1 || y.Uses()[0].Index != 0 || !orders[y.Uses()[0].Op.Name] || y.Uses()[0].Op.Block() != op.Block() {
			return last, seqFirst
		}
		op = y.Uses()[0].Op
		y = op.Result(0)
		if !y.Type.Ranked || !moves[op.Name](w, op, y) {
			return last, seqFirst
		}
	}
}

// reshapes reports whether op is a Reshape that reads any value with as many
// elements alike.
func reshapes(op *ir.Op) bool {
	if op.Name != "Reshape" {
		return false
	}
	shape, ok := ints(op.Operand(1))
	return op.Operand(1).Data() == nil || ok && !slices.Contains(shape, 0)
}

// build makes the Attention in the place of op.
func (f *found) build(r *passes.Rewriter, op *ir.Op) *ir.Value {
	var operands []*ir.Value
	attrs := []ir.Attr{{Name: "scale", Value: float32(f.scale)}}
	if f.inStacks {
		operands = []*ir.Value{stackOf(r, f.q), stackOf(r, f.k), stackOf(r, f.v)}
	} else {
		operands = channelsOf(r, f.q, f.k, f.v)
		attrs = append(attrs, ir.Attr{Name: "q_num_heads", Value: f.q.heads}, ir.Attr{Name: "kv_num_heads", Value: f.k.heads})
	}
	if m := f.mask.build(r, op.Result(0).Type.DType, f.q, len(f.scores)); m != nil {
		operands = append(operands, m)
	}
	y := r.Op("Attention", operands, attrs...)
	if f.seqFirst {
		y = r.Op("Transpose", []*ir.Value{y}, ir.Attr{Name: "perm", Value: []int64{1, 0, 2}})
	}
	if y == nil || f.inStacks || y.Type.Equal(op.Result(0).Type) {
		return y
	}
	return r.Op("Reshape", []*ir.Value{y, op.Operand(1)}, op.Attrs...)
}
