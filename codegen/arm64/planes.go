package arm64

import (
	"fmt"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
)

var pa rt.PlanesArgs // for field offsets

// planes writes a kernel of one panel: see rt.PlanesArgs. Channel i's accumulators are V(4i) to V(4i+3), a tap's pixels V24 to V27,
// weights V28 to V31; X is R1, taps R2, weights R3.
func (w *writer) planes(k spec.Kernel) {
	w.raw("")
	w.raw(fmt.Sprintf("// func %s(args *rt.PlanesArgs)", k.Name()))
	w.raw(fmt.Sprintf("TEXT ·%s(SB), NOSPLIT, $64-8", k.Name()))
	w.op("MOVD args+0(FP), %s", args)
	w.op("MOVD $buf-64(SP), %s", buf)
	w.columns(unsafe.Offsetof(pa.Mask))
	for i := range 4 * k.Rows {
		w.op("VEOR V%d.B16, V%d.B16, V%d.B16", i, i, i)
	}
	w.arg(unsafe.Offsetof(pa.LdC), ldc)
	w.arg(unsafe.Offsetof(pa.X), "R1")
	w.arg(unsafe.Offsetof(pa.Taps), "R2")
	w.arg(unsafe.Offsetof(pa.W), "R3")
	w.arg(unsafe.Offsetof(pa.LdW), "R4")
	w.arg(unsafe.Offsetof(pa.K), kReg)
	w.label("tap")
	w.op("MOVD.P 8(R2), %s", tmp)
	w.op("ADD R1, %s, %s", tmp, tmp)
	w.op("VLD1 (%s), %s", tmp, vecs(24))
	w.op("MOVD R3, R5")
	for i := range k.Rows {
		w.op("VLD1R.P 4(R5), [V%d.S4]", 28+i)
		for j := range 4 {
			w.op("VFMLA V%d.S4, V%d.S4, V%d.S4", 28+i, 24+j, 4*i+j)
		}
	}
	w.op("ADD R4, R3, R3")
	w.op("SUBS $1, %s, %s", kReg, kReg)
	w.op("BNE tap")
	w.arg(unsafe.Offsetof(pa.Bias), rRow)
	w.op("CBZ %s, nobias", rRow)
	for i := range k.Rows {
		w.op("VLD1R.P 4(%s), [V24.S4]", rRow)
		for j := range 4 {
			w.word("FADD", fadd4s, 24, 4*i+j)
		}
	}
	w.label("nobias")
	w.residual(k.Rows, unsafe.Offsetof(pa.R))
	w.clamp(k.Rows, unsafe.Offsetof(pa.Flags), unsafe.Offsetof(pa.Lo), unsafe.Offsetof(pa.Hi))
	w.store(k.Rows, unsafe.Offsetof(pa.C))
	w.op("RET")
}
