package onnx

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// large is a model of n constants of 64 MiB that exist when they are read.
func large(n int, reads *int) *ir.Module {
	m := ir.NewModule("large", ops.NewestOpset(""))
	const size = 16 << 20
	v := m.Main().AddInput("x", ir.Static(tensor.Float32, size))
	b := ir.AtEnd(m.Main().Body)
	for range n {
		w := b.Constant(ir.LazyData(tensor.Float32, []int{size}, func() (*tensor.Tensor, error) {
			*reads++
			return tensor.New(tensor.Float32, size), nil
		}))
		v = b.Op("Add", []*ir.Value{v, w}, []ir.Type{v.Type}).Result(0)
	}
	m.Main().Return([]string{"y"}, v)
	return m
}

// TestMoreThanProtobufHolds exports 2.25 GiB of constants: they go to a file
// of their own, one at a time.
func TestMoreThanProtobufHolds(t *testing.T) {
	if !testenv.Full() {
		t.Skip("writes 2.25 GiB: only with HONE_FULL")
	}
	const n = 36
	reads := 0
	path := filepath.Join(t.TempDir(), "large.onnx")
	runtime.GC()
	before := heap()
	require.NoError(t, WriteFile(context.Background(), path, large(n, &reads), ExportOptions{}))
	require.Equal(t, n, reads, "every constant is read once")
	require.Less(t, heap()-before, int64(400<<20))
	info, err := os.Stat(path + ".data")
	require.NoError(t, err)
	require.EqualValues(t, n*64<<20, info.Size())
	m, err := Open(path, Options{})
	require.NoError(t, err)
	require.Equal(t, 2*n+1, m.Main().Body.Len())
}

// TestTooLargeForOneStream refuses to write what needs a second file.
func TestTooLargeForOneStream(t *testing.T) {
	reads := 0
	err := Export(nil, large(36, &reads), ExportOptions{})
	require.ErrorContains(t, err, "more than one ONNX file holds")
	require.Zero(t, reads)
}
