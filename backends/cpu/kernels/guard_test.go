//go:build unix

package kernels

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// eachTier runs f for every tier of this architecture but the generic one; those that the CPU lacks are skipped by name.
func eachTier(t *testing.T, f func(t *testing.T, set *rt.Set)) {
	for _, tier := range Written() {
		t.Run(tier.String(), func(t *testing.T) {
			set, err := ForTier(tier)
			if err != nil {
				t.Skip(err)
			}
			f(t, set)
		})
	}
}

// arena hands out memory between pages that nobody may touch.
type arena struct {
	t    *testing.T
	maps [][]byte
}

// place makes lo to hi bytes around the returned address accessible, and nothing more on the side that flushEnd picks.
func (a *arena) place(lo, hi int, flushEnd bool) uintptr {
	page := unix.Getpagesize()
	size := (hi - lo + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(a.t, err)
	a.maps = append(a.maps, m)
	if size > 0 {
		require.NoError(a.t, unix.Mprotect(m[page:page+size], unix.PROT_READ|unix.PROT_WRITE))
	}
	start := page
	if flushEnd {
		start = page + size - (hi - lo)
	}
	return uintptr(unsafe.Pointer(&m[0])) + uintptr(start-lo)
}

func (a *arena) free() {
	for _, m := range a.maps {
		require.NoError(a.t, unix.Munmap(m))
	}
	a.maps = nil
}

// buffer is one argument address, found by its footprint: any field of an argument struct that holds an address.
type buffer struct {
	field  *uintptr
	values []float32 // the accessible memory, once placed
	lo     int       // bytes from the field's address to values[0]
}

// layOut replaces the addresses in fields by guarded memory of exactly the size that footprint claims, filled with random
// values. Footprints are taken with addresses that lie far apart, so that ranges tell whose they are.
func layOut(t *testing.T, a *arena, r *rand.Rand, fields []*uintptr, footprint func() []rt.Range) []buffer {
	const apart = 1 << 40
	for i, f := range fields {
		*f = uintptr(i+1) * apart
	}
	extent := make([][2]int, len(fields))
	seen := make([]bool, len(fields))
	for _, g := range footprint() {
		i := int((g.Base+apart/2)/apart) - 1
		lo := int(g.Base) - (i+1)*apart
		hi := lo + g.Len + (g.Count-1)*g.Stride
		if seen[i] {
			lo, hi = min(lo, extent[i][0]), max(hi, extent[i][1])
		}
		extent[i], seen[i] = [2]int{lo, hi}, true
	}
	var out []buffer
	for i, f := range fields {
		lo, hi := extent[i][0], extent[i][1]
		*f = a.place(lo, hi, r.IntN(2) == 0)
		b := buffer{field: f, lo: lo}
		if hi > lo {
			b.values = unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(nil), *f+uintptr(lo))), (hi-lo)/4)
		}
		for j := range b.values {
			b.values[j] = r.Float32()*2 - 1
		}
		out = append(out, b)
	}
	return out
}

// call runs a kernel; touching a guard page fails the test.
func call[A any](t *testing.T, k *rt.Kernel[A], args *A) {
	t.Helper()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("%s: %v with %+v", k.Name, p, *args)
		}
	}()
	k.Fn(args)
}

// snapshot copies buffers, so that a reference can run on the same input.
func snapshot(bs []buffer) [][]float32 {
	var out [][]float32
	for _, b := range bs {
		out = append(out, append([]float32{}, b.values...))
	}
	return out
}

// pointAt makes the fields point at copies.
func pointAt(bs []buffer, copies [][]float32) {
	for i, b := range bs {
		if len(copies[i]) > 0 {
			*b.field = uintptr(unsafe.Pointer(&copies[i][0])) - uintptr(b.lo)
		}
	}
}

func TestGemmKernels(t *testing.T) {
	eachTier(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(1, 1))
		for i := range set.Gemm {
			k := &set.Gemm[i]
			t.Run(k.Name, func(t *testing.T) {
				for range 40 {
					testGemmKernel(t, r, k)
				}
			})
		}
	})
}

func testGemmKernel(t *testing.T, r *rand.Rand, k *rt.Kernel[rt.GemmArgs]) {
	a := &arena{t: t}
	defer a.free()
	mr, np := k.Tile[0], k.Tile[1]
	g := rt.GemmArgs{Blocks: 1 + r.Int64N(4), KB: 1 + r.Int64N(20), Mask: 1<<(1+r.IntN(16)) - 1, Flags: r.Int64N(4), Lo: -0.5, Hi: 0.75}
	if r.IntN(3) == 0 {
		g.Mask = 1<<16 - 1
	}
	g.LdA, g.LdC = 4*(g.KB+r.Int64N(40)), 4*(16*int64(np)+r.Int64N(9))
	g.PanelB = 64*g.Blocks*g.KB + 64*r.Int64N(2)
	g.PanelC = 64
	if r.IntN(2) == 0 { // as in NCHWc16
		g.LdC, g.PanelC = 64, 64*int64(mr+r.IntN(5))
	}
	steps := make([]int64, g.Blocks)
	for i := range steps {
		steps[i] = 4 * (r.Int64N(100) - 30)
	}
	if g.Blocks > 1 {
		g.Steps = uintptr(unsafe.Pointer(&steps[0]))
	}
	fields := []*uintptr{&g.A, &g.B, &g.C}
	withR, withBias := r.IntN(2) == 0, r.IntN(2) == 0
	if withR {
		fields = append(fields, &g.R)
	}
	if withBias {
		fields = append(fields, &g.Bias)
	}
	footprint := func() []rt.Range {
		var out []rt.Range
		for _, x := range g.Footprint(mr, np) {
			if x.Base != g.Steps {
				out = append(out, x)
			}
		}
		return out
	}
	bs := layOut(t, a, r, fields, footprint)
	before := snapshot(bs)
	call(t, k, &g)
	after := snapshot(bs)
	pointAt(bs, before)
	naiveGemm(&g, mr, np)
	for i := range bs {
		for j := range after[i] {
			if i == 2 {
				require.InDelta(t, before[i][j], after[i][j], 2e-5, "%s: C[%d] with %+v", k.Name, j, g)
			} else {
				require.Equal(t, before[i][j], after[i][j], "%s wrote to an input", k.Name)
			}
		}
	}
}

func f32(a uintptr) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(nil), a)) }

// naiveGemm is rt.GemmArgs' definition, word for word.
func naiveGemm(g *rt.GemmArgs, mr, np int) {
	for i := range mr {
		for p := range np {
			for j := range 16 {
				if p == np-1 && g.Mask>>j&1 == 0 {
					continue
				}
				c := uintptr(i)*uintptr(g.LdC) + uintptr(p)*uintptr(g.PanelC) + uintptr(j)*4
				var acc float64
				if g.Flags&rt.FlagAccumulate != 0 {
					acc = float64(*f32(g.C + c))
				}
				x := g.A + uintptr(i)*uintptr(g.LdA)
				for b := range g.Blocks {
					for k := range g.KB {
						acc += float64(*f32(x + uintptr(k)*4)) * float64(*f32(g.B + uintptr(p)*uintptr(g.PanelB) + uintptr(b*g.KB+k)*64 + uintptr(j)*4))
					}
					if b < g.Blocks-1 {
						x += uintptr(g.KB*4 + *(*int64)(unsafe.Add(unsafe.Pointer(nil), g.Steps+uintptr(b)*8)))
					}
				}
				if g.Bias != 0 {
					acc += float64(*f32(g.Bias + uintptr(p)*64 + uintptr(j)*4))
				}
				if g.R != 0 {
					acc += float64(*f32(g.R + c))
				}
				if g.Flags&rt.FlagClamp != 0 {
					acc = min(max(acc, float64(g.Lo)), float64(g.Hi))
				}
				*f32(g.C + c) = float32(acc)
			}
		}
	}
}

// An element's bits must not depend on the tile that computes it, or a batch's answers would depend on their place in it.
func TestGemmTilesAgreeBitForBit(t *testing.T) {
	eachTier(t, func(t *testing.T, set *rt.Set) {
		const k, rows, panels = 150, 14, 8
		a, b := memory(rows*k), memory(panels*16*k)
		want := make([]float32, rows*panels*16)
		for i := len(set.Gemm) - 1; i >= 0; i-- {
			kern := set.Gemm[i]
			got := make([]float32, rows*panels*16)
			g := rt.GemmArgs{A: uintptr(a), B: uintptr(b), C: uintptr(unsafe.Pointer(&got[0])), Blocks: 1, KB: k, LdA: k * 4, LdC: panels * 64,
				PanelB: 64 * k, PanelC: 64, Mask: 0xffff}
			kern.Fn(&g)
			for row := range kern.Tile[0] {
				for j := range kern.Tile[1] * 16 {
					at := row*panels*16 + j
					if want[at] == 0 {
						want[at] = got[at]
					}
					require.Equal(t, want[at], got[at], "%s row %d column %d", kern.Name, row, j)
				}
			}
		}
	})
}

func TestPlanesKernels(t *testing.T) {
	eachTier(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(8, 8))
		for i := range set.Planes {
			k := &set.Planes[i]
			t.Run(k.Name, func(t *testing.T) {
				for range 40 {
					testPlanesKernel(t, r, k)
				}
			})
		}
	})
}

func testPlanesKernel(t *testing.T, r *rand.Rand, k *rt.Kernel[rt.PlanesArgs]) {
	a := &arena{t: t}
	defer a.free()
	mr, np := k.Tile[0], k.Tile[1]
	g := rt.PlanesArgs{K: 1 + r.Int64N(40), Mask: 1<<(1+r.IntN(16)) - 1, Flags: rt.FlagClamp * r.Int64N(2), Lo: -0.5, Hi: 0.75}
	if r.IntN(3) == 0 {
		g.Mask = 1<<16 - 1
	}
	g.LdW, g.LdC = 4*(int64(mr)+r.Int64N(4)), 4*(16*int64(np)+r.Int64N(40))
	taps := make([]int64, g.K)
	for i := range taps {
		taps[i] = 4 * (r.Int64N(100) - 30)
	}
	g.Taps = uintptr(unsafe.Pointer(&taps[0]))
	fields := []*uintptr{&g.X, &g.W, &g.C}
	if r.IntN(2) == 0 {
		fields = append(fields, &g.R)
	}
	if r.IntN(2) == 0 {
		fields = append(fields, &g.Bias)
	}
	bs := layOut(t, a, r, fields, func() []rt.Range {
		return slices.DeleteFunc(g.Footprint(mr, np), func(x rt.Range) bool { return x.Base == g.Taps })
	})
	before := snapshot(bs)
	call(t, k, &g)
	after := snapshot(bs)
	pointAt(bs, before)
	naivePlanes(&g, mr, np)
	for i := range bs {
		for j := range after[i] {
			if i == 2 {
				require.InDelta(t, before[i][j], after[i][j], 2e-5, "%s: C[%d] with %+v", k.Name, j, g)
			} else {
				require.Equal(t, before[i][j], after[i][j], "%s wrote to an input", k.Name)
			}
		}
	}
}

// naivePlanes is rt.PlanesArgs' definition, word for word.
func naivePlanes(g *rt.PlanesArgs, mr, np int) {
	for i := range mr {
		for j := range 16 * np {
			if j/16 == np-1 && g.Mask>>(j%16)&1 == 0 {
				continue
			}
			c := uintptr(i)*uintptr(g.LdC) + uintptr(j)*4
			var acc float64
			for k := range g.K {
				tap := *(*int64)(unsafe.Add(unsafe.Pointer(nil), g.Taps+uintptr(k)*8))
				acc += float64(*f32(g.W + uintptr(k*g.LdW) + uintptr(i)*4)) * float64(*f32(g.X + uintptr(tap) + uintptr(j)*4))
			}
			if g.Bias != 0 {
				acc += float64(*f32(g.Bias + uintptr(i)*4))
			}
			if g.R != 0 {
				acc += float64(*f32(g.R + c))
			}
			if g.Flags&rt.FlagClamp != 0 {
				acc = min(max(acc, float64(g.Lo)), float64(g.Hi))
			}
			*f32(g.C + c) = float32(acc)
		}
	}
}

func TestPlanesTilesAgreeBitForBit(t *testing.T) {
	eachTier(t, func(t *testing.T, set *rt.Set) {
		const k, channels, pixels = 150, 8, 8 * 16
		taps := make([]int64, k)
		for i := range taps {
			taps[i] = int64(i%7) * 4
		}
		x, w := memory(pixels+16), memory(k*channels)
		want := make([]float32, channels*pixels)
		for _, kern := range set.Planes {
			got := make([]float32, channels*pixels)
			kern.Fn(&rt.PlanesArgs{X: uintptr(x), Taps: uintptr(unsafe.Pointer(&taps[0])), W: uintptr(w), C: uintptr(unsafe.Pointer(&got[0])), K: k,
				LdW: channels * 4, LdC: pixels * 4, Mask: 0xffff})
			for i := range kern.Tile[0] {
				for j := range kern.Tile[1] * 16 {
					at := i*pixels + j
					if want[at] == 0 {
						want[at] = got[at]
					}
					require.Equal(t, want[at], got[at], "%s channel %d pixel %d", kern.Name, i, j)
				}
			}
		}
	})
}

func TestTapKernels(t *testing.T) {
	generic := rt.GenericSet()
	eachTier(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(2, 2))
		for _, pair := range [][2]*rt.Kernel[rt.TapArgs]{{&set.Depthwise, &generic.Depthwise}, {&set.MaxPool, &generic.MaxPool}, {&set.SumPool, &generic.SumPool}} {
			t.Run(pair[0].Name, func(t *testing.T) {
				for n := range 60 {
					testTapKernel(t, r, pair[0], pair[1], int64(1+n%30), pair[0] == &set.Depthwise)
				}
			})
		}
	})
}

func testTapKernel(t *testing.T, r *rand.Rand, k, ref *rt.Kernel[rt.TapArgs], n int64, depthwise bool) {
	a := &arena{t: t}
	defer a.free()
	g := rt.TapArgs{Taps: 1 + r.Int64N(10), N: n, LdA: 64 * (1 + r.Int64N(3)), Scale: 0.3}
	steps := make([]int64, g.Taps)
	for i := range steps {
		steps[i] = 64 * (r.Int64N(5) - 1)
	}
	if g.Taps > 1 {
		g.Steps = uintptr(unsafe.Pointer(&steps[0]))
	}
	fields := []*uintptr{&g.A, &g.C}
	if depthwise {
		g.Flags, g.Lo, g.Hi = rt.FlagClamp*r.Int64N(2), -0.5, 0.5
		fields = append(fields, &g.W)
		if r.IntN(2) == 0 {
			fields = append(fields, &g.Bias)
		}
	}
	footprint := func() []rt.Range {
		var out []rt.Range
		for _, x := range g.Footprint(0, 0) {
			if x.Base != g.Steps {
				out = append(out, x)
			}
		}
		return out
	}
	bs := layOut(t, a, r, fields, footprint)
	if r.IntN(4) == 0 {
		bs[0].values[r.IntN(len(bs[0].values))] = nan
	}
	before := snapshot(bs)
	call(t, k, &g)
	after := snapshot(bs)
	pointAt(bs, before)
	ref.Fn(&g)
	for i := range bs {
		for j, want := range before[i] {
			requireClose(t, want, after[i][j], 1e-5, fmt.Sprintf("%s buffer %d element %d with %+v", k.Name, i, j, g))
		}
	}
}

func TestBlendKernels(t *testing.T) {
	generic := rt.GenericSet()
	eachTier(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(9, 9))
		for range 40 {
			a := &arena{t: t}
			g := rt.BlendArgs{N: 1 + r.Int64N(9), Taps: 1 + r.Int64N(4)}
			index := make([]int32, g.N*g.Taps)
			for i := range index {
				index[i] = r.Int32N(12)
			}
			g.Index = uintptr(unsafe.Pointer(&index[0]))
			bs := layOut(t, a, r, []*uintptr{&g.X, &g.C, &g.W}, func() []rt.Range {
				return slices.DeleteFunc(g.Footprint(0, 0), func(x rt.Range) bool { return x.Base == g.Index })
			})
			before := snapshot(bs)
			call(t, &set.Blend, &g)
			after := snapshot(bs)
			pointAt(bs, before)
			generic.Blend.Fn(&g)
			for i := range bs {
				for j, want := range before[i] {
					requireClose(t, want, after[i][j], 1e-5, fmt.Sprintf("%s buffer %d element %d with %+v", set.Blend.Name, i, j, g))
				}
			}
			a.free()
		}
	})
}

func TestTransposeKernel(t *testing.T) {
	generic := rt.GenericSet()
	eachTier(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(3, 3))
		for range 40 {
			a := &arena{t: t}
			g := rt.TransposeArgs{Cols: 8 * (1 + r.Int64N(4)), LdD: 64 + 4*r.Int64N(9)}
			g.LdS = 4 * (g.Cols + r.Int64N(5))
			bs := layOut(t, a, r, []*uintptr{&g.Src, &g.Dst}, func() []rt.Range { return g.Footprint(0, 0) })
			before := snapshot(bs)
			call(t, &set.Transpose, &g)
			after := snapshot(bs)
			pointAt(bs, before)
			generic.Transpose.Fn(&g)
			require.Equal(t, before, after)
			a.free()
		}
	})
}

func TestWinogradKernels(t *testing.T) {
	generic := rt.GenericSet()
	eachTier(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(6, 6))
		for out, pair := range [][2]*rt.Kernel[rt.WinoArgs]{{&set.WinoIn, &generic.WinoIn}, {&set.WinoOut, &generic.WinoOut}} {
			t.Run(pair[0].Name, func(t *testing.T) {
				for range 40 {
					testWinogradKernel(t, r, pair[0], pair[1], out)
				}
			})
		}
	})
}

func testWinogradKernel(t *testing.T, r *rand.Rand, k, ref *rt.Kernel[rt.WinoArgs], out int) {
	a := &arena{t: t}
	defer a.free()
	g := rt.WinoArgs{N: 1 + r.Int64N(5)}
	points, pixels := 64*(g.N+r.Int64N(3)), 64*(4*g.N+2+r.Int64N(3))
	fields := []*uintptr{&g.Src, &g.Dst, &g.Tmp}
	if g.LdS, g.LdD = pixels, points; out == 1 {
		g.LdS, g.LdD = points, pixels
		g.Flags, g.Lo, g.Hi = rt.FlagClamp*r.Int64N(2), -0.5, 0.5
		if r.IntN(2) == 0 {
			fields = append(fields, &g.Bias)
		}
		if r.IntN(2) == 0 {
			fields = append(fields, &g.R)
		}
	}
	bs := layOut(t, a, r, fields, func() []rt.Range { return g.Footprint(out, 0) })
	before := snapshot(bs)
	call(t, k, &g)
	after := snapshot(bs)
	pointAt(bs, before)
	ref.Fn(&g)
	for i := range bs {
		if i == 2 {
			continue // Tmp
		}
		for j, want := range before[i] {
			requireClose(t, want, after[i][j], 2e-4, fmt.Sprintf("%s buffer %d element %d with %+v", k.Name, i, j, g))
		}
	}
}
