package rt_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

// image is an NCHW tensor; blocked and planar turn it to NCHWc16 and back by plain loops.
type image struct {
	n, c, h, w int
	v          []float32
}

func newImage(r *rand.Rand, n, c, h, w int) image { return image{n, c, h, w, random(r, n*c*h*w)} }

func (x image) at(n, c, h, w int) float32 {
	if h < 0 || h >= x.h || w < 0 || w >= x.w {
		return 0
	}
	return x.v[((n*x.c+c)*x.h+h)*x.w+w]
}

func (x image) blocked() []float32 {
	cb := (x.c + 15) / 16
	out := alloc(x.n * cb * x.h * x.w * 16)
	for n := range x.n {
		for c := range x.c {
			for p := range x.h * x.w {
				out[((n*cb+c/16)*x.h*x.w+p)*16+c%16] = x.v[(n*x.c+c)*x.h*x.w+p]
			}
		}
	}
	return out
}

// planar reads NCHWc16 and checks that the lanes past c are zero.
func planar(t *testing.T, v []float32, n, c, h, w int) image {
	x := image{n, c, h, w, make([]float32, n*c*h*w)}
	cb := (c + 15) / 16
	for i, f := range v {
		lane, p, blk := i%16, i/16%(h*w), i/16/(h*w)
		ch := blk%cb*16 + lane
		if ch >= c {
			require.Zero(t, f, "pad lane")
			continue
		}
		x.v[(blk/cb*c+ch)*h*w+p] = f
	}
	return x
}

// nans is memory that nobody has written yet.
func nans(n int) []float32 {
	x := alloc(n)
	for i := range x {
		x[i] = float32(math.NaN())
	}
	return x
}

func randomWindow(r *rand.Rand) rt.Window {
	for {
		w := rt.Window{H: 1 + r.IntN(20), W: 1 + r.IntN(20), KH: 1 + r.IntN(4), KW: 1 + r.IntN(4), StrideH: 1 + r.IntN(2), StrideW: 1 + r.IntN(2),
			DilationH: 1 + r.IntN(2), DilationW: 1 + r.IntN(2), PadTop: r.IntN(3), PadLeft: r.IntN(3)}
		if r.IntN(3) == 0 {
			w.KH, w.KW, w.PadTop, w.PadLeft = 1, 1, 0, 0
		}
		w.PadTop, w.PadLeft = min(w.PadTop, (w.KH-1)*w.DilationH), min(w.PadLeft, (w.KW-1)*w.DilationW)
		w.OH = (w.H+w.PadTop+r.IntN(2)*w.PadTop-(w.KH-1)*w.DilationH-1)/w.StrideH + 1
		w.OW = (w.W+w.PadLeft+r.IntN(2)*w.PadLeft-(w.KW-1)*w.DilationW-1)/w.StrideW + 1
		if w.OH > 0 && w.OW > 0 && w.H+2*w.PadTop > (w.KH-1)*w.DilationH && w.W+2*w.PadLeft > (w.KW-1)*w.DilationW {
			return w
		}
	}
}

func padded(v []float32) []float32 {
	out := alloc((len(v) + 15) / 16 * 16)
	rt.PackVector(out, v)
	return out
}

// naiveConv is the definition of convolution.
func naiveConv(x image, w []float32, win rt.Window, o, groups int) image {
	y := image{x.n, o, win.OH, win.OW, nil}
	ci := x.c / groups
	for n := range x.n {
		for oc := range o {
			for oh := range win.OH {
				for ow := range win.OW {
					var sum float64
					for c := range ci {
						for kh := range win.KH {
							for kw := range win.KW {
								sum += float64(w[((oc*ci+c)*win.KH+kh)*win.KW+kw]) * float64(x.at(n, oc/(o/groups)*ci+c,
									oh*win.StrideH-win.PadTop+kh*win.DilationH, ow*win.StrideW-win.PadLeft+kw*win.DilationW))
							}
						}
					}
					y.v = append(y.v, float32(sum))
				}
			}
		}
	}
	return y
}

func TestConvAgainstNaiveLoops(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(5, 6))
		for range rounds(60) {
			testConv(t, r, set, randomWindow(r), 1+r.IntN(2), 1+r.IntN(40), 1+r.IntN(70), 1)
		}
		for range 5 { // many tiles and k slices
			win := rt.Window{H: 14, W: 9, OH: 14, OW: 9, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1}
			testConv(t, r, set, win, 1, 300, 20, 1)
			testConv(t, r, set, win, 1, 32, 64, 2)
			// rows too long for the cache: tiles of columns
			long := rt.Window{H: 2, W: 1700, OH: 2, OW: 850, KH: 1, KW: 5, StrideH: 1, StrideW: 2, DilationH: 1, DilationW: 1, PadLeft: 2}
			testConv(t, r, set, long, 1, 160, 20, 1)
		}
	})
}

func testConv(t *testing.T, r *rand.Rand, set *rt.Set, win rt.Window, n, c, o, groups int) {
	x := newImage(r, n, c, win.H, win.W)
	w := random(r, o*c/groups*win.KH*win.KW)
	bias := random(r, o)
	res := newImage(r, n, o, win.OH, win.OW)
	conv := rt.Conv{Set: set, Window: win, N: n, C: c, O: o, Groups: groups, Image: groups == 1 && r.IntN(3) == 0}
	var packed []float32
	if conv.Image {
		packed = alloc(rt.PackedConvImageSize(o, c, win.KH, win.KW))
		rt.PackConvImage(packed, w, o, c, win.KH, win.KW)
		conv.X = ptr(x.v)
	} else {
		packed = alloc(rt.PackedConvSize(o, c/groups, win.KH, win.KW))
		rt.PackConv(packed, w, o, c/groups, win.KH, win.KW)
		conv.X = ptr(x.blocked())
	}
	yb := nans(len(res.blocked()))
	conv.Weights, conv.Y = ptr(packed), ptr(yb)
	withBias, withRes, withClamp, withPost := r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
	if withBias {
		conv.Bias = ptr(padded(bias))
	}
	if withRes {
		if conv.R = ptr(res.blocked()); r.IntN(2) == 0 {
			copy(yb, res.blocked())
			conv.R = conv.Y
		}
	}
	if withClamp {
		conv.Clamp, conv.Lo, conv.Hi = true, 0.5, 6
	}
	ohw := win.OH * win.OW
	if withPost { // y·bias[channel] + res + 1
		rb, bb := res.blocked(), padded(bias)
		cb := (o + 15) / 16
		conv.Post = &rt.Post{Prog: &rt.Program{In: 3, Consts: []float32{1}, Temps: 1, Out: []rt.Reg{4},
			Code: []rt.Instr{{Op: rt.OpFma, Dst: 4, X: 0, Y: 1, Z: 2}, {Op: rt.OpAdd, Dst: 4, X: 4, Y: 3}}},
			In: []rt.Operand{{Ptr: ptr(bb), Strides: []int{0, 16, 0, 1}}, {Ptr: ptr(rb), Strides: []int{cb * ohw * 16, ohw * 16, 16, 1}}}}
	}
	work, err := conv.Work()
	require.NoError(t, err)
	execute(t, work, 1+r.IntN(3))
	got := planar(t, yb, n, o, win.OH, win.OW)
	want := naiveConv(x, w, win, o, groups)
	for i, v := range want.v {
		ch := i / ohw % o
		if withBias {
			v += bias[ch]
		}
		if withRes {
			v += res.v[i]
		}
		if withClamp {
			v = max(0.5, min(6, v))
		}
		if withPost {
			v = v*bias[ch] + res.v[i] + 1
		}
		require.InDelta(t, v, got.v[i], 2e-4, "%+v c=%d o=%d element %d", win, c, o, i)
	}
}

func TestDepthwiseAgainstNaiveLoops(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(7, 8))
		for range rounds(60) {
			win, n, c := randomWindow(r), 1+r.IntN(2), 1+r.IntN(40)
			if r.IntN(4) == 0 { // rows that are read in place, but for their edges
				win.W, win.OW = win.W+64*win.StrideW, win.OW+64
			}
			x, w, bias := newImage(r, n, c, win.H, win.W), random(r, c*win.KH*win.KW), random(r, c)
			packed := alloc(rt.PackedDepthwiseSize(c, win.KH, win.KW))
			rt.PackDepthwise(packed, w, c, win.KH, win.KW)
			want := naiveConv(x, w, win, c, c)
			y := nans(len(want.blocked()))
			d := rt.Depthwise{Set: set, Window: win, N: n, C: c, X: ptr(x.blocked()), Weights: ptr(packed), Y: ptr(y), Bias: ptr(padded(bias)),
				Clamp: true, Lo: 0.1, Hi: 1}
			d.Post = &rt.Post{Prog: &rt.Program{In: 1, Temps: 1, Out: []rt.Reg{1}, Code: []rt.Instr{{Op: rt.OpNeg, Dst: 1}}}}
			work, err := d.Work()
			require.NoError(t, err)
			execute(t, work, 1+r.IntN(3))
			got := planar(t, y, n, c, win.OH, win.OW)
			for i, v := range want.v {
				v = -max(0.1, min(1, v+bias[i/(win.OH*win.OW)%c]))
				require.InDelta(t, v, got.v[i], 1e-5, "%+v c=%d element %d", win, c, i)
			}
		}
	})
}

func TestPoolingAgainstNaiveLoops(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(9, 10))
		for range rounds(100) {
			win, n, c := randomWindow(r), 1+r.IntN(2), 1+r.IntN(20)
			x := newImage(r, n, c, win.H, win.W)
			y := nans(len(image{n, c, win.OH, win.OW, make([]float32, n*c*win.OH*win.OW)}.blocked()))
			p := rt.Pooling{Set: set, Window: win, N: n, C: c, Mean: r.IntN(2) == 0, CountPad: r.IntN(2) == 0, X: ptr(x.blocked()), Y: ptr(y),
				PadBottom: win.PadTop, PadRight: win.PadLeft}
			work, err := p.Work()
			require.NoError(t, err)
			execute(t, work, 1+r.IntN(3))
			got := planar(t, y, n, c, win.OH, win.OW)
			for i := range got.v {
				ow, oh, ch, b := i%win.OW, i/win.OW%win.OH, i/win.OW/win.OH%c, i/win.OW/win.OH/c
				best, sum, count := math.Inf(-1), 0.0, 0
				for kh := range win.KH {
					for kw := range win.KW {
						h, w := oh*win.StrideH-win.PadTop+kh*win.DilationH, ow*win.StrideW-win.PadLeft+kw*win.DilationW
						inside := h >= 0 && h < win.H && w >= 0 && w < win.W
						if inside {
							best = max(best, float64(x.at(b, ch, h, w)))
							sum += float64(x.at(b, ch, h, w))
						}
						if inside || p.CountPad && h < win.H+win.PadTop && w < win.W+win.PadLeft {
							count++
						}
					}
				}
				want := best
				if p.Mean {
					want = sum / float64(max(count, 1))
				}
				if math.IsInf(want, -1) {
					require.True(t, math.IsInf(float64(got.v[i]), -1) || got.v[i] == 0)
					continue
				}
				require.InDelta(t, want, got.v[i], 1e-5, "%+v element %d", p, i)
			}
		}
	})
}

func TestGlobalPooling(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(11, 12))
		for range rounds(20) {
			n, c, h, w := 1+r.IntN(3), 1+r.IntN(40), 1+r.IntN(9), 1+r.IntN(9)
			x := newImage(r, n, c, h, w)
			p := rt.GlobalPooling{Set: set, N: n, C: c, H: h, W: w, Mean: r.IntN(2) == 0, Dense: true, X: ptr(x.blocked())}
			y := nans(n * c)
			p.Y = ptr(y)
			work, err := p.Work()
			require.NoError(t, err)
			execute(t, work, 2)
			for i := range y {
				best, sum := math.Inf(-1), 0.0
				for _, v := range x.v[i*h*w : (i+1)*h*w] {
					best, sum = max(best, float64(v)), sum+float64(v)
				}
				if p.Mean {
					best = sum / float64(h*w)
				}
				require.InDelta(t, best, y[i], 1e-6)
			}
		}
	})
}

func TestReorder(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(13, 14))
		for range rounds(40) {
			x := newImage(r, 1+r.IntN(2), 1+r.IntN(50), 1+r.IntN(7), 1+r.IntN(9))
			rows := make([]float32, len(x.v)) // NHWC
			for i, v := range x.v {
				p, c, n := i%(x.h*x.w), i/(x.h*x.w)%x.c, i/(x.h*x.w)/x.c
				rows[(n*x.h*x.w+p)*x.c+c] = v
			}
			all := map[rt.Layout][]float32{rt.NCHW: x.v, rt.NHWC: rows, rt.NCHWc16: x.blocked()}
			for _, pair := range [][2]rt.Layout{{rt.NCHW, rt.NCHWc16}, {rt.NCHWc16, rt.NCHW}, {rt.NHWC, rt.NCHWc16}, {rt.NCHWc16, rt.NHWC}} {
				y := nans(len(all[pair[1]]))
				o := rt.Reorder{Set: set, From: pair[0], To: pair[1], N: x.n, C: x.c, Pixels: x.h * x.w, X: ptr(all[pair[0]]), Y: ptr(y)}
				work, err := o.Work()
				require.NoError(t, err)
				execute(t, work, 2)
				require.Equal(t, all[pair[1]], y)
			}
			ones := nans(len(x.blocked()))
			work := rt.ZeroPadLanes(ptr(ones), x.n, x.c, x.h*x.w)
			execute(t, work, 2)
			for i, v := range ones {
				lane := i/16/(x.h*x.w)%((x.c+15)/16)*16 + i%16
				require.Equal(t, lane >= x.c, v == 0)
			}
		}
	})
}
