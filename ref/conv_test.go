package ref

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

// random returns a tensor of small integers, which every float type holds and
// every order of summation adds exactly.
func random(rnd *rand.Rand, d tensor.DType, shape ...int) *tensor.Tensor {
	n, _ := tensor.NumElements(shape)
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(rnd.Intn(7) - 3)
	}
	return fromFloat64s(d, v, shape...)
}

// naiveConv is the definition of convolution, one output at a time.
func naiveConv(x, w, b *tensor.Tensor, r *resolved, group int) *tensor.Tensor {
	n, m, ch := x.Shape[0], w.Shape[0], w.Shape[1]
	xs, ws, shape := Float64s(x), Float64s(w), append([]int{n, m}, r.out...)
	out := make([]float64, product(shape))
	at := make([]int, len(shape))
	for i := range out {
		indexOf(at, i, shape)
		sum := 0.0
		if b != nil {
			sum = Float64s(b)[at[1]]
		}
		k := make([]int, len(r.kernel))
		for c := range ch {
			for p := range product(r.kernel) {
				indexOf(k, p, r.kernel)
				src, ok := at[0]*x.Shape[1]+at[1]/(m/group)*ch+c, true
				for d := range k {
					q := at[d+2]*r.strides[d] - r.begin[d] + k[d]*r.dilations[d]
					ok = ok && q >= 0 && q < r.in[d]
					src = src*r.in[d] + q
				}
				if ok {
					sum += xs[src] * ws[(at[1]*ch+c)*product(r.kernel)+p]
				}
			}
		}
		out[i] = sum
	}
	return fromFloat64s(x.DType, out, shape...)
}

func TestConvEqualsItsDefinition(t *testing.T) {
	cases := []struct {
		x, w  []int
		group int
		win   Window
	}{
		{[]int{1, 1, 5}, []int{1, 1, 3}, 1, Window{}},
		{[]int{2, 3, 7, 8}, []int{4, 3, 3, 2}, 1, Window{Pads: []int{1, 0, 2, 1}, Strides: []int{2, 1}}},
		{[]int{2, 4, 9, 9}, []int{6, 2, 3, 3}, 2, Window{Dilations: []int{2, 3}, Pads: []int{2, 3, 2, 3}}},
		{[]int{1, 5, 6, 6}, []int{5, 1, 3, 3}, 5, Window{AutoPad: "SAME_UPPER", Strides: []int{2, 2}}},
		{[]int{1, 5, 6, 6}, []int{5, 1, 2, 2}, 5, Window{AutoPad: "SAME_LOWER"}},
		{[]int{1, 2, 4, 5, 6}, []int{3, 2, 2, 3, 2}, 1, Window{Pads: []int{1, 1, 1, 0, 0, 0}, Strides: []int{1, 2, 3}}},
		{[]int{1, 2, 8, 8}, []int{3, 2, 3, 3}, 1, Window{Pads: []int{-1, -2, -1, -2}}},
		{[]int{1, 2, 2, 2}, []int{3, 2, 5, 5}, 1, Window{}}, // no window fits: an empty result
		{[]int{1, 40, 20, 20}, []int{35, 40, 3, 3}, 1, Window{Pads: []int{1, 1, 1, 1}}},
	}
	rnd := rand.New(rand.NewSource(2))
	for _, c := range cases {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16} {
			t.Run(fmt.Sprint(c.x, c.w, d), func(t *testing.T) {
				x, w, b := random(rnd, d, c.x...), random(rnd, d, c.w...), random(rnd, d, c.w[0])
				got, err := Conv(x, w, b, c.win, c.group)
				require.NoError(t, err)
				win := c.win
				win.Kernel = c.w[2:]
				r, err := win.over(c.x[2:])
				require.NoError(t, err)
				require.Equal(t, naiveConv(x, w, b, r, c.group), got)
			})
		}
	}
}

// The transpose of a linear map A satisfies <A x, y> = <x, A' y>.
func TestConvTransposeIsTheTransposeOfConv(t *testing.T) {
	rnd := rand.New(rand.NewSource(3))
	for _, c := range []struct {
		in, w, extra []int
		group        int
		win          Window
	}{
		{[]int{5, 6}, []int{4, 3, 3, 3}, []int{0, 0}, 1, Window{}},
		{[]int{7, 7}, []int{4, 2, 3, 2}, []int{0, 1}, 2, Window{Strides: []int{2, 2}, Pads: []int{1, 0, 1, 0}}},
		{[]int{9}, []int{2, 2, 3}, []int{0}, 1, Window{Dilations: []int{3}, Pads: []int{2, 1}}},
		{[]int{4, 4, 4}, []int{2, 2, 2, 2, 2}, []int{0, 0, 0}, 1, Window{Strides: []int{2, 2, 2}}},
	} {
		x := random(rnd, tensor.Float64, append([]int{2, c.w[1] * c.group}, c.in...)...)
		w := random(rnd, tensor.Float64, c.w...)
		ax, err := Conv(x, w, nil, c.win, c.group)
		require.NoError(t, err)
		y := random(rnd, tensor.Float64, ax.Shape...)
		aty, err := ConvTranspose(y, w, nil, TransposeWindow{Window: c.win, OutputPadding: c.extra}, c.group)
		require.NoError(t, err)
		require.Equal(t, x.Shape, aty.Shape)
		require.Equal(t, dot(ax, y), dot(x, aty))
	}
}

func dot(a, b *tensor.Tensor) (sum float64) {
	for i, v := range Float64s(a) {
		sum += v * Float64s(b)[i]
	}
	return sum
}

func TestConvTransposeOutputShapeSetsPads(t *testing.T) {
	for _, c := range []struct {
		auto       string
		out, begin []int
	}{
		{"NOTSET", []int{6}, []int{1}}, // 7 in full: one to take away, at the begin
		{"SAME_LOWER", []int{6}, []int{1}},
		{"SAME_UPPER", []int{6}, []int{0}},
		{"SAME_UPPER", nil, []int{0}},
		{"VALID", nil, []int{0}},
	} {
		w := TransposeWindow{Window: Window{Kernel: []int{3}, Strides: []int{2}, AutoPad: c.auto}, Output: c.out}
		out, begin, err := w.Sizes([]int{3})
		require.NoError(t, err)
		require.Equal(t, c.begin, begin, "%v", c)
		if c.auto == "VALID" {
			require.Equal(t, []int{7}, out)
		} else {
			require.Equal(t, []int{6}, out)
		}
	}
}

func TestCol2ImCountsCoverage(t *testing.T) {
	ones := make([]float32, 4*4)
	for i := range ones {
		ones[i] = 1
	}
	y, err := Col2Im(tensor.Float32s(ones, 1, 4, 4), []int{3, 3}, []int{2, 2}, nil, nil, nil)
	require.NoError(t, err)
	require.Equal(t, tensor.Float32s([]float32{1, 2, 1, 2, 4, 2, 1, 2, 1}, 1, 1, 3, 3), y)
}

func TestDeformConvWithoutMovesIsConv(t *testing.T) {
	rnd := rand.New(rand.NewSource(4))
	x, w := random(rnd, tensor.Float32, 1, 4, 6, 7), random(rnd, tensor.Float32, 3, 4, 2, 3)
	win := Window{Pads: []int{1, 1, 0, 1}, Strides: []int{2, 1}}
	want, err := Conv(x, w, nil, win, 1)
	require.NoError(t, err)
	offset := tensor.New(tensor.Float32, 1, 2*6*2, want.Shape[2], want.Shape[3])
	got, err := DeformConv(x, w, offset, nil, nil, win, 1, 2)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestDeformConvMovesByFractions(t *testing.T) {
	x := tensor.Float32s([]float32{0, 1, 2, 3, 4, 5, 6, 7, 8}, 1, 1, 3, 3)
	w := tensor.Float32s([]float32{1}, 1, 1, 1, 1)
	_, err := DeformConv(x, w, tensor.New(tensor.Float32, 1, 1, 3, 3), nil, nil, Window{}, 1, 1)
	require.ErrorContains(t, err, "offset")
	offset := tensor.New(tensor.Float32, 1, 2, 3, 3)
	copy(tensor.Of[float32](offset), []float32{0.5, 0, 0, 0, 0.5, 0, 0, 0, 1.5}) // down
	tensor.Of[float32](offset)[9+4] = 0.5                                        // right
	y, err := DeformConv(x, w, offset, nil, nil, Window{}, 1, 1)
	require.NoError(t, err)
	require.Equal(t, []float32{1.5, 1, 2, 3, 6, 5, 6, 7, 0}, tensor.Of[float32](y))
}

func TestIntegerConvolutions(t *testing.T) {
	x := tensor.From(tensor.Uint8, []uint8{2, 3, 4, 5, 6, 7, 8, 9, 10}, 1, 1, 3, 3)
	w := tensor.From(tensor.Uint8, []uint8{1, 1, 1, 1}, 1, 1, 2, 2)
	one := tensor.Scalar(tensor.Uint8, uint8(1))
	y, err := ConvInteger(x, w, one, nil, Window{Pads: []int{1, 1, 1, 1}}, 1)
	require.NoError(t, err)
	require.Equal(t, tensor.From(tensor.Int32, []int32{1, 3, 5, 3, 5, 12, 16, 9, 11, 24, 28, 15, 7, 15, 17, 9}, 1, 1, 4, 4), y)

	half := tensor.Scalar(tensor.Float32, float32(0.5))
	unit := tensor.Scalar(tensor.Float32, float32(1))
	q, err := QLinearConv(x, w, nil, Quant{half, one}, Quant{unit, nil}, Quant{unit, one}, Window{}, 1)
	require.NoError(t, err)
	require.Equal(t, tensor.From(tensor.Uint8, []uint8{7, 9, 13, 15}, 1, 1, 2, 2), q)
}

func TestCausalConvInTwoStepsIsOne(t *testing.T) {
	rnd := rand.New(rand.NewSource(5))
	x, w, b := random(rnd, tensor.Float32, 1, 3, 8), random(rnd, tensor.Float32, 3, 1, 4), random(rnd, tensor.Float32, 3)
	whole, last, err := CausalConv(x, w, b, nil, "silu")
	require.NoError(t, err)
	part := func(from, to int) *tensor.Tensor {
		p := tensor.New(tensor.Float32, 1, 3, to-from)
		for c := range 3 {
			copy(tensor.Of[float32](p)[c*(to-from):(c+1)*(to-from)], tensor.Of[float32](x)[c*8+from:])
		}
		return p
	}
	_, state, err := CausalConv(part(0, 2), w, b, nil, "silu") // shorter than the state
	require.NoError(t, err)
	y, state, err := CausalConv(part(2, 8), w, b, state, "silu")
	require.NoError(t, err)
	require.Equal(t, last, state)
	for c := range 3 {
		require.Equal(t, tensor.Of[float32](whole)[c*8+2:(c+1)*8], tensor.Of[float32](y)[c*6:(c+1)*6])
	}
}

func TestConvRefuses(t *testing.T) {
	x, w := tensor.New(tensor.Float32, 1, 3, 4, 4), tensor.New(tensor.Float32, 2, 3, 3, 3)
	for _, c := range []struct {
		win   Window
		group int
		says  string
	}{
		{Window{}, 2, "channels"},
		{Window{Kernel: []int{2, 2}}, 1, "kernel_shape"},
		{Window{Strides: []int{0, 1}}, 1, "positive"},
		{Window{Pads: []int{1}}, 1, "pads"},
		{Window{AutoPad: "SAME"}, 1, "auto_pad"},
		{Window{Pads: []int{1 << 30, 1 << 30, 1 << 30, 1 << 30}}, 1, "elements"},
	} {
		_, err := Conv(x, w, nil, c.win, c.group)
		require.ErrorContains(t, err, c.says)
	}
}

func BenchmarkConv3x3(b *testing.B) {
	rnd := rand.New(rand.NewSource(1))
	x, w := random(rnd, tensor.Float32, 1, 64, 56, 56), random(rnd, tensor.Float32, 64, 64, 3, 3)
	for b.Loop() {
		_, _ = Conv(x, w, nil, Window{Pads: []int{1, 1, 1, 1}}, 1)
	}
	b.ReportMetric(64*64*9*56*56*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
