// Package float16 converts between float32 and the narrow floating point
// types of ONNX: float16, bfloat16, float8 (E4M3FN, E4M3FNUZ, E5M2,
// E5M2FNUZ), float6 (E2M3, E3M2), float4 (E2M1) and the scale type E8M0. Values
// are carried as their bits. It knows nothing of tensors or operators.
//
// Conversions to a narrower type round to nearest, ties to even. The float8
// rules are those of ONNX's Cast operator:
// https://onnx.ai/onnx/operators/onnx__Cast.html
package float16

import "math"

const (
	signBit = 1 << 31
	infBits = 0x7f800000
)

// FromFloat32 rounds f to float16 (1 sign, 5 exponent, 10 mantissa bits).
// Values that round past 65504 become infinity.
func FromFloat32(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &^= signBit
	switch {
	case b > infBits: // NaN: quiet, payload kept as far as it fits
		return sign | 0x7e00 | uint16(b>>13&0x3ff)
	case b >= 0x47800000: // 2^16 and more
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: the ulp of 0.5 is float16's smallest step
		s := math.Float32frombits(b) + 0.5
		return sign | uint16(math.Float32bits(s)-0x3f000000)
	}
	b += 0xfff + b>>13&1
	return sign | uint16(b>>13-(127-15)<<10)
}

// ToFloat32 returns the value of a float16; the conversion is exact.
func ToFloat32(h uint16) float32 {
	b := uint32(h&0x7fff) << 13
	// Rebiasing by a product makes subnormals come out right.
	b = math.Float32bits(math.Float32frombits(b) * 0x1p112)
	if h&0x7c00 == 0x7c00 {
		b |= infBits
	}
	return math.Float32frombits(b | uint32(h&0x8000)<<16)
}

// FromFloat64 rounds f to float16, once.
func FromFloat64(f float64) uint16 { return FromFloat32(toOdd(f)) }

// BFloat16FromFloat32 rounds f to bfloat16, the upper half of a float32.
func BFloat16FromFloat32(f float32) uint16 {
	b := math.Float32bits(f)
	if b&^signBit > infBits {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// BFloat16ToFloat32 returns the value of a bfloat16; the conversion is exact.
func BFloat16ToFloat32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// BFloat16FromFloat64 rounds f to bfloat16, once.
func BFloat16FromFloat64(f float64) uint16 { return BFloat16FromFloat32(toOdd(f)) }

// toOdd rounds to float32 by "round to odd": an inexact result gets an odd
// last bit, so that rounding it again to a narrower type gives what rounding
// f at once would (Boldo and Melquiond, "When double rounding is odd", 2005).
func toOdd(f float64) float32 {
	r := float32(f)
	if float64(r) == f || f != f {
		return r
	}
	b := math.Float32bits(r)
	if math.Abs(float64(r)) > math.Abs(f) {
		b--
	}
	return math.Float32frombits(b | 1)
}

// FromFloat32s converts src to float16 into dst, which must be as long.
func FromFloat32s(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, f := range src {
		dst[i] = FromFloat32(f)
	}
}
