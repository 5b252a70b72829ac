package ptx

import "math"

// Polynomials by scripts/ptx_coefficients.py, lowest power first.
var (
	// exp(r) = 1 + r + r^2 p(r) on half a binade: relative error 3.1e-9
	expPoly = []float32{4.9999994e-01, 1.6666521e-01, 4.166828e-02, 8.3686905e-03, 1.3819512e-03}
	// log(1 + f) = f + f^2 p(f) on [-1/3, 1/3]: 4.7e-9
	logPoly = []float32{-5e-01, 3.3333215e-01, -2.49998e-01, 2.0010446e-01, -1.6680376e-01, 1.4005306e-01, -1.2185713e-01, 1.3986899e-01, -1.2885664e-01}
	// tanh(x) = x + x^3 p(x^2) below 0.6: 2.7e-9
	tanhPoly = []float32{-3.33333e-01, 1.333194e-01, -5.3785075e-02, 2.0799961e-02, -5.8995434e-03}
	// erf(x) = x + x p(x^2) below 0.92: 9.7e-10
	erfPoly = []float32{1.2837917e-01, -3.761263e-01, 1.1283624e-01, -2.6855575e-02, 5.1918672e-03, -8.0422923e-04, 7.9602905e-05}
	// erf(x) = 1 - exp(-x q(x)) from 0.92 to 4: 2e-10
	erfcPoly = []float32{1.1285552e+00, 6.3560903e-01, 1.0529489e-01, -2.2708736e-02, 2.9519207e-03, -5.7594727e-05, -4.3985725e-05, 4.805464e-06}
)

// ln 2 in two parts: the first has so few bits that its products with exponents are exact.
const (
	ln2Hi = float32(0x1.62e4p-1)
	ln2Lo = float32(math.Ln2 - 0x1.62e4p-1)
)

// exp: x = n ln2 + r with |r| <= ln2/2, then 2^n (1 + r + r^2 p(r)). 2^n is
// multiplied in two halves, since n reaches beyond the exponents of float32.
func (p *program) exp(x reg) reg {
	x = p.min(p.max(x, p.f(-104)), p.f(89))
	// Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
	const magic = 12582912
	t := p.fma(x, p.f(math.Log2E), p.f(magic))
	n := p.sub(t, p.f(magic))
	r := p.fma(n, p.f(-ln2Hi), x)
	r = p.fma(n, p.f(-ln2Lo), r)
	y := p.poly(r, expPoly)
	y = p.fma(p.mul(r, r), y, r)
	y = p.add(y, p.f(1))
	i := p.emit(pISub, t, p.bits(math.Float32bits(magic)), 0)
	half := p.shift(pSar, i, 1)
	return p.mul(p.mul(y, p.exponent(half)), p.exponent(p.emit(pISub, i, half, 0)))
}

// exponent is 2^i for an int32 in the range of normal exponents.
func (p *program) exponent(i reg) reg {
	return p.shift(pShl, p.emit(pIAdd, i, p.bits(127), 0), 23)
}

// log: x = 2^e (1 + f) with f in [-1/3, 1/3], then e ln2 + f + f^2 p(f).
func (p *program) log(x reg) reg {
	tiny := p.lt(x, p.f(0x1p-126))
	scaled := p.sel(tiny, p.mul(x, p.f(0x1p23)), x)
	twoThirds := p.bits(0x3f2aaaab)
	e := p.shift(pSar, p.emit(pISub, scaled, twoThirds, 0), 23)
	m := p.emit(pISub, scaled, p.shift(pShl, e, 23), 0)
	f := p.sub(m, p.f(1))
	n := p.emit(pToF32, e, 0, 0)
	n = p.sel(tiny, p.sub(n, p.f(23)), n)
	y := p.mul(p.mul(f, f), p.poly(f, logPoly))
	y = p.fma(n, p.f(ln2Lo), y)
	y = p.add(f, y)
	y = p.fma(n, p.f(ln2Hi), y)
	// Where x is no positive number: NaN for NaN and below zero, -inf for zeros, inf for inf.
	inf := p.f(float32(math.Inf(1)))
	y = p.sel(p.lt(x, inf), y, x)
	y = p.sel(p.lt(x, p.f(0)), p.f(float32(math.NaN())), y)
	return p.sel(p.emit(pEq, x, p.f(0), 0), p.f(float32(math.Inf(-1))), y)
}

// tanh: x + x^3 p(x^2) near zero, else 1 - 2 / (exp(2|x|) + 1) with x's sign.
func (p *program) tanh(x reg) reg {
	a := p.abs(x)
	s := p.mul(x, x)
	small := p.fma(p.mul(x, s), p.poly(s, tanhPoly), x)
	e := p.exp(p.add(a, a))
	large := p.sub(p.f(1), p.div(p.f(2), p.add(e, p.f(1))))
	return p.copySign(p.sel(p.lt(a, p.f(0.6)), small, large), x)
}

// sigmoid: with t = exp(-|x|), 1/(1+t) for x >= 0 and t/(1+t) below.
func (p *program) sigmoid(x reg) reg {
	t := p.exp(p.neg(p.abs(x)))
	top := p.sel(p.lt(x, p.f(0)), t, p.f(1))
	return p.div(top, p.add(t, p.f(1)))
}

// erf: x + x p(x^2) near zero, else 1 - exp(-|x| q(|x|)) with x's sign.
func (p *program) erf(x reg) reg {
	a := p.abs(x)
	s := p.mul(x, x)
	small := p.fma(x, p.poly(s, erfPoly), x)
	b := p.min(a, p.f(4))
	large := p.sub(p.f(1), p.exp(p.neg(p.mul(b, p.poly(b, erfcPoly)))))
	return p.sel(p.lt(a, p.f(0.92)), small, p.copySign(large, x))
}
