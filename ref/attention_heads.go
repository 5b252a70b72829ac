package ref

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// attention has the operands by head, with the past in front of keys and
// values.
type attention struct {
	batch, qHeads, kvHeads, queries, keys, past, size, vSize int

	flat    bool      // Q had three dims
	q, k, v []float64 // [batch,heads,seq,size]
}

func newAttention(in Heads) (*attention, error) {
	a := &attention{flat: in.Q.Rank() == 3}
	q, err := byHead("Q", in.Q, in.QHeads)
	if err != nil {
		return nil, err
	}
	k, err := byHead("K", in.K, in.KVHeads)
	if err != nil {
		return nil, err
	}
	v, err := byHead("V", in.V, in.KVHeads)
	if err != nil {
		return nil, err
	}
	if (in.PastK == nil) != (in.PastV == nil) {
		return nil, errors.New("past_key and past_value come together or not at all")
	}
	if in.PastK != nil {
		if k, err = k.behind("past_key", in.PastK); err != nil {
			return nil, err
		}
		if v, err = v.behind("past_value", in.PastV); err != nil {
			return nil, err
		}
		a.past = in.PastK.Shape[2]
	}
	a.batch, a.qHeads, a.queries, a.size = q.batch, q.heads, q.seq, q.size
	a.kvHeads, a.keys, a.vSize = k.heads, k.seq, v.size
	a.q, a.k, a.v = q.data, k.data, v.data
	if k.batch != a.batch || v.batch != a.batch || k.size != a.size || v.heads != k.heads || v.seq != k.seq || k.heads == 0 || q.heads%k.heads != 0 {
		return nil, fmt.Errorf("Q %s, K %s and V %s do not fit each other (%d and %d heads)", in.Q, in.K, in.V, q.heads, k.heads)
	}
	return a, nil
}

// headed is a tensor as [batch,heads,seq,size].
type headed struct {
	batch, heads, seq, size int
	data                    []float64
}

func byHead(what string, t *tensor.Tensor, heads int) (headed, error) {
	switch {
	case t.Rank() == 4:
		return headed{t.Shape[0], t.Shape[1], t.Shape[2], t.Shape[3], Float64s(t)}, nil
	case t.Rank() != 3 || heads < 1 || t.Shape[2] < heads || t.Shape[2]%heads != 0:
		return headed{}, fmt.Errorf("%s is %s, must be [batch,heads,seq,size] or [batch,seq,%d*size]", what, t, heads)
	}
	h := headed{t.Shape[0], heads, t.Shape[1], t.Shape[2] / heads, nil}
	h.data = make([]float64, t.Len())
	from := Float64s(t)
	for i := range h.batch * h.seq * heads {
		n, s, b := i%heads, i/heads%h.seq, i/heads/h.seq
		copy(h.data[((b*heads+n)*h.seq+s)*h.size:][:h.size], from[i*h.size:])
	}
	return h, nil
}

// behind puts the past in front of each head.
func (h headed) behind(what string, past *tensor.Tensor) (headed, error) {
	if past.Rank() != 4 {
		return h, fmt.Errorf("%s is %s, must have 4 dims", what, past)
	}
	if err := sameShape(what, past, []int{h.batch, h.heads, past.Shape[2], h.size}); err != nil {
		return h, err
	}
	p, now := past.Shape[2]*h.size, h.seq*h.size
	before, data := Float64s(past), make([]float64, 0, past.Len()+len(h.data))
	for i := range h.batch * h.heads {
		data = append(append(data, before[i*p:(i+1)*p]...), h.data[i*now:(i+1)*now]...)
	}
	h.seq, h.data = h.seq+past.Shape[2], data
	return h, nil
}

// scaled returns queries and keys, each times the root of the scale.
func (a *attention) scaled(scale float64, round func(float64) float64) (q, k []float64) {
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(a.size))
	}
	root := round(math.Sqrt(scale))
	times := func(v []float64) []float64 {
		out := make([]float64, len(v))
		for i, x := range v {
			out[i] = round(x * root)
		}
		return out
	}
	return times(a.q), times(a.k)
}

// kvHead returns the key-value head of query head t, batches counted in.
func (a *attention) kvHead(t int) int {
	return t/a.qHeads*a.kvHeads + t%a.qHeads/(a.qHeads/a.kvHeads)
}

// scores returns [queries,keys] of head t.
func (a *attention) scores(q, k []float64, t int) []float64 {
	q = q[t*a.queries*a.size:]
	k = k[a.kvHead(t)*a.keys*a.size:]
	out := make([]float64, a.queries*a.keys)
	gemmF64(a.queries, a.keys, a.size, rowsOf(q, a.size), func(dst []float64, p, depth, j, cols int) {
		for c := range cols {
			for r := range depth {
				dst[r*cols+c] = k[(j+c)*a.size+p+r]
			}
		}
	}, out)
	return out
}

// apply adds the probabilities of head t times its values to y.
func (a *attention) apply(y, probs []float64, t int) {
	v := a.v[a.kvHead(t)*a.keys*a.vSize:]
	gemmF64(a.queries, a.vSize, a.keys, rowsOf(probs, a.keys), func(dst []float64, p, depth, j, cols int) {
		for r := range depth {
			copy(dst[r*cols:(r+1)*cols], v[(p+r)*a.vSize+j:])
		}
	}, y[t*a.queries*a.vSize:][:a.queries*a.vSize])
}

// rowsOf reads a row-major matrix of k columns as a left operand.
func rowsOf(m []float64, k int) operandA {
	return func(dst []float64, i, rows, k0, depth int) {
		for r := range rows {
			copy(dst[r*depth:(r+1)*depth], m[(i+r)*k+k0:])
		}
	}
}

// result lays y, [batch,heads,queries,size], out as Q was.
func (a *attention) result(d tensor.DType, y []float64) *tensor.Tensor {
	if !a.flat {
		return fromFloat64s(d, y, a.batch, a.qHeads, a.queries, a.vSize)
	}
	out := make([]float64, len(y))
	for i := range a.batch * a.queries * a.qHeads {
		n, s, b := i%a.qHeads, i/a.qHeads%a.queries, i/a.qHeads/a.queries
		copy(out[i*a.vSize:(i+1)*a.vSize], y[((b*a.qHeads+n)*a.queries+s)*a.vSize:])
	}
	return fromFloat64s(d, out, a.batch, a.queries, a.qHeads*a.vSize)
}
