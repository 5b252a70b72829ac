package testenv

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryOracleIsWhole(t *testing.T) {
	for _, o := range Oracles(t) {
		t.Run(o.Model, func(t *testing.T) {
			require.FileExists(t, Model(t, o.Model))
			require.NotEmpty(t, o.Cases)
			for _, c := range o.Cases {
				inputs, outputs := o.Load(t, c)
				require.Len(t, inputs, len(c.Inputs))
				require.Len(t, outputs, len(c.Outputs))
				for _, f := range append(c.Inputs, c.Outputs...) {
					v := inputs[f.Name]
					if v == nil {
						v = outputs[f.Name]
					}
					require.Equal(t, f.Shape, v.Shape, f.Name)
				}
			}
		})
	}
}

func TestConformanceSuitesAreWhole(t *testing.T) {
	for suite, tests := range map[string]int{"node": 1884, "simple": 23, "pytorch-operator": 35, "pytorch-converted": 82} {
		entries, err := os.ReadDir(Conformance(t) + "/" + suite)
		require.NoError(t, err)
		require.Len(t, entries, tests, suite)
	}
}
