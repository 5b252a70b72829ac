package ref

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

// misaligned returns t with its bytes where a mapped file could have them.
func misaligned(t *tensor.Tensor) *tensor.Tensor {
	b := append([]byte{0}, t.Data...)
	return &tensor.Tensor{DType: t.DType, Shape: t.Shape, Data: b[1:]}
}

// Weights of a mapped file lie at any address. They must not be copied again
// for every row that is read of them.
func TestMisalignedOperandsAreNotCopiedWhole(t *testing.T) {
	const n = 256
	w := tensor.New(tensor.Float32, n, n)
	for i := range tensor.Of[float32](w) {
		tensor.Of[float32](w)[i] = float32(i % 7)
	}
	for name, f := range map[string]func(x *tensor.Tensor) (*tensor.Tensor, error){
		"MatMul": func(x *tensor.Tensor) (*tensor.Tensor, error) { return MatMul(x, x) },
		"Map":    func(x *tensor.Tensor) (*tensor.Tensor, error) { return Map(x, sigmoid), nil },
	} {
		t.Run(name, func(t *testing.T) {
			want, err := f(w)
			require.NoError(t, err)
			x := misaligned(w)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := f(x)
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			require.Equal(t, want.Data, got.Data)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16*len(w.Data)))
		})
	}
}
