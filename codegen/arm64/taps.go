package arm64

import (
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
)

// for field offsets
var (
	ta rt.TapArgs
	ba rt.BlendArgs
)

// taps writes a kernel of the depthwise, maxpool or sumpool family: see rt.TapArgs. One pixel at a time: accumulators V0 to V3, taps
// V4 to V7, weights V16 to V19, bias V20 to V23, bounds V24 and V25.
func (w *writer) taps(k spec.Kernel) {
	w.head(k.Name(), "TapArgs")
	w.arg(unsafe.Offsetof(ta.A), "R1")
	w.arg(unsafe.Offsetof(ta.C), "R2")
	w.arg(unsafe.Offsetof(ta.N), "R3")
	w.arg(unsafe.Offsetof(ta.LdA), "R4")
	depthwise := k.Family == spec.Depthwise
	switch {
	case depthwise:
		for i := range 4 { // no bias is -0, which changes nothing
			w.op("WORD $0x%08x // MOVI -0, V%d", 0x4F046400|20+i, 20+i)
		}
		w.arg(unsafe.Offsetof(ta.Bias), "R5")
		w.op("CBZ R5, nobias")
		w.op("VLD1 (R5), %s", vecs(20))
		w.label("nobias")
		w.splat(unsafe.Offsetof(ta.Lo), pinned+24)
		w.splat(unsafe.Offsetof(ta.Hi), pinned+25)
		w.arg(unsafe.Offsetof(ta.Flags), "R10")
	case k.Family == spec.SumPool:
		w.splat(unsafe.Offsetof(ta.Scale), pinned+24)
	}
	w.label("pixel")
	w.op("MOVD R1, R6")
	w.arg(unsafe.Offsetof(ta.Taps), "R7")
	w.arg(unsafe.Offsetof(ta.Steps), "R8")
	if depthwise {
		w.arg(unsafe.Offsetof(ta.W), "R9")
	}
	if k.Family == spec.MaxPool {
		w.op("VLD1 (R6), %s", vecs(0)) // the first tap twice changes nothing
	} else {
		for i := range 4 {
			w.op("VEOR V%d.B16, V%d.B16, V%d.B16", i, i, i)
		}
	}
	w.label("tap")
	w.op("VLD1 (R6), %s", vecs(4))
	if depthwise {
		w.op("VLD1.P 64(R9), %s", vecs(16))
	}
	for i := range 4 {
		switch {
		case depthwise:
			w.op("VFMLA V%d.S4, V%d.S4, V%d.S4", 16+i, 4+i, i)
		case k.Family == spec.MaxPool:
			w.word("FMAX", fmax4s, 4+i, i)
		default:
			w.word("FADD", fadd4s, 4+i, i)
		}
	}
	w.op("SUBS $1, R7, R7")
	w.op("BEQ end")
	w.op("MOVD.P 8(R8), R11")
	w.op("ADD R11, R6, R6")
	w.op("B tap")
	w.label("end")
	if depthwise {
		for i := range 4 {
			w.word("FADD", fadd4s, 20+i, i)
		}
		w.op("TBZ $1, R10, store")
		for i := range 4 {
			w.word("FMAX", fmax4s, 24, i)
			w.word("FMIN", fmin4s, 25, i)
		}
	}
	if k.Family == spec.SumPool {
		for i := range 4 {
			w.word("FMUL", 0x6E20DC00, 24, i)
		}
	}
	w.label("store")
	w.op("VST1.P %s, 64(R2)", vecs(0))
	w.op("ADD R4, R1, R1")
	w.op("SUBS $1, R3, R3")
	w.op("BNE pixel")
	w.op("RET")
}

// blend writes the blend kernel: see rt.BlendArgs. The accumulators are V0 to V3, a pixel V4 to V7, its weight V16.
func (w *writer) blend(k spec.Kernel) {
	w.head(k.Name(), "BlendArgs")
	w.arg(unsafe.Offsetof(ba.X), "R1")
	w.arg(unsafe.Offsetof(ba.C), "R2")
	w.arg(unsafe.Offsetof(ba.W), "R3")
	w.arg(unsafe.Offsetof(ba.Index), "R4")
	w.arg(unsafe.Offsetof(ba.N), "R5")
	w.label("pixel")
	w.arg(unsafe.Offsetof(ba.Taps), "R6")
	for i := range 4 {
		w.op("VEOR V%d.B16, V%d.B16, V%d.B16", i, i, i)
	}
	w.label("tap")
	w.op("MOVW.P 4(R4), R7")
	w.op("ADD R7<<6, R1, R8")
	w.op("VLD1 (R8), %s", vecs(4))
	w.op("VLD1R.P 4(R3), [V16.S4]")
	for i := range 4 {
		w.op("VFMLA V16.S4, V%d.S4, V%d.S4", 4+i, i)
	}
	w.op("SUBS $1, R6, R6")
	w.op("BNE tap")
	w.op("VST1.P %s, 64(R2)", vecs(0))
	w.op("SUBS $1, R5, R5")
	w.op("BNE pixel")
	w.op("RET")
}
