package onnx

import (
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	define(map[string]func(*foreignNode){
		"Attention":          attention,
		"MultiHeadAttention": multiHeadAttention,
		"QAttention":         qAttention,
	})
}

// heads is the middle of every attention: queries, keys and values as
// [B,N,S,Hd], and what is added to the scores [B,N,S,T].
type heads struct {
	q, k, v *ir.Value
	mask    *ir.Value // of keys, in one of onnxruntime's forms
	bias    *ir.Value // added to scores
}

// split turns [B,S,N*Hd] into [B,N,S,Hd].
func (x *foreignNode) split(v *ir.Value, n int64) *ir.Value {
	v = x.op("Reshape", vals(v, x.ints(0, 0, n, -1)))
	return x.op("Transpose", vals(v), at("perm", []int64{0, 2, 1, 3}))
}

// attend computes softmax(q·kᵀ·scale + mask + bias)·v as [B,S,N*Hd].
func (x *foreignNode) attend(h heads) *ir.Value {
	scale := x.float("scale", 0)
	if scale == 0 {
		d, ok := lastDim(h.q)
		if !ok {
			x.fail("the size of a head is not known")
		}
		scale = float32(1 / math.Sqrt(float64(d)))
	}
	kt := x.op("Transpose", vals(h.k), at("perm", []int64{0, 1, 3, 2}))
	scores := x.op("Mul", vals(x.op("MatMul", vals(h.q, kt)), x.num(h.q, float64(scale))))
	if h.mask != nil {
		scores = x.op("Add", vals(scores, x.keyMask(h, scores)))
	}
	scores = x.biased(scores, h.bias)
	if x.int("unidirectional", 0) != 0 {
		scores = x.causal(scores)
	}
	y := x.op("MatMul", vals(x.op("Softmax", vals(scores), at("axis", int64(-1))), h.v))
	y = x.op("Transpose", vals(y), at("perm", []int64{0, 2, 1, 3}))
	return x.op("Reshape", vals(y, x.ints(0, 0, -1)))
}

func lastDim(v *ir.Value) (int64, bool) {
	if r := v.Type.Rank(); r > 0 {
		return v.Type.Dims[r-1].Int()
	}
	return 0, false
}

// sizeOf returns a dim of v as a one-element tensor.
func (x *foreignNode) sizeOf(v *ir.Value, axis int64) *ir.Value {
	attrs := []ir.Attr{at("start", axis)}
	if axis != -1 {
		attrs = append(attrs, at("end", axis+1))
	}
	return x.op("Shape", vals(v), attrs...)
}

// keyMask turns the mask of keys into what is added to the scores. A mask
// [B,T] or [B,S,T] is 1 where a key counts; [B] holds the number of keys that
// do, [2*B] the ends and then the starts of the ranges that do.
func (x *foreignNode) keyMask(h heads, scores *ir.Value) *ir.Value {
	filter := x.num(scores, float64(x.float("mask_filter_value", -10000)))
	zero := x.num(scores, 0)
	keep := func(v *ir.Value, axes ...int64) *ir.Value {
		cond := x.op("Greater", vals(v, x.b.Tensor(tensor.Scalar(tensor.Int32, int32(0)))))
		return x.op("Where", vals(x.op("Unsqueeze", vals(cond, x.ints(axes...))), zero, filter))
	}
	mask := x.cast(h.mask, tensor.Int32)
	switch x.rank(mask) {
	case 2:
		return keep(mask, 1, 2)
	case 3:
		return keep(mask, 1)
	case 1:
	default:
		x.fail("a mask of type %s is not supported", mask.Type)
	}
	scalar := func(n int64) *ir.Value { return x.b.Tensor(tensor.Scalar(tensor.Int64, n)) }
	total := x.op("Squeeze", vals(x.sizeOf(scores, 3), x.ints(0)))
	place := x.cast(x.op("Range", vals(scalar(0), total, scalar(1))), tensor.Int32)
	batch := h.q.Type.Dims[0]
	ends, starts := mask, (*ir.Value)(nil)
	switch n := mask.Type.Dims[0]; {
	case n.Equal(batch):
	case n.Equal(batch.Mul(ir.Const(2))):
		both := x.opN("Split", 2, vals(mask), at("axis", int64(0)), at("num_outputs", int64(2)))
		ends, starts = both[0], both[1]
	case len(n.Symbols()) > 0 && n.Equal(ir.Sym(n.Symbols()[0])): // a name of its own: lengths are what exporters write
	default:
		x.fail("a mask of type %s is not supported for a batch of %s", mask.Type, batch)
	}
	inside := x.op("Less", vals(place, x.op("Unsqueeze", vals(ends, x.ints(1)))))
	if starts != nil {
		inside = x.op("And", vals(inside, x.op("GreaterOrEqual", vals(place, x.op("Unsqueeze", vals(starts, x.ints(1)))))))
	}
	return x.op("Where", vals(x.op("Unsqueeze", vals(inside, x.ints(1, 2))), zero, filter))
}

// causal hides the keys behind each query, the last query seeing all.
func (x *foreignNode) causal(scores *ir.Value) *ir.Value {
	s, t := x.sizeOf(scores, 2), x.sizeOf(scores, 3)
	one := ir.NewData(tensor.From(tensor.Int32, []int32{1}, 1))
	ones := x.op("ConstantOfShape", vals(x.op("Concat", vals(s, t), at("axis", int64(0)))), at("value", one))
	first := x.op("Add", vals(x.op("Sub", vals(t, s)), x.ints(1)))
	hidden := x.op("Trilu", vals(ones, x.op("Squeeze", vals(first, x.ints(0)))), at("upper", int64(1)))
	lowest := x.num(scores, -math.MaxFloat32)
	if scores.Type.DType == tensor.Float16 {
		lowest = x.num(scores, -65504)
	}
	return x.op("Where", vals(x.cast(hidden, tensor.Bool), lowest, scores))
}

// attention is self-attention on [B,S,D] with one matrix for queries, keys
// and values. Results: [B,S,H], and keys and values so far [2,B,N,T,Hd].
func attention(x *foreignNode) {
	qkv := x.biased(x.op("MatMul", vals(x.need(0), x.need(1))), x.arg(2))
	x.selfAttention(qkv, x.arg(3), x.arg(4), x.arg(5))
}

// qAttention is attention of integers, whose product is exact.
func qAttention(x *foreignNode) {
	qkv := x.matMulInteger(x.need(0), x.need(1), x.arg(6), x.arg(7), x.need(3), x.need(4))
	x.selfAttention(x.biased(qkv, x.arg(2)), x.arg(5), x.arg(8), nil)
}

func (x *foreignNode) selfAttention(qkv, mask, past, bias *ir.Value) {
	if x.int("do_rotary", 0) != 0 || x.int("past_present_share_buffer", 0) != 0 {
		x.fail("do_rotary and past_present_share_buffer are not supported")
	}
	n := x.int("num_heads", 0)
	if n <= 0 {
		x.fail("num_heads is missing")
	}
	var parts []*ir.Value
	if sizes := attrOr(x, "qkv_hidden_sizes", []int64(nil)); sizes != nil {
		parts = x.opN("Split", 3, vals(qkv, x.ints(sizes...)), at("axis", int64(-1)))
	} else {
		parts = x.opN("Split", 3, vals(qkv), at("axis", int64(-1)), at("num_outputs", int64(3)))
	}
	h := heads{q: x.split(parts[0], n), k: x.split(parts[1], n), v: x.split(parts[2], n), mask: mask, bias: bias}
	if past != nil {
		zero := func(i int64) *ir.Value { return x.b.Tensor(tensor.Scalar(tensor.Int64, i)) }
		h.k = x.op("Concat", vals(x.op("Gather", vals(past, zero(0)), at("axis", int64(0))), h.k), at("axis", int64(2)))
		h.v = x.op("Concat", vals(x.op("Gather", vals(past, zero(1)), at("axis", int64(0))), h.v), at("axis", int64(2)))
	}
	x.set(0, x.attend(h))
	if len(x.out) > 1 {
		k, v := x.op("Unsqueeze", vals(h.k, x.ints(0))), x.op("Unsqueeze", vals(h.v, x.ints(0)))
		x.set(1, x.op("Concat", vals(k, v), at("axis", int64(0))))
	}
}

// multiHeadAttention attends with queries, keys and values computed before:
// [B,S,H] each, or packed as [B,S,N,3,Hd], or keys and values as [B,L,N,2,Hd],
// or as [B,N,L,Hd]. Results: [B,S,Hv], keys and values so far.
func multiHeadAttention(x *foreignNode) {
	n := x.int("num_heads", 0)
	if n <= 0 {
		x.fail("num_heads is missing")
	}
	q, k, v, bias := x.need(0), x.arg(1), x.arg(2), x.arg(3)
	unpack := func(p *ir.Value, count int) []*ir.Value {
		parts := x.opN("Split", count, vals(p), at("axis", int64(3)), at("num_outputs", int64(count)))
		for i, v := range parts {
			parts[i] = x.op("Reshape", vals(v, x.ints(0, 0, -1)))
		}
		return parts
	}
	if x.rank(q) == 5 {
		parts := unpack(q, 3)
		q, k, v = parts[0], parts[1], parts[2]
	} else if k != nil && x.rank(k) == 5 {
		parts := unpack(k, 2)
		k, v = parts[0], parts[1]
	}
	if k == nil || v == nil {
		x.fail("keys or values are missing")
	}
	if bias != nil {
		q, k, v = x.addBiases(q, k, v, bias)
	}
	h := heads{q: x.split(q, n), mask: x.arg(4), bias: x.arg(5)}
	if h.k = k; x.rank(k) == 3 {
		h.k = x.split(k, n)
	}
	if h.v = v; x.rank(v) == 3 {
		h.v = x.split(v, n)
	}
	if p := x.arg(6); p != nil {
		h.k = x.op("Concat", vals(p, h.k), at("axis", int64(2)))
	}
	if p := x.arg(7); p != nil {
		h.v = x.op("Concat", vals(p, h.v), at("axis", int64(2)))
	}
	x.set(0, x.attend(h))
	x.set(1, h.k)
	x.set(2, h.v)
}

// addBiases adds the three parts of a bias to queries, keys and values.
func (x *foreignNode) addBiases(q, k, v, bias *ir.Value) (_, _, _ *ir.Value) {
	total, ok1 := lastDim(bias)
	size, ok2 := lastDim(q)
	if !ok1 || !ok2 || total < 2*size {
		x.fail("the size of the bias, %s, does not fit that of the queries, %s", bias.Type, q.Type)
	}
	b := x.opN("Split", 3, vals(bias, x.ints(size, size, total-2*size)), at("axis", int64(0)))
	q = x.biased(q, b[0])
	if x.rank(k) == 3 { // keys of another sequence come with their bias
		k = x.biased(k, b[1])
		v = x.biased(v, b[2])
	}
	return q, k, v
}
