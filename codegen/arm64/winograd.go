package arm64

import (
	"fmt"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
)

var wa rt.WinoArgs

// wino writes a kernel of the winoin or winoout family: see rt.WinoArgs. R1 is the source, R2 the destination, R3 and R4 their strides,
// R5 the temporary, R6 the patches left, R7 the place within 16 lanes, R8 the bias, R16 the residual, V30 and V31 the bounds.
func (w *writer) wino(k spec.Kernel) {
	out := k.Family == spec.WinoOut
	w.head(k.Name(), "WinoArgs")
	for i, off := range []uintptr{unsafe.Offsetof(wa.Src), unsafe.Offsetof(wa.Dst), unsafe.Offsetof(wa.LdS), unsafe.Offsetof(wa.LdD),
		unsafe.Offsetof(wa.Tmp), unsafe.Offsetof(wa.N)} {
		w.arg(off, fmt.Sprintf("R%d", i+1))
	}
	w.op("MOVD $consts<>(SB), %s", pool)
	srcPatch, dstPatch := 4*64, 64 // from one patch to the next
	if out {
		srcPatch, dstPatch = dstPatch, srcPatch
		w.arg(unsafe.Offsetof(wa.Bias), "R8")
		w.arg(unsafe.Offsetof(wa.R), "R16")
		w.arg(unsafe.Offsetof(wa.Flags), "R17")
		w.splat(unsafe.Offsetof(wa.Lo), p0)
		w.splat(unsafe.Offsetof(wa.Hi), p1)
		w.op("MOVD $6, R12")
		w.op("MUL R12, R3, R19") // from one row of points to the next
	}
	w.label("patch")
	w.op("MOVD $0, R7")
	w.label("part")
	w.op("ADD R7, R1, R10")
	w.op("ADD R7, R2, R14")
	if out {
		w.winoColumns("R19", "R3", 0, func(b *body, d []int) []int { return b.gen().WinogradOut(d) })
		w.op("ADD R7, R16, R15")
		for y := range 4 {
			w.winoOutRow(y)
		}
	} else {
		w.winoColumns("R3", "", 64, func(b *body, d []int) []int { return b.gen().WinogradIn(d) })
		for y := range 6 {
			b := &body{consts: w.consts}
			for _, v := range b.gen().WinogradIn(b.fromTmp(y)) {
				b.effect("VST1 [V%d.S4], (R14)\n\tADD R4, R14, R14", v)
			}
			w.emit(b, -1)
		}
	}
	w.op("ADD $16, R7, R7")
	w.op("CMP $64, R7")
	w.op("BNE part")
	w.op("ADD $%d, R1, R1", srcPatch)
	w.op("ADD $%d, R2, R2", dstPatch)
	if out {
		w.op("CBZ R16, next")
		w.op("ADD $%d, R16, R16", dstPatch)
		w.label("next")
	}
	w.op("SUBS $1, R6, R6")
	w.op("BNE patch")
	w.op("RET")
}

// winoColumns transforms six columns of six values to Tmp, [row][column][16 bytes]. Rows are row apart, columns column, or disp.
func (w *writer) winoColumns(row, column string, disp int, transform func(b *body, d []int) []int) {
	for x := range 6 {
		b := &body{consts: w.consts}
		w.op("MOVD R10, R11")
		var d []int
		for range 6 {
			d = append(d, b.raw("VLD1 (R11), [V%d.S4]\n\tADD "+row+", R11, R11"))
		}
		for y, v := range transform(b, d) {
			b.effect(fmt.Sprintf("FMOVQ F%%d, %d(R5)", (y*6+x)*16), v)
		}
		w.emit(b, -1)
		if column != "" {
			w.op("ADD %s, R10, R10", column)
		} else {
			w.op("ADD $%d, R10, R10", disp)
		}
	}
}

// fromTmp loads a row of six.
func (b *body) fromTmp(y int) []int {
	var d []int
	for x := range 6 {
		d = append(d, b.raw(fmt.Sprintf("FMOVQ %d(R5), F%%d", (y*6+x)*16)))
	}
	return d
}

// winoOutRow finishes a row of four pixels; they are in V20 to V23 while bias, residual and bounds are applied.
func (w *writer) winoOutRow(y int) {
	b := &body{consts: w.consts}
	for x, v := range b.gen().WinogradOut(b.fromTmp(y)) {
		b.into(pinned+20+x, false, "ORR", 0x4EA01C00, v, v)
	}
	w.emit(b, -1)
	w.op("CBZ R8, nobias%d", y)
	w.op("ADD R7, R8, R12")
	w.op("VLD1 (R12), [V0.S4]")
	for x := range 4 {
		w.word("FADD", fadd4s, 0, 20+x)
	}
	w.label(fmt.Sprintf("nobias%d", y))
	w.op("CBZ R16, nores%d", y)
	w.op("MOVD R15, R12")
	for x := range 4 {
		w.op("VLD1 (R12), [V0.S4]")
		w.op("ADD $64, R12, R12")
		w.word("FADD", fadd4s, 0, 20+x)
	}
	w.label(fmt.Sprintf("nores%d", y))
	w.op("ADD R4, R15, R15")
	w.op("TBZ $1, R17, noclamp%d", y)
	for x := range 4 {
		w.word("FMAX", fmax4s, 30, 20+x)
		w.word("FMIN", fmin4s, 31, 20+x)
	}
	w.label(fmt.Sprintf("noclamp%d", y))
	w.op("MOVD R14, R12")
	for x := range 4 {
		w.op("VST1 [V%d.S4], (R12)", 20+x)
		w.op("ADD $64, R12, R12")
	}
	w.op("ADD R4, R14, R14")
}
