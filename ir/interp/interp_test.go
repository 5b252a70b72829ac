package interp_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/tensor"
)

func parse(t *testing.T, text string) *interp.Program {
	m, err := ir.Parse("module @m opset=28\n"+text, ir.ParseOptions{})
	require.NoError(t, err)
	return interp.New(m)
}

// A chain of values, each of which dies with the next one's birth.
const chain = `func @main(%x: f32[N]) -> (y: f32[N]) {
  %0 = Neg(%x) : f32[N]
  %1 = Exp(%0) : f32[N]
  %2 = Abs(%1) : f32[N]
  return(%2)
}
`

func TestMemoryLimit(t *testing.T) {
	x := tensor.New(tensor.Float32, 1000) // 4000 bytes
	for _, c := range []struct {
		name, text string
		ins        []tensor.Value
		limit      int64
		err        string
	}{
		{"what lives at once fits", chain, []tensor.Value{x}, 8000, ""},
		{"one byte less does not", chain, []tensor.Value{x}, 7999, "Neg: values take 8000 bytes, over the limit of 7999"},
		{"no limit", chain, []tensor.Value{x}, 0, ""},
		{"a result is refused before it is made", `func @main(%n: i64[1]) -> (y: f32[N]) {
  %0 = ConstantOfShape(%n) : f32[N]
  return(%0)
}
`, []tensor.Value{tensor.Int64s([]int64{1 << 33})}, 1 << 20, "ConstantOfShape: values take 34359738376 bytes"},
		{"so is one whose size does not fit 64 bits", `func @main(%n: i64[2]) -> (y: f32[N,M]) {
  %0 = ConstantOfShape(%n) : f32[N,M]
  return(%0)
}
`, []tensor.Value{tensor.Int64s([]int64{math.MaxInt64, math.MaxInt64})}, 1 << 20, "too many elements"},
		{"what shares memory counts once", `func @main(%x: f32[N]) -> (y: f32[N]) {
  %0 = Identity(%x) : f32[N]
  %1 = Identity(%0) : f32[N]
  return(%1)
}
`, []tensor.Value{x}, 8000, ""},
		{"tensors in sequences count", `func @main(%x: f32[N]) -> (s: seq(f32[*]), y: f32[N]) {
  %0 = Neg(%x) : f32[N]
  %1 = SequenceConstruct(%0) : seq(f32[*])
  %2 = Exp(%x) : f32[N]
  return(%1, %2)
}
`, []tensor.Value{x}, 11999, "Exp: values take 12000 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse(t, c.text).Run(t.Context(), c.ins, interp.Options{MemoryLimit: c.limit})
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	p := parse(t, chain)
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	_, err := p.Run(ctx, []tensor.Value{tensor.New(tensor.Float32, 4)}, interp.Options{Observe: func(*ir.Value, tensor.Value) {
		if seen++; seen == 2 { // the input and the first result
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, seen, "no op runs once the run is cancelled")
}

func TestInputsMustFit(t *testing.T) {
	p := parse(t, chain)
	_, err := p.Run(t.Context(), nil, interp.Options{})
	require.ErrorContains(t, err, "0 inputs given, the model takes 1")
	_, err = p.Run(t.Context(), []tensor.Value{tensor.New(tensor.Float64, 4)}, interp.Options{})
	require.ErrorContains(t, err, `input "x" is f64[4], the model takes f32[N]`)
	_, err = p.Run(t.Context(), []tensor.Value{tensor.New(tensor.Float32, 2, 2)}, interp.Options{})
	require.ErrorContains(t, err, `input "x" is f32[2,2], the model takes f32[N]`)
	_, err = p.Run(t.Context(), []tensor.Value{nil}, interp.Options{})
	require.ErrorContains(t, err, `input "x" is missing`)
}
