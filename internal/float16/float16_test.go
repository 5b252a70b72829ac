package float16

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
)

// format is what the tests know of a type: its codes, and both conversions.
type format struct {
	name     string
	codes    int
	from     func(float32) uint32
	to       func(uint32) float32
	overflow func(sign float64) float64 // what is past the last finite value
}

func inf(sign float64) float64 { return math.Inf(int(sign)) }
func nan(float64) float64      { return math.NaN() }
func stay(v float64) func(float64) float64 {
	return func(sign float64) float64 { return sign * v }
}

func small(name string, k Format, codes int, sat bool, overflow func(float64) float64) format {
	return format{name, codes,
		func(f float32) uint32 { return uint32(k.FromFloat32(f, sat)) },
		func(c uint32) float32 { return k.ToFloat32(uint8(c)) }, overflow}
}

var formats = []format{
	{"float16", 1 << 16,
		func(f float32) uint32 { return uint32(FromFloat32(f)) },
		func(c uint32) float32 { return ToFloat32(uint16(c)) }, inf},
	{"float16 from float64", 1 << 16,
		func(f float32) uint32 { return uint32(FromFloat64(float64(f))) },
		func(c uint32) float32 { return ToFloat32(uint16(c)) }, inf},
	{"bfloat16", 1 << 16,
		func(f float32) uint32 { return uint32(BFloat16FromFloat32(f)) },
		func(c uint32) float32 { return BFloat16ToFloat32(uint16(c)) }, inf},
	small("e4m3fn", E4M3FN, 256, false, nan),
	small("e4m3fnuz", E4M3FNUZ, 256, false, nan),
	small("e5m2", E5M2, 256, false, inf),
	small("e5m2fnuz", E5M2FNUZ, 256, false, nan),
	small("e4m3fn saturated", E4M3FN, 256, true, stay(448)),
	small("e4m3fnuz saturated", E4M3FNUZ, 256, true, stay(240)),
	small("e5m2 saturated", E5M2, 256, true, stay(57344)),
	small("e5m2fnuz saturated", E5M2FNUZ, 256, true, stay(57344)),
	small("e2m1", E2M1, 16, false, stay(6)),
	small("e2m3", E2M3, 64, false, stay(7.5)),
	small("e3m2", E3M2, 64, true, stay(28)),
}

func TestEveryCodeRoundTrips(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			for c := range uint32(f.codes) {
				v := f.to(c)
				back := f.from(v)
				switch {
				case v != v:
					require.True(t, math.IsNaN(float64(f.to(back))), "%#x", c)
				case math.IsInf(float64(v), 0):
					require.Equal(t, float32(f.overflow(math.Copysign(1, float64(v)))), f.to(back), "%#x", c)
				default:
					require.Equal(t, c, back, "%#x is %g", c, v)
				}
			}
		})
	}
}

// nearest finds the value nearest to x among the finite ones (ascending, from
// zero), ties to the even index, by searching in float64. step past the last
// value counts as overflow.
func nearest(finite []float64, x float64, overflow func(float64) float64) float64 {
	sign, x := math.Copysign(1, x), math.Abs(x)
	last := len(finite) - 1
	next := 2*finite[last] - finite[last-1] // the value that would come next
	if x >= (finite[last]+next)/2 {
		return overflow(sign)
	}
	i := sort.SearchFloat64s(finite, x)
	if i > last {
		return sign * finite[last]
	}
	if i > 0 {
		lo, hi := x-finite[i-1], finite[i]-x
		if lo < hi || lo == hi && (i-1)%2 == 0 {
			i--
		}
	}
	return sign * finite[i]
}

func TestNearestEven(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			var finite []float64
			for c := range uint32(f.codes / 2) {
				if v := float64(f.to(c)); v == v && !math.IsInf(v, 0) {
					finite = append(finite, v)
				}
			}
			require.True(t, sort.Float64sAreSorted(finite))
			// An odd count of finite values means that the tie past the last
			// (even) one rounds back to it, an even count that it overflows.
			check := func(x float32) {
				want := nearest(finite, float64(x), f.overflow)
				last := len(finite) - 1
				tie := (3*finite[last] - finite[last-1]) / 2
				if math.Abs(float64(x)) == tie && last%2 == 0 {
					want = math.Copysign(finite[last], float64(x))
				}
				got := float64(f.to(f.from(x)))
				if math.IsNaN(want) {
					require.True(t, math.IsNaN(got), "%g gives %g", x, got)
				} else {
					require.Equal(t, want, got, "%g", x)
				}
			}
			for i, v := range finite[:len(finite)-1] {
				mid := float32((v + finite[i+1]) / 2)
				for _, x := range []float32{mid, math.Nextafter32(mid, 0), math.Nextafter32(mid, math.MaxFloat32)} {
					check(x)
					check(-x)
				}
			}
			for range 100_000 {
				if x := math.Float32frombits(rng.Uint32()); x == x {
					check(x)
				}
			}
			check(math.MaxFloat32)
			check(float32(math.Inf(-1)))
		})
	}
}

func TestSpecials(t *testing.T) {
	pinf, ninf, nan := float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())
	nzero := float32(math.Copysign(0, -1))
	for _, c := range []struct {
		k        Format
		f        float32
		sat, not uint8
	}{
		{E4M3FN, pinf, 0x7e, 0x7f}, {E4M3FN, ninf, 0xfe, 0xff}, {E4M3FN, nan, 0x7f, 0x7f}, {E4M3FN, nzero, 0x80, 0x80},
		{E4M3FN, 464, 0x7e, 0x7e}, {E4M3FN, 465, 0x7e, 0x7f}, {E4M3FN, -1e6, 0xfe, 0xff},
		{E4M3FNUZ, pinf, 0x7f, 0x80}, {E4M3FNUZ, ninf, 0xff, 0x80}, {E4M3FNUZ, nan, 0x80, 0x80}, {E4M3FNUZ, nzero, 0, 0},
		{E4M3FNUZ, -1e-9, 0, 0}, {E4M3FNUZ, 247, 0x7f, 0x7f}, {E4M3FNUZ, 248, 0x7f, 0x80},
		{E5M2, pinf, 0x7b, 0x7c}, {E5M2, ninf, 0xfb, 0xfc}, {E5M2, nan, 0x7e, 0x7e}, {E5M2, 1e6, 0x7b, 0x7c}, {E5M2, nzero, 0x80, 0x80},
		{E5M2FNUZ, pinf, 0x7f, 0x80}, {E5M2FNUZ, ninf, 0xff, 0x80}, {E5M2FNUZ, nan, 0x80, 0x80}, {E5M2FNUZ, nzero, 0, 0},
	} {
		require.Equal(t, c.sat, c.k.FromFloat32(c.f, true), "%d %g saturated", c.k, c.f)
		require.Equal(t, c.not, c.k.FromFloat32(c.f, false), "%d %g", c.k, c.f)
	}
	for _, k := range []Format{E2M1, E2M3, E3M2} { // as ml_dtypes converts them
		top := uint8(7)
		if k != E2M1 {
			top = 31
		}
		for f, want := range map[float32]uint8{pinf: top, ninf: 2*top + 1, 1000: top, -1000: 2*top + 1, 0: 0} {
			require.Equal(t, want, k.FromFloat32(f, false), "%d %g", k, f)
		}
		require.Equal(t, top+1, k.FromFloat32(nan, true), "a NaN is the zero of the other sign")
		require.Equal(t, uint8(0), k.FromFloat32(float32(math.Copysign(math.NaN(), -1)), true))
		require.Equal(t, top+1, k.FromFloat32(nzero, false))
	}
	require.Equal(t, uint16(0x7e00), FromFloat32(math.Float32frombits(0x7f800001)), "a NaN whose payload does not fit stays one")
	require.Equal(t, uint16(0x7fc0), BFloat16FromFloat32(math.Float32frombits(0x7f800001)))
}

func TestE8M0(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		f        float32
		mode     RoundMode
		sat, not uint8
	}{
		{0, Up, 0, 0xff}, {0, Nearest, 0, 0xff}, {nan, Up, 0xff, 0xff}, {inf, Up, 0xfe, 0xff},
		{0x1p-127, Up, 0, 0}, {0x1.8p-127, Up, 1, 1}, {0x1.8p-127, Down, 0, 0}, {0x1.8p-127, Nearest, 1, 1}, {0x1.7p-127, Nearest, 0, 0},
		{0x1p-130, Up, 0, 0xff}, {1, Up, 127, 127}, {1.1, Up, 128, 128}, {1.1, Down, 127, 127}, {1.1, Nearest, 127, 127},
		{1.5, Nearest, 128, 128}, {math.Nextafter32(1.5, 0), Nearest, 127, 127}, {0.124, Up, 124, 124}, {8, Up, 130, 130},
		{0x1p127, Up, 0xfe, 0xfe}, {math.MaxFloat32, Up, 0xfe, 0xff}, {math.MaxFloat32, Down, 0xfe, 0xfe},
	} {
		require.Equal(t, c.sat, E8M0FromFloat32(c.f, true, c.mode), "%g mode %d saturated", c.f, c.mode)
		require.Equal(t, c.not, E8M0FromFloat32(c.f, false, c.mode), "%g mode %d", c.f, c.mode)
	}
	for c := range 255 {
		v := E8M0ToFloat32(uint8(c))
		require.Equal(t, math.Ldexp(1, c-127), float64(v))
		for _, m := range []RoundMode{Up, Down, Nearest} {
			require.Equal(t, uint8(c), E8M0FromFloat32(v, false, m))
		}
	}
	require.True(t, math.IsNaN(float64(E8M0ToFloat32(E8M0NaN))))
	_, err := ParseRoundMode("sideways")
	require.ErrorContains(t, err, "sideways")
}

// From float64, rounding twice would go wrong just past a tie.
func TestFloat64RoundsOnce(t *testing.T) {
	require.Equal(t, uint16(0x3c01), FromFloat64(1+0x1p-11+0x1p-40))
	require.Equal(t, uint16(0x3c00), FromFloat64(1+0x1p-11))
	require.Equal(t, uint16(0x3c00), FromFloat64(1+0x1p-11-0x1p-40))
	require.Equal(t, uint16(0x3f81), BFloat16FromFloat64(1+0x1p-8+0x1p-40))
	require.Equal(t, uint16(0x7c00), FromFloat64(math.MaxFloat64))
	require.Equal(t, uint16(0x8000), FromFloat64(-math.SmallestNonzeroFloat64))
	require.Equal(t, uint16(0x7e00), FromFloat64(math.NaN())&0x7e00)
}

func TestSlices(t *testing.T) {
	src := []float32{0, 1, -2.5, 65504, 1e-7}
	h := make([]uint16, 5)
	FromFloat32s(h, src)
	for i, v := range src {
		require.Equal(t, FromFloat32(v), h[i])
	}
}

func BenchmarkFromFloat32s(b *testing.B) {
	src, dst := make([]float32, 4096), make([]uint16, 4096)
	for i := range src {
		src[i] = float32(i)
	}
	b.SetBytes(int64(4 * len(src)))
	for b.Loop() {
		FromFloat32s(dst, src)
	}
}
