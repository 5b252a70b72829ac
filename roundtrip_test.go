package hone_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
)

// The text of every model of the set, as read and as compiled, parses to a
// module that prints the same, byte for byte.
func TestEveryModelsTextRoundTrips(t *testing.T) {
	for _, o := range oracles(t) {
		t.Run(o.Model, func(t *testing.T) {
			m, err := hone.Open(testenv.Model(t, o.Model))
			require.NoError(t, err)
			defer m.Close()
			roundTrip(t, m.Module())
			c, err := hone.Compile(context.Background(), m, hone.CompileOptions{})
			require.NoError(t, err)
			roundTrip(t, c.Module())
		})
	}
}

func roundTrip(t *testing.T, m *ir.Module) {
	t.Helper()
	text, err := ir.Print(m)
	require.NoError(t, err)
	var side bytes.Buffer
	require.NoError(t, ir.WriteData(&side, m, ir.PrintOptions{}))
	find, err := ir.ReadData(side.Bytes())
	require.NoError(t, err)
	again, err := ir.Parse(text, ir.ParseOptions{Data: find})
	require.NoError(t, err)
	text2, err := ir.Print(again)
	require.NoError(t, err)
	require.True(t, text == text2, "the second text differs")
}
