package ref

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

// everything sees everything.
var everything = Attending{Left: -1, Right: -1}

// part returns positions [from, to) of the third of four dims.
func part(t *tensor.Tensor, from, to int) *tensor.Tensor {
	n, seq, size := t.Shape[0]*t.Shape[1], t.Shape[2], t.Shape[3]
	p := tensor.New(t.DType, t.Shape[0], t.Shape[1], to-from, size)
	for i := range n {
		copy(tensor.Of[float64](p)[i*(to-from)*size:(i+1)*(to-from)*size], tensor.Of[float64](t)[(i*seq+from)*size:])
	}
	return p
}

func TestAttentionIsItsFormula(t *testing.T) {
	q, k, v := ramps(1, 4, 3, 2), ramps(1, 2, 5, 2), ramps(1, 2, 5, 3) // two query heads a key-value head
	got, err := Attention(Heads{Q: q, K: k, V: v}, everything)
	require.NoError(t, err)
	require.Equal(t, []int{1, 4, 3, 3}, got.Y.Shape)
	qs, ks, vs := tensor.Of[float64](q), tensor.Of[float64](k), tensor.Of[float64](v)
	for h := range 4 {
		for i := range 3 {
			p, sum := make([]float64, 5), 0.0
			for j := range p {
				for e := range 2 {
					p[j] += qs[(h*3+i)*2+e] * ks[(h/2*5+j)*2+e] / math.Sqrt2
				}
				p[j] = math.Exp(p[j])
				sum += p[j]
			}
			for e := range 3 {
				want := 0.0
				for j := range p {
					want += p[j] / sum * vs[(h/2*5+j)*3+e]
				}
				require.InDelta(t, want, tensor.Of[float64](got.Y)[(h*3+i)*3+e], 1e-12)
			}
		}
	}
}

func TestAttentionContinuesACache(t *testing.T) {
	q, k, v := ramps(2, 2, 6, 4), ramps(2, 2, 6, 4), ramps(2, 2, 6, 4)
	o := Attending{Causal: true, Left: 3, Right: -1}
	whole, err := Attention(Heads{Q: q, K: k, V: v}, o)
	require.NoError(t, err)
	tail, err := Attention(Heads{Q: part(q, 4, 6), K: part(k, 4, 6), V: part(v, 4, 6), PastK: part(k, 0, 4), PastV: part(v, 0, 4)}, o)
	require.NoError(t, err)
	require.Equal(t, part(whole.Y, 4, 6), tail.Y)
	require.Equal(t, k, tail.PresentK)
	// The same with a cache that is kept outside and only partly filled.
	outside, err := Attention(Heads{Q: part(q, 2, 4), K: k, V: v, Valid: tensor.Int64s([]int64{4, 4})}, o)
	require.NoError(t, err)
	require.Equal(t, part(whole.Y, 2, 4), outside.Y)
}

func TestAttentionMasks(t *testing.T) {
	q, k, v := ramps(1, 1, 2, 2), ramps(1, 1, 3, 2), ramps(1, 1, 3, 2)
	mask := tensor.From(tensor.Bool, []bool{false, true, false, false}, 2, 2) // the third key is not even listed
	got, err := Attention(Heads{Q: q, K: k, V: v, Mask: mask}, Attending{Left: -1, Right: -1, ScoresMode: 3})
	require.NoError(t, err)
	require.Equal(t, []float64{0, 1, 0, 0, 0, 0}, tensor.Of[float64](got.Scores))
	require.Equal(t, append(append([]float64{}, tensor.Of[float64](v)[2:4]...), 0, 0), tensor.Of[float64](got.Y))

	add := f64([]float64{1, 2, 3}, 3)
	raw, err := Attention(Heads{Q: q, K: k, V: v}, everything)
	require.NoError(t, err)
	biased, err := Attention(Heads{Q: q, K: k, V: v, Mask: add}, Attending{Left: -1, Right: -1, ScoresMode: 2})
	require.NoError(t, err)
	for i, s := range tensor.Of[float64](biased.Scores) {
		require.InDelta(t, tensor.Of[float64](raw.Scores)[i]+float64(i%3+1), s, 1e-12)
	}
	_, err = Attention(Heads{Q: q, K: k, V: v, Mask: ramps(3, 3)}, everything)
	require.ErrorContains(t, err, "broadcast")
}

func TestAttentionLayoutsAgree(t *testing.T) {
	x := ramps(2, 3, 8) // [batch,seq,2 heads*4]
	h, err := byHead("x", x, 2)
	require.NoError(t, err)
	four := f64(h.data, 2, 2, 3, 4)
	a, err := Attention(Heads{Q: x, K: x, V: x, QHeads: 2, KVHeads: 2}, everything)
	require.NoError(t, err)
	b, err := Attention(Heads{Q: four, K: four, V: four}, everything)
	require.NoError(t, err)
	y, err := byHead("y", a.Y, 2)
	require.NoError(t, err)
	require.Equal(t, tensor.Of[float64](b.Y), y.data)
	require.Equal(t, b.Y, must(FlexAttention(four, four, four, 0, 0, nil, nil)))
}

func must(t *tensor.Tensor, err error) *tensor.Tensor {
	if err != nil {
		panic(err)
	}
	return t
}

func TestRotaryEmbeddingTurnsPairs(t *testing.T) {
	x := f64([]float64{1, 2, 3, 4, 5}, 1, 1, 1, 5)
	cos, sin := f64([]float64{1, 1, 0, 0}, 2, 2), f64([]float64{0, 0, 1, 1}, 2, 2)
	ids := tensor.Int64s([]int64{1}, 1, 1) // a quarter turn
	require.Equal(t, []float64{-3, -4, 1, 2, 5}, tensor.Of[float64](must(RotaryEmbedding(x, cos, sin, ids, false, 4, 0))))
	require.Equal(t, []float64{-2, 1, -4, 3, 5}, tensor.Of[float64](must(RotaryEmbedding(x, cos, sin, ids, true, 4, 0))))
	_, err := RotaryEmbedding(x, cos, sin, tensor.Int64s([]int64{2}, 1, 1), true, 4, 0)
	require.ErrorContains(t, err, "position 2")
}

func TestTensorScatter(t *testing.T) {
	cache, update := tensor.Int64s([]int64{1, 2, 3, 4, 5, 6}, 2, 3, 1), tensor.Int64s([]int64{7, 8, 9, 10}, 2, 2, 1)
	at := tensor.Int64s([]int64{1, 2})
	require.Equal(t, []int64{1, 7, 8, 10, 5, 9}, tensor.Of[int64](must(TensorScatter(cache, update, at, 1, true))))
	require.Equal(t, []int64{7, 8, 3, 9, 10, 6}, tensor.Of[int64](must(TensorScatter(cache, update, nil, -2, false))))
	_, err := TensorScatter(cache, update, at, 1, false)
	require.ErrorContains(t, err, "cache of 3")
}

func TestLinearAttentionRemembers(t *testing.T) {
	one := func(v ...float64) *tensor.Tensor { return f64(v, 1, len(v), 1) }
	o := Linear{Q: one(1, 1), K: one(1, 1), V: one(3, 5), QHeads: 1, KVHeads: 1, Scale: 1}
	for rule, want := range map[string][]float64{
		"linear":      {3, 8},             // all that came before
		"gated":       {3, 3*math.E + 5},  // grown by e
		"delta":       {3, 3 + 0.5*(5-3)}, // half way to the new value
		"gated_delta": {1.5, 1.5*math.E + 0.5*(5-1.5*math.E)},
	} {
		c := o
		c.Rule = rule
		if rule == "gated" || rule == "gated_delta" {
			c.Decay = one(1, 1)
		}
		if rule == "delta" {
			c.Beta = one(1, 0.5)
		}
		if rule == "gated_delta" {
			c.Beta = one(0.5, 0.5)
		}
		y, state, err := LinearAttention(c)
		require.NoError(t, err)
		require.InDeltaSlice(t, want, tensor.Of[float64](y), 1e-12, rule)
		require.InDelta(t, want[1], tensor.Of[float64](state)[0], 1e-12)
	}
	o.Rule, o.Beta = "linear", one(1, 1)
	_, _, err := LinearAttention(o)
	require.ErrorContains(t, err, "beta")
}
