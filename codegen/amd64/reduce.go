package amd64

import (
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var ra rt.ReduceArgs // for field offsets

// reduction is the state of one reduce kernel: two groups of 16 lanes of accumulators.
type reduction struct {
	*emitter
	op     rt.ReduceOp
	x, dst reg.Register
	p0     vecReg
	acc    [][]vecReg // [group][part]
	nan    mask       // lanes that have seen NaN, for max and min
}

func (r *reduction) extreme() bool { return r.op == rt.ReduceMax || r.op == rt.ReduceMin }

// neutral is the value that changes no result.
func (r *reduction) neutral() operand.Mem {
	switch r.op {
	case rt.ReduceMax:
		return r.bits(0xff800000)
	case rt.ReduceMin:
		return r.bits(0x7f800000)
	default:
		return r.bits(0)
	}
}

// reduce writes a kernel of the reduce family: see rt.ReduceArgs.
func (e *emitter) reduce(k spec.Kernel, args reg.Register) {
	r := &reduction{emitter: e, op: k.Reduce, x: e.arg(args, unsafe.Offsetof(ra.X))}
	n := e.arg(args, unsafe.Offsetof(ra.N))
	if r.op.Writes() == 1 {
		r.dst = e.arg(args, unsafe.Offsetof(ra.Dst))
	}
	if r.op == rt.ReduceSumSq || r.op == rt.ReduceSumExp {
		r.p0 = e.splat(field(args, unsafe.Offsetof(ra.P0)))
	}
	for range 2 {
		var group []vecReg
		for range e.parts() {
			group = append(group, e.load(r.neutral()))
		}
		r.acc = append(r.acc, group)
	}
	if r.extreme() {
		if e.wide {
			k := e.K()
			e.KXORW(k, k, k)
			r.nan = k
		} else {
			r.nan = e.zero()
		}
	}
	for groups := 2; groups >= 1; groups-- {
		loop, rest := e.label("loop"), e.label("rest")
		e.SUBQ(operand.Imm(uint64(16*groups)), n)
		e.JLT(operand.LabelRef(rest))
		e.Label(loop)
		for g := range groups {
			r.group(g, 64*g, nil)
		}
		e.ADDQ(i32(64*groups), r.x)
		if r.dst != nil {
			e.ADDQ(i32(64*groups), r.dst)
		}
		e.SUBQ(operand.Imm(uint64(16*groups)), n)
		e.JGE(operand.LabelRef(loop))
		e.Label(rest)
		e.ADDQ(operand.Imm(uint64(16*groups)), n)
	}
	e.JEQ(operand.LabelRef("fold"))
	r.group(1, 0, e.lanesMask(e.lowBits(n)))
	e.Label("fold")
	r.fold(args)
}

// group takes in 16 elements.
func (r *reduction) group(g, disp int, masks []mask) {
	for part := range r.parts() {
		src, acc := mem(r.x, disp+part*r.width()), r.acc[g][part]
		var v vecReg
		if masks == nil {
			v = r.load(src)
		} else {
			v = r.loadm(src, masks[part])
		}
		var only func(v vecReg) vecReg // in a masked group: the neutral value in other lanes
		if only = func(v vecReg) vecReg { return v }; masks != nil {
			only = func(v vecReg) vecReg { return r.sel(masks[part], v, r.load(r.neutral())) }
		}
		switch r.op {
		case rt.ReduceMax:
			v = only(v)
			r.sawNaN(v)
			r.VMAXPS(v, acc, acc)
		case rt.ReduceMin:
			v = only(v)
			r.sawNaN(v)
			r.VMINPS(v, acc, acc)
		case rt.ReduceSum:
			r.VADDPS(v, acc, acc)
		case rt.ReduceSumSq:
			d := only(r.sub(v, r.p0))
			r.VFMADD231PS(d, d, acc)
		default:
			v = r.gen().Exp(r.sub(v, r.p0)).(vecReg)
			if masks == nil {
				r.VMOVUPS(v, mem(r.dst, disp+part*r.width()))
			} else {
				r.storem(v, masks[part], mem(r.dst, disp+part*r.width()))
			}
			r.VADDPS(only(v), acc, acc)
		}
	}
}

func (r *reduction) sawNaN(v vecReg) {
	m := r.cmp(cmpUN, v, v)
	if r.wide {
		r.KORW(m, r.nan, r.nan)
	} else {
		r.VORPS(m, r.nan, r.nan)
	}
}

// fold brings the accumulators down to one value and stores it.
func (r *reduction) fold(args reg.Register) {
	op := r.VADDPS
	switch r.op {
	case rt.ReduceMax:
		op = r.VMAXPS
	case rt.ReduceMin:
		op = r.VMINPS
	}
	for part := range r.parts() {
		op(r.acc[1][part], r.acc[0][part], r.acc[0][part])
	}
	var half reg.VecVirtual // 8 lanes
	if r.wide {
		half = r.YMM()
		hi := r.YMM()
		r.VEXTRACTF64X4(operand.U8(1), r.acc[0][0], hi)
		op(hi, r.acc[0][0].AsY(), half)
	} else {
		half = r.acc[0][0]
		op(r.acc[0][1], half, half)
	}
	q, t := r.XMM(), r.XMM()
	r.VEXTRACTF128(operand.U8(1), half, q)
	op(q, half.AsX(), q)
	r.VPERMILPS(operand.U8(0x4e), q, t)
	op(t, q, q)
	r.VPERMILPS(operand.U8(0xb1), q, t)
	op(t, q, q)
	if r.extreme() {
		seen := r.GP32()
		if r.wide {
			r.KMOVW(r.nan, seen)
		} else {
			r.VMOVMSKPS(r.nan, seen)
		}
		r.TESTL(seen, seen)
		r.JEQ(operand.LabelRef("store"))
		r.VMOVUPS(r.bits(0x7fc00000), q)
		r.Label("store")
	}
	r.VMOVSS(q, mem(r.arg(args, unsafe.Offsetof(ra.Out)), 0))
}
