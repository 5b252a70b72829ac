package amd64

import (
	"github.com/hone-ml/hone/codegen/vecmath"
	"github.com/mmcloughlin/avo/operand"
)

// machine is the emitter as vecmath sees it. A value is a register, or a constant that stays in memory until an instruction
// takes it as its last source.
type machine struct{ *emitter }

type value = operand.Op

func (e *emitter) gen() vecmath.Gen[value, mask] {
	return vecmath.Gen[value, mask]{Machine: machine{e}}
}

// r is a value in a register.
func (m machine) r(v value) vecReg {
	if r, ok := v.(vecReg); ok {
		return r
	}
	return m.load(v)
}

// commute is a and b in the order that has the constant last.
func commute(a, b value) (value, value) {
	if operand.IsMem(a) {
		return b, a
	}
	return a, b
}

func (m machine) K(v float64) value     { return m.k(v) }
func (m machine) Bits(v uint32) value   { return m.bits(v) }
func (m machine) Add(a, b value) value  { a, b = commute(a, b); return m.add(m.r(a), b) }
func (m machine) Sub(a, b value) value  { return m.sub(m.r(a), b) }
func (m machine) Mul(a, b value) value  { a, b = commute(a, b); return m.mul(m.r(a), b) }
func (m machine) Div(a, b value) value  { return m.div(m.r(a), b) }
func (m machine) Sqrt(a value) value    { return m.sqrt(m.r(a)) }
func (m machine) Max(a, b value) value  { return m.max(m.r(a), b) }
func (m machine) Min(a, b value) value  { return m.min(m.r(a), b) }
func (m machine) And(a, b value) value  { a, b = commute(a, b); return m.and(m.r(a), b) }
func (m machine) Or(a, b value) value   { a, b = commute(a, b); return m.or(m.r(a), b) }
func (m machine) Xor(a, b value) value  { a, b = commute(a, b); return m.xor(m.r(a), b) }
func (m machine) Nearest(a value) value { return m.round(m.r(a), 0) }
func (m machine) Floor(a value) value   { return m.round(m.r(a), 1) }
func (m machine) Ceil(a value) value    { return m.round(m.r(a), 2) }

func (m machine) FMA(a, b, c value) value {
	a, b = commute(a, b)
	r := m.v()
	if operand.IsMem(c) && !operand.IsMem(b) {
		m.VMOVAPS(m.r(a), r)
		m.VFMADD213PS(c, b, r)
		return r
	}
	m.VMOVUPS(c, r)
	m.VFMADD231PS(b, m.r(a), r)
	return r
}

func (m machine) FNMA(a, b, c value) value {
	a, b = commute(a, b)
	r := m.v()
	m.VMOVUPS(c, r)
	m.VFNMADD231PS(b, m.r(a), r)
	return r
}

func (m machine) Less(a, b value) mask      { return m.cmp(cmpLT, m.r(a), b) }
func (m machine) LessEqual(a, b value) mask { return m.cmp(cmpLE, m.r(a), b) }
func (m machine) Equal(a, b value) mask     { return m.cmp(cmpEQ, m.r(a), b) }
func (m machine) IsNaN(a value) mask        { return m.cmp(cmpUN, m.r(a), a) }

func (m machine) Select(k mask, yes, no value) value { return m.sel(k, yes, m.r(no)) }

func (m machine) ToInt(a value) value   { r := m.v(); m.VCVTPS2DQ(a, r); return r }
func (m machine) FromInt(a value) value { r := m.v(); m.VCVTDQ2PS(a, r); return r }

func (m machine) AddInt(a, b value) value {
	a, b = commute(a, b)
	r := m.v()
	m.VPADDD(b, m.r(a), r)
	return r
}

func (m machine) SubInt(a, b value) value { r := m.v(); m.VPSUBD(b, m.r(a), r); return r }

func (m machine) Left(a value, n int) value {
	r := m.v()
	m.VPSLLD(operand.U8(uint8(n)), m.r(a), r)
	return r
}

func (m machine) Right(a value, n int) value {
	r := m.v()
	m.VPSRAD(operand.U8(uint8(n)), m.r(a), r)
	return r
}

// Scale is VSCALEFPS, which rounds once also where the result is denormal.
func (m machine) Scale(y, n value) (value, bool) {
	if !m.wide {
		return nil, false
	}
	r := m.v()
	m.VSCALEFPS(n, m.r(y), r)
	return r, true
}

func (m machine) Horner(x value, cs []float64) value {
	r := m.load(m.k(cs[0]))
	for _, c := range cs[1:] {
		m.VFMADD213PS(m.k(c), m.r(x), r)
	}
	return r
}
