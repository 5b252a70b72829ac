package moments

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func noise(r *rand.Rand, shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, shape...)
	mix := float32(0)
	for i := range tensor.Of[float32](x) { // neighbours are alike, as in pictures
		mix = 0.6*mix + float32(r.NormFloat64())
		tensor.Of[float32](x)[i] = mix + 0.3
	}
	return x
}

// layer makes a module of one layer with a bias, and returns it.
func layer(t *testing.T, name string, x, w *tensor.Tensor, outs int, attrs ...ir.Attr) layers.Layer {
	m := ir.NewModule("m", ops.NewestOpset(""))
	in := m.Main().AddInput("x", ir.Static(x.DType, x.Shape...))
	b := ir.AtEnd(m.Main().Body)
	op, err := ops.Build(b, name, []*ir.Value{in, b.Tensor(w), b.Tensor(tensor.New(tensor.Float32, outs))}, attrs...)
	require.NoError(t, err)
	m.Main().Return([]string{"y"}, op.Result(0))
	l, ok := layers.Of(op)
	require.True(t, ok)
	return l
}

type sample struct {
	name string
	l    layers.Layer
	x, w *tensor.Tensor
	run  func(w, bias []float32) []float32 // the layer's output
}

func samples(t *testing.T) []sample {
	r := rand.New(rand.NewPCG(1, 2))
	x, w := noise(r, 40, 8, 7, 6), noise(r, 5, 8, 3, 3)
	gx, gw := noise(r, 200, 12), noise(r, 6, 12)
	win := ref.Window{Kernel: []int{3, 3}, Strides: []int{2, 1}, Dilations: []int{1, 1}, Pads: []int{1, 0, 1, 1}}
	return []sample{
		{"conv", layer(t, "Conv", x, w, 5, ir.Attr{Name: "pads", Value: []int64{1, 0, 1, 1}}, ir.Attr{Name: "strides", Value: []int64{2, 1}}), x, w,
			func(w, bias []float32) []float32 {
				y, err := ref.Conv(x, tensor.Float32s(w, 5, 8, 3, 3), tensor.Float32s(bias, 5), win, 1)
				require.NoError(t, err)
				return tensor.Of[float32](y)
			}},
		{"gemm", layer(t, "Gemm", gx, gw, 6, ir.Attr{Name: "transB", Value: int64(1)}), gx, gw,
			func(w, bias []float32) []float32 {
				y := make([]float32, 200*6)
				for i := range 200 {
					for o := range 6 {
						s := float64(bias[o])
						for k := range 12 {
							s += float64(tensor.Of[float32](gx)[i*12+k]) * float64(w[o*12+k])
						}
						y[i*6+o] = float32(s)
					}
				}
				return y
			}},
	}
}

func measured(s sample) *Moments {
	m := New(s.l, 1)
	m.Add(s.x)
	return m
}

func distance(a, b []float32) (sum float64) {
	for i := range a {
		sum += math.Pow(float64(a[i])-float64(b[i]), 2)
	}
	return sum
}

// What a channel costs is the error that is left when all others and the bias
// make up for it, and no other change of them leaves less.
func TestLossesAreErrors(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			w, zero := tensor.Of[float32](s.w), make([]float32, s.l.Weight.Shape[s.l.Out])
			full := s.run(w, zero)
			e, err := measured(s).Eliminate(w)
			require.NoError(t, err)
			gone := map[int]bool{}
			r := rand.New(rand.NewPCG(3, 4))
			before := 0.0
			for _, ch := range []int{2, 5, 0} {
				losses := make([]float64, s.l.Weight.Shape[s.l.In])
				e.Add(losses, 1)
				e.Remove(ch)
				gone[ch] = true
				m, bias := measured(s), make([]float32, len(zero))
				lost := func(ch int) bool { return gone[ch] }
				v, err := m.Adjust(w, bias, Policy{Together: 1, First: lost, Set: func(g *Group) {
					g.Value[0], g.Keep[0] = 0, !lost(m.Channel(g.At[0]))
				}})
				require.NoError(t, err)
				left := distance(s.run(v, bias), full)
				require.InEpsilon(t, (left-before)/energy(full), losses[ch], 0.05, "channel %d", ch)
				for i := range v {
					if gone[m.Channel(i)] {
						require.Zero(t, v[i])
						continue
					}
					other := append([]float32{}, v...)
					other[i] += float32(r.NormFloat64() * 0.1)
					require.Greater(t, distance(s.run(other, bias), full), left*0.999)
				}
				before = left
			}
		})
	}
}

func energy(y []float32) (sum float64) { return distance(y, make([]float32, len(y))) }

// Rounding weights one after the other costs less than rounding each alone.
func TestRoundingIsMadeUpFor(t *testing.T) {
	for _, s := range samples(t) {
		w, bias := tensor.Of[float32](s.w), make([]float32, s.l.Weight.Shape[s.l.Out])
		full := s.run(w, bias)
		round := func(x float64) float64 { return math.Round(2*x) / 2 }
		alone := make([]float32, len(w))
		for i, x := range w {
			alone[i] = float32(round(float64(x)))
		}
		plain := distance(s.run(alone, bias), full)
		v, err := measured(s).Adjust(w, bias, Policy{Together: 1, Set: func(g *Group) { g.Value[0] = round(g.Value[0]) }})
		require.NoError(t, err)
		for _, x := range v {
			require.Equal(t, round(float64(x)), float64(x))
		}
		require.Less(t, distance(s.run(v, bias), full), 0.9*plain, s.name)
	}
}

func TestInverseFactor(t *testing.T) {
	for _, s := range samples(t) {
		for _, b := range measured(s).blocks {
			order := rand.New(rand.NewPCG(5, 6)).Perm(b.size - 1)
			u, ok := b.inverseFactor(order)
			require.True(t, ok)
			v, all := squared(u, b.size), append(order, b.size-1)
			for i := range b.size {
				for j := range b.size {
					sum := 0.0
					for k := range b.size {
						x, y := all[i], all[k]
						h := b.h[min(x, y)*b.size+max(x, y)]
						if x == y {
							h += b.damping()
						}
						sum += h * v[k*b.size+j]
					}
					want := 0.0
					if i == j {
						want = 1
					}
					require.InDelta(t, want, sum, 1e-6, "%s %d %d", s.name, i, j)
				}
			}
		}
	}
}

// Layers of many inputs are looked at in blocks of whole channels, four of them together.
func TestBlocks(t *testing.T) {
	l := layer(t, "Conv", tensor.New(tensor.Float32, 1, 520, 4, 4), tensor.New(tensor.Float32, 2, 520, 3, 3), 2)
	at := 0
	for _, b := range New(l, 1).blocks {
		require.Equal(t, at, b.from)
		require.Zero(t, b.from%4)
		require.LessOrEqual(t, b.size, maxEntries+1)
		at = b.to
	}
	require.Equal(t, 520, at)
}
