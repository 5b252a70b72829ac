package ref

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

func ramp(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range t.Len() {
		tensor.Of[float32](t)[i] = float32(i + 1)
	}
	return t
}

func TestPooling(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name string
		x    *tensor.Tensor
		win  Window
		pad  bool
		avg  []float32
		max  []float32
		at   []int64
	}{
		{"plain", ramp(1, 1, 4), Window{Kernel: []int{2}}, false,
			[]float32{1.5, 2.5, 3.5}, []float32{2, 3, 4}, []int64{1, 2, 3}},
		{"strides", ramp(1, 1, 5), Window{Kernel: []int{2}, Strides: []int{2}}, false,
			[]float32{1.5, 3.5}, []float32{2, 4}, []int64{1, 3}},
		{"ceil", ramp(1, 1, 5), Window{Kernel: []int{2}, Strides: []int{2}, Ceil: true}, false,
			[]float32{1.5, 3.5, 5}, []float32{2, 4, 5}, []int64{1, 3, 4}},
		{"ceil does not count beyond the padding", ramp(1, 1, 5), Window{Kernel: []int{2}, Strides: []int{2}, Ceil: true}, true,
			[]float32{1.5, 3.5, 5}, []float32{2, 4, 5}, []int64{1, 3, 4}},
		{"no window starts in the end padding", ramp(1, 1, 2), Window{Kernel: []int{1}, Strides: []int{2}, Pads: []int{0, 1}, Ceil: true}, false,
			[]float32{1}, []float32{1}, []int64{0}},
		{"padding left out", ramp(1, 1, 2), Window{Kernel: []int{2}, Pads: []int{1, 1}}, false,
			[]float32{1, 1.5, 2}, []float32{1, 2, 2}, []int64{0, 1, 1}},
		{"padding counted", ramp(1, 1, 2), Window{Kernel: []int{2}, Pads: []int{1, 1}}, true,
			[]float32{0.5, 1.5, 1}, []float32{1, 2, 2}, []int64{0, 1, 1}},
		{"dilations", ramp(1, 1, 6), Window{Kernel: []int{2}, Dilations: []int{3}}, false,
			[]float32{2.5, 3.5, 4.5}, []float32{4, 5, 6}, []int64{3, 4, 5}},
		{"same upper", ramp(1, 1, 3), Window{Kernel: []int{2}, AutoPad: "SAME_UPPER"}, false,
			[]float32{1.5, 2.5, 3}, []float32{2, 3, 3}, []int64{1, 2, 2}},
		{"same lower, a huge kernel", ramp(1, 1, 2), Window{Kernel: []int{1<<31 - 1}, AutoPad: "SAME_LOWER"}, false,
			[]float32{1.5, 1.5}, []float32{2, 2}, []int64{1, 1}},
		{"NaN wins", tensor.Float32s([]float32{1, nan, 2}, 1, 1, 3), Window{Kernel: []int{3}}, false,
			[]float32{nan}, []float32{nan}, []int64{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			avg, err := AveragePool(c.x, c.win, c.pad)
			require.NoError(t, err)
			require.InDeltaSlice(t, c.avg, tensor.Of[float32](avg), 0)
			y, at, err := MaxPool(c.x, c.win, false)
			require.NoError(t, err)
			require.InDeltaSlice(t, c.max, tensor.Of[float32](y), 0)
			require.Equal(t, c.at, tensor.Of[int64](at))
		})
	}
}

func TestMaxPoolIndicesLeadBack(t *testing.T) {
	x := ramp(2, 2, 4, 6)
	win := Window{Kernel: []int{2, 3}, Strides: []int{2, 3}}
	y, at, err := MaxPool(x, win, false)
	require.NoError(t, err)
	back, err := MaxUnpool(y, at, win, nil)
	require.NoError(t, err)
	require.Equal(t, x.Shape, back.Shape)
	for i, p := range tensor.Of[int64](at) {
		require.Equal(t, tensor.Of[float32](y)[i], tensor.Of[float32](back)[p])
		require.Equal(t, tensor.Of[float32](y)[i], tensor.Of[float32](x)[p])
	}
	_, byColumn, err := MaxPool(ramp(1, 1, 2, 3), Window{Kernel: []int{2, 2}}, true)
	require.NoError(t, err)
	require.Equal(t, []int64{3, 5}, tensor.Of[int64](byColumn)) // (1,1) and (1,2)
	tensor.Of[int64](at)[0] = 1 << 40
	_, err = MaxUnpool(y, at, win, nil)
	require.ErrorContains(t, err, "outside")
}

func TestMaxPoolOfIntegers(t *testing.T) {
	y, _, err := MaxPool(tensor.From(tensor.Int8, []int8{-5, -128, 3, 1}, 1, 1, 2, 2), Window{Kernel: []int{1, 2}}, false)
	require.NoError(t, err)
	require.Equal(t, tensor.From(tensor.Int8, []int8{-5, 3}, 1, 1, 2, 1), y)
}

func TestNormPools(t *testing.T) {
	y, err := LpPool(tensor.Float32s([]float32{3, -4, 0}, 1, 1, 3), Window{Kernel: []int{2}}, 2)
	require.NoError(t, err)
	require.Equal(t, []float32{5, 4}, tensor.Of[float32](y))
	for _, c := range []struct {
		f    func([]float64) float64
		want float32
	}{{Mean, 2.5}, {Max, 4}, {Norm(1), 10}, {Norm(2), float32(math.Sqrt(30))}} {
		y, err := GlobalPool(ramp(1, 1, 2, 2), c.f)
		require.NoError(t, err)
		require.Equal(t, tensor.Float32s([]float32{c.want}, 1, 1, 1, 1), y)
	}
}
