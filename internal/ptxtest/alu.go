package ptxtest

import (
	"math"
	"math/big"

	"github.com/hone-ml/hone/internal/float16"
)

// alu says what operations do, by name. Registers of 32 and 16 bits are held in
// the low bits, predicates as 0 and 1.
var alu = map[string]func(a [4]uint64) uint64{
	"add.rn.f32": f2(func(x, y float32) float32 { return x + y }), "sub.rn.f32": f2(func(x, y float32) float32 { return x - y }),
	"mul.rn.f32": f2(func(x, y float32) float32 { return x * y }), "div.rn.f32": f2(func(x, y float32) float32 { return x / y }),
	"min.NaN.f32": f2(func(x, y float32) float32 { return min(x, y) }), "max.NaN.f32": f2(func(x, y float32) float32 { return max(x, y) }),
	"sqrt.rn.f32": f2(func(x, _ float32) float32 { return float32(math.Sqrt(float64(x))) }),
	"fma.rn.f32":  func(a [4]uint64) uint64 { return bits(fma(float(a[0]), float(a[1]), float(a[2]))) },
	"neg.f32":     func(a [4]uint64) uint64 { return a[0] ^ 1<<31 },
	"abs.f32":     func(a [4]uint64) uint64 { return a[0] &^ (1 << 31) },
	"setp.lt.f32": fp(func(x, y float32) bool { return x < y }), "setp.le.f32": fp(func(x, y float32) bool { return x <= y }),
	"setp.eq.f32": fp(func(x, y float32) bool { return x == y }), "setp.neu.f32": fp(func(x, y float32) bool { return x != y }),

	"add.s32": u2(func(x, y uint32) uint32 { return x + y }), "add.u32": u2(func(x, y uint32) uint32 { return x + y }),
	"sub.s32": u2(func(x, y uint32) uint32 { return x - y }), "sub.u32": u2(func(x, y uint32) uint32 { return x - y }),
	"and.b32": u2(func(x, y uint32) uint32 { return x & y }), "or.b32": u2(func(x, y uint32) uint32 { return x | y }),
	"xor.b32": u2(func(x, y uint32) uint32 { return x ^ y }), "min.u32": u2(func(x, y uint32) uint32 { return min(x, y) }),
	"shl.b32": u2(func(x, y uint32) uint32 { return x << y }), "shr.u32": u2(func(x, y uint32) uint32 { return x >> y }),
	"shr.s32":     u2(func(x, y uint32) uint32 { return uint32(int32(x) >> y) }),
	"mul.lo.u32":  u2(func(x, y uint32) uint32 { return x * y }),
	"mul.hi.u32":  u2(func(x, y uint32) uint32 { return uint32(uint64(x) * uint64(y) >> 32) }),
	"mad.lo.u32":  func(a [4]uint64) uint64 { return uint64(uint32(a[0])*uint32(a[1]) + uint32(a[2])) },
	"bfe.u32":     func(a [4]uint64) uint64 { return a[0] >> a[1] & (1<<a[2] - 1) },
	"bfi.b32":     insert,
	"setp.gt.u32": up(func(x, y uint32) bool { return x > y }), "setp.eq.u32": up(func(x, y uint32) bool { return x == y }),
	"setp.ne.s32": up(func(x, y uint32) bool { return x != y }),
	"selp.b32":    pick, "selp.b64": pick,

	"add.s64": l2(func(x, y int64) int64 { return x + y }), "sub.s64": l2(func(x, y int64) int64 { return x - y }),
	"mul.lo.s64": l2(func(x, y int64) int64 { return x * y }), "neg.s64": l2(func(x, _ int64) int64 { return -x }),
	"min.s64": l2(func(x, y int64) int64 { return min(x, y) }), "max.s64": l2(func(x, y int64) int64 { return max(x, y) }),
	"abs.s64":      l2(func(x, _ int64) int64 { return max(x, -x) }),
	"mad.wide.u32": func(a [4]uint64) uint64 { return uint64(uint32(a[0]))*uint64(uint32(a[1])) + a[2] },
	"setp.lt.s64":  lp(func(x, y int64) bool { return x < y }), "setp.le.s64": lp(func(x, y int64) bool { return x <= y }),
	"setp.eq.s64": lp(func(x, y int64) bool { return x == y }), "setp.ne.s64": lp(func(x, y int64) bool { return x != y }),

	"cvt.f32.f16":     func(a [4]uint64) uint64 { return bits(float16.ToFloat32(uint16(a[0]))) },
	"cvt.rn.f16.f32":  func(a [4]uint64) uint64 { return uint64(float16.FromFloat32(float(a[0]))) },
	"cvt.rn.bf16.f32": func(a [4]uint64) uint64 { return uint64(float16.BFloat16FromFloat32(float(a[0]))) },
	"cvt.rn.f32.s32":  func(a [4]uint64) uint64 { return bits(float32(int32(a[0]))) },
	"cvt.rn.f32.s64":  func(a [4]uint64) uint64 { return bits(float32(int64(a[0]))) },
	"cvt.rzi.s64.f32": func(a [4]uint64) uint64 { return uint64(truncated(float(a[0]))) },
	"cvt.u32.u16":     func(a [4]uint64) uint64 { return a[0] & 0xffff },
	"cvt.u64.u32":     func(a [4]uint64) uint64 { return a[0] & 0xffffffff },
	"cvt.u32.u64":     func(a [4]uint64) uint64 { return a[0] & 0xffffffff },
	"cvt.s64.s32":     func(a [4]uint64) uint64 { return uint64(int32(a[0])) },
}

func float(v uint64) float32 { return math.Float32frombits(uint32(v)) }
func bits(f float32) uint64  { return uint64(math.Float32bits(f)) }

func one(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func f2(f func(x, y float32) float32) func([4]uint64) uint64 {
	return func(a [4]uint64) uint64 { return bits(f(float(a[0]), float(a[1]))) }
}

func fp(f func(x, y float32) bool) func([4]uint64) uint64 {
	return func(a [4]uint64) uint64 { return one(f(float(a[0]), float(a[1]))) }
}

func u2(f func(x, y uint32) uint32) func([4]uint64) uint64 {
	return func(a [4]uint64) uint64 { return uint64(f(uint32(a[0]), uint32(a[1]))) }
}

func up(f func(x, y uint32) bool) func([4]uint64) uint64 {
	return func(a [4]uint64) uint64 { return one(f(uint32(a[0]), uint32(a[1]))) }
}

func l2(f func(x, y int64) int64) func([4]uint64) uint64 {
	return func(a [4]uint64) uint64 { return uint64(f(int64(a[0]), int64(a[1]))) }
}

func lp(f func(x, y int64) bool) func([4]uint64) uint64 {
	return func(a [4]uint64) uint64 { return one(f(int64(a[0]), int64(a[1]))) }
}

func pick(a [4]uint64) uint64 {
	if a[2] != 0 {
		return a[0]
	}
	return a[1]
}

// insert puts the low a[3] bits of a[0] into a[1] at a[2].
func insert(a [4]uint64) uint64 {
	mask := uint64(1<<a[3]-1) << a[2]
	return a[1]&^mask | a[0]<<a[2]&mask
}

// fma is x*y + z rounded once. By way of float64 it is, unless the sum there is
// half way between two float32 or too small for their full precision: then exact arithmetic decides.
func fma(x, y, z float32) float32 {
	r := math.FMA(float64(x), float64(y), float64(z))
	if math.IsInf(r, 0) || r != r || r == 0 || math.Float64bits(r)&(1<<29-1) != 1<<28 && math.Abs(r) >= 0x1p-126 {
		return float32(r)
	}
	exact := new(big.Float).SetPrec(600).SetFloat64(float64(x))
	exact.Mul(exact, big.NewFloat(float64(y)))
	exact.Add(exact, big.NewFloat(float64(z)))
	f, _ := exact.Float32()
	return f
}

// truncated is the nearest integer towards zero, saturated; NaN gives the lowest (PTX ISA, cvt).
func truncated(f float32) int64 {
	switch {
	case f >= 1<<63:
		return math.MaxInt64
	case f >= -1<<63:
		return int64(f)
	}
	return math.MinInt64
}
