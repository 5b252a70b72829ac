package ref

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

func vec(v ...float32) *tensor.Tensor { return tensor.Float32s(v, len(v)) }

func TestBatchNorm(t *testing.T) {
	x := tensor.Float32s([]float32{1, 3, 10, 20}, 1, 2, 2)
	y, err := BatchNorm(x, vec(1, 2), vec(0, 5), Stats{vec(2, 10), vec(1, 4)}, 0)
	require.NoError(t, err)
	require.Equal(t, []float32{-1, 1, 5, 15}, tensor.Of[float32](y))

	y, s, err := BatchNormTraining(x, vec(1, 1), vec(0, 0), Stats{vec(0, 0), vec(0, 0)}, 0, 0.5)
	require.NoError(t, err)
	require.Equal(t, []float32{-1, 1, -1, 1}, tensor.Of[float32](y))
	require.Equal(t, []float32{1, 7.5}, tensor.Of[float32](s.Mean))
	require.Equal(t, []float32{0.5, 12.5}, tensor.Of[float32](s.Var))

	_, err = BatchNorm(x, vec(1), vec(0, 0), Stats{vec(0, 0), vec(0, 0)}, 0)
	require.ErrorContains(t, err, "2 channels")
}

// What every normalization promises: mean 0 and variance 1 over its region.
func TestNormalizedRegions(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	x := tensor.New(tensor.Float64, 2, 4, 3, 5)
	for i := range x.Len() {
		tensor.Of[float64](x)[i] = rnd.NormFloat64()*3 + 1
	}
	one, zero := vec(1, 1, 1, 1), vec(0, 0, 0, 0)
	check := func(v []float64) {
		mean, sq := Mean(v), 0.0
		for _, e := range v {
			sq += (e - mean) * (e - mean)
		}
		require.InDelta(t, 0, mean, 1e-9)
		require.InDelta(t, 1, sq/float64(len(v)), 1e-6)
	}
	for _, groups := range []int{1, 2, 4} {
		y, err := GroupNorm(x, one, zero, groups, 1e-12)
		require.NoError(t, err)
		for size, i := 4/groups*15, 0; i < y.Len(); i += size {
			check(tensor.Of[float64](y)[i : i+size])
		}
	}
	y, mean, inv, err := LayerNorm(x, tensor.Scalar(tensor.Float64, 1.0), nil, -2, 1e-12, tensor.Float32)
	require.NoError(t, err)
	require.Equal(t, []int{2, 4, 1, 1}, mean.Shape)
	require.Equal(t, tensor.Float32, inv.DType)
	for i := 0; i < y.Len(); i += 15 {
		check(tensor.Of[float64](y)[i : i+15])
	}
	mvn, err := MeanVarianceNorm(x, []int{0, 2, 3})
	require.NoError(t, err)
	for c := range 4 {
		var v []float64
		for n := range 2 {
			v = append(v, tensor.Of[float64](mvn)[(n*4+c)*15:][:15]...)
		}
		check(v)
	}
}

func TestLayerNormBroadcastsScaleAndBias(t *testing.T) {
	x := tensor.Float32s([]float32{1, 3, 5, 9}, 2, 2)
	y, _, _, err := LayerNorm(x, tensor.Float32s([]float32{1, 10}, 2, 1), vec(100, 200), 1, 0, tensor.Float32)
	require.NoError(t, err)
	require.Equal(t, []float32{99, 201, 90, 210}, tensor.Of[float32](y))
	_, _, _, err = LayerNorm(x, vec(1, 2, 3), nil, 1, 0, tensor.Float32)
	require.ErrorContains(t, err, "broadcast")
	_, _, _, err = LayerNorm(x, vec(1), nil, 2, 0, tensor.Float32)
	require.ErrorContains(t, err, "axis")
}

func TestSmallNorms(t *testing.T) {
	y, err := RMSNorm(tensor.Float32s([]float32{3, 4, 0, 0}, 2, 2), vec(1, 2), -1, 0)
	require.NoError(t, err)
	rms := float32(math.Sqrt(12.5))
	require.InDeltaSlice(t, []float32{3 / rms, 8 / rms}, tensor.Of[float32](y)[:2], 1e-6)

	y, err = LpNorm(tensor.Float32s([]float32{3, 0, 4, 0}, 2, 2), 0, 2)
	require.NoError(t, err)
	require.Equal(t, []float32{0.6, 0, 0.8, 0}, tensor.Of[float32](y))

	y, err = LRN(tensor.Float32s([]float32{1, 2, 3}, 1, 3, 1), 2, 2, 1, 0) // itself and the next channel
	require.NoError(t, err)
	require.InDeltaSlice(t, []float32{1. / 5, 2. / 13, 3. / 9}, tensor.Of[float32](y), 1e-7)
}

func TestDropoutKeepsTheRest(t *testing.T) {
	draws := []float64{0.1, 0.6, 0.5, 0.49}
	i := 0
	y, mask, err := Dropout(vec(1, 2, 3, 4), 0.5, func() float64 { i++; return draws[i-1] })
	require.NoError(t, err)
	require.Equal(t, []float32{0, 4, 6, 0}, tensor.Of[float32](y))
	require.Equal(t, []bool{false, true, true, false}, tensor.Of[bool](mask))
	_, _, err = Dropout(vec(1), 1, nil)
	require.ErrorContains(t, err, "ratio")
}
