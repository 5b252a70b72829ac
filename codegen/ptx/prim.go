package ptx

import "math"

// prim is one PTX operation on registers of 32 bits, or of 64 for integers. The
// same list is printed as text and computed on the CPU. Booleans are registers
// that hold 0 or 1.
type prim struct {
	op      primOp
	dst     reg
	a, b, c reg
	imm     uint64
}

type reg int

type primOp uint8

const (
	pImm       primOp = iota // dst = imm
	pAdd                     // float32, rounded to nearest
	pSub                     //
	pMul                     //
	pDiv                     //
	pFma                     // a*b + c, rounded once
	pSqrt                    //
	pMin                     // NaN if either is
	pMax                     //
	pNeg                     //
	pAbs                     //
	pIAdd                    // int32
	pISub                    //
	pIAnd                    //
	pIOr                     //
	pIXor                    //
	pShl                     // by imm
	pSar                     // arithmetic, by imm
	pToF32                   // int32 to float32
	pLt                      // float32 comparisons, 1 where true; false with NaN
	pLe                      //
	pEq                      //
	pNe                      // true with NaN
	pSel                     // a != 0 ? b : c
	pToF16                   // round to float16 and back
	pToBF16                  // round to bfloat16 and back
	pLImm                    // from here on 64 bits: dst = imm
	pLAdd                    //
	pLSub                    //
	pLMul                    //
	pLMin                    //
	pLMax                    //
	pLNeg                    //
	pLAbs                    //
	pLWrap                   // the low 32 bits, with their sign
	pLFromBool               //
	pLFromF32                // towards zero, saturated
	pLSel                    // a != 0 ? b : c
	pLLt                     // comparisons, 1 where true
	pLLe                     //
	pLEq                     //
	pLNe                     //
	pLToF32                  // rounded to nearest
)

// wide reports whether a prim's result has 64 bits.
func (op primOp) wide() bool { return op >= pLImm && op <= pLSel }

// program builds a list of prims.
type program struct {
	code   []prim
	next   reg
	consts map[literal]reg
}

type literal struct {
	op primOp
	v  uint64
}

func (p *program) emit(op primOp, a, b, c reg) reg {
	r := p.fresh()
	p.code = append(p.code, prim{op: op, dst: r, a: a, b: b, c: c})
	return r
}

func (p *program) fresh() reg {
	r := p.next
	p.next++
	return r
}

func (p *program) bits(v uint32) reg {
	return p.constant(pImm, uint64(v))
}

// long is an integer constant.
func (p *program) long(v int64) reg { return p.constant(pLImm, uint64(v)) }

func (p *program) constant(op primOp, v uint64) reg {
	if r, ok := p.consts[literal{op, v}]; ok {
		return r
	}
	r := p.fresh()
	p.code = append(p.code, prim{op: op, dst: r, imm: v})
	if p.consts == nil {
		p.consts = map[literal]reg{}
	}
	p.consts[literal{op, v}] = r
	return r
}

func (p *program) f(v float32) reg { return p.bits(math.Float32bits(v)) }

func (p *program) shift(op primOp, a reg, by uint32) reg {
	r := p.emit(op, a, 0, 0)
	p.code[len(p.code)-1].imm = uint64(by)
	return r
}

func (p *program) add(a, b reg) reg       { return p.emit(pAdd, a, b, 0) }
func (p *program) sub(a, b reg) reg       { return p.emit(pSub, a, b, 0) }
func (p *program) mul(a, b reg) reg       { return p.emit(pMul, a, b, 0) }
func (p *program) div(a, b reg) reg       { return p.emit(pDiv, a, b, 0) }
func (p *program) fma(a, b, c reg) reg    { return p.emit(pFma, a, b, c) }
func (p *program) min(a, b reg) reg       { return p.emit(pMin, a, b, 0) }
func (p *program) max(a, b reg) reg       { return p.emit(pMax, a, b, 0) }
func (p *program) neg(a reg) reg          { return p.emit(pNeg, a, 0, 0) }
func (p *program) abs(a reg) reg          { return p.emit(pAbs, a, 0, 0) }
func (p *program) lt(a, b reg) reg        { return p.emit(pLt, a, b, 0) }
func (p *program) sel(c, yes, no reg) reg { return p.emit(pSel, c, yes, no) }

// poly is Horner's rule in x, coefficients lowest power first.
func (p *program) poly(x reg, c []float32) reg {
	r := p.f(c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		r = p.fma(r, x, p.f(c[i]))
	}
	return r
}

// copySign is |a| with b's sign.
func (p *program) copySign(a, b reg) reg {
	sign := p.emit(pIAnd, b, p.bits(1<<31), 0)
	return p.emit(pIOr, p.abs(a), sign, 0)
}
