package rt_test

import (
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

// Resample is its definition: each position sums the inputs that its tables name.
func TestResample(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	axis := func(in, out int) rt.Axis {
		a := rt.Axis{K: 1 + r.IntN(3)}
		least := 0
		if r.IntN(2) == 0 {
			a.K, least = 1, -1
		}
		for range out * a.K {
			a.Index = append(a.Index, int32(least+r.IntN(in-least)))
			if least == 0 {
				a.Weights = append(a.Weights, r.Float32())
			}
		}
		return a
	}
	eachSet(t, func(t *testing.T, set *rt.Set) { testResample(t, r, axis, set) })
}

func testResample(t *testing.T, r *rand.Rand, axis func(in, out int) rt.Axis, set *rt.Set) {
	for range 60 {
		o := rt.Resample{Set: set, Outer: 1 + r.IntN(3), H: 1 + r.IntN(6), W: 1 + r.IntN(7), Inner: []int{1, 3, 16}[r.IntN(3)], OH: 1 + r.IntN(6), OW: 1 + r.IntN(9)}
		o.Rows, o.Columns = axis(o.H, o.OH), axis(o.W, o.OW)
		x, y := random(r, o.Outer*o.H*o.W*o.Inner), random(r, o.Outer*o.OH*o.OW*o.Inner)
		o.X, o.Y = ptr(x), ptr(y)
		w, err := o.Work()
		require.NoError(t, err)
		execute(t, w, 2)
		weight := func(a *rt.Axis, i int) float32 {
			if a.Weights == nil {
				return 1
			}
			return a.Weights[i]
		}
		for i := range y {
			c, col, row, outer := i%o.Inner, i/o.Inner%o.OW, i/o.Inner/o.OW%o.OH, i/o.Inner/o.OW/o.OH
			var want float32
			for j := row * o.Rows.K; j < (row+1)*o.Rows.K; j++ {
				for k := col * o.Columns.K; k < (col+1)*o.Columns.K; k++ {
					if h, v := int(o.Rows.Index[j]), int(o.Columns.Index[k]); h >= 0 && v >= 0 {
						want += weight(&o.Rows, j) * weight(&o.Columns, k) * x[((outer*o.H+h)*o.W+v)*o.Inner+c]
					}
				}
			}
			require.InDelta(t, want, y[i], 1e-5, "element %d of %+v", i, o)
		}
	}
}

// Tables that point outside of the input are refused.
func TestResampleRefusesWildIndexes(t *testing.T) {
	good := rt.Axis{K: 1, Index: []int32{0}}
	for _, bad := range []rt.Axis{{K: 1, Index: []int32{5}}, {K: 1, Index: []int32{-2}}, {K: 2, Index: []int32{0}}, {K: 1, Index: []int32{-1}, Weights: []float32{1}}} {
		_, err := (&rt.Resample{Outer: 1, H: 1, W: 5, Inner: 1, OH: 1, OW: 1, Rows: good, Columns: bad}).Work()
		require.Error(t, err, "%+v", bad)
	}
}
