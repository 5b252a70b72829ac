package rt_test

import (
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

func TestConvPlanesAgainstNaiveLoops(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(41, 42))
		for range rounds(60) {
			win := randomWindow(r)
			testConvPlanes(t, r, set, win, 1+r.IntN(2), 1+r.IntN(20), 1+r.IntN(18))
		}
		wide := rt.Window{H: 3, W: 700, OH: 3, OW: 350, KH: 3, KW: 7, StrideH: 1, StrideW: 2, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 3}
		for o := 1; o <= 9; o++ {
			testConvPlanes(t, r, set, wide, 1, 2, o)
		}
		// rows too long for the cache: tiles of columns
		long := rt.Window{H: 1, W: 5000, OH: 1, OW: 5000, KH: 1, KW: 9, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 2, PadLeft: 8}
		testConvPlanes(t, r, set, long, 1, 60, 2)
		long.OW, long.StrideW = 1666, 3
		testConvPlanes(t, r, set, long, 1, 60, 1)
	})
}

func testConvPlanes(t *testing.T, r *rand.Rand, set *rt.Set, win rt.Window, n, c, o int) {
	x, w, bias, res := newImage(r, n, c, win.H, win.W), random(r, o*c*win.KH*win.KW), random(r, o), newImage(r, n, o, win.OH, win.OW)
	packed := alloc(len(w))
	rt.PackPlanes(packed, w, o, c, win.KH, win.KW)
	y := nans(len(res.v))
	conv := rt.ConvPlanes{Set: set, Window: win, N: n, C: c, O: o, X: ptr(x.v), Weights: ptr(packed), Y: ptr(y)}
	withBias, withRes, withClamp, withPost := r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
	if withBias {
		conv.Bias = ptr(bias)
	}
	if withRes {
		if conv.R = ptr(res.v); r.IntN(2) == 0 {
			copy(y, res.v)
			conv.R = conv.Y
		}
	}
	if withClamp {
		conv.Clamp, conv.Lo, conv.Hi = true, 0.5, 6
	}
	px := win.OH * win.OW
	if withPost { // y·bias[channel] + res + 1
		conv.Post = &rt.Post{Prog: &rt.Program{In: 3, Consts: []float32{1}, Temps: 1, Out: []rt.Reg{4},
			Code: []rt.Instr{{Op: rt.OpFma, Dst: 4, X: 0, Y: 1, Z: 2}, {Op: rt.OpAdd, Dst: 4, X: 4, Y: 3}}},
			In: []rt.Operand{{Ptr: ptr(bias), Strides: []int{0, 1, 0}}, {Ptr: ptr(res.v), Strides: []int{o * px, px, 1}}}}
	}
	run(t, 1+r.IntN(3))(conv.Work())
	for i, v := range naiveConv(x, w, win, o, 1).v {
		if withBias {
			v += bias[i/px%o]
		}
		if withRes {
			v += res.v[i]
		}
		if withClamp {
			v = max(0.5, min(6, v))
		}
		if withPost {
			v = v*bias[i/px%o] + res.v[i] + 1
		}
		require.InDelta(t, v, y[i], 1e-4, "%+v c=%d o=%d element %d", win, c, o, i)
	}
}
