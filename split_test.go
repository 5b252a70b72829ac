package hone_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/tensor"
)

// The model claims that N is one size: optimized, nothing is left of Expand.
const claims = `module @claims opset=28
import "" 28
func @main(%a: f32[N,4], %b: f32[N,4]) -> (y: f32[N,4], z: f32[2*N,4]) {
  %s = Shape(%b) : i64[2]
  %y = Expand(%a, %s) : f32[N,4]
  %z = Concat(%a, %b) {axis=0} : f32[2*N,4]
  return(%y, %z)
}
`

// Names of dims are claims: inputs whose sizes differ where the model gives
// them one name are run without the claim, with a warning, and rightly so
// where optimizations made use of it.
func TestInputsMayDifferInADimOfOneName(t *testing.T) {
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "claims.ir")
	require.NoError(t, os.WriteFile(file, []byte(claims), 0o644))
	m, err := hone.Open(file)
	require.NoError(t, err)
	c, err := hone.Compile(ctx, m, hone.CompileOptions{})
	require.NoError(t, err)
	var warnings []string
	s, err := c.Session(hone.SessionOptions{Threads: 1, Warn: func(line string) { warnings = append(warnings, line) }})
	require.NoError(t, err)
	inputs := func(a, b int) map[string]*tensor.Tensor {
		x, y := tensor.New(tensor.Float32, a, 4), tensor.New(tensor.Float32, b, 4)
		for i := range tensor.Of[float32](x) {
			tensor.Of[float32](x)[i] = float32(i + 1)
		}
		return map[string]*tensor.Tensor{"a": x, "b": y}
	}
	check := func(s *hone.Session, in map[string]*tensor.Tensor) {
		want, err := m.Reference(ctx, in, nil)
		require.NoError(t, err)
		got, err := s.Run(ctx, in)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	check(s, inputs(3, 3))
	require.Empty(t, warnings)
	for range 2 {
		check(s, inputs(1, 3))
		require.Len(t, warnings, 1, "one warning")
	}
	require.Contains(t, warnings[0], "sizes for the dim N")
	check(s, inputs(2, 2))
	require.NoError(t, s.Close())

	// A bundle has been optimized already: it says what to do.
	bundle := filepath.Join(t.TempDir(), "claims.hone")
	require.NoError(t, c.WriteFile(ctx, bundle))
	b, err := hone.Load(bundle, hone.SessionOptions{Threads: 1})
	require.NoError(t, err)
	_, err = b.Run(ctx, inputs(1, 3))
	require.ErrorContains(t, err, "which other inputs make 1; to let them differ, compile the model again with --split-dim N")
	require.NoError(t, b.Close())

	m, err = hone.Open(file, hone.OpenOptions{SplitDims: []string{"N"}})
	require.NoError(t, err)
	c, err = hone.Compile(ctx, m, hone.CompileOptions{})
	require.NoError(t, err)
	require.NoError(t, c.WriteFile(ctx, bundle))
	b, err = hone.Load(bundle, hone.SessionOptions{Threads: 1})
	require.NoError(t, err)
	check(b, inputs(1, 3))
	require.NoError(t, b.Close())
	_, err = hone.Open(file, hone.OpenOptions{SplitDims: []string{"M"}})
	require.ErrorContains(t, err, `no input has a dim "M"`)
}
