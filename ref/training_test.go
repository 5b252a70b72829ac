package ref

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

// Each step is worked out by hand for x = 1, g = 0.5 and states of 0.25.
func TestOptimizerSteps(t *testing.T) {
	for _, c := range []struct {
		name   string
		step   Step
		states int
		want   []float64
	}{
		{"adagrad", Adagrad(0.1, 1, 1, 0, 0), 1, []float64{1 - 0.05*0.5/math.Sqrt(0.5), 0.5}},
		{"adagrad, regularized", Adagrad(0.1, 0, 1, 0, 1), 1, []float64{1 - 0.1*1.5/math.Sqrt(2.5), 2.5}},
		{"momentum", Momentum(0.1, 1, 0.5, 2, 0, false), 1, []float64{1 - 0.1*1.125, 1.125}},
		{"momentum, first", Momentum(0.1, 0, 0.5, 2, 0, false), 1, []float64{1 - 0.1*0.625, 0.625}},
		{"nesterov", Momentum(0.1, 1, 0.5, 2, 0, true), 1, []float64{1 - 0.1*(0.5+0.5625), 1.125}},
		{"adam", Adam(0.1, 0, 0.5, 0.5, 0, 0, 0), 2, []float64{1 - 0.1*0.375/0.5, 0.375, 0.25}},
		{"adam, corrected", Adam(0.1, 1, 0.5, 0.75, 0, 0, 0.5), 2, []float64{0.5 * (1 - 0.1*0.5/0.5*0.375/0.5), 0.375, 0.25}},
	} {
		one := func(v float64) *tensor.Tensor { return tensor.From(tensor.Float64, []float64{v}, 1) }
		states := []*tensor.Tensor{one(0.25), one(0.25)}[:c.states]
		outs, err := c.step.Apply(one(1), one(0.5), states...)
		require.NoError(t, err)
		for i, w := range c.want {
			require.InDelta(t, w, Float64s(outs[i])[0], 1e-12, c.name)
		}
		_, err = c.step.Apply(one(1), tensor.New(tensor.Float32, 1), states...)
		require.ErrorContains(t, err, "does not fit")
	}
}
