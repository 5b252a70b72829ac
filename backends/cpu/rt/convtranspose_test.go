package rt_test

import (
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

func TestConvTransposeAgainstNaiveLoops(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(29, 30))
		for range rounds(60) {
			d := rt.ConvTranspose{Set: set, N: 1 + r.IntN(2), C: 1 + r.IntN(40), O: 1 + r.IntN(40), H: 1 + r.IntN(9), W: 1 + r.IntN(9),
				StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3), PadTop: r.IntN(3), PadLeft: r.IntN(3), Clamp: true, Lo: 0.25, Hi: 9}
			d.KH, d.KW = d.StrideH+r.IntN(3), d.StrideW+r.IntN(3)
			d.OH, d.OW = (d.H-1)*d.StrideH+d.KH-2*d.PadTop+r.IntN(2), (d.W-1)*d.StrideW+d.KW-d.PadLeft
			if d.OH < 1 || d.OW < 1 {
				continue
			}
			x, w, bias := newImage(r, d.N, d.C, d.H, d.W), random(r, d.C*d.O*d.KH*d.KW), random(r, d.O)
			want := image{d.N, d.O, d.OH, d.OW, make([]float32, d.N*d.O*d.OH*d.OW)}
			for i := range want.v {
				want.v[i] = bias[i/(d.OH*d.OW)%d.O]
			}
			for n := range d.N {
				for o := range d.O {
					for c := range d.C {
						for y := range d.H * d.KH {
							for z := range d.W * d.KW {
								oy, ox := y/d.KH*d.StrideH+y%d.KH-d.PadTop, z/d.KW*d.StrideW+z%d.KW-d.PadLeft
								if oy >= 0 && oy < d.OH && ox >= 0 && ox < d.OW {
									want.v[((n*d.O+o)*d.OH+oy)*d.OW+ox] += x.at(n, c, y/d.KH, z/d.KW) * w[((c*d.O+o)*d.KH+y%d.KH)*d.KW+z%d.KW]
								}
							}
						}
					}
				}
			}
			packed := alloc(rt.PackedConvTransposeSize(d.O, d.C, d.KH, d.KW))
			rt.PackConvTranspose(packed, w, d.O, d.C, d.KH, d.KW, d.StrideH, d.StrideW)
			y := nans(len(want.blocked()))
			d.X, d.Weights, d.Y, d.Bias = ptr(x.blocked()), ptr(packed), ptr(y), ptr(padded(bias))
			run(t, 2)(d.Work())
			got := planar(t, y, d.N, d.O, d.OH, d.OW)
			for i, v := range want.v {
				require.InDelta(t, min(9, max(0.25, v)), got.v[i], 1e-4, "%+v element %d", d, i)
			}
		}
	})
}
