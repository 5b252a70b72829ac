package ptx

// names of prims in PTX; those that take more than registers have code below.
var mnemonics = map[primOp]string{
	pAdd: "add.rn.f32", pSub: "sub.rn.f32", pMul: "mul.rn.f32", pDiv: "div.rn.f32", pFma: "fma.rn.f32", pSqrt: "sqrt.rn.f32",
	pMin: "min.NaN.f32", pMax: "max.NaN.f32", pNeg: "neg.f32", pAbs: "abs.f32",
	pIAdd: "add.s32", pISub: "sub.s32", pIAnd: "and.b32", pIOr: "or.b32", pIXor: "xor.b32", pShl: "shl.b32", pSar: "shr.s32",
	pLAdd: "add.s64", pLSub: "sub.s64", pLMul: "mul.lo.s64", pLMin: "min.s64", pLMax: "max.s64", pLNeg: "neg.s64", pLAbs: "abs.s64",
	pLLt: "setp.lt.s64", pLLe: "setp.le.s64", pLEq: "setp.eq.s64", pLNe: "setp.ne.s64",
	pLFromBool: "cvt.u64.u32", pLFromF32: "cvt.rzi.s64.f32", pLToF32: "cvt.rn.f32.s64",
	pToF32: "cvt.rn.f32.s32", pLt: "setp.lt.f32", pLe: "setp.le.f32", pEq: "setp.eq.f32", pNe: "setp.neu.f32",
}

// operands is how many registers a prim reads.
func (op primOp) operands() int {
	switch op {
	case pImm, pLImm:
		return 0
	case pSqrt, pNeg, pAbs, pShl, pSar, pToF32, pToF16, pToBF16, pLNeg, pLAbs, pLWrap, pLFromBool, pLFromF32, pLToF32:
		return 1
	case pFma, pSel, pLSel:
		return 3
	}
	return 2
}

// instructions prints a program whose first registers have names, and returns
// the names of all. A comparison is kept as a predicate too, so that a selection needs no test.
func (w *writer) instructions(p *program, inputs []string) []string {
	names := make([]string, p.next)
	copy(names, inputs)
	preds := map[reg]string{}
	for _, in := range p.code {
		args := []string{names[in.a], names[in.b], names[in.c]}[:in.op.operands()]
		var dst string
		if in.op.wide() {
			dst = w.long()
		} else {
			dst = w.word()
		}
		names[in.dst] = dst
		switch in.op {
		case pLt, pLe, pEq, pNe, pLLt, pLLe, pLEq, pLNe:
			pr := w.pred()
			w.line("%s %s, %s, %s", mnemonics[in.op], pr, args[0], args[1])
			w.line("selp.b32 %s, 1, 0, %s", dst, pr)
			preds[in.dst] = pr
		case pSel, pLSel:
			pr, ok := preds[in.a]
			if !ok {
				pr = w.pred()
				w.line("setp.ne.s32 %s, %s, 0", pr, args[0])
				preds[in.a] = pr
			}
			size := 32
			if in.op == pLSel {
				size = 64
			}
			w.line("selp.b%d %s, %s, %s, %s", size, dst, args[1], args[2], pr)
		case pImm:
			w.line("mov.b32 %s, 0x%08x", dst, in.imm)
		case pLImm:
			w.line("mov.b64 %s, %d", dst, int64(in.imm))
		case pLWrap:
			w.line("cvt.s64.s32 %s, %s", dst, w.low(args[0]))
		case pShl, pSar:
			w.line("%s %s, %s, %d", mnemonics[in.op], dst, args[0], in.imm)
		case pToF16:
			w.line("cvt.f32.f16 %s, %s", dst, w.narrow(args[0], F16))
		case pToBF16:
			wide := w.word()
			w.line("cvt.u32.u16 %s, %s", wide, w.narrow(args[0], BF16))
			w.line("shl.b32 %s, %s, 16", dst, wide)
		default:
			list := dst
			for _, a := range args {
				list += ", " + a
			}
			w.line("%s %s", mnemonics[in.op], list)
		}
	}
	return names
}

// low is the low half of a register of 64 bits.
func (w *writer) low(long string) string {
	lo := w.word()
	w.line("cvt.u32.u64 %s, %s", lo, long)
	return lo
}
