package ref

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

// naiveDFT is the definition.
func naiveDFT(x []complex128, inverse bool) []complex128 {
	sign := -2 * math.Pi
	if inverse {
		sign = -sign
	}
	y := make([]complex128, len(x))
	for k := range y {
		for t, v := range x {
			y[k] += v * cmplx.Rect(1, sign*float64(k)*float64(t)/float64(len(x)))
		}
	}
	return y
}

func TestFourierOfEveryLengthFollowsTheDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 4, 5, 8, 31, 32, 33, 36, 64, 97, 100, 128, 251} {
		x := make([]complex128, n)
		for i := range x {
			x[i] = complex(r.NormFloat64(), r.NormFloat64())
		}
		for _, inverse := range []bool{false, true} {
			want, got := naiveDFT(x, inverse), fourier(x, inverse)
			for k := range want {
				require.InDelta(t, 0, cmplx.Abs(want[k]-got[k]), 1e-11*float64(n), "n=%d k=%d", n, k)
			}
		}
	}
}

func randomSignal(r *rand.Rand, shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.Float64, shape...)
	for i := range tensor.Of[float64](x) {
		tensor.Of[float64](x)[i] = r.NormFloat64()
	}
	return x
}

func requireClose(t *testing.T, want, got *tensor.Tensor, delta float64) {
	t.Helper()
	require.Equal(t, want.String(), got.String())
	require.InDeltaSlice(t, Float64s(want), Float64s(got), delta)
}

func TestDFTInverts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := randomSignal(r, 2, 6, 5, 2)
	for axis := range 3 {
		y, err := DFT(x, -1, axis, false, false)
		require.NoError(t, err)
		back, err := DFT(y, -1, axis, true, false)
		require.NoError(t, err)
		requireClose(t, x, back, 1e-12)
	}
	for _, n := range []int{6, 7} {
		x := randomSignal(r, 3, n, 1)
		half, err := DFT(x, -1, -2, false, true)
		require.NoError(t, err)
		require.Equal(t, []int{3, n/2 + 1, 2}, half.Shape)
		back, err := DFT(half, n, 1, true, true)
		require.NoError(t, err)
		requireClose(t, x, back, 1e-12)
	}
}

func TestDFTCutsAndPads(t *testing.T) {
	x := tensor.Float32s([]float32{1, 2, 3}, 1, 3, 1)
	y, err := DFT(x, 2, 1, false, false)
	require.NoError(t, err)
	requireClose(t, tensor.Float32s([]float32{3, 0, -1, 0}, 1, 2, 2), y, 1e-6)
	y, err = DFT(x, 4, 1, false, false)
	require.NoError(t, err)
	requireClose(t, tensor.Float32s([]float32{6, 0, -2, -2, 2, 0, -2, 2}, 1, 4, 2), y, 1e-6)
}

func TestDFTRefuses(t *testing.T) {
	for _, c := range []struct {
		shape        []int
		length, axis int
		want         string
	}{
		{[]int{2, 3, 1}, -1, 2, "axis 2"},
		{[]int{2, 3, 1}, -1, 5, "axis 5"},
		{[]int{2, 3, 3}, -1, 1, "must be 1"},
		{[]int{2, 3, 1}, 0, 1, "length 0"},
		{[]int{2, 3, 1}, 1 << 40, 1, "too long"},
		{[]int{2, 0, 1}, -1, 1, "length 0"},
	} {
		_, err := DFT(tensor.New(tensor.Float32, c.shape...), c.length, c.axis, false, false)
		require.ErrorContains(t, err, c.want)
	}
}

func TestSTFTIsTheDFTOfWeightedFrames(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	x, w := randomSignal(r, 2, 20, 1), randomSignal(r, 8)
	y, err := STFT(x, 3, -1, w, true)
	require.NoError(t, err)
	require.Equal(t, []int{2, 5, 5, 2}, y.Shape)
	for b := range 2 {
		for f := range 5 {
			frame := make([]complex128, 8)
			for k := range frame {
				frame[k] = complex(Float64s(x)[b*20+f*3+k]*Float64s(w)[k], 0)
			}
			for k, v := range naiveDFT(frame, false)[:5] {
				at := ((b*5+f)*5 + k) * 2
				require.InDelta(t, 0, cmplx.Abs(v-complex(Float64s(y)[at], Float64s(y)[at+1])), 1e-12)
			}
		}
	}
	y, err = STFT(x, 3, 30, nil, false)
	require.NoError(t, err)
	require.Equal(t, []int{2, 0, 30, 2}, y.Shape)
	_, err = STFT(x, 0, 8, nil, false)
	require.ErrorContains(t, err, "0 apart")
}

func TestCosineWindows(t *testing.T) {
	for _, c := range []struct {
		a        []float64
		periodic bool
		want     []float32
	}{
		{Hann, true, []float32{0, 0.5, 1, 0.5}},
		{Hann, false, []float32{0, 0.75, 0.75, 0}},
		{Hamming, true, []float32{4.0 / 46, 25.0 / 46, 1, 25.0 / 46}},
		{Blackman, false, []float32{0, 0.63, 0.63, 0}},
	} {
		w, err := CosineWindow(tensor.Float32, 4, c.periodic, c.a...)
		require.NoError(t, err)
		require.InDeltaSlice(t, c.want, tensor.Of[float32](w), 1e-6)
	}
	w, err := CosineWindow(tensor.Float32, 1, false, Hann...)
	require.NoError(t, err)
	require.InDelta(t, 0, tensor.Of[float32](w)[0], 1e-6)
	_, err = CosineWindow(tensor.Float32, -1, true, Hann...)
	require.Error(t, err)
}

func TestMelWeightsAreTriangles(t *testing.T) {
	m, err := MelWeightMatrix(tensor.Float32, 8, 64, 8192, 0, 4000)
	require.NoError(t, err)
	require.Equal(t, []int{33, 8}, m.Shape)
	v := tensor.Of[float32](m)
	for bin := range 8 {
		peak := float32(0)
		for row := range 33 {
			peak = max(peak, v[row*8+bin])
		}
		require.Equal(t, float32(1), peak)
	}
	_, err = MelWeightMatrix(tensor.Float32, 8, 16, 8192, 0, 40000)
	require.ErrorContains(t, err, "beyond the spectrum")
}
