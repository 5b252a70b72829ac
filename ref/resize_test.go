package ref

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

func TestResize(t *testing.T) {
	x := []float32{1, 2, 3, 4}
	for _, c := range []struct {
		name string
		o    Resampling
		want []float32
	}{
		{"nearest", Resampling{Mode: "nearest", Scales: []float64{2}}, []float32{1, 1, 2, 2, 3, 3, 4, 4}},
		{"nearest, sizes", Resampling{Mode: "nearest", Sizes: []int{2}}, []float32{1, 3}},
		{"nearest, up", Resampling{Mode: "nearest", Sizes: []int{2}, NearestMode: "round_prefer_ceil"}, []float32{2, 4}},
		{"nearest, asymmetric, floor", Resampling{Mode: "nearest", Sizes: []int{6}, NearestMode: "floor", Transform: "asymmetric"}, []float32{1, 1, 2, 3, 3, 4}},
		{"linear", Resampling{Mode: "linear", Scales: []float64{2}}, []float32{1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4}},
		{"linear, corners", Resampling{Mode: "linear", Sizes: []int{7}, Transform: "align_corners"}, []float32{1, 1.5, 2, 2.5, 3, 3.5, 4}},
		{"linear, smoothed", Resampling{Mode: "linear", Scales: []float64{0.5}, Antialias: true}, []float32{1.625, 3.375}},
		{"cubic at its own points", Resampling{Mode: "cubic", Sizes: []int{7}, Transform: "align_corners", CubicA: -0.75}, []float32{1, 1.40625, 2, 2.5, 3, 3.59375, 4}},
		{"crop", Resampling{Mode: "linear", Sizes: []int{3}, Roi: []float64{0.5, 1.5}, Transform: "tf_crop_and_resize", Extrapolation: 9}, []float32{2.5, 4, 9}},
		{"crop, nearest", Resampling{Mode: "nearest", Sizes: []int{3}, Roi: []float64{0, 2}, Transform: "tf_crop_and_resize", Extrapolation: 9}, []float32{1, 4, 9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			y, err := Resize(tensor.Float32s(x, 4), c.o)
			require.NoError(t, err)
			require.InDeltaSlice(t, c.want, tensor.Of[float32](y), 1e-6)
		})
	}
}

func TestResizePoliciesAndTypes(t *testing.T) {
	o := Resampling{Mode: "nearest", Sizes: []int{6, 12}, Axes: []int{-2, -1}, Policy: "not_larger"}
	out, scales, err := o.Sizing([]int{1, 3, 4})
	require.NoError(t, err)
	require.Equal(t, []int{1, 6, 8}, out)
	require.Equal(t, []float64{1, 2, 2}, scales)
	o.Policy = "not_smaller"
	out, _, err = o.Sizing([]int{1, 3, 4})
	require.NoError(t, err)
	require.Equal(t, []int{1, 9, 12}, out)

	y, err := Resize(tensor.StringsOf([]string{"a", "b"}, 1, 2), Resampling{Mode: "nearest", Scales: []float64{2, 2}})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "a", "b", "b", "a", "a", "b", "b"}, y.Strings)
	y, err = Resize(tensor.From(tensor.Uint8, []uint8{0, 255}, 2), Resampling{Mode: "cubic", Sizes: []int{4}, CubicA: -0.75})
	require.NoError(t, err)
	require.Equal(t, []uint8{0, 58, 197, 255}, tensor.Of[uint8](y))

	_, err = Resize(tensor.New(tensor.Float32, 4, 4), Resampling{Mode: "linear", Scales: []float64{1e9, 1e9}})
	require.ErrorContains(t, err, "out of range")
	_, err = Resize(tensor.New(tensor.Float32, 4), Resampling{Mode: "linear"})
	require.ErrorContains(t, err, "scales")
}

func TestGridSampleByAnIdentityGrid(t *testing.T) {
	x := ramp(1, 2, 3, 4)
	for _, corners := range []bool{false, true} {
		theta := tensor.Float32s([]float32{1, 0, 0, 0, 1, 0}, 1, 2, 3)
		grid, err := AffineGrid(theta, []int{1, 2, 3, 4}, corners)
		require.NoError(t, err)
		require.Equal(t, []int{1, 3, 4, 2}, grid.Shape)
		for _, mode := range []string{"nearest", "linear", "cubic"} {
			y, err := GridSample(x, grid, Sampling{mode, "zeros", corners})
			require.NoError(t, err)
			require.InDeltaSlice(t, tensor.Of[float32](x), tensor.Of[float32](y), 1e-5)
		}
	}
}

func TestGridSamplePadding(t *testing.T) {
	x := tensor.Float32s([]float32{1, 2, 3}, 1, 1, 3)
	grid := tensor.Float32s([]float32{-2, -1, 0, 1, 5. / 3}, 1, 5, 1)
	for padding, want := range map[string][]float32{
		"zeros":      {0, 0.5, 2, 1.5, 0},
		"border":     {1, 1, 2, 3, 3},
		"reflection": {2, 1, 2, 3, 2.5},
	} {
		y, err := GridSample(x, grid, Sampling{"linear", padding, false})
		require.NoError(t, err)
		require.InDeltaSlice(t, want, tensor.Of[float32](y), 1e-5, padding)
	}
}

func TestNonMaxSuppression(t *testing.T) {
	boxes := tensor.Float32s([]float32{0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 10, 1, 11, 1, 11, 0, 10}, 1, 4, 4)
	scores := tensor.Float32s([]float32{0.9, 0.75, 0.6, 0.95}, 1, 1, 4)
	least := 0.7
	for _, c := range []struct {
		s    Suppression
		want []int64
	}{
		{Suppression{MaxPerClass: 9, IoU: 0.5}, []int64{0, 0, 3, 0, 0, 0}},
		{Suppression{MaxPerClass: 9, IoU: 0.9}, []int64{0, 0, 3, 0, 0, 0, 0, 0, 1}},
		{Suppression{MaxPerClass: 1, IoU: 0.9}, []int64{0, 0, 3}},
		{Suppression{IoU: 0.9}, nil},
		{Suppression{MaxPerClass: 9, IoU: 1, MinScore: &least}, []int64{0, 0, 3, 0, 0, 0, 0, 0, 1}},
	} {
		y, err := NonMaxSuppression(boxes, scores, c.s)
		require.NoError(t, err)
		require.Equal(t, c.want, tensor.Of[int64](y))
	}
}

func TestRoiPools(t *testing.T) {
	x := ramp(1, 1, 4, 4)
	y, err := RoiAlign(x, tensor.Float32s([]float32{0, 0, 4, 4}, 1, 4), tensor.Int64s([]int64{0}), RoiPooling{Height: 2, Width: 2, Scale: 1, HalfPixel: true})
	require.NoError(t, err)
	require.Equal(t, []float32{3.5, 5.5, 11.5, 13.5}, tensor.Of[float32](y))
	y, err = MaxRoiPool(x, tensor.Float32s([]float32{0, 0, 0, 3, 3}, 1, 5), RoiPooling{Height: 2, Width: 2, Scale: 1})
	require.NoError(t, err)
	require.Equal(t, []float32{6, 8, 14, 16}, tensor.Of[float32](y))
	_, err = MaxRoiPool(x, tensor.Float32s([]float32{1, 0, 0, 3, 3}, 1, 5), RoiPooling{Height: 2, Width: 2, Scale: 1})
	require.ErrorContains(t, err, "batch index")
}
