//go:build unix

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
	// specials are the values that vector code most often gets wrong.
	specials = []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.5, -0.5, 1.5, 2.5, nan, inf, -inf, 1e-45, -1e-45, 1e-38, math.MaxFloat32, -math.MaxFloat32,
		88.5, 89, -87, -88, -103, -104, 200, -200, 8388608.5, -8388609, 3.9, -3.95, 9.1, -20, 1e-6, -1e-6}
)

// bounds are the largest errors that an operator may have against float64 rounded once, at every float32: units in the last
// place, or an absolute error where that is larger (near a zero of the function, or relative to max(|x|, 1)).
var bounds = map[rt.VecOp]struct {
	ulp int64
	abs float64
}{
	rt.OpExp:         {1, 0},
	rt.OpLog:         {1, 0},
	rt.OpTanh:        {2, 0},
	rt.OpSigmoid:     {2, 1e-38},
	rt.OpErf:         {6, 0},
	rt.OpGelu:        {2, 2.5e-7},
	rt.OpGeluTanh:    {2, 1.5e-7},
	rt.OpSilu:        {2, 1.2e-7},
	rt.OpSoftplus:    {2, 0},
	rt.OpHardSigmoid: {2, 1.2e-7},
	rt.OpHardSwish:   {2, 1.5e-7},
	rt.OpElu:         {2, 0},
	rt.OpFma:         {1, 0},
}

// ordered maps a float32 to an integer that grows with it, one a representable value.
func ordered(x float32) int64 {
	b := int64(int32(math.Float32bits(x)))
	if b < 0 {
		b = math.MinInt32 - b
	}
	return b
}

func ulps(a, b float32) int64 {
	if a != a || b != b {
		if a != a && b != b {
			return 0
		}
		return math.MaxInt64
	}
	d := ordered(a) - ordered(b)
	return max(d, -d)
}

func requireClose(t *testing.T, want, got float32, tol float64, msg string) {
	if want == got || want != want && got != got {
		return
	}
	require.InDelta(t, want, got, tol, msg)
}

// vecCall runs one kernel over slices.
func vecCall(k *rt.Kernel[rt.VecArgs], g rt.VecArgs, dst []float32, src ...[]float32) {
	g.N = int64(len(dst))
	if len(dst) > 0 {
		g.Dst = uintptr(unsafe.Pointer(&dst[0]))
	}
	for i, f := range []struct {
		p *uintptr
		s *int64
	}{{&g.X, &g.SX}, {&g.Y, &g.SY}, {&g.Z, &g.SZ}}[:len(src)] {
		if *f.s = 64; len(src[i]) > 0 {
			*f.p = uintptr(unsafe.Pointer(&src[i][0]))
		}
	}
	k.Fn(&g)
}

func params(op rt.VecOp) rt.VecArgs {
	switch op {
	case rt.OpClamp:
		return rt.VecArgs{P0: -0.25, P1: 6}
	case rt.OpHardSigmoid:
		return rt.VecArgs{P0: 0.2, P1: 0.5}
	}
	return rt.VecArgs{P0: 0.1, P1: 0.5}
}

// TestVecAccuracy sweeps float32 evenly over its bit patterns, with every special value, against the definition in rt.
func TestVecAccuracy(t *testing.T) {
	generic := rt.GenericSet()
	step := uint64(1021)
	if testing.Short() {
		step = 65521
	}
	var x []float32
	x = append(x, specials...)
	for b := uint64(0); b < 1<<32; b += step {
		x = append(x, math.Float32frombits(uint32(b)))
	}
	for i := range 200000 {
		x = append(x, float32(i-100000)*1.1e-4)
	}
	want, got := make([]float32, len(x)), make([]float32, len(x))
	eachTier(t, func(t *testing.T, set *rt.Set) {
		for op := range rt.NumVecOps {
			if op.Operands() != 1 {
				continue
			}
			vecCall(&generic.Vec[op], params(op), want, x)
			vecCall(&set.Vec[op], params(op), got, x)
			bound := bounds[op]
			var worstULP int64
			var worstAbs float64
			bad := 0
			for i := range x {
				abs := math.Abs(float64(want[i])-float64(got[i])) / max(1, math.Abs(float64(x[i])))
				if u := ulps(want[i], got[i]); u > bound.ulp && !(abs <= bound.abs) {
					if x[i] == -inf && (op == rt.OpSilu || op == rt.OpGelu || op == rt.OpGeluTanh) {
						continue // -Inf·0 is NaN by definition; a kernel may give 0
					}
					t.Errorf("%s(%v) = %v, want %v: %d ULP, %.3g", set.Vec[op].Name, x[i], got[i], want[i], u, abs)
					if bad++; bad > 5 {
						break
					}
				} else if abs <= bound.abs {
					worstAbs = max(worstAbs, abs)
				} else {
					worstULP = max(worstULP, u)
				}
			}
			if bound.ulp > 0 {
				t.Logf("%s: %d ULP, %.2g absolute", set.Vec[op].Name, worstULP, worstAbs)
			}
		}
	})
}

// TestVecKernels runs every operator at every length up to three vectors and some beyond, on misaligned and guarded buffers,
// with every mixture of steps and in place.
func TestVecKernels(t *testing.T) {
	generic := rt.GenericSet()
	eachTier(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(4, 4))
		for op := range rt.NumVecOps {
			k := &set.Vec[op]
			t.Run(k.Name, func(t *testing.T) {
				for n := range 56 {
					if n == 55 {
						n = 1024 + r.IntN(16)
					}
					testVecKernel(t, r, k, &generic.Vec[op], op, int64(n))
				}
			})
		}
	})
}

func testVecKernel(t *testing.T, r *rand.Rand, k, ref *rt.Kernel[rt.VecArgs], op rt.VecOp, n int64) {
	a := &arena{t: t}
	defer a.free()
	g := params(op)
	g.N, g.SX, g.SY, g.SZ = n, 64*r.Int64N(2), 64*r.Int64N(2), 64*r.Int64N(2)
	fields := []*uintptr{&g.Dst, &g.X, &g.Y, &g.Z}[:1+op.Operands()]
	inPlace := n > 0 && r.IntN(3) == 0
	if inPlace {
		g.SX = 64
	}
	bs := layOut(t, a, r, fields, func() []rt.Range { return g.Footprint(op.Operands(), 0) })
	for _, b := range bs[1:] {
		for i := range b.values {
			switch r.IntN(4) {
			case 0:
				b.values[i] = specials[r.IntN(len(specials))]
			case 1:
				b.values[i] *= 20
			}
		}
	}
	before := snapshot(bs)
	if inPlace {
		copy(bs[0].values, bs[1].values)
		g.X = g.Dst
	}
	call(t, k, &g)
	got := snapshot(bs)[0]
	pointAt(bs, before)
	ref.Fn(&g)
	for i, want := range before[0] {
		if ulps(want, got[i]) <= bounds[op].ulp {
			continue
		}
		x := 1.0
		if g.SX != 0 {
			x = max(1, math.Abs(float64(before[1][i])))
		}
		if bounds[op].abs > 0 && x > 1e30 {
			continue
		}
		requireClose(t, want, got[i], bounds[op].abs*x, fmt.Sprintf("%s element %d of %d", k.Name, i, n))
	}
}

func TestReduceKernels(t *testing.T) {
	generic := rt.GenericSet()
	eachTier(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(5, 5))
		for op := range rt.NumReduceOps {
			k := &set.Reduce[op]
			t.Run(k.Name, func(t *testing.T) {
				for n := 1; n < 80; n++ {
					testReduceKernel(t, r, k, &generic.Reduce[op], op, int64(n))
				}
				testReduceKernel(t, r, k, &generic.Reduce[op], op, 3001)
			})
		}
	})
}

func testReduceKernel(t *testing.T, r *rand.Rand, k, ref *rt.Kernel[rt.ReduceArgs], op rt.ReduceOp, n int64) {
	a := &arena{t: t}
	defer a.free()
	g := rt.ReduceArgs{N: n, P0: 0.3}
	fields := []*uintptr{&g.X, &g.Out}
	if op.Writes() == 1 {
		fields = append(fields, &g.Dst)
	}
	bs := layOut(t, a, r, fields, func() []rt.Range { return g.Footprint(op.Writes(), 0) })
	for i := range bs[0].values {
		bs[0].values[i]--
	}
	if r.IntN(5) == 0 {
		bs[0].values[r.IntN(int(n))] = specials[r.IntN(12)]
	}
	before := snapshot(bs)
	call(t, k, &g)
	after := snapshot(bs)
	pointAt(bs, before)
	ref.Fn(&g)
	for i := range bs {
		for j, want := range before[i] {
			requireClose(t, want, after[i][j], 2e-6*math.Max(1, math.Abs(float64(want))), fmt.Sprintf("%s of %d, buffer %d", k.Name, n, i))
		}
	}
}
