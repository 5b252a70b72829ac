package amd64

import (
	"math"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var va rt.VecArgs // for field offsets

const cmpNGE = 25 // not greater or equal, or unordered, quiet
const cmpNE = 4   // not equal, or unordered, quiet

func i8(v int) operand.Constant { return operand.U8(uint8(v)) }

// operands are the vectors that a vec operator sees: its operands and its splat parameters.
type operands struct{ x, y, z, p0, p1 vecReg }

// vecOps says what each operator does to one vector.
var vecOps = [rt.NumVecOps]func(e *emitter, o operands) vecReg{
	rt.OpCopy:   func(e *emitter, o operands) vecReg { return o.x },
	rt.OpNeg:    func(e *emitter, o operands) vecReg { return e.neg(o.x) },
	rt.OpAbs:    func(e *emitter, o operands) vecReg { return e.abs(o.x) },
	rt.OpSquare: func(e *emitter, o operands) vecReg { return e.mul(o.x, o.x) },
	rt.OpSqrt:   func(e *emitter, o operands) vecReg { return e.sqrt(o.x) },
	rt.OpRcp:    func(e *emitter, o operands) vecReg { return e.div(e.load(e.k(1)), o.x) },
	rt.OpFloor:  func(e *emitter, o operands) vecReg { return e.round(o.x, 1) },
	rt.OpCeil:   func(e *emitter, o operands) vecReg { return e.round(o.x, 2) },
	rt.OpRound:  func(e *emitter, o operands) vecReg { return e.round(o.x, 0) },
	rt.OpClamp:  func(e *emitter, o operands) vecReg { return e.min(o.p1, e.max(o.p0, o.x)) },
	rt.OpExp:    func(e *emitter, o operands) vecReg { return e.exp(o.x) },
	rt.OpLog:    func(e *emitter, o operands) vecReg { return e.log(o.x) },
	rt.OpTanh:   func(e *emitter, o operands) vecReg { return e.tanh(o.x) },
	rt.OpSigmoid: func(e *emitter, o operands) vecReg {
		return e.sigmoidOf(o.x, e.load(e.k(1)))
	},
	rt.OpErf: func(e *emitter, o operands) vecReg { return e.erf(o.x) },
	rt.OpGelu: func(e *emitter, o operands) vecReg {
		h := e.mul(o.x, e.k(0.5))
		return e.fma(h, e.erf(e.mul(o.x, e.k(math.Sqrt2/2))), h)
	},
	rt.OpGeluTanh: func(e *emitter, o operands) vecReg { // x/2·(1+tanh u) = x·sigmoid(2u)
		c := 2 * math.Sqrt(2/math.Pi)
		u := e.fmak(e.mul(o.x, o.x), e.load(e.k(0.044715*c)), e.k(c))
		return e.sigmoidOf(e.mul(u, o.x), o.x)
	},
	rt.OpSilu:     func(e *emitter, o operands) vecReg { return e.sigmoidOf(o.x, o.x) },
	rt.OpSoftplus: func(e *emitter, o operands) vecReg { return e.softplus(o.x) },
	rt.OpHardSigmoid: func(e *emitter, o operands) vecReg {
		return e.clampK(e.fma(o.x, o.p0, o.p1), 0, 1)
	},
	rt.OpHardSwish: func(e *emitter, o operands) vecReg {
		return e.mul(o.x, e.clampK(e.fmak(o.x, e.load(e.k(1.0/6)), e.k(0.5)), 0, 1))
	},
	rt.OpLeakyRelu: func(e *emitter, o operands) vecReg {
		return e.sel(e.cmp(cmpLT, o.x, e.zero()), e.mul(o.x, o.p0), o.x)
	},
	rt.OpElu: func(e *emitter, o operands) vecReg {
		y := e.mul(e.expm1(e.min(e.zero(), o.x)), o.p0)
		return e.sel(e.cmp(cmpLT, o.x, e.zero()), y, o.x)
	},
	rt.OpNot: func(e *emitter, o operands) vecReg { return e.truth(e.cmp(cmpEQ, o.x, e.zero())) },
	rt.OpAdd: func(e *emitter, o operands) vecReg { return e.add(o.x, o.y) },
	rt.OpSub: func(e *emitter, o operands) vecReg { return e.sub(o.x, o.y) },
	rt.OpMul: func(e *emitter, o operands) vecReg { return e.mul(o.x, o.y) },
	rt.OpDiv: func(e *emitter, o operands) vecReg { return e.div(o.x, o.y) },
	rt.OpMin: func(e *emitter, o operands) vecReg {
		return e.sel(e.cmp(cmpUN, o.x, o.x), o.x, e.min(o.x, o.y))
	},
	rt.OpMax: func(e *emitter, o operands) vecReg {
		return e.sel(e.cmp(cmpUN, o.x, o.x), o.x, e.max(o.x, o.y))
	},
	rt.OpEqual:     func(e *emitter, o operands) vecReg { return e.truth(e.cmp(cmpEQ, o.x, o.y)) },
	rt.OpLess:      func(e *emitter, o operands) vecReg { return e.truth(e.cmp(cmpLT, o.x, o.y)) },
	rt.OpLessEqual: func(e *emitter, o operands) vecReg { return e.truth(e.cmp(cmpLE, o.x, o.y)) },
	rt.OpPrelu: func(e *emitter, o operands) vecReg {
		return e.sel(e.cmp(cmpLT, o.x, e.zero()), e.mul(o.x, o.y), o.x)
	},
	rt.OpFma:    func(e *emitter, o operands) vecReg { return e.fma(o.x, o.y, o.z) },
	rt.OpSelect: func(e *emitter, o operands) vecReg { return e.sel(e.cmp(cmpNE, o.x, e.zero()), o.y, o.z) },
}

// usesParams are the operators that read P0 and P1.
var usesParams = map[rt.VecOp]bool{rt.OpClamp: true, rt.OpHardSigmoid: true, rt.OpLeakyRelu: true, rt.OpElu: true}

// truth is 1 where m holds, else 0.
func (e *emitter) truth(m mask) vecReg {
	return e.sel(m, e.load(e.k(1)), e.zero())
}

// vec writes a kernel of the vec family: see rt.VecArgs. It takes 16 elements at a time, the last ones masked.
func (e *emitter) vec(k spec.Kernel, args reg.Register) {
	dst, n := e.arg(args, unsafe.Offsetof(va.Dst)), e.arg(args, unsafe.Offsetof(va.N))
	var src, step []reg.Register
	for i := range k.Vec.Operands() {
		src = append(src, e.arg(args, []uintptr{unsafe.Offsetof(va.X), unsafe.Offsetof(va.Y), unsafe.Offsetof(va.Z)}[i]))
		step = append(step, e.arg(args, []uintptr{unsafe.Offsetof(va.SX), unsafe.Offsetof(va.SY), unsafe.Offsetof(va.SZ)}[i]))
	}
	var o operands
	if usesParams[k.Vec] {
		o.p0, o.p1 = e.splat(field(args, unsafe.Offsetof(va.P0))), e.splat(field(args, unsafe.Offsetof(va.P1)))
	}
	group := func(masks []mask) {
		for part := range e.parts() {
			disp := part * e.width()
			for i, p := range []*vecReg{&o.x, &o.y, &o.z}[:len(src)] {
				if masks == nil {
					*p = e.load(mem(src[i], disp))
				} else {
					*p = e.loadm(mem(src[i], disp), masks[part])
				}
			}
			r := vecOps[k.Vec](e, o)
			if masks == nil {
				e.VMOVUPS(r, mem(dst, disp))
			} else {
				e.storem(r, masks[part], mem(dst, disp))
			}
		}
	}
	e.SUBQ(operand.Imm(rt.Lanes), n)
	e.JLT(operand.LabelRef("tail"))
	e.Label("loop")
	group(nil)
	for i := range src {
		e.ADDQ(step[i], src[i])
	}
	e.ADDQ(operand.Imm(64), dst)
	e.SUBQ(operand.Imm(rt.Lanes), n)
	e.JGE(operand.LabelRef("loop"))
	e.Label("tail")
	e.ADDQ(operand.Imm(rt.Lanes), n)
	e.JEQ(operand.LabelRef("done"))
	group(e.lanesMask(e.lowBits(n)))
	e.Label("done")
}

// lowBits is the number whose n lowest bits are set.
func (e *emitter) lowBits(n reg.GPVirtual) reg.GPVirtual {
	ones := e.GP64()
	e.MOVQ(operand.U32(0xffff), ones)
	e.BZHIQ(n, ones, ones)
	return ones
}
