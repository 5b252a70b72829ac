package amd64

import (
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// for field offsets
var (
	ta rt.TapArgs
	ba rt.BlendArgs
)

// taps writes a kernel of the depthwise, maxpool or sumpool family: see rt.TapArgs. Pixels go in groups of 8, 4, 2 and 1; what is left
// of a larger count is done by a group that overlaps the one before it, which writes the same values again.
func (e *emitter) taps(k spec.Kernel, args reg.Register) {
	a, c := e.arg(args, unsafe.Offsetof(ta.A)), e.arg(args, unsafe.Offsetof(ta.C))
	n, ld := e.arg(args, unsafe.Offsetof(ta.N)), e.arg(args, unsafe.Offsetof(ta.LdA))
	ld3 := e.GP64()
	e.LEAQ(memx(ld, ld, 2, 0), ld3)
	largest := 8
	if !e.wide {
		largest = 4
	}
	for g := largest; g >= 1; g /= 2 {
		loop, last, next := e.label("loop"), e.label("last"), e.label("next")
		e.CMPQ(n, operand.Imm(uint64(g)))
		e.JLT(operand.LabelRef(next))
		e.Label(loop)
		e.tapGroup(k, args, a, c, ld, ld3, g)
		skip := e.GP64()
		e.MOVQ(ld, skip)
		if g > 1 {
			e.IMUL3Q(operand.Imm(uint64(g)), skip, skip)
		}
		e.ADDQ(skip, a)
		e.ADDQ(i32(64*g), c)
		e.SUBQ(operand.Imm(uint64(g)), n)
		e.JEQ(operand.LabelRef("done"))
		e.CMPQ(n, operand.Imm(uint64(g)))
		e.JGE(operand.LabelRef(loop))
		e.Label(last) // step back so that the last g pixels end at the end
		back := e.GP64()
		e.LEAQ(mem(n, -g), back)
		e.MOVQ(back, skip)
		e.IMULQ(ld, skip)
		e.ADDQ(skip, a)
		e.SHLQ(operand.Imm(6), back)
		e.ADDQ(back, c)
		e.MOVQ(operand.U32(uint32(g)), n)
		e.JMP(operand.LabelRef(loop))
		e.Label(next)
	}
	e.Label("done")
}

// tapGroup computes g pixels.
func (e *emitter) tapGroup(k spec.Kernel, args reg.Register, a, c, ld, ld3 reg.Register, g int) {
	base := []reg.Register{e.GP64()}
	e.MOVQ(a, base[0])
	if g > 4 {
		base = append(base, e.GP64())
		e.LEAQ(memx(a, ld, 4, 0), base[1])
	}
	var acc [][]vecReg
	for range g {
		row := make([]vecReg, e.parts())
		for j := range row {
			row[j] = e.v()
			if k.Family == spec.MaxPool {
				e.VMOVUPS(e.bits(0xff800000), row[j])
			} else {
				e.clear(row[j])
			}
		}
		acc = append(acc, row)
	}
	left, steps := e.arg(args, unsafe.Offsetof(ta.Taps)), e.arg(args, unsafe.Offsetof(ta.Steps))
	var w reg.Register
	if k.Family == spec.Depthwise {
		w = e.arg(args, unsafe.Offsetof(ta.W))
	}
	tap, end := e.label("tap"), e.label("end")
	e.Label(tap)
	for j := range e.parts() {
		var wv vecReg
		if w != nil {
			wv = e.load(mem(w, j*e.width()))
		}
		for i, row := range acc {
			src := rowAddr(base, ld, ld3, i, j*e.width())
			switch k.Family {
			case spec.Depthwise:
				e.VFMADD231PS(src, wv, row[j])
			case spec.SumPool:
				e.VADDPS(src, row[j], row[j])
			default: // a NaN in either wins
				keep := e.cmp(cmpUN, row[j], row[j])
				m := e.max(row[j], src)
				e.VMOVAPS(e.sel(keep, row[j], m), row[j])
			}
		}
	}
	if w != nil {
		e.ADDQ(operand.Imm(64), w)
	}
	e.DECQ(left)
	e.JEQ(operand.LabelRef(end))
	step := e.GP64()
	e.MOVQ(mem(steps, 0), step)
	e.ADDQ(operand.Imm(8), steps)
	for _, b := range base {
		e.ADDQ(step, b)
	}
	e.JMP(operand.LabelRef(tap))
	e.Label(end)
	switch k.Family {
	case spec.Depthwise:
		e.tapFinish(args, acc)
	case spec.SumPool:
		scale := e.splat(field(args, unsafe.Offsetof(ta.Scale)))
		for _, row := range acc {
			for _, r := range row {
				e.VMULPS(scale, r, r)
			}
		}
	}
	for i, row := range acc {
		for j, r := range row {
			e.VMOVUPS(r, mem(c, i*64+j*e.width()))
		}
	}
}

// blend writes the blend kernel: see rt.BlendArgs.
func (e *emitter) blend(args reg.Register) {
	x, c := e.arg(args, unsafe.Offsetof(ba.X)), e.arg(args, unsafe.Offsetof(ba.C))
	w, index := e.arg(args, unsafe.Offsetof(ba.W)), e.arg(args, unsafe.Offsetof(ba.Index))
	taps, n := e.arg(args, unsafe.Offsetof(ba.Taps)), e.arg(args, unsafe.Offsetof(ba.N))
	left, at := e.GP64(), e.GP64()
	acc := make([]vecReg, e.parts())
	tap := func(first bool) {
		e.MOVLQSX(mem(index, 0), at)
		e.SHLQ(operand.Imm(6), at)
		weight := e.splat(mem(w, 0))
		for j := range acc {
			src := memx(x, at, 1, j*e.width())
			if first {
				acc[j] = e.v()
				e.VMULPS(src, weight, acc[j])
			} else {
				e.VFMADD231PS(src, weight, acc[j])
			}
		}
		e.ADDQ(operand.Imm(4), index)
		e.ADDQ(operand.Imm(4), w)
	}
	e.Label("pixel")
	tap(true)
	e.MOVQ(taps, left)
	e.Label("tap")
	e.DECQ(left)
	e.JEQ(operand.LabelRef("store"))
	tap(false)
	e.JMP(operand.LabelRef("tap"))
	e.Label("store")
	for j, a := range acc {
		e.VMOVUPS(a, mem(c, j*e.width()))
	}
	e.ADDQ(operand.Imm(64), c)
	e.DECQ(n)
	e.JNE(operand.LabelRef("pixel"))
}

// tapFinish adds the bias and clamps.
func (e *emitter) tapFinish(args reg.Register, acc [][]vecReg) {
	noBias, noClamp := e.label("nobias"), e.label("noclamp")
	bias := e.arg(args, unsafe.Offsetof(ta.Bias))
	e.TESTQ(bias, bias)
	e.JEQ(operand.LabelRef(noBias))
	for j := range e.parts() {
		v := e.load(mem(bias, j*e.width()))
		for _, row := range acc {
			e.VADDPS(v, row[j], row[j])
		}
	}
	e.Label(noBias)
	e.TESTQ(operand.U32(rt.FlagClamp), field(args, unsafe.Offsetof(ta.Flags)))
	e.JEQ(operand.LabelRef(noClamp))
	lo, hi := e.splat(field(args, unsafe.Offsetof(ta.Lo))), e.splat(field(args, unsafe.Offsetof(ta.Hi)))
	for _, row := range acc {
		for _, r := range row {
			e.VMAXPS(r, lo, r)
			e.VMINPS(r, hi, r)
		}
	}
	e.Label(noClamp)
}
