package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// RotaryEmbedding computes ONNX's RotaryEmbedding (Su et al., "RoFormer",
// 2021) of x, [batch,heads,seq,size] or [batch,seq,heads*size]. The first dim
// elements of each head (0 for all) are rotated in pairs: halves apart, or neighbours
// where interleaved. cos and sin are [positions,dim/2] with ids, [batch,seq], or
// [batch,seq,dim/2] without.
func RotaryEmbedding(x, cos, sin, ids *tensor.Tensor, interleaved bool, dim, heads int) (*tensor.Tensor, error) {
	var batch, seq, size int
	switch {
	case x.Rank() == 4:
		batch, heads, seq, size = x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
	case x.Rank() == 3 && heads > 0 && x.Shape[2] >= heads && x.Shape[2]%heads == 0:
		batch, seq, size = x.Shape[0], x.Shape[1], x.Shape[2]/heads
	default:
		return nil, fmt.Errorf("input %s must be [batch,heads,seq,size] or [batch,seq,%d*size]", x, heads)
	}
	if dim == 0 {
		dim = size
	}
	half := dim / 2
	want := []int{batch, seq, half}
	var at []float64
	if ids != nil {
		if err := sameShape("position_ids", ids, []int{batch, seq}); err != nil {
			return nil, err
		}
		at = Float64s(ids)
		want = []int{cos.Shape[0], half}
	}
	if dim < 0 || dim%2 != 0 || dim > size {
		return nil, fmt.Errorf("can not rotate %d of %d elements", dim, size)
	}
	if err := sameShape("cos_cache", cos, want); err != nil {
		return nil, err
	}
	if err := sameShape("sin_cache", sin, want); err != nil {
		return nil, err
	}
	v := make([]float64, x.Len())
	readFloat64s(v, x, 0)
	cs, sn := Float64s(cos), Float64s(sin)
	for b := range batch {
		for s := range seq {
			row := b*seq + s
			if at != nil {
				if !(at[row] >= 0 && at[row] < float64(want[0])) {
					return nil, fmt.Errorf("position %v is outside of a cache of %d", at[row], want[0])
				}
				row = int(at[row])
			}
			for h := range heads {
				head := v[((b*seq+s)*heads+h)*size:][:size]
				if x.Rank() == 4 {
					head = v[((b*heads+h)*seq+s)*size:][:size]
				}
				for i := range half {
					p, q := i, i+half
					if interleaved {
						p, q = 2*i, 2*i+1
					}
					c, sine := cs[row*half+i], sn[row*half+i]
					head[p], head[q] = c*head[p]-sine*head[q], sine*head[p]+c*head[q]
				}
			}
		}
	}
	return fromFloat64s(x.DType, v, x.Shape...), nil
}

// TensorScatter computes ONNX's TensorScatter: cache with update written along
// axis, at each batch's index on (0 where indices is nil), wrapping around where
// circular.
func TensorScatter(cache, update, indices *tensor.Tensor, axis int, circular bool) (*tensor.Tensor, error) {
	axis, err := axisOf(axis, cache.Rank())
	if err != nil {
		return nil, err
	}
	want := append([]int{}, cache.Shape...)
	if axis == 0 || update.Rank() != cache.Rank() || update.Shape[axis] > cache.Shape[axis] || update.DType != cache.DType {
		return nil, fmt.Errorf("update %s does not fit cache %s along axis %d", update, cache, axis)
	}
	want[axis] = update.Shape[axis]
	if err := sameShape("update", update, want); err != nil {
		return nil, err
	}
	at := make([]int64, cache.Shape[0])
	if indices != nil {
		if err := sameShape("write_indices", indices, cache.Shape[:1]); err != nil {
			return nil, err
		}
		at = tensor.Of[int64](indices)
	}
	y := cache.Clone()
	length, count, inner := cache.Shape[axis], update.Shape[axis], product(cache.Shape[axis+1:])
	rows := product(cache.Shape[1:axis])
	size := cache.DType.Size() * inner
	for t := range cache.Shape[0] * rows {
		start := at[t/rows]
		if start < 0 || start > math.MaxInt32 || (!circular && int(start)+count > length) {
			return nil, fmt.Errorf("%d positions from %d on do not fit a cache of %d", count, start, length)
		}
		for i := range count {
			to, from := t*length+(int(start)+i)%length, t*count+i
			if y.DType == tensor.String {
				copy(y.Strings[to*inner:(to+1)*inner], update.Strings[from*inner:])
			} else {
				copy(y.Data[to*size:(to+1)*size], update.Data[from*size:])
			}
		}
	}
	return y, nil
}

// Linear holds the operands of LinearAttention: Q is [batch,seq,QHeads*k], K
// [batch,seq,KVHeads*k], V [batch,seq,KVHeads*v], State [batch,KVHeads,k,v], Decay
// [batch,seq,KVHeads or KVHeads*k], Beta [batch,seq,KVHeads or 1]; the last three
// may be nil, as Rule allows.
type Linear struct {
	Q, K, V, State, Decay, Beta *tensor.Tensor

	QHeads, KVHeads int
	Scale           float64 // 0 for 1/sqrt(k)
	Rule            string  // linear, gated, delta or gated_delta
}

// LinearAttention computes ONNX's LinearAttention, step by step: the state is
// decayed (gated rules: Yang et al., 2024), the value corrected by what the key
// recalls (delta rules: Schlag et al., 2021), their outer product added, and the
// query reads. The results are [batch,seq,QHeads*v] and the last state.
func LinearAttention(o Linear) (y, state *tensor.Tensor, err error) {
	gated := o.Rule == "gated" || o.Rule == "gated_delta"
	delta := o.Rule == "delta" || o.Rule == "gated_delta"
	switch {
	case !gated && !delta && o.Rule != "linear":
		return nil, nil, fmt.Errorf("update_rule %q is none of linear, gated, delta and gated_delta", o.Rule)
	case gated != (o.Decay != nil) || delta != (o.Beta != nil):
		return nil, nil, fmt.Errorf("update_rule %q: decay goes with the gated rules, beta with the delta rules", o.Rule)
	case o.QHeads < 1 || o.KVHeads < 1 || o.QHeads%o.KVHeads != 0:
		return nil, nil, fmt.Errorf("%d query heads can not share %d key-value heads", o.QHeads, o.KVHeads)
	}
	q, err := byHead("query", o.Q, o.QHeads)
	if err != nil {
		return nil, nil, err
	}
	k, err := byHead("key", o.K, o.KVHeads)
	if err != nil {
		return nil, nil, err
	}
	v, err := byHead("value", o.V, o.KVHeads)
	if err != nil {
		return nil, nil, err
	}
	if o.Q.Rank() != 3 || k.batch != q.batch || v.batch != q.batch || k.seq != q.seq || v.seq != q.seq || k.size != q.size || v.heads != k.heads {
		return nil, nil, fmt.Errorf("query %s, key %s and value %s do not fit each other", o.Q, o.K, o.V)
	}
	shape := []int{q.batch, o.KVHeads, k.size, v.size}
	s, err := newFloats(shape)
	if err != nil {
		return nil, nil, err
	}
	stateType := o.Q.DType
	if o.State != nil {
		if err := sameShape("past_state", o.State, shape); err != nil {
			return nil, nil, err
		}
		readFloat64s(s, o.State, 0)
		stateType = o.State.DType
	}
	decay, err := stepGate("decay", o.Decay, q, o.KVHeads, o.KVHeads*k.size)
	if err != nil {
		return nil, nil, err
	}
	beta, err := stepGate("beta", o.Beta, q, o.KVHeads, 1)
	if err != nil {
		return nil, nil, err
	}
	scale := o.Scale
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(k.size))
	}
	out := make([]float64, q.batch*q.seq*o.QHeads*v.size)
	group := o.QHeads / o.KVHeads
	parallel(q.batch*o.KVHeads, func(t int) {
		b, h := t/o.KVHeads, t%o.KVHeads
		mem, write := s[t*k.size*v.size:][:k.size*v.size], make([]float64, v.size)
		for i := range q.seq {
			key, value := k.data[(t*k.seq+i)*k.size:][:k.size], v.data[(t*v.seq+i)*v.size:][:v.size]
			if gated {
				for j := range mem {
					mem[j] *= math.Exp(decay(b, i, h, j/v.size, k.size))
				}
			}
			copy(write, value)
			if delta {
				for j := range mem {
					write[j%v.size] -= mem[j] * key[j/v.size]
				}
				for j := range write {
					write[j] *= beta(b, i, h, 0, 1)
				}
			}
			for j := range mem {
				mem[j] += key[j/v.size] * write[j%v.size]
			}
			for g := range group {
				head := h*group + g
				query := q.data[((b*o.QHeads+head)*q.seq+i)*q.size:][:q.size]
				read := out[((b*q.seq+i)*o.QHeads+head)*v.size:][:v.size]
				for j := range mem {
					read[j%v.size] += scale * query[j/v.size] * mem[j]
				}
			}
		}
	})
	return fromFloat64s(o.Q.DType, out, q.batch, q.seq, o.QHeads*v.size), fromFloat64s(stateType, s, shape...), nil
}

// stepGate reads a gate of [batch,seq,n], where n is the number of heads, one
// for each element of a head's key, or one for all: whichever of the two sizes fits.
func stepGate(what string, t *tensor.Tensor, q headed, heads, other int) (func(b, step, head, i, size int) float64, error) {
	if t == nil {
		return nil, nil
	}
	if t.Rank() != 3 || t.Shape[0] != q.batch || t.Shape[1] != q.seq || (t.Shape[2] != heads && t.Shape[2] != other) {
		return nil, fmt.Errorf("%s is %s, must be [%d,%d,%d] or [%d,%d,%d]", what, t, q.batch, q.seq, heads, q.batch, q.seq, other)
	}
	v, n := Float64s(t), t.Shape[2]
	return func(b, step, head, i, size int) float64 {
		row := v[(b*q.seq+step)*n:][:n]
		switch n {
		case heads:
			return row[head]
		case 1:
			return row[0]
		}
		return row[head*size+i]
	}, nil
}
