// Package vecmath states the vector operators of rt once, over whatever machine: each is a function of values that a Machine
// turns into instructions. It knows rt's operators and no assembler.
//
// The transcendental functions are a range reduction and a polynomial or rational function each. The reductions are the classical
// ones (W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980; P. T. P. Tang, ACM TOMS 15 and 16, 1989-90);
// the coefficients are minimax fits in the relative error of the function, made for this package by Lawson's iteratively
// reweighted least squares (C. L. Lawson, 1961). Error bounds are in the tests of backends/cpu/kernels.
package vecmath

import (
	"math"

	"github.com/hone-ml/hone/backends/cpu/rt"
)

// Machine makes instructions on vectors of float32: V is a value, M a mask. Every method gives a new value.
type Machine[V, M any] interface {
	K(v float64) V    // the same number in every lane
	Bits(v uint32) V  // the same 32 bits in every lane
	Add(a, b V) V     // a + b
	Sub(a, b V) V     // a - b
	Mul(a, b V) V     // a·b
	Div(a, b V) V     // a/b
	Sqrt(a V) V       // square root
	FMA(a, b, c V) V  // a·b + c, rounded once
	FNMA(a, b, c V) V // c - a·b, rounded once
	Max(a, b V) V     // b if it is NaN; if a is NaN, b or NaN
	Min(a, b V) V     // likewise
	And(a, b V) V     // bitwise
	Or(a, b V) V      // bitwise
	Xor(a, b V) V     // bitwise
	Nearest(a V) V    // to the nearest integer, ties to even
	Floor(a V) V      // toward -inf
	Ceil(a V) V       // toward +inf
	Less(a, b V) M    // a < b
	LessEqual(a, b V) M
	Equal(a, b V) M
	IsNaN(a V) M
	Select(m M, yes, no V) V
	ToInt(a V) V                // integers from numbers, to nearest
	FromInt(a V) V              // numbers from integers
	AddInt(a, b V) V            // integers
	SubInt(a, b V) V            // integers
	Left(a V, n int) V          // bits shifted left
	Right(a V, n int) V         // and right, copying the sign
	Scale(y, n V) (V, bool)     // y·2^n by one instruction, if there is one
	Horner(x V, cs []float64) V // the polynomial with these coefficients, highest power first
}

// Operands are what an operator reads: its operands and its parameters, the same in every lane.
type Operands[V any] struct{ X, Y, Z, P0, P1 V }

// UsesParams tells whether an operator reads P0 and P1.
func UsesParams(op rt.VecOp) bool {
	switch op {
	case rt.OpClamp, rt.OpHardSigmoid, rt.OpLeakyRelu, rt.OpElu:
		return true
	}
	return false
}

// Gen makes the instructions of operators on one machine.
type Gen[V, M any] struct{ Machine[V, M] }

// Apply is an operator's result.
func (g Gen[V, M]) Apply(op rt.VecOp, o Operands[V]) V {
	x, y := o.X, o.Y
	switch op {
	case rt.OpNeg:
		return g.neg(x)
	case rt.OpAbs:
		return g.abs(x)
	case rt.OpSquare:
		return g.Mul(x, x)
	case rt.OpSqrt:
		return g.Sqrt(x)
	case rt.OpRcp:
		return g.Div(g.K(1), x)
	case rt.OpFloor:
		return g.Floor(x)
	case rt.OpCeil:
		return g.Ceil(x)
	case rt.OpRound:
		return g.Nearest(x)
	case rt.OpClamp:
		return g.Min(o.P1, g.Max(o.P0, x))
	case rt.OpExp:
		return g.Exp(x)
	case rt.OpLog:
		return g.log(x)
	case rt.OpTanh:
		return g.tanh(x)
	case rt.OpSigmoid:
		return g.sigmoidOf(x, g.K(1))
	case rt.OpErf:
		return g.erf(x)
	case rt.OpGelu:
		h := g.Mul(x, g.K(0.5))
		return g.FMA(h, g.erf(g.Mul(x, g.K(math.Sqrt2/2))), h)
	case rt.OpGeluTanh: // x/2·(1+tanh u) = x·sigmoid(2u)
		c := 2 * math.Sqrt(2/math.Pi)
		u := g.FMA(g.Mul(x, x), g.K(0.044715*c), g.K(c))
		return g.sigmoidOf(g.Mul(x, u), x)
	case rt.OpSilu:
		return g.sigmoidOf(x, x)
	case rt.OpSoftplus:
		return g.softplus(x)
	case rt.OpHardSigmoid:
		return g.clamp(g.FMA(x, o.P0, o.P1), 0, 1)
	case rt.OpHardSwish:
		return g.Mul(x, g.clamp(g.FMA(x, g.K(1.0/6), g.K(0.5)), 0, 1))
	case rt.OpLeakyRelu:
		return g.Select(g.Less(x, g.Bits(0)), g.Mul(x, o.P0), x)
	case rt.OpElu:
		m := g.Mul(g.expm1(g.Min(g.Bits(0), x)), o.P0)
		return g.Select(g.Less(x, g.Bits(0)), m, x)
	case rt.OpNot:
		return g.truth(g.Equal(x, g.Bits(0)))
	case rt.OpAdd:
		return g.Add(x, y)
	case rt.OpSub:
		return g.Sub(x, y)
	case rt.OpMul:
		return g.Mul(x, y)
	case rt.OpDiv:
		return g.Div(x, y)
	case rt.OpMin:
		return g.Select(g.IsNaN(x), x, g.Min(x, y))
	case rt.OpMax:
		return g.Select(g.IsNaN(x), x, g.Max(x, y))
	case rt.OpEqual:
		return g.truth(g.Equal(x, y))
	case rt.OpLess:
		return g.truth(g.Less(x, y))
	case rt.OpLessEqual:
		return g.truth(g.LessEqual(x, y))
	case rt.OpPrelu:
		return g.Select(g.Less(x, g.Bits(0)), g.Mul(x, y), x)
	case rt.OpFma:
		return g.FMA(x, y, o.Z)
	case rt.OpSelect:
		return g.Select(g.Equal(x, g.Bits(0)), o.Z, y)
	default: // rt.OpCopy
		return x
	}
}

// truth is 1 where m holds, else 0.
func (g Gen[V, M]) truth(m M) V { return g.Select(m, g.K(1), g.Bits(0)) }

func (g Gen[V, M]) abs(x V) V  { return g.And(x, g.Bits(0x7fffffff)) }
func (g Gen[V, M]) sign(x V) V { return g.And(x, g.Bits(0x80000000)) }
func (g Gen[V, M]) neg(x V) V  { return g.Xor(x, g.Bits(0x80000000)) }

// clamp is x within [lo, hi]; NaN stays.
func (g Gen[V, M]) clamp(x V, lo, hi float64) V { return g.Min(g.K(hi), g.Max(g.K(lo), x)) }
