package arm64

import (
	"fmt"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
	"github.com/hone-ml/hone/codegen/vecmath"
)

var (
	va rt.VecArgs
	ra rt.ReduceArgs
)

// Registers of a vec or reduce kernel besides args: operand i's address is R(3+2i), its step R(4+2i); R9 the constants,
// R11 the place within 16 lanes.
const (
	dst, left, pool, place = "R1", "R2", "R9", "R11"
	p0, p1                 = pinned + 30, pinned + 31 // parameters in every lane
)

func source(i int) string { return fmt.Sprintf("R%d", 3+2*i) }
func step(i int) string   { return fmt.Sprintf("R%d", 4+2*i) }

func (w *writer) head(name, args string) {
	w.raw("")
	w.raw(fmt.Sprintf("// func %s(args *rt.%s)", name, args))
	w.raw(fmt.Sprintf("TEXT ·%s(SB), NOSPLIT, $64-8", name))
	w.op("MOVD args+0(FP), R0")
}

// splat reads a parameter to every lane of a pinned register.
func (w *writer) splat(off uintptr, reg int) {
	w.op("ADD $%d, %s, R12", off, "R0")
	w.op("VLD1R (R12), [V%d.S4]", reg-pinned)
}

// copyLeft copies the values that are left.
func (w *writer) copyLeft(label, src, to string) {
	w.op("MOVD %s, R12", src)
	w.op("MOVD %s, R13", to)
	w.op("MOVD %s, R14", left)
	w.label(label)
	w.op("MOVWU.P 4(R12), R15")
	w.op("MOVW.P R15, 4(R13)")
	w.op("SUBS $1, R14, R14")
	w.op("BNE %s", label)
}

// slot is the address of one of four places for 16 bytes on the stack.
func slot(i int) string { return fmt.Sprintf("$buf-%d(SP)", 64-16*i) }

// vec writes a kernel of the vec family: see rt.VecArgs. It takes four elements at a time; the last ones go through the stack.
func (w *writer) vec(k spec.Kernel) {
	w.head(k.Name(), "VecArgs")
	n := k.Vec.Operands()
	w.arg(unsafe.Offsetof(va.Dst), dst)
	w.arg(unsafe.Offsetof(va.N), left)
	w.op("MOVD $consts<>(SB), %s", pool)
	for i, f := range [][2]uintptr{{unsafe.Offsetof(va.X), unsafe.Offsetof(va.SX)}, {unsafe.Offsetof(va.Y), unsafe.Offsetof(va.SY)},
		{unsafe.Offsetof(va.Z), unsafe.Offsetof(va.SZ)}}[:n] {
		w.arg(f[0], source(i))
		w.arg(f[1], step(i))
	}
	if vecmath.UsesParams(k.Vec) {
		w.splat(unsafe.Offsetof(va.P0), p0)
		w.splat(unsafe.Offsetof(va.P1), p1)
	}
	w.op("MOVD $0, %s", place)
	w.op("CMP $4, %s", left)
	w.op("BLT rest")
	w.label("loop")
	w.op("VST1.P [V%d.S4], 16(%s)", w.vecBody(k, func(i int) { w.op("ADD %s, %s, R12", place, source(i)) }), dst)
	w.op("SUB $4, %s, %s", left, left)
	w.op("ADD $16, %s, %s", place, place)
	w.op("AND $48, %s, %s", place, place)
	w.op("CBNZ %s, same", place)
	for i := range n {
		w.op("ADD %s, %s, %s", step(i), source(i), source(i))
	}
	w.label("same")
	w.op("CMP $4, %s", left)
	w.op("BGE loop")
	w.label("rest")
	w.op("CBZ %s, done", left)
	for i := range n {
		w.op("ADD %s, %s, R16", place, source(i))
		w.op("MOVD %s, R17", slot(i))
		w.copyLeft(fmt.Sprintf("in%d", i), "R16", "R17")
	}
	r := w.vecBody(k, func(i int) { w.op("MOVD %s, R12", slot(i)) })
	w.op("MOVD %s, R16", slot(3))
	w.op("VST1 [V%d.S4], (R16)", r)
	w.copyLeft("out", "R16", dst)
	w.label("done")
	w.op("RET")
}

// vecBody computes one vector; address puts where an operand is into R12.
func (w *writer) vecBody(k spec.Kernel, address func(i int)) int {
	b := &body{consts: w.consts}
	o := vecmath.Operands[int]{P0: p0, P1: p1}
	for i, p := range []*int{&o.X, &o.Y, &o.Z}[:k.Vec.Operands()] {
		address(i) // V26 and up are not given out before the loads below are done
		w.op("VLD1 (R12), [V%d.S4]", 27-i)
		*p = b.op("ORR", 0x4EA01C00, pinned+27-i, pinned+27-i)
	}
	return w.emit(b, b.gen().Apply(k.Vec, o))
}

// reduce writes a kernel of the reduce family: see rt.ReduceArgs. The last elements go through the stack, among values that
// change nothing.
func (w *writer) reduce(k spec.Kernel) {
	const acc = pinned + 29
	w.head(k.Name(), "ReduceArgs")
	w.arg(unsafe.Offsetof(ra.X), source(0))
	w.arg(unsafe.Offsetof(ra.N), left)
	w.op("MOVD $consts<>(SB), %s", pool)
	if k.Reduce.Writes() == 1 {
		w.arg(unsafe.Offsetof(ra.Dst), dst)
	}
	w.splat(unsafe.Offsetof(ra.P0), p0)
	const negInf, posInf = 0xff800000, 0x7f800000
	start := map[rt.ReduceOp]uint32{rt.ReduceMax: negInf, rt.ReduceMin: posInf}[k.Reduce]
	w.op("FMOVQ %d(%s), F%d", w.consts.offset(start), pool, acc-pinned)
	w.op("CMP $4, %s", left)
	w.op("BLT rest")
	w.label("loop")
	w.op("VLD1.P 16(%s), [V27.S4]", source(0))
	r := w.reduceBody(k, acc)
	if k.Reduce.Writes() == 1 {
		w.op("VST1.P [V%d.S4], 16(%s)", r, dst)
	}
	w.op("SUB $4, %s, %s", left, left)
	w.op("CMP $4, %s", left)
	w.op("BGE loop")
	w.label("rest")
	w.op("CBZ %s, fold", left)
	w.op("MOVD %s, R17", slot(0))
	switch k.Reduce {
	case rt.ReduceSumSq: // P0 itself
		w.op("VST1 [V30.S4], (R17)")
	case rt.ReduceSumExp:
		w.op("FMOVQ %d(%s), F27", w.consts.offset(negInf), pool)
		w.op("VST1 [V27.S4], (R17)")
	default:
		w.op("FMOVQ %d(%s), F27", w.consts.offset(start), pool)
		w.op("VST1 [V27.S4], (R17)")
	}
	w.copyLeft("in", source(0), "R17")
	w.op("VLD1 (R17), [V27.S4]")
	r = w.reduceBody(k, acc)
	if k.Reduce.Writes() == 1 {
		w.op("VST1 [V%d.S4], (R17)", r)
		w.copyLeft("out", "R17", dst)
	}
	w.label("fold")
	switch k.Reduce {
	case rt.ReduceMax:
		w.op("WORD $0x6e30fbbd // FMAXV V29.4S, S29")
	case rt.ReduceMin:
		w.op("WORD $0x6eb0fbbd // FMINV V29.4S, S29")
	default:
		w.op("WORD $0x6e3dd7bd // FADDP V29, V29, V29")
		w.op("WORD $0x6e3dd7bd // FADDP V29, V29, V29")
	}
	w.arg(unsafe.Offsetof(ra.Out), "R12")
	w.op("FMOVS F29, (R12)")
	w.op("RET")
}

// reduceBody takes in the vector in V27 and gives the register to write to Dst, if any.
func (w *writer) reduceBody(k spec.Kernel, acc int) int {
	b := &body{consts: w.consts}
	x := b.op("ORR", 0x4EA01C00, pinned+27, pinned+27)
	switch k.Reduce {
	case rt.ReduceMax:
		b.into(acc, false, "FMAX", 0x4E20F400, acc, x)
	case rt.ReduceMin:
		b.into(acc, false, "FMIN", 0x4EA0F400, acc, x)
	case rt.ReduceSum:
		b.into(acc, false, "FADD", 0x4E20D400, acc, x)
	case rt.ReduceSumSq:
		d := b.Sub(x, p0)
		b.into(acc, true, "FMLA", 0x4E20CC00, d, d)
	default:
		x = b.gen().Exp(b.Sub(x, p0))
		b.into(acc, false, "FADD", 0x4E20D400, acc, x)
	}
	return w.emit(b, x)
}

// data writes the constants of the file.
func (w *writer) data() {
	if len(w.consts.list) == 0 {
		return
	}
	w.raw("")
	for i, v := range w.consts.list {
		for half := range 2 {
			w.raw(fmt.Sprintf("DATA consts<>+%d(SB)/8, $0x%08x%08x", 16*i+8*half, v, v))
		}
	}
	w.raw(fmt.Sprintf("GLOBL consts<>(SB), RODATA|NOPTR, $%d", 16*len(w.consts.list)))
}
