package rt

import (
	"fmt"
	"unsafe"
)

// GatherND copies parts of X by position: part i, Row bytes, is the one at X's leading dims Index[i·len(Dims)] and on, for X
// [Dims...][Row] and N parts. Negative positions count from the end, others out of range end the run with an error.
type GatherND struct {
	Dims        []int
	N, Row      int
	X, Index, Y unsafe.Pointer
}

// Work binds the gather.
func (o *GatherND) Work() (Work, error) {
	if o.N < 0 || o.Row < 0 || len(o.Dims) == 0 {
		return Work{}, fmt.Errorf("gather of %d parts of %d bytes from %v", o.N, o.Row, o.Dims)
	}
	b := *o
	size := b.Row
	for _, d := range b.Dims {
		size *= d
	}
	k := len(b.Dims)
	w := eachRow(b.N, ceilDiv(b.Row, 4)+k, 0, func(i int, _ *Scratch) {
		part := 0
		for d, p := range ints(at(addr(b.Index), i*k*8), k) {
			n := b.Dims[d]
			at64 := int(p)
			if at64 < 0 {
				at64 += n
			}
			if at64 < 0 || at64 >= n {
				panic(fmt.Errorf("gather index %d is outside of %d", p, n))
			}
			part = part*n + at64
		}
		copy(bytesAt(at(addr(b.Y), i*b.Row), b.Row), bytesAt(at(addr(b.X), part*b.Row), b.Row))
	})
	w.Moves = true
	if w.Tiles > 0 {
		w.Touches = []Range{span(addr(b.X), size, false), span(addr(b.Index), b.N*k*8, false), span(addr(b.Y), b.N*b.Row, true)}
	}
	return w, nil
}
