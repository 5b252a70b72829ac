package ref

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

func TestNegativeLogLikelihood(t *testing.T) {
	// Two samples, three classes, two positions.
	x := tensor.Float32s([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 3, 2)
	target := tensor.Int64s([]int64{0, 2, 1, 0}, 2, 2)
	ignore := int64(0)
	weight := tensor.Float32s([]float32{1, 2, 4}, 3)
	for _, c := range []struct {
		loss Loss
		want []float32
	}{
		{Loss{Reduction: "none"}, []float32{-1, -6, -9, -8}},
		{Loss{Reduction: "sum"}, []float32{-24}},
		{Loss{Reduction: "mean"}, []float32{-6}},
		{Loss{Reduction: "none", Weight: weight}, []float32{-1, -24, -18, -8}},
		{Loss{Reduction: "mean", Weight: weight}, []float32{-51.0 / 8}},
		{Loss{Reduction: "none", Ignore: &ignore}, []float32{0, -6, -9, 0}},
		{Loss{Reduction: "mean", Ignore: &ignore}, []float32{-7.5}},
	} {
		y, err := c.loss.NegativeLogLikelihood(x, target)
		require.NoError(t, err)
		require.Equal(t, c.want, tensor.Of[float32](y))
	}
	_, err := Loss{Reduction: "none"}.NegativeLogLikelihood(x, tensor.Int64s([]int64{0, 3, 0, 0}, 2, 2))
	require.ErrorContains(t, err, "target 3")
	_, err = Loss{Reduction: "none"}.NegativeLogLikelihood(x, tensor.Int64s([]int64{0, 1}, 2))
	require.ErrorContains(t, err, "do not fit")
	_, err = Loss{Reduction: "max"}.NegativeLogLikelihood(x, target)
	require.ErrorContains(t, err, "max")
}

func TestSoftmaxCrossEntropy(t *testing.T) {
	x := tensor.From(tensor.Float64, []float64{1000, 1000 + math.Ln2, 0, math.Log(3)}, 2, 2)
	loss, logProbs, err := Loss{Reduction: "none"}.SoftmaxCrossEntropy(x, tensor.Int64s([]int64{1, 0}))
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{math.Log(1.5), math.Log(4)}, tensor.Of[float64](loss), 1e-12)
	require.InDeltaSlice(t, []float64{math.Log(1.0 / 3), math.Log(2.0 / 3), math.Log(0.25), math.Log(0.75)}, tensor.Of[float64](logProbs), 1e-12)
}
