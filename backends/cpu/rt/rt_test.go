package rt

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPoolRunsEveryTileOnce(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	counts := make([]atomic.Int32, 1000)
	w := Work{Tiles: len(counts), Scratch: 100, Run: func(tile int, s *Scratch) {
		counts[tile].Add(1)
		s.Bytes()[tile%100] = 1
	}}
	var r Run
	for round := range 200 {
		require.NoError(t, r.Begin(p, 1+round%5, w.Scratch))
		for range 5 {
			require.NoError(t, r.Do(&w))
		}
		r.End()
	}
	for i := range counts {
		require.EqualValues(t, 1000, counts[i].Load(), "tile %d", i)
	}
}

func TestPoolAllocatesNothing(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	var sum atomic.Int64
	w := Work{Tiles: 50, Scratch: 4096, Run: func(tile int, s *Scratch) { sum.Add(int64(tile)) }}
	var r Run
	allocs := testing.AllocsPerRun(50, func() {
		_ = r.Begin(p, 3, w.Scratch)
		_ = r.Do(&w)
		r.End()
	})
	require.Less(t, allocs, 1.0)
}

func TestPanicInATileIsAnError(t *testing.T) {
	w := Work{Tiles: 8, Run: func(tile int, s *Scratch) {
		if tile == 5 {
			panic("index out of range")
		}
	}}
	var r Run
	require.NoError(t, r.Begin(nil, 1, 0))
	require.ErrorContains(t, r.Do(&w), "tile 5: index out of range")
	r.End()
	require.NoError(t, r.Begin(nil, 1, 0))
	w.Run = func(int, *Scratch) {}
	require.NoError(t, r.Do(&w))
}

func TestTwoRunsShareAPool(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	done := make(chan int64, 4)
	for range 4 {
		go func() {
			var sum atomic.Int64
			w := Work{Tiles: 64, Run: func(tile int, s *Scratch) { sum.Add(1) }}
			var r Run
			for range 300 {
				_ = r.Begin(p, 3, 64)
				_ = r.Do(&w)
				r.End()
			}
			done <- sum.Load()
		}()
	}
	for range 4 {
		require.EqualValues(t, 64*300, <-done)
	}
}

func TestMemory(t *testing.T) {
	for _, n := range []int{0, 1, 4097, 5 << 20} {
		m, err := Alloc(n)
		require.NoError(t, err)
		require.Equal(t, n <= m.Len(), true)
		if n > 0 {
			require.Zero(t, uintptr(m.Ptr())%Align)
			m.Bytes()[n-1] = 1
		}
		require.NoError(t, m.Free())
		require.Zero(t, m.Len())
	}
	_, err := Alloc(-1)
	require.Error(t, err)
}

func TestTierNames(t *testing.T) {
	for tier := range numTiers {
		got, err := ParseTier(tier.String())
		require.NoError(t, err)
		require.Equal(t, tier, got)
	}
	_, err := ParseTier("sse9")
	require.ErrorContains(t, err, "generic, avx2")
}
