package rt_test

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/kernels"
	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

// rounds is how often to repeat a random test.
func rounds(n int) int {
	if testing.Short() {
		return n / 4
	}
	return n
}

// eachSet runs a test with the kernels of every tier of this architecture; those that the CPU lacks are skipped by name.
func eachSet(t *testing.T, f func(t *testing.T, set *rt.Set)) {
	for _, tier := range kernels.Written() {
		t.Run(tier.String(), func(t *testing.T) {
			set, err := kernels.ForTier(tier)
			if err != nil {
				t.Skip(err)
			}
			f(t, set)
			release()
		})
	}
}

func ptr(x []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }

func random(r *rand.Rand, n int) []float32 {
	x := alloc(n)
	for i := range x {
		x[i] = r.Float32()*2 - 1
	}
	return x
}

// execute runs w with the given number of threads.
func execute(t *testing.T, w rt.Work, threads int) {
	t.Helper()
	p := rt.NewPool(threads - 1)
	defer p.Close()
	var r rt.Run
	require.NoError(t, r.Begin(p, threads, w.Scratch))
	require.NoError(t, r.Do(&w))
	r.End()
	require.NoError(t, r.Free())
}
