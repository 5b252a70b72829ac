package hone_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// A model whose input chooses between two branches answers the same with that input fixed.
func TestFixInput(t *testing.T) {
	path := testenv.Model(t, "silero_vad")
	ins := map[string]*tensor.Tensor{
		"input": tensor.New(tensor.Float32, 1, 576), "state": tensor.New(tensor.Float32, 2, 1, 128), "sr": tensor.Scalar(tensor.Int64, int64(16000)),
	}
	for i := range 576 {
		tensor.Of[float32](ins["input"])[i] = float32(i%37)/37 - 0.5
	}
	m, err := hone.Open(path)
	require.NoError(t, err)
	want, err := m.Reference(t.Context(), ins, nil)
	require.NoError(t, err)
	require.ErrorContains(t, m.FixInput("rate", 16000), `there is no input "rate"`)
	require.ErrorContains(t, m.FixInput("input", 1), "only one of a single element")

	require.NoError(t, m.FixInput("sr", 16000))
	require.NoError(t, ir.Verify(m.Module()))
	require.Len(t, hone.Inputs(m.Module()), 2)
	delete(ins, "sr")
	got, err := m.Reference(t.Context(), ins, nil)
	require.NoError(t, err)
	require.Equal(t, want, got)

	bundle := filepath.Join(t.TempDir(), "m.hone")
	c, err := hone.Compile(t.Context(), m, hone.CompileOptions{})
	require.NoError(t, err)
	require.NoError(t, c.WriteFile(t.Context(), bundle))
	packed, err := hone.Open(bundle)
	require.NoError(t, err)
	defer packed.Close()
	require.ErrorContains(t, packed.FixInput("state", 0), "state")
}
