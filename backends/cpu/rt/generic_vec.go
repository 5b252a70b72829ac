package rt

import "math"

// genericVec runs any vec operator; its switch is the definition that the other tiers are held to.
func genericVec(op VecOp, g *VecArgs) {
	dst := floats(g.Dst, int(g.N))
	operand := func(i int) func(int) float32 {
		p, s := g.X, g.SX
		switch i {
		case 1:
			p, s = g.Y, g.SY
		case 2:
			p, s = g.Z, g.SZ
		}
		if s == 0 {
			v := lanes(p)
			return func(j int) float32 { return v[j%Lanes] }
		}
		v := floats(p, int(g.N))
		return func(j int) float32 { return v[j] }
	}
	x := operand(0)
	switch op.Operands() {
	case 1:
		for j := range dst {
			dst[j] = unary(op, x(j), g.P0, g.P1)
		}
	case 2:
		y := operand(1)
		for j := range dst {
			dst[j] = binary(op, x(j), y(j))
		}
	default:
		y, z := operand(1), operand(2)
		for j := range dst {
			dst[j] = ternary(op, x(j), y(j), z(j))
		}
	}
}

func truth(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

func unary(op VecOp, x, p0, p1 float32) float32 {
	f := float64(x)
	switch op {
	case OpCopy:
		return x
	case OpNeg:
		return -x
	case OpAbs:
		return float32(math.Abs(f))
	case OpSquare:
		return x * x
	case OpSqrt:
		return float32(math.Sqrt(f))
	case OpRcp:
		return 1 / x
	case OpFloor:
		return float32(math.Floor(f))
	case OpCeil:
		return float32(math.Ceil(f))
	case OpRound:
		return float32(math.RoundToEven(f))
	case OpClamp:
		return clamp(x, p0, p1, FlagClamp)
	case OpExp:
		return float32(math.Exp(f))
	case OpLog:
		return float32(math.Log(f))
	case OpTanh:
		return float32(math.Tanh(f))
	case OpSigmoid:
		return float32(1 / (1 + math.Exp(-f)))
	case OpErf:
		return float32(math.Erf(f))
	case OpGelu:
		return float32(f / 2 * (1 + math.Erf(f/math.Sqrt2)))
	case OpGeluTanh:
		return float32(f / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(f+0.044715*f*f*f))))
	case OpSilu:
		return float32(f / (1 + math.Exp(-f)))
	case OpSoftplus:
		return float32(math.Max(f, 0) + math.Log1p(math.Exp(-math.Abs(f))))
	case OpHardSigmoid:
		return clamp(p0*x+p1, 0, 1, FlagClamp)
	case OpHardSwish:
		return x * clamp(x/6+0.5, 0, 1, FlagClamp)
	case OpLeakyRelu:
		if x < 0 {
			return p0 * x
		}
		return x
	case OpElu:
		if x < 0 {
			return p0 * float32(math.Expm1(f))
		}
		return x
	default: // OpNot
		return truth(x == 0)
	}
}

func binary(op VecOp, x, y float32) float32 {
	switch op {
	case OpAdd:
		return x + y
	case OpSub:
		return x - y
	case OpMul:
		return x * y
	case OpDiv:
		return x / y
	case OpMin:
		return min(x, y)
	case OpMax:
		return max(x, y)
	case OpEqual:
		return truth(x == y)
	case OpLess:
		return truth(x < y)
	case OpLessEqual:
		return truth(x <= y)
	default: // OpPrelu
		if x < 0 {
			return x * y
		}
		return x
	}
}

func ternary(op VecOp, x, y, z float32) float32 {
	switch {
	case op == OpFma:
		return float32(math.FMA(float64(x), float64(y), float64(z)))
	case x != 0:
		return y
	default:
		return z
	}
}
