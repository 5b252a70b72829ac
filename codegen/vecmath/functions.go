package vecmath

import "math"

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

// reduce splits x = n·ln2 + r and gives n, an integer, and e^r - 1.
func (g Gen[V, M]) reduce(x V) (n, p V) {
	n = g.Nearest(g.Mul(x, g.K(math.Log2E)))
	r := g.FNMA(n, g.K(ln2Lo), g.FNMA(n, g.K(ln2Hi), x))
	return n, g.FMA(g.Mul(r, r), g.Horner(r, expm1Poly), r)
}

// pow2 is 2^i for integers i from -126 to 127.
func (g Gen[V, M]) pow2(i V) V { return g.Left(g.AddInt(i, g.Bits(127)), 23) }

// scale is y·2^n, also where that overflows or is denormal: two powers, since one might not be a normal number.
func (g Gen[V, M]) scale(y, n V) V {
	if s, ok := g.Scale(y, n); ok {
		return s
	}
	i := g.ToInt(n)
	half := g.Right(i, 1)
	return g.Mul(g.Mul(y, g.pow2(half)), g.pow2(g.SubInt(i, half)))
}

// Exp is e^x.
func (g Gen[V, M]) Exp(x V) V {
	n, p := g.reduce(g.clamp(x, expLow, expTop))
	return g.scale(g.Add(p, g.K(1)), n)
}

// expm1 is e^x - 1 for x ≤ 0 or NaN.
func (g Gen[V, M]) expm1(x V) V {
	n, p := g.reduce(g.Max(g.K(-40), x))
	s := g.pow2(g.ToInt(n))
	return g.FMA(s, p, g.Sub(s, g.K(1)))
}

// tanh is (1-t)/(1+t) for t = e^-2|x|, by e^x - 1 so that small values keep their digits.
func (g Gen[V, M]) tanh(x V) V {
	t := g.expm1(g.Mul(g.abs(x), g.K(-2)))
	return g.Or(g.abs(g.Div(t, g.Add(t, g.K(2)))), g.sign(x))
}

// sigmoidOf is y/(1 + e^-x).
func (g Gen[V, M]) sigmoidOf(x, y V) V { return g.Div(y, g.Add(g.Exp(g.neg(x)), g.K(1))) }

// erf is exactly ±1 past erfEnd, so that gelu of large negative values is 0.
func (g Gen[V, M]) erf(x V) V {
	c := g.clamp(x, -erfEnd, erfEnd)
	t := g.Mul(c, c)
	y := g.Div(g.Mul(c, g.Horner(t, erfNum)), g.Horner(t, erfDen))
	one := g.Or(g.sign(x), g.K(1))
	return g.Select(g.LessEqual(g.K(erfEnd), g.abs(x)), one, y)
}

// logNormal is the logarithm of a positive normal number x = m·2^n; bias, if any, is taken from n.
func (g Gen[V, M]) logNormal(x V, bias ...V) V {
	n := g.Right(g.SubInt(x, g.Bits(0x3f3504f3)), 23) // √½: so that m lies in [√½, √2)
	f := g.Sub(g.SubInt(x, g.Left(n, 23)), g.K(1))
	e := g.FromInt(n)
	if len(bias) > 0 {
		e = g.Sub(e, bias[0])
	}
	p := g.Sub(g.Mul(g.Horner(f, logPoly), f), g.K(0.5))
	y := g.FMA(g.Mul(f, f), p, g.Mul(e, g.K(ln2Lo)))
	return g.FMA(e, g.K(ln2Hi), g.Add(y, f))
}

func (g Gen[V, M]) log(x V) V {
	tiny := g.Less(x, g.Bits(0x00800000)) // denormal, or not positive
	y := g.logNormal(g.Select(tiny, g.Mul(x, g.K(1<<23)), x), g.Select(tiny, g.K(23), g.Bits(0)))
	inf := g.Bits(0x7f800000)
	y = g.Select(g.Equal(x, inf), inf, y)
	y = g.Select(g.Equal(x, g.Bits(0)), g.Bits(0xff800000), y)
	nan := g.Bits(0x7fc00000)
	y = g.Select(g.Less(x, g.Bits(0)), nan, y)
	return g.Select(g.IsNaN(x), nan, y)
}

// softplus is max(x, 0) + log(1 + e^-|x|), the logarithm corrected for what 1 + y lost of y.
func (g Gen[V, M]) softplus(x V) V {
	y := g.Exp(g.neg(g.abs(x)))
	u := g.Add(y, g.K(1))
	lost := g.Sub(y, g.Sub(u, g.K(1)))
	l := g.Add(g.logNormal(u), g.Div(lost, u))
	return g.Add(g.Max(g.Bits(0), x), l)
}

// WinogradIn is the input transform of F(4, 3) by the points 0, ±1, ±2 and infinity: six values to six. See rt.Winograd.
func (g Gen[V, M]) WinogradIn(d []V) []V {
	four, five := g.K(4), g.K(5)
	a, b := g.FNMA(d[2], four, d[4]), g.FNMA(d[1], four, d[3])
	c, e := g.Sub(d[4], d[2]), g.Mul(g.Sub(d[3], d[1]), g.K(2))
	return []V{g.FMA(d[0], four, g.FNMA(d[2], five, d[4])), g.Add(a, b), g.Sub(a, b), g.Add(c, e), g.Sub(c, e),
		g.FMA(d[1], four, g.FNMA(d[3], five, d[5]))}
}

// WinogradOut is the output transform: six values to four.
func (g Gen[V, M]) WinogradOut(v []V) []V {
	a, b, c, d := g.Add(v[1], v[2]), g.Sub(v[1], v[2]), g.Add(v[3], v[4]), g.Sub(v[3], v[4])
	return []V{g.Add(g.Add(v[0], a), c), g.FMA(d, g.K(2), b), g.FMA(c, g.K(4), a), g.Add(g.FMA(d, g.K(8), b), v[5])}
}
