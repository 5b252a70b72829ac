package rt_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

// Attention agrees with its formula: masks with and without a row a query, hidden keys, queries that see none, grouped heads.
func TestAttention(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(61, 62))
		for round := range rounds(40) {
			kvHeads, per := 1+r.IntN(3), 1+r.IntN(2)
			batch, queries, keys, size, vSize := 1+r.IntN(2), 1+r.IntN(40), 1+r.IntN(70), 1+r.IntN(40), 1+r.IntN(40)
			switch round {
			case 0: // more than one block of queries
				queries, keys = 300, 1024
			case 1: // more than one slice of keys
				queries, keys, batch = 20, 1700, 1
			}
			o := rt.Attention{Set: set, Batch: batch, Heads: kvHeads * per, KVHeads: kvHeads, Queries: queries, Keys: keys, Size: size, VSize: vSize,
				Scale: 0.3 + r.Float32(), Causal: r.IntN(3) == 0}
			wide := func(n, heads, size int) ([]float32, rt.Headed) { // [batch, n, heads, size]
				x := random(r, batch*n*heads*size)
				return x, rt.Headed{Ptr: ptr(x), Batch: n * heads * size, Head: size, Row: heads * size}
			}
			var q, k, v []float32
			q, o.Q = wide(queries, o.Heads, size)
			k, o.K = wide(keys, kvHeads, size)
			v, o.V = wide(keys, kvHeads, vSize)
			y := nans(batch * o.Heads * queries * vSize)
			o.Y = rt.Headed{Ptr: ptr(y), Batch: o.Heads * queries * vSize, Head: queries * vSize, Row: vSize}
			mask := random(r, queries*keys)
			for i := range mask {
				if r.IntN(4) == 0 || i/keys == queries/2 {
					mask[i] = float32(math.Inf(-1))
				}
			}
			row := 0 // one for all
			if r.IntN(2) == 0 {
				row = keys
			}
			switch r.IntN(3) {
			case 0:
				mask = nil
			case 1:
				o.Mask = rt.Headed{Ptr: ptr(mask), Row: row}
			default: // neighbours mostly alike
				shown := make([]bool, len(mask))
				for i := range mask {
					if shown[i] = i/keys != queries/2 && (i%keys/13)%3 != r.IntN(40)%3; shown[i] {
						mask[i] = 0
					} else {
						mask[i] = float32(math.Inf(-1))
					}
				}
				o.Mask, o.Bools = rt.Headed{Ptr: unsafe.Pointer(&shown[0]), Row: row}, true
			}
			run(t, 2)(o.Work())
			p := make([]float64, keys)
			for e := range batch * o.Heads * queries {
				b, h, i := e/queries/o.Heads, e/queries%o.Heads, e%queries
				top, sum := math.Inf(-1), 0.0
				for j := range keys {
					p[j] = 0
					for d := range size {
						p[j] += float64(q[((b*queries+i)*o.Heads+h)*size+d]) * float64(k[((b*keys+j)*kvHeads+h/per)*size+d])
					}
					p[j] *= float64(o.Scale)
					if mask != nil {
						p[j] += float64(mask[i*row+j])
					}
					if o.Causal && j > i {
						p[j] = math.Inf(-1)
					}
					top = max(top, p[j])
				}
				for j := range p {
					p[j] = math.Exp(p[j] - top)
					sum += p[j]
				}
				for d := range vSize {
					want := 0.0
					for j := range keys {
						if !math.IsInf(top, -1) {
							want += p[j] / sum * float64(v[((b*keys+j)*kvHeads+h/per)*vSize+d])
						}
					}
					require.InDelta(t, want, y[e*vSize+d], 1e-5, "%+v", o)
				}
			}
		}
	})
}
