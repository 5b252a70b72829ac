package cpu_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/cpu"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// A run that would take more memory than the limit is refused before it takes
// it, wherever the memory lies; one that takes less is not.
func TestMemoryLimit(t *testing.T) {
	scalar := func(n int64) tensor.Value { return tensor.From(tensor.Int64, []int64{n}, 1) }
	for _, c := range []struct{ name, text string }{
		{"a plan", `func @main(%n: i64[], %x: f32[N]) -> (y: f32[N,N]) {
  %0 = const i64[1] [1]
  %1 = Unsqueeze(%x, %0) : f32[N,1]
  %2 = Add(%1, %x) : f32[N,N]
  return(%2)
}`},
		{"what follows from a value", `func @main(%n: i64[], %x: f32[N]) -> (y: i64[M]) {
  %0 = const i64[] [0]
  %1 = const i64[] [1]
  %2 = Range(%0, %n, %1) : i64[M]
  %3 = Add(%2, %1) : i64[M]
  return(%3)
}`},
		{"the reference", `func @main(%n: i64[], %x: f32[N]) -> (y: f64[N,N]) {
  %0 = Cast(%x) {to=11} : f64[N]
  %1 = Einsum(%0, %0) {equation="i,j->ij"} : f64[N,N]
  return(%1)
}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := ir.Parse("module @m opset=28\n"+c.text+"\n", ir.ParseOptions{})
			require.NoError(t, err)
			s, err := cpu.NewSession(lower(t, m), cpu.Options{MemoryLimit: 1 << 20})
			require.NoError(t, err)
			run := func(n int) error {
				count := scalar(int64(n * n)).(*tensor.Tensor)
				count.Shape = nil
				_, err := s.Run(context.Background(), []tensor.Value{count, tensor.New(tensor.Float32, n)})
				return err
			}
			require.NoError(t, run(100))
			require.ErrorContains(t, run(1000), "over the limit of 1048576 for this run")
		})
	}
}
