package amd64

import "math"

// The transcendental functions, each a range reduction and a polynomial or rational function. The reductions are the classical ones
// (W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980; P. T. P. Tang, ACM TOMS 15 and 16, 1989-90); the
// coefficients are minimax fits in the relative error of the function, made for this package by Lawson's iteratively reweighted
// least squares (C. L. Lawson, 1961). Error bounds are in the tests of backends/cpu/kernels.
var (
	// (e^r - 1 - r)/r² on |r| ≤ ln2/2, relative error of e^r - 1 below 2.6e-10.
	expm1Poly = []float64{0.00019845958740916103, 0.0013941653305664659, 0.008333391509950161, 0.04166634753346443, 0.1666666567325592, 0.5}
	// (log(1+f) - f + f²/2)/f³ on √½ ≤ 1+f ≤ √2, relative error of the logarithm below 5.9e-9.
	logPoly = []float64{-0.07634482532739639, 0.1276158094406128, -0.13160189986228943, 0.14201757311820984, -0.16623356938362122,
		0.20001226663589478, -0.250008225440979, 0.3333333134651184}
	// erf(x)/x as erfNum(x²)/erfDen(x²) on |x| ≤ erfEnd, relative error below 1.9e-8; past it erf is 1 within 3e-8.
	erfNum = []float64{2.0460081486817217e-06, 0.0002848448057193309, 0.0037726263981312513, 0.05276953801512718, 0.1905955821275711, 1.1283791065216064}
	erfDen = []float64{3.804764128290117e-05, 0.0011638753348961473, 0.014983353205025196, 0.11418347805738449, 0.50224369764328, 1}
)

const (
	erfEnd = 3.925
	ln2Hi  = 0.693359375 // ln 2 in few bits, so that an integer times it is exact
	ln2Lo  = math.Ln2 - ln2Hi
	expLow = -104 // e^x is 0 in float32 below
	expTop = 89   // and +Inf above
)

// clamp is x within [lo, hi]; NaN stays.
func (e *emitter) clampK(x vecReg, lo, hi float64) vecReg {
	return e.min(e.load(e.k(hi)), e.max(e.load(e.k(lo)), x))
}

// reduceExp splits x = n·ln2 + r and gives n, an integer, and e^r - 1.
func (e *emitter) reduceExp(x vecReg) (n, p vecReg) {
	n = e.round(e.mul(x, e.k(math.Log2E)), 0)
	r := e.v()
	e.VMOVAPS(x, r)
	e.VFNMADD231PS(e.k(ln2Hi), n, r)
	e.VFNMADD231PS(e.k(ln2Lo), n, r)
	q := e.horner(r, expm1Poly...)
	return n, e.fma(e.mul(r, r), q, r)
}

// pow2 is 2^n for integers n from -126 to 127.
func (e *emitter) pow2(n vecReg) vecReg {
	if e.wide {
		r := e.v()
		e.VSCALEFPS(n, e.load(e.k(1)), r)
		return r
	}
	return e.pow2i(e.toInt(n))
}

func (e *emitter) toInt(n vecReg) vecReg {
	i := e.v()
	e.VCVTPS2DQ(n, i)
	return i
}

func (e *emitter) pow2i(i vecReg) vecReg {
	r := e.v()
	e.VPADDD(e.bits(127), i, r)
	e.VPSLLD(i8(23), r, r)
	return r
}

// scale is y·2^n, also where that overflows or is denormal.
func (e *emitter) scale(y, n vecReg) vecReg {
	if e.wide {
		r := e.v()
		e.VSCALEFPS(n, y, r)
		return r
	}
	i, half := e.toInt(n), e.v()
	e.VPSRAD(i8(1), i, half)
	rest := e.v()
	e.VPSUBD(half, i, rest)
	return e.mul(e.mul(y, e.pow2i(half)), e.pow2i(rest))
}

// exp is e^x.
func (e *emitter) exp(x vecReg) vecReg {
	n, p := e.reduceExp(e.clampK(x, expLow, expTop))
	return e.scale(e.add(p, e.k(1)), n)
}

// expm1 is e^x - 1 for x ≤ 0 or NaN.
func (e *emitter) expm1(x vecReg) vecReg {
	n, p := e.reduceExp(e.max(e.load(e.k(-40)), x))
	s := e.pow2(n)
	return e.fma(s, p, e.sub(s, e.k(1)))
}

func (e *emitter) abs(x vecReg) vecReg  { return e.and(x, e.bits(0x7fffffff)) }
func (e *emitter) sign(x vecReg) vecReg { return e.and(x, e.bits(0x80000000)) }
func (e *emitter) neg(x vecReg) vecReg  { return e.xor(x, e.bits(0x80000000)) }

// tanh is (1-t)/(1+t) for t = e^-2|x|, by e^x - 1 so that small values keep their digits.
func (e *emitter) tanh(x vecReg) vecReg {
	t := e.expm1(e.mul(e.abs(x), e.k(-2)))
	return e.or(e.abs(e.div(t, e.add(t, e.k(2)))), e.sign(x))
}

// sigmoidOf is y/(1 + e^-x).
func (e *emitter) sigmoidOf(x, y vecReg) vecReg {
	return e.div(y, e.add(e.exp(e.neg(x)), e.k(1)))
}

func (e *emitter) erf(x vecReg) vecReg {
	c := e.clampK(x, -erfEnd, erfEnd)
	t := e.mul(c, c)
	y := e.div(e.mul(c, e.horner(t, erfNum...)), e.horner(t, erfDen...))
	one := e.or(e.sign(x), e.k(1)) // exactly, so that gelu of large negative values is 0
	return e.sel(e.cmp(cmpLT, e.abs(x), e.load(e.k(erfEnd))), y, e.sel(e.cmp(cmpUN, x, x), x, one))
}

// logNormal is log(x) of a positive normal number whose exponent is biased by minus ef, a vector, or by nothing.
func (e *emitter) logNormal(x vecReg, bias vecReg) vecReg {
	d, n := e.v(), e.v()
	e.VPSUBD(e.bits(0x3f3504f3), x, d) // √½: so that 1+f lies in [√½, √2)
	e.VPSRAD(i8(23), d, n)
	ef := e.v()
	e.VCVTDQ2PS(n, ef)
	if bias != nil {
		ef = e.sub(ef, bias)
	}
	e.VPSLLD(i8(23), n, n)
	m := e.v()
	e.VPSUBD(n, x, m)
	f := e.sub(m, e.k(1))
	p := e.horner(f, logPoly...)
	p = e.sub(e.mul(p, f), e.k(0.5))
	y := e.mul(ef, e.k(ln2Lo))
	e.VFMADD231PS(e.mul(f, f), p, y)
	y = e.add(y, f)
	e.VFMADD231PS(e.k(ln2Hi), ef, y)
	return y
}

func (e *emitter) log(x vecReg) vecReg {
	tiny := e.cmp(cmpLT, x, e.bits(0x00800000))
	y := e.logNormal(e.sel(tiny, e.mul(x, e.k(1<<23)), x), e.sel(tiny, e.load(e.k(23)), e.zero()))
	inf := e.load(e.bits(0x7f800000))
	y = e.sel(e.cmp(cmpEQ, x, inf), inf, y)
	y = e.sel(e.cmp(cmpEQ, x, e.zero()), e.load(e.bits(0xff800000)), y)
	return e.sel(e.cmp(cmpNGE, x, e.zero()), e.load(e.bits(0x7fc00000)), y)
}

// softplus is max(x, 0) + log(1 + e^-|x|), the logarithm corrected for what 1 + y lost of y.
func (e *emitter) softplus(x vecReg) vecReg {
	y := e.exp(e.neg(e.abs(x)))
	u := e.add(y, e.k(1))
	lost := e.sub(y, e.sub(u, e.k(1)))
	l := e.add(e.logNormal(u, nil), e.div(lost, u))
	return e.add(e.max(e.zero(), x), l)
}
