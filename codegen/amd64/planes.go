package amd64

import (
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var pa rt.PlanesArgs // for field offsets

// planes writes a kernel of the planes family: see rt.PlanesArgs. A tap's pixels stay in registers while each channel's weight
// multiplies them; with one channel they come from memory as they are needed.
func (e *emitter) planes(k spec.Kernel, args reg.Register) {
	vecs := k.Panels * e.parts()
	acc := make([][]vecReg, k.Rows)
	for i := range acc {
		acc[i] = make([]vecReg, vecs)
		for j := range acc[i] {
			acc[i][j] = e.zero()
		}
	}
	x, taps, w := e.arg(args, unsafe.Offsetof(pa.X)), e.arg(args, unsafe.Offsetof(pa.Taps)), e.arg(args, unsafe.Offsetof(pa.W))
	left, ldw := e.arg(args, unsafe.Offsetof(pa.K)), e.arg(args, unsafe.Offsetof(pa.LdW))
	tap := e.GP64()
	e.Label("tap")
	e.MOVQ(mem(taps, 0), tap)
	pixels := make([]operand.Op, vecs)
	for j := range pixels {
		pixels[j] = memx(x, tap, 1, j*e.width())
		if k.Rows > 1 {
			pixels[j] = e.load(pixels[j])
		}
	}
	for i, row := range acc {
		weight := e.splat(mem(w, 4*i))
		for j, a := range row {
			e.VFMADD231PS(pixels[j], weight, a)
		}
	}
	e.ADDQ(operand.Imm(8), taps)
	e.ADDQ(ldw, w)
	e.DECQ(left)
	e.JNE(operand.LabelRef("tap"))

	noBias, noClamp := e.label("nobias"), e.label("noclamp")
	bias := e.arg(args, unsafe.Offsetof(pa.Bias))
	e.TESTQ(bias, bias)
	e.JEQ(operand.LabelRef(noBias))
	for i, row := range acc {
		v := e.splat(mem(bias, 4*i))
		for _, a := range row {
			e.VADDPS(v, a, a)
		}
	}
	e.Label(noBias)
	masks := e.lanesMask(e.arg(args, unsafe.Offsetof(pa.Mask)))
	masked := func(j int) mask { // nil for all lanes
		if j < vecs-e.parts() {
			return nil
		}
		return masks[j%e.parts()]
	}
	e.planesResidual(args, acc, masked)
	e.TESTQ(operand.U32(rt.FlagClamp), field(args, unsafe.Offsetof(pa.Flags)))
	e.JEQ(operand.LabelRef(noClamp))
	for _, f := range []struct {
		off uintptr
		op  func(ops ...operand.Op)
	}{{unsafe.Offsetof(pa.Lo), e.VMAXPS}, {unsafe.Offsetof(pa.Hi), e.VMINPS}} {
		v := e.splat(field(args, f.off))
		for _, row := range acc {
			for _, a := range row {
				f.op(a, v, a) // NaN in a stays
			}
		}
	}
	e.Label(noClamp)
	c, ldc := e.arg(args, unsafe.Offsetof(pa.C)), e.arg(args, unsafe.Offsetof(pa.LdC))
	for i, row := range acc {
		for j, a := range row {
			if m := masked(j); m != nil {
				e.storem(a, m, mem(c, j*e.width()))
			} else {
				e.VMOVUPS(a, mem(c, j*e.width()))
			}
		}
		if i < k.Rows-1 {
			e.ADDQ(ldc, c)
		}
	}
}

// planesResidual adds the residual, if there is one.
func (e *emitter) planesResidual(args reg.Register, acc [][]vecReg, masked func(j int) mask) {
	none := e.label("nores")
	r, ldc := e.arg(args, unsafe.Offsetof(pa.R)), e.arg(args, unsafe.Offsetof(pa.LdC))
	e.TESTQ(r, r)
	e.JEQ(operand.LabelRef(none))
	for i, row := range acc {
		for j, a := range row {
			if m := masked(j); m != nil {
				e.VADDPS(e.loadm(mem(r, j*e.width()), m), a, a)
			} else {
				e.VADDPS(mem(r, j*e.width()), a, a)
			}
		}
		if i < len(acc)-1 {
			e.ADDQ(ldc, r)
		}
	}
	e.Label(none)
}
