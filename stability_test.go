package hone_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/tensor"
)

func session(t *testing.T, model string, threads int) *hone.Session {
	ctx := context.Background()
	m, err := hone.Open(testenv.Model(t, model))
	require.NoError(t, err)
	c, err := hone.Compile(ctx, m, hone.CompileOptions{})
	require.NoError(t, err)
	s, err := c.Session(hone.SessionOptions{Threads: threads})
	require.NoError(t, err)
	return s
}

// resident returns the memory of the process in MB, once the collector has
// given back what it can; only Linux tells.
func resident(t *testing.T) float64 {
	runtime.GC()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("resident memory is read from /proc/self/statm, which this system lacks")
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	require.NoError(t, err)
	return float64(pages*os.Getpagesize()) / 1e6
}

// A thousand runs with changing shapes take no more memory than the first
// fifty, and Shrink gives the plans' memory back.
func TestChangingShapesKeepMemoryFlat(t *testing.T) {
	ctx := context.Background()
	s := session(t, "hf_bert", 1)
	defer s.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	var early float64
	start := resident(t)
	for i := range 1000 {
		n := 1 + rng.IntN(64)
		ids, mask := tensor.New(tensor.Int64, 2, n), tensor.New(tensor.Int64, 2, n)
		for j := range tensor.Of[int64](mask) {
			tensor.Of[int64](mask)[j] = 1
		}
		_, err := s.Run(ctx, map[string]*tensor.Tensor{"input_ids": ids, "attention_mask": mask})
		require.NoError(t, err)
		if i == 50 {
			early = resident(t)
		}
	}
	late := resident(t)
	require.Less(t, late, early+16, "after 50 runs %.1f MB, after 1,000 %.1f MB", early, late)
	s.Shrink()
	require.Less(t, resident(t), start+16, "before the first run %.1f MB, with plans %.1f MB", start, late)
}

// The same input gives the same bits for 1, 2 and 4 threads and at any place
// in a batch.
func TestBitsDoNotDependOnThreadsOrPlace(t *testing.T) {
	ctx := context.Background()
	const batch, size = 3, 3 * 224 * 224
	rng := rand.New(rand.NewPCG(2, 2))
	x := tensor.New(tensor.Float32, 1, 3, 224, 224)
	for i := range tensor.Of[float32](x) {
		tensor.Of[float32](x)[i] = float32(rng.NormFloat64())
	}
	var want []float32
	for _, threads := range []int{1, 2, 4} {
		s := session(t, "resnet18", threads)
		out, err := s.Run(ctx, map[string]*tensor.Tensor{"input": x})
		require.NoError(t, err)
		got := tensor.Of[float32](out[s.Outputs()[0].Name])
		if want == nil {
			want = got
		}
		require.Equal(t, want, got, "%d threads", threads)
		for place := range batch {
			xs := tensor.New(tensor.Float32, batch, 3, 224, 224)
			for i := range tensor.Of[float32](xs) {
				tensor.Of[float32](xs)[i] = float32(i%7) - 3
			}
			copy(tensor.Of[float32](xs)[place*size:], tensor.Of[float32](x))
			out, err := s.Run(ctx, map[string]*tensor.Tensor{"input": xs})
			require.NoError(t, err)
			all := tensor.Of[float32](out[s.Outputs()[0].Name])
			require.Equal(t, want, all[place*len(want):(place+1)*len(want)], "%d threads, place %d", threads, place)
		}
		require.NoError(t, s.Close())
	}
}
