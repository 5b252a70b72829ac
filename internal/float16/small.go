package float16

import "math"

// Format names one of the floating point formats of 8 bits and fewer. A code
// lies in the low bits of a byte.
type Format uint8

// The formats of ONNX, by the widths of exponent and mantissa. FN types have no
// infinity; FNUZ types have no negative zero either, and one NaN, in its place.
// Those of fewer than 8 bits (of the OCP Microscaling Formats specification)
// have finite values only.
const (
	E4M3FN Format = iota
	E4M3FNUZ
	E5M2
	E5M2FNUZ
	E2M1
	E2M3
	E3M2
)

// layout describes a format: field widths, exponent bias, and codes (without
// sign) of its largest finite value, of infinity and of NaN.
type layout struct {
	bits, mant, bias int
	max, inf, nan    uint32
	fnuz, finite     bool
}

var layouts = [...]layout{
	E4M3FN:   {bits: 8, mant: 3, bias: 7, max: 0x7e, inf: 0x7f, nan: 0x7f},
	E4M3FNUZ: {bits: 8, mant: 3, bias: 8, max: 0x7f, inf: 0x80, nan: 0x80, fnuz: true},
	E5M2:     {bits: 8, mant: 2, bias: 15, max: 0x7b, inf: 0x7c, nan: 0x7e},
	E5M2FNUZ: {bits: 8, mant: 2, bias: 16, max: 0x7f, inf: 0x80, nan: 0x80, fnuz: true},
	E2M1:     {bits: 4, mant: 1, bias: 1, max: 0x7, finite: true},
	E2M3:     {bits: 6, mant: 3, bias: 1, max: 0x1f, finite: true},
	E3M2:     {bits: 6, mant: 2, bias: 3, max: 0x1f, finite: true},
}

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

// FromFloat32 rounds g to the format. Values that round past the largest finite
// one become it where saturate is set, and always where the format is finite;
// else they become infinity in E5M2 and NaN in the others. NaN stays NaN; where
// the format has none it becomes a zero of the other sign, as in ml_dtypes and
// so in ONNX's own tests.
func (f Format) FromFloat32(g float32, saturate bool) uint8 {
	l := &layouts[f]
	b := math.Float32bits(g)
	sign := b >> 31 << (l.bits - 1)
	b &^= signBit
	var code uint32
	switch {
	case b > infBits && l.finite:
		return uint8(sign ^ 1<<(l.bits-1))
	case b > infBits:
		code = l.nan
	case b == infBits:
		code = l.max + 1
	default:
		code = l.magnitude(b)
	}
	if b <= infBits && code > l.max {
		code = l.inf
		if saturate || l.finite {
			code = l.max
		}
	}
	if l.fnuz && (code == 0 || code == l.nan) {
		return uint8(code)
	}
	return uint8(sign | code)
}

// ToFloat32 returns the value of a code, exactly; bits above it do not count.
func (f Format) ToFloat32(code uint8) float32 { return values[f][code] }

var values = func() (t [len(layouts)][256]float32) {
	for f := range t {
		l := &layouts[f]
		for c := range uint32(256) {
			t[f][c] = l.signed(c&(1<<l.bits-1), 1<<(l.bits-1))
		}
	}
	return t
}()

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
