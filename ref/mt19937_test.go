package ref

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMersenneTwister(t *testing.T) {
	m := NewMersenneTwister(5489)
	for range 9999 {
		m.uint32()
	}
	require.EqualValues(t, 4123659995, m.uint32()) // the C++ standard's check of mt19937

	m = NewMersenneTwister(0) // numpy.random.RandomState(0).uniform(size=2)
	require.Equal(t, []float64{0.5488135039273248, 0.7151893663724195}, []float64{m.Float64(), m.Float64()})
}
