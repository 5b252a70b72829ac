package ptx

// names of prims in PTX; those that take more than registers have code below.
var mnemonics = map[primOp]string{
	pAdd: "add.rn.f32", pSub: "sub.rn.f32", pMul: "mul.rn.f32", pDiv: "div.rn.f32", pFma: "fma.rn.f32", pSqrt: "sqrt.rn.f32",
	pMin: "min.NaN.f32", pMax: "max.NaN.f32", pNeg: "neg.f32", pAbs: "abs.f32",
	pIAdd: "add.s32", pISub: "sub.s32", pIAnd: "and.b32", pIOr: "or.b32", pIXor: "xor.b32", pShl: "shl.b32", pSar: "shr.s32",
	pToF32: "cvt.rn.f32.s32", pLt: "setp.lt.f32", pLe: "setp.le.f32", pEq: "setp.eq.f32", pNe: "setp.neu.f32",
}

// operands is how many registers a prim reads.
func (op primOp) operands() int {
	switch op {
	case pImm:
		return 0
	case pSqrt, pNeg, pAbs, pShl, pSar, pToF32, pToF16, pToBF16:
		return 1
	case pFma, pSel:
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
		dst := w.word()
		names[in.dst] = dst
		switch in.op {
		case pLt, pLe, pEq, pNe:
			pr := w.pred()
			w.line("%s %s, %s, %s", mnemonics[in.op], pr, args[0], args[1])
			w.line("selp.b32 %s, 1, 0, %s", dst, pr)
			preds[in.dst] = pr
		case pSel:
			pr, ok := preds[in.a]
			if !ok {
				pr = w.pred()
				w.line("setp.ne.s32 %s, %s, 0", pr, args[0])
				preds[in.a] = pr
			}
			w.line("selp.b32 %s, %s, %s, %s", dst, args[1], args[2], pr)
		case pImm:
			w.line("mov.b32 %s, 0x%08x", dst, in.imm)
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
