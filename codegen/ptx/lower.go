package ptx

// lower makes the program of one element: the inputs are given registers, the
// outputs come back as registers. Narrow floats are held as the float32 of the
// same value.
func (k *Kernel) lower(p *program, inputs []reg) (outputs []reg) {
	values := append([]reg(nil), inputs...)
	for _, in := range k.Body {
		args := make([]reg, 3)
		for i, a := range in.Args {
			args[i] = values[a]
		}
		r := k.lowerOp(p, in, args)
		if row := opTable[in.Op]; row.ulp > 0 || in.Op == Const || in.Type == I32 {
			r = p.round(r, in.Type)
		}
		values = append(values, r)
	}
	for _, o := range k.Outputs {
		outputs = append(outputs, values[o])
	}
	return outputs
}

// round brings a float32 to the values that a type has.
func (p *program) round(r reg, t Type) reg {
	switch t {
	case F16:
		return p.emit(pToF16, r, 0, 0)
	case BF16:
		return p.emit(pToBF16, r, 0, 0)
	case I32:
		return p.emit(pLWrap, r, 0, 0)
	}
	return r
}

func (k *Kernel) lowerOp(p *program, in Instr, a []reg) reg {
	if op, ok := integers[in.Op]; ok && len(in.Args) > 0 && k.typeOf(in.Args[len(in.Args)-1]).integer() {
		return p.emit(op, a[0], a[1], a[2])
	}
	if op, ok := direct[in.Op]; ok {
		return p.emit(op, a[0], a[1], a[2])
	}
	switch in.Op {
	case Const:
		if in.Type.integer() {
			return p.long(in.Int)
		}
		if in.Type == Bool {
			if in.Value != 0 {
				return p.bits(1)
			}
			return p.bits(0)
		}
		return p.f(in.Value)
	case Rsqrt:
		return p.div(p.f(1), p.emit(pSqrt, a[0], 0, 0))
	case Exp:
		return p.exp(a[0])
	case Log:
		return p.log(a[0])
	case Tanh:
		return p.tanh(a[0])
	case Erf:
		return p.erf(a[0])
	case Sigmoid:
		return p.sigmoid(a[0])
	case Greater, GreaterOrEqual:
		swapped := Instr{Op: Less, Type: Bool, Args: []int{in.Args[1], in.Args[0]}}
		if in.Op == GreaterOrEqual {
			swapped.Op = LessEqual
		}
		return k.lowerOp(p, swapped, []reg{a[1], a[0], 0})
	case IsNaN:
		return p.emit(pNe, a[0], a[0], 0)
	case Not:
		return p.emit(pIXor, a[0], p.bits(1), 0)
	case Cast:
		return k.lowerCast(p, in, a[0])
	}
	panic("ptx: " + in.Op.String() + " has no lowering")
}

// direct are the ops that are one operation of PTX.
var direct = map[Op]primOp{
	Add: pAdd, Sub: pSub, Mul: pMul, Div: pDiv, Min: pMin, Max: pMax, Neg: pNeg, Abs: pAbs, Sqrt: pSqrt,
	Less: pLt, LessEqual: pLe, Equal: pEq, And: pIAnd, Or: pIOr, Select: pSel,
}

// integers are the same of integers.
var integers = map[Op]primOp{
	Add: pLAdd, Sub: pLSub, Mul: pLMul, Min: pLMin, Max: pLMax, Neg: pLNeg, Abs: pLAbs, Less: pLLt, LessEqual: pLLe, Equal: pLEq, Select: pLSel,
}

func (k *Kernel) lowerCast(p *program, in Instr, a reg) reg {
	from := k.typeOf(in.Args[0])
	switch {
	case from.integer() && in.Type == Bool:
		return p.emit(pLNe, a, p.long(0), 0)
	case from.integer() && !in.Type.integer():
		return p.emit(pLToF32, a, 0, 0)
	case from == Bool && in.Type.integer():
		return p.emit(pLFromBool, a, 0, 0)
	case !from.integer() && in.Type.integer():
		return p.emit(pLFromF32, a, 0, 0)
	case from == Bool && in.Type != Bool:
		return p.sel(a, p.f(1), p.f(0))
	case from != Bool && in.Type == Bool:
		return p.emit(pNe, a, p.f(0), 0)
	}
	return a
}
