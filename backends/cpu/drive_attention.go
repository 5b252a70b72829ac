package cpu

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// bindAttention binds ONNX's Attention without a past: scores, softmax and
// their product with the values in one go.
func bindAttention(b *binder, op *ir.Op) ([]rt.Work, error) {
	if err := plainAttention(op); err != nil {
		return nil, err
	}
	q, err := b.headed(op.Operand(0), op, "q_num_heads")
	if err != nil {
		return nil, err
	}
	k, err := b.headed(op.Operand(1), op, "kv_num_heads")
	if err != nil {
		return nil, err
	}
	v, err := b.headed(op.Operand(2), op, "kv_num_heads")
	if err != nil {
		return nil, err
	}
	y, err := b.headed(op.Result(0), op, "q_num_heads")
	if err != nil {
		return nil, err
	}
	if k.batch != q.batch || v.batch != q.batch || v.heads != k.heads || v.rows != k.rows || k.size != q.size ||
		y.batch != q.batch || y.heads != q.heads || y.rows != q.rows || y.size != v.size {
		return nil, fmt.Errorf("attention of %v over %v and %v does not fit %v", b.shape(op.Operand(0)), b.shape(op.Operand(1)), b.shape(op.Operand(2)), b.shape(op.Result(0)))
	}
	causal, _ := op.Attrs.Get("is_causal").(int64)
	o := rt.Attention{
		Set: b.kernels, Batch: q.batch, Heads: q.heads, KVHeads: k.heads, Queries: q.rows, Keys: k.rows, Size: q.size, VSize: v.size,
		Q: q.at, K: k.at, V: v.at, Y: y.at, Scale: attrFloat(op, "scale", 0), Causal: causal != 0,
	}
	if o.Scale == 0 {
		o.Scale = float32(1 / math.Sqrt(float64(q.size)))
	}
	if m := op.Operand(3); m != nil {
		p := b.places[m]
		n := len(p.shape)
		o.Bools = p.dtype == tensor.Bool
		if !isF32(m) && !o.Bools || p.strides != nil || n < 1 || n > 4 || p.shape[n-1] != k.rows {
			return nil, fmt.Errorf("a mask of %s%v has no kernel", p.dtype, p.shape)
		}
		st := broadcastStrides(p.shape, []int{q.batch, q.heads, q.rows, k.rows})
		o.Mask = rt.Headed{Ptr: b.ptr(m), Batch: st[0], Head: st[1], Row: st[2]}
	}
	return one(o.Work())
}

// heads is an operand of attention.
type heads struct {
	at                       rt.Headed
	batch, heads, rows, size int
}

// headed reads [batch,heads,rows,size], in any order that leaves elements of
// rows together, or [batch,rows,heads*size] with the number of heads in an
// attribute.
func (b *binder) headed(v *ir.Value, op *ir.Op, attr string) (heads, error) {
	p := b.places[v]
	if !isF32(v) || p.layout != ir.Plain {
		return heads{}, errors.New("attention has kernels for f32 only")
	}
	n64, _ := op.Attrs.Get(attr).(int64)
	n, s, st := int(n64), p.shape, p.step()
	switch {
	case len(s) == 0 || st[len(s)-1] != 1:
		return heads{}, errors.New("the elements of a head are apart")
	case len(s) == 4:
		return heads{rt.Headed{Ptr: b.ptr(v), Batch: st[0], Head: st[1], Row: st[2]}, s[0], s[1], s[2], s[3]}, nil
	case len(s) == 3 && n > 0 && s[2]%n == 0:
		return heads{rt.Headed{Ptr: b.ptr(v), Batch: st[0], Head: s[2] / n, Row: st[1]}, s[0], n, s[1], s[2] / n}, nil
	}
	return heads{}, fmt.Errorf("%v is no stack of %d heads", s, n)
}

// plainAttention reports what of an Attention no kernel does.
func plainAttention(op *ir.Op) error {
	for i := 4; i < op.NumOperands(); i++ {
		if op.Operand(i) != nil {
			return errors.New("attention has no kernel that continues a past")
		}
	}
	for _, r := range op.Results()[1:] {
		if r.NumUses() > 0 {
			return errors.New("attention keeps neither its scores nor a past")
		}
	}
	for _, a := range op.Attrs {
		var plain bool
		switch a.Name {
		case "q_num_heads", "kv_num_heads", "scale", "is_causal", "qk_matmul_output_mode":
			plain = true
		case "softmax_precision":
			plain = a.Value == int64(0) || a.Value == int64(tensor.Float32)
		case "softcap":
			plain = a.Value == float32(0)
		case "left_window_size", "right_window_size":
			plain = a.Value == int64(-1)
		}
		if !plain {
			return fmt.Errorf("attention has no kernel for %s=%v", a.Name, a.Value)
		}
	}
	return nil
}

// shareMask lets an Attention broadcast its mask itself.
func shareMask(c *passes.Context, op *ir.Op) (bool, error) {
	if op.Name != "Attention" || op.Operand(3) == nil || op.Operand(3).Def() == nil || op.Operand(3).Def().Name != "Expand" {
		return false, nil
	}
	full := op.Operand(3).Type.Dims
	m := op.Operand(3).Def().Operand(0)
	n := m.Type.Rank()
	if n < 1 || n != len(full) || !m.Type.Dims[n-1].Equal(full[n-1]) {
		return false, nil
	}
	for i, d := range m.Type.Dims {
		if !d.IsInt(1) && !d.Equal(full[i]) {
			return false, nil
		}
	}
	return c.Change("share-mask", op, func() error { op.SetOperand(3, m); return nil })
}
