package cpu

import (
	"fmt"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
)

// checked returns the works that compute op once they have been tried: where
// any tile would touch memory besides the op's operands and results, say
// because a file was forged, the reference computes the op. This is the one
// place through which kernels get to memory.
func (b *binder) checked(check *rt.Check, op *ir.Op) ([]rt.Work, error) {
	kept := len(b.keep)
	works, err := b.kernel(op)
	if err != nil || len(works) == 0 {
		return works, err
	}
	may := []rt.Range{rt.Memory(uintptr(unsafe.Pointer(&nothing)), len(nothing), false)}
	allow := func(v *ir.Value, write bool) {
		if p := b.places[v]; v != nil && p != nil && p.bytes > 0 {
			may = append(may, rt.Memory(uintptr(p.ptr(b.arena)), p.span(), write))
		}
	}
	for _, v := range op.Results() {
		allow(v, true)
	}
	for _, v := range op.Operands() {
		allow(v, false)
	}
	for _, k := range b.keep[kept:] {
		if v, ok := k.([]float32); ok {
			may = append(may, rt.Memory(uintptr(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v), false))
		}
	}
	for i := range works {
		if err := check.Try(&works[i], may); err != nil {
			return nil, fmt.Errorf("its kernel was refused: %w", err)
		}
	}
	return works, nil
}
