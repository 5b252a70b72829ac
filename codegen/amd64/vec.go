package amd64

import (
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
	"github.com/hone-ml/hone/codegen/vecmath"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var va rt.VecArgs // for field offsets

// vec writes a kernel of the vec family: see rt.VecArgs. It takes 16 elements at a time, the last ones masked.
func (e *emitter) vec(k spec.Kernel, args reg.Register) {
	dst, n := e.arg(args, unsafe.Offsetof(va.Dst)), e.arg(args, unsafe.Offsetof(va.N))
	var src, step []reg.Register
	for i := range k.Vec.Operands() {
		src = append(src, e.arg(args, []uintptr{unsafe.Offsetof(va.X), unsafe.Offsetof(va.Y), unsafe.Offsetof(va.Z)}[i]))
		step = append(step, e.arg(args, []uintptr{unsafe.Offsetof(va.SX), unsafe.Offsetof(va.SY), unsafe.Offsetof(va.SZ)}[i]))
	}
	var o vecmath.Operands[value]
	if vecmath.UsesParams(k.Vec) {
		o.P0, o.P1 = e.splat(field(args, unsafe.Offsetof(va.P0))), e.splat(field(args, unsafe.Offsetof(va.P1)))
	}
	group := func(masks []mask) {
		for part := range e.parts() {
			disp := part * e.width()
			for i, p := range []*value{&o.X, &o.Y, &o.Z}[:len(src)] {
				if masks == nil {
					*p = e.load(mem(src[i], disp))
				} else {
					*p = e.loadm(mem(src[i], disp), masks[part])
				}
			}
			r := e.gen().Apply(k.Vec, o).(vecReg)
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
