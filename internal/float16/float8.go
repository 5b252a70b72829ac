package float16

import "math"

// Float8 names one of the four 8-bit floating point formats.
type Float8 uint8

// The formats of ONNX. FN types have no infinity; FNUZ types have no negative
// zero either, and one NaN, in its place.
const (
	E4M3FN Float8 = iota
	E4M3FNUZ
	E5M2
	E5M2FNUZ
)

// layout describes a small format: field widths, exponent bias, and codes
// (without sign) of its largest finite value, of infinity and of NaN.
type layout struct {
	mant, bias    int
	max, inf, nan uint32
	fnuz          bool
}

var float8s = [...]layout{
	E4M3FN:   {mant: 3, bias: 7, max: 0x7e, inf: 0x7f, nan: 0x7f},
	E4M3FNUZ: {mant: 3, bias: 8, max: 0x7f, inf: 0x80, nan: 0x80, fnuz: true},
	E5M2:     {mant: 2, bias: 15, max: 0x7b, inf: 0x7c, nan: 0x7e},
	E5M2FNUZ: {mant: 2, bias: 16, max: 0x7f, inf: 0x80, nan: 0x80, fnuz: true},
}

var float4 = layout{mant: 1, bias: 1, max: 0x7}

// magnitude rounds a finite |f|, given as float32 bits, to the layout's codes
// as if its exponents went on for ever.
func (l *layout) magnitude(b uint32) uint32 {
	exp := max(int(b>>23), 1)
	m := b & 0x7fffff
	if b>>23 != 0 {
		m |= 1 << 23
	}
	// step is where the exponent stands above that of the first normal binade.
	step := exp - 127 + l.bias - 1
	shift := 23 - l.mant
	if step < 0 {
		shift, step = shift-step, 0
	}
	if shift > 25 {
		return 0
	}
	m += 1<<(shift-1) - 1 + m>>shift&1
	// The implicit bit counts as one exponent, so a carry moves on by itself.
	return m>>shift + uint32(step)<<l.mant
}

// value returns what the code, without sign, stands for.
func (l *layout) value(code uint32) float32 {
	e, m := int(code>>l.mant), float64(code&(1<<l.mant-1))
	if e > 0 {
		e, m = e-1, m+float64(uint32(1)<<l.mant)
	}
	return float32(math.Ldexp(m, e+1-l.bias-l.mant))
}

// Float8FromFloat32 rounds f to the format k. Values that round past the
// largest finite one become it where saturate is set; else they become
// infinity in E5M2 and NaN in the others. NaN stays NaN.
func Float8FromFloat32(k Float8, f float32, saturate bool) uint8 {
	l := &float8s[k]
	b := math.Float32bits(f)
	sign := b >> 24 & 0x80
	b &^= signBit
	var code uint32
	switch {
	case b > infBits:
		code = l.nan
	case b == infBits:
		code = l.max + 1
	default:
		code = l.magnitude(b)
	}
	if b <= infBits && code > l.max {
		code = l.inf
		if saturate {
			code = l.max
		}
	}
	if l.fnuz && (code == 0 || code == l.nan) {
		return uint8(code)
	}
	return uint8(sign | code)
}

// Float8ToFloat32 returns the value of a code of format k, exactly.
func Float8ToFloat32(k Float8, code uint8) float32 { return float8Values[k][code] }

// Float4FromFloat32 rounds f to E2M1, whose magnitudes are 0, 0.5, 1, 1.5, 2,
// 3, 4 and 6; larger ones become 6. The format has no NaN: one becomes a zero
// of the other sign, as in ml_dtypes and so in ONNX's own tests.
func Float4FromFloat32(f float32) uint8 {
	b := math.Float32bits(f)
	sign := b >> 28 & 8
	b &^= signBit
	if b > infBits {
		return uint8(sign ^ 8)
	}
	return uint8(sign | min(float4.magnitude(b), float4.max))
}

// Float4ToFloat32 returns the value of an E2M1 code, which is in the low four
// bits.
func Float4ToFloat32(code uint8) float32 { return float4Values[code&15] }

var (
	float8Values = func() (t [len(float8s)][256]float32) {
		for k := range t {
			l := &float8s[k]
			for c := range uint32(256) {
				t[k][c] = l.signed(c, 0x80)
			}
		}
		return t
	}()
	float4Values = func() (t [16]float32) {
		for c := range uint32(16) {
			t[c] = float4.signed(c, 8)
		}
		return t
	}()
)

// signed returns the value of a whole code, specials included.
func (l *layout) signed(c, signBit uint32) float32 {
	m := c &^ signBit
	neg := c&signBit != 0
	switch {
	case l.fnuz && c == l.nan:
		return float32(math.NaN())
	case m > l.max && m == l.inf && l.inf != l.nan:
		if neg {
			return float32(math.Inf(-1))
		}
		return float32(math.Inf(1))
	case m > l.max:
		return float32(math.NaN())
	case neg:
		return float32(math.Copysign(float64(l.value(m)), -1))
	}
	return l.value(m)
}
