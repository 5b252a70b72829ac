package rt_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

func TestWinogradAgainstNaiveLoops(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(31, 32))
		for i := range rounds(40) {
			n, c, o := 1+r.IntN(2), 1+r.IntN(40), 1+r.IntN(150)
			win := rt.Window{H: 1 + r.IntN(20), W: 1 + r.IntN(30), KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, PadTop: r.IntN(3), PadLeft: r.IntN(3)}
			win.OH, win.OW = win.H+2*win.PadTop-2, win.W+win.PadLeft-2+r.IntN(2)
			if i == 0 {
				n, c, win.H, win.W, win.OH, win.OW, win.PadTop, win.PadLeft = 1, 130, 50, 13, 50, 13, 1, 1
			}
			if win.OH < 1 || win.OW < 1 {
				continue
			}
			x, w, bias, res := newImage(r, n, c, win.H, win.W), random(r, o*c*9), random(r, o), newImage(r, n, o, win.OH, win.OW)
			packed := alloc(rt.PackedWinogradSize(o, c))
			rt.PackWinograd(packed, w, o, c)
			y := nans(len(res.blocked()))
			d := rt.Winograd{Set: set, Window: win, N: n, C: c, O: o, X: ptr(x.blocked()), Weights: ptr(packed), Y: ptr(y), Clamp: true, Lo: 0.5, Hi: 6}
			withBias, withRes, withPost := r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
			if withBias {
				d.Bias = ptr(padded(bias))
			}
			if withRes {
				if d.R = ptr(res.blocked()); r.IntN(2) == 0 {
					copy(y, res.blocked())
					d.R = d.Y
				}
			}
			if withPost {
				d.Post = &rt.Post{Prog: &rt.Program{In: 1, Temps: 1, Out: []rt.Reg{1}, Code: []rt.Instr{{Op: rt.OpNeg, Dst: 1}}}}
			}
			run(t, 1+r.IntN(3))(d.Work())
			got := planar(t, y, n, o, win.OH, win.OW)
			for i, v := range naiveConv(x, w, win, o, 1).v {
				if withBias {
					v += bias[i/(win.OH*win.OW)%o]
				}
				if withRes {
					v += res.v[i]
				}
				v = max(0.5, min(6, v))
				if withPost {
					v = -v
				}
				// the output's scale is about √(9·c); errors stay below 3e-5 of it
				require.InDelta(t, v, got.v[i], 3e-5*math.Sqrt(float64(9*c)), "%+v c=%d o=%d element %d", win, c, o, i)
			}
		}
	})
}

func TestWinogradRefusesOtherWindows(t *testing.T) {
	_, err := (&rt.Winograd{Window: rt.Window{KH: 3, KW: 3, StrideH: 2, StrideW: 1, DilationH: 1, DilationW: 1}, C: 1, O: 1}).Work()
	require.ErrorContains(t, err, "3×3")
}
