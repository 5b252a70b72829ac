package kernels

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
)

// memory returns n random values outside Go's heap, as the executor's are.
func memory(n int) unsafe.Pointer {
	m, err := rt.Alloc(4 * max(n, 1))
	if err != nil {
		panic(err)
	}
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range m.Floats()[:n] {
		m.Floats()[i] = r.Float32() - 0.5
	}
	return m.Ptr()
}

// peak is one core's float32 peak in GFLOP/s: the tallest gemm kernel on a panel that stays in L1, best of many calls.
var peak = sync.OnceValue(func() float64 {
	set, err := Best()
	if err != nil {
		return 0
	}
	k := set.Gemm[0]
	const kb = 128
	g := rt.GemmArgs{A: uintptr(memory(k.Tile[0] * kb)), B: uintptr(memory(k.Tile[1] * 16 * kb * 2)), C: uintptr(memory(k.Tile[0] * k.Tile[1] * 16)),
		Blocks: 1, KB: kb, LdA: kb * 4, LdC: int64(k.Tile[1]) * 64, PanelB: kb * 64, PanelC: 64, Mask: 0xffff}
	best := 0.0
	for range 200 {
		start := time.Now()
		for range 200 {
			k.Fn(&g)
		}
		best = max(best, 2*200*kb*float64(k.Tile[0]*k.Tile[1]*16)/time.Since(start).Seconds()/1e9)
	}
	return best
})

// bench runs a Work on one thread and reports the speed of its fastest run, which other processes disturb least.
func bench(b *testing.B, flops float64, w rt.Work, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	p := peak()
	var r rt.Run
	if err := r.Begin(nil, 1, w.Scratch); err != nil {
		b.Fatal(err)
	}
	least := time.Hour
	for b.Loop() {
		start := time.Now()
		if err := r.Do(&w); err != nil {
			b.Fatal(err)
		}
		least = min(least, time.Since(start))
	}
	r.End()
	g := flops / least.Seconds() / 1e9
	b.ReportMetric(g, "GFLOP/s")
	b.ReportMetric(100*g/p, "%peak")
	b.ReportMetric(p, "peak")
}

func best(b *testing.B) *rt.Set {
	set, err := Best()
	if err != nil {
		b.Fatal(err)
	}
	return set
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range [][3]int{{128, 768, 768}, {128, 3072, 768}, {128, 768, 3072}, {128, 384, 384}, {128, 1536, 384}, {128, 384, 1536}, {197, 768, 768},
		{128, 1024, 1024}, {128, 4096, 1024}, {1, 1000, 2048}, {16, 768, 768}} {
		m, n, k := s[0], s[1], s[2]
		b.Run(fmt.Sprintf("M%d_N%d_K%d", m, n, k), func(b *testing.B) {
			g := rt.Gemm{Set: best(b), M: m, N: n, K: k, A: memory(m * k), LdA: k, B: memory(rt.PackedGemmBSize(k, n)), C: memory(m * n), LdC: n, Bias: memory(n)}
			w, err := g.Work()
			bench(b, 2*float64(m)*float64(n)*float64(k), w, err)
		})
	}
}

func BenchmarkConv(b *testing.B) {
	for _, s := range []struct{ c, o, hw, k, stride int }{
		{3, 64, 224, 7, 2},
		{64, 64, 56, 1, 1}, {64, 256, 56, 1, 1}, {256, 64, 56, 1, 1}, {64, 64, 56, 3, 1},
		{256, 128, 56, 1, 1}, {128, 128, 56, 3, 2}, {128, 512, 28, 1, 1}, {256, 512, 56, 1, 2}, {512, 128, 28, 1, 1}, {128, 128, 28, 3, 1},
		{512, 256, 28, 1, 1}, {256, 256, 28, 3, 2}, {256, 1024, 14, 1, 1}, {512, 1024, 28, 1, 2}, {1024, 256, 14, 1, 1}, {256, 256, 14, 3, 1},
		{1024, 512, 14, 1, 1}, {512, 512, 14, 3, 2}, {512, 2048, 7, 1, 1}, {1024, 2048, 14, 1, 2}, {2048, 512, 7, 1, 1}, {512, 512, 7, 3, 1},
		{32, 32, 128, 3, 1},
	} {
		b.Run(fmt.Sprintf("%dx%d_s%d_%d_%d_hw%d", s.k, s.k, s.stride, s.c, s.o, s.hw), func(b *testing.B) {
			oh := (s.hw-1)/s.stride + 1
			w := rt.Window{H: s.hw, W: s.hw, OH: oh, OW: oh, KH: s.k, KW: s.k, StrideH: s.stride, StrideW: s.stride, DilationH: 1, DilationW: 1, PadTop: s.k / 2, PadLeft: s.k / 2}
			c := rt.Conv{Set: best(b), Window: w, N: 1, C: s.c, O: s.o, Groups: 1, Image: s.c == 3, X: memory((s.c + 15) / 16 * 16 * s.hw * s.hw),
				Weights: memory(rt.PackedConvSize(s.o, s.c, s.k, s.k)), Y: memory(s.o * oh * oh), Bias: memory(s.o), Clamp: true, Hi: 1e30}
			work, err := c.Work()
			bench(b, 2*float64(oh*oh*s.k*s.k)*float64(s.c)*float64(s.o), work, err)
		})
	}
}

// The 3×3 convolutions of resnet50 and unet_silu by Winograd; %peak counts a direct convolution's operations, so it may pass 100.
func BenchmarkWinograd(b *testing.B) {
	for _, s := range [][3]int{{64, 64, 56}, {128, 128, 28}, {256, 256, 14}, {512, 512, 7}, {32, 32, 128}} {
		b.Run(fmt.Sprintf("%d_%d_hw%d", s[0], s[1], s[2]), func(b *testing.B) {
			c, o, hw := s[0], s[1], s[2]
			win := rt.Window{H: hw, W: hw, OH: hw, OW: hw, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1}
			d := rt.Winograd{Set: best(b), Window: win, N: 1, C: c, O: o, X: memory(c * hw * hw), Weights: memory(rt.PackedWinogradSize(o, c)), Y: memory(o * hw * hw), Bias: memory(o), Clamp: true, Hi: 1e30}
			w, err := d.Work()
			bench(b, 2*9*float64(hw*hw*c*o), w, err)
		})
	}
}
