package amd64

import (
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var wa rt.WinoArgs // for field offsets

// wino is the state of a Winograd transform kernel: both go over columns first, to Tmp, then over rows.
type wino struct {
	*emitter
	args               reg.Register
	src, dst, lds, ldd reg.Register
	tmp, n             reg.Register
}

func (e *emitter) newWino(args reg.Register) *wino {
	return &wino{e, args, e.arg(args, unsafe.Offsetof(wa.Src)), e.arg(args, unsafe.Offsetof(wa.Dst)), e.arg(args, unsafe.Offsetof(wa.LdS)),
		e.arg(args, unsafe.Offsetof(wa.LdD)), e.arg(args, unsafe.Offsetof(wa.Tmp)), e.arg(args, unsafe.Offsetof(wa.N))}
}

// in6 and out6 are the transforms of six vectors.
func (e *emitter) in6(d []value) []vecReg  { return regs(e.gen().WinogradIn(d)) }
func (e *emitter) out6(d []value) []vecReg { return regs(e.gen().WinogradOut(d)) }

func regs(vs []value) []vecReg {
	out := make([]vecReg, len(vs))
	for i, v := range vs {
		out[i] = v.(vecReg)
	}
	return out
}

// winoIn writes the kernel of the winoin family: see rt.WinoArgs.
func (e *emitter) winoIn(args reg.Register) {
	w := e.newWino(args)
	ls3, ls5 := e.GP64(), e.GP64()
	e.LEAQ(memx(w.lds, w.lds, 2, 0), ls3)
	e.LEAQ(memx(w.lds, w.lds, 4, 0), ls5)
	e.Label("patch")
	for part := range e.parts() {
		off := part * e.width()
		for x := range 6 {
			disp := x*64 + off
			var d []value
			for _, a := range []operand.Mem{mem(w.src, disp), memx(w.src, w.lds, 1, disp), memx(w.src, w.lds, 2, disp), memx(w.src, ls3, 1, disp),
				memx(w.src, w.lds, 4, disp), memx(w.src, ls5, 1, disp)} {
				d = append(d, e.load(a))
			}
			for y, v := range e.in6(d) {
				e.VMOVUPS(v, mem(w.tmp, (y*6+x)*64+off))
			}
		}
	}
	p := e.GP64()
	e.MOVQ(w.dst, p)
	for y := range 6 {
		outs := make([][]vecReg, e.parts())
		for part := range outs {
			var d []value
			for x := range 6 {
				d = append(d, e.load(mem(w.tmp, (y*6+x)*64+part*e.width())))
			}
			outs[part] = e.in6(d)
			if part == 0 && e.parts() > 1 { // keep few registers alive
				q := e.GP64()
				e.MOVQ(p, q)
				for _, v := range outs[0] {
					e.VMOVUPS(v, mem(q, 0))
					e.ADDQ(w.ldd, q)
				}
			}
		}
		final := e.parts() - 1
		for _, v := range outs[final] {
			e.VMOVUPS(v, mem(p, final*e.width()))
			e.ADDQ(w.ldd, p)
		}
	}
	e.ADDQ(i32(4*64), w.src)
	e.ADDQ(operand.Imm(64), w.dst)
	e.DECQ(w.n)
	e.JNE(operand.LabelRef("patch"))
}

// winoOut writes the kernel of the winoout family: see rt.WinoArgs.
func (e *emitter) winoOut(args reg.Register) {
	w := e.newWino(args)
	bias, res := e.arg(args, unsafe.Offsetof(wa.Bias)), e.arg(args, unsafe.Offsetof(wa.R))
	row6 := e.GP64() // from one row of points to the next
	e.IMUL3Q(operand.Imm(6), w.lds, row6)
	e.Label("patch")
	for part := range e.parts() {
		off := part * e.width()
		column := e.GP64()
		e.MOVQ(w.src, column)
		for x := range 6 {
			p := e.GP64()
			e.MOVQ(column, p)
			var m []value
			for range 6 {
				m = append(m, e.load(mem(p, off)))
				e.ADDQ(row6, p)
			}
			for y, v := range e.out6(m) {
				e.VMOVUPS(v, mem(w.tmp, (y*6+x)*64+off))
			}
			e.ADDQ(w.lds, column)
		}
		w.rows(off, bias, res)
	}
	e.ADDQ(operand.Imm(64), w.src)
	e.ADDQ(i32(4*64), w.dst)
	e.TESTQ(res, res)
	e.JEQ(operand.LabelRef("next"))
	e.ADDQ(i32(4*64), res)
	e.Label("next")
	e.DECQ(w.n)
	e.JNE(operand.LabelRef("patch"))
}

// rows transforms the rows in Tmp and finishes the output pixels.
func (w *wino) rows(off int, bias, res reg.Register) {
	dst, r := w.GP64(), w.GP64()
	w.MOVQ(w.dst, dst)
	w.MOVQ(res, r)
	for y := range 4 {
		var m []value
		for x := range 6 {
			m = append(m, w.load(mem(w.tmp, (y*6+x)*64+off)))
		}
		outs := w.out6(m)
		noBias, noRes, noClamp := w.label("nobias"), w.label("nores"), w.label("noclamp")
		w.TESTQ(bias, bias)
		w.JEQ(operand.LabelRef(noBias))
		for _, v := range outs {
			w.VADDPS(mem(bias, off), v, v)
		}
		w.Label(noBias)
		w.TESTQ(res, res)
		w.JEQ(operand.LabelRef(noRes))
		for x, v := range outs {
			w.VADDPS(mem(r, x*64+off), v, v)
		}
		w.Label(noRes)
		w.TESTQ(operand.U32(rt.FlagClamp), field(w.args, unsafe.Offsetof(wa.Flags)))
		w.JEQ(operand.LabelRef(noClamp))
		lo, hi := w.splat(field(w.args, unsafe.Offsetof(wa.Lo))), w.splat(field(w.args, unsafe.Offsetof(wa.Hi)))
		for _, v := range outs {
			w.VMAXPS(v, lo, v)
			w.VMINPS(v, hi, v)
		}
		w.Label(noClamp)
		for x, v := range outs {
			w.VMOVUPS(v, mem(dst, x*64+off))
		}
		w.ADDQ(w.ldd, dst)
		w.ADDQ(w.ldd, r)
	}
}
