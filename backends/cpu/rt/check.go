package rt

import "fmt"

// Check tries works before their first run: it compares the memory that they would touch, tile by tile, with what they may touch.
// Works are bound with its Set, whose kernels compare their footprints and compute nothing until Done.
type Check struct {
	set, real *Set
	may       []Range
	scratch   Scratch
	buf       []Range
	err       error
}

// NewCheck returns a check for works of a set's kernels.
func NewCheck(real *Set) *Check {
	c := &Check{real: real, set: new(Set)}
	s := c.set
	*s = *real
	s.Planes = append([]Kernel[PlanesArgs]{}, real.Planes...)
	for i := range s.Planes {
		guard(c, &s.Planes[i], (*PlanesArgs).footprint)
	}
	s.Gemm = append([]Kernel[GemmArgs]{}, real.Gemm...)
	for i := range s.Gemm {
		guard(c, &s.Gemm[i], (*GemmArgs).bounds)
	}
	for _, k := range []*Kernel[TapArgs]{&s.Depthwise, &s.MaxPool, &s.SumPool} {
		guard(c, k, (*TapArgs).footprint)
	}
	guard(c, &s.Blend, (*BlendArgs).footprint)
	for i := range s.Vec {
		guard(c, &s.Vec[i], (*VecArgs).footprint)
	}
	for i := range s.Reduce {
		guard(c, &s.Reduce[i], (*ReduceArgs).footprint)
	}
	guard(c, &s.Transpose, (*TransposeArgs).footprint)
	guard(c, &s.WinoIn, (*WinoArgs).footprint)
	guard(c, &s.WinoOut, (*WinoArgs).footprint)
	s.Seal()
	s.plan.whole = func(g *GemmArgs, rows, panels int) { held(c, "gemm", g, (*GemmArgs).bounds, rows, panels) }
	c.scratch.dry = true
	return c
}

// Set is what works are bound with.
func (c *Check) Set() *Set { return c.set }

// Done makes the set's kernels compute.
func (c *Check) Done() error {
	*c.set = *c.real
	return c.scratch.Free()
}

// guard replaces a kernel by a comparison.
func guard[A any](c *Check, k *Kernel[A], footprint func(a *A, out []Range, x, y int) []Range) {
	name, x, y := k.Name, k.Tile[0], k.Tile[1]
	k.Fn = func(a *A) { held(c, name, a, footprint, x, y) }
}

// held compares what a call would touch with what it may.
func held[A any](c *Check, name string, a *A, footprint func(a *A, out []Range, x, y int) []Range, x, y int) {
	if c.err != nil {
		return
	}
	c.buf = footprint(a, c.buf[:0], x, y)
	for i := range c.buf {
		if r := &c.buf[i]; !c.within(r) {
			c.err = fmt.Errorf("%s would touch memory that is not its own: %d pieces of %d bytes", name, r.Count, r.Len)
			return
		}
	}
}

// Try compares a work with the memory that it may touch.
func (c *Check) Try(w *Work, may []Range) error {
	c.may, c.err = append(append(c.may[:0], may...), w.own...), nil
	for i := range w.Touches {
		if !c.within(&w.Touches[i]) {
			return fmt.Errorf("it would touch memory that is not its own")
		}
	}
	if w.Moves {
		return nil
	}
	if err := c.scratch.Grow(w.Scratch); err != nil {
		return err
	}
	c.may = append(c.may, span(addr(c.scratch.mem.Ptr()), w.Scratch, true))
	for tile := 0; tile < w.Tiles && c.err == nil; tile++ {
		c.tile(w, tile)
	}
	return c.err
}

func (c *Check) tile(w *Work, tile int) {
	defer func() {
		if p := recover(); p != nil {
			c.err = fmt.Errorf("%v", p)
		}
	}()
	w.Run(tile, &c.scratch)
}

// within tells whether every piece of r lies in memory that may be touched so.
func (c *Check) within(r *Range) bool {
	if r.Len <= 0 || r.Count <= 0 {
		return true
	}
	if c.holds(r.Base, r.Len, r.Count-1, r.Stride, r.Write) {
		return true
	}
	for i := range r.Count {
		if !c.holds(at(r.Base, i*r.Stride), r.Len, 0, 0, r.Write) {
			return false
		}
	}
	return true
}

// holds tells whether one allowed range holds a run of pieces and all between them.
func (c *Check) holds(base uintptr, n, more, stride int, write bool) bool {
	if stride < 0 {
		base, stride = at(base, more*stride), -stride
	}
	for i := range c.may {
		m := &c.may[i]
		off := int(base - m.Base)
		if base >= m.Base && off <= m.Len && n <= m.Len-off && (more == 0 || stride <= (m.Len-off-n)/more) && (m.Write || !write) {
			return true
		}
	}
	return false
}

// Memory is a range of n bytes from p on, for Try and Work.Touches.
func Memory(p uintptr, n int, write bool) Range { return span(p, n, write) }

// hull is all memory between the first and the last element of size bytes that strides reach.
func hull(base uintptr, size int, dims, strides []int, write bool) Range {
	lo, hi := 0, 0
	for i, d := range dims {
		if d == 0 {
			return Range{}
		}
		if s := (d - 1) * strides[i]; s < 0 {
			lo += s
		} else {
			hi += s
		}
	}
	return span(at(base, lo*size), (hi-lo+1)*size, write)
}
