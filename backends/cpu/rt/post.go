package rt

import (
	"fmt"
	"unsafe"
)

// Post is a pointwise region that runs on a driver's result while it is still in cache: input 0 of Prog is the result, the
// others are In, and output 0 goes where the result was. In's strides are over the space that the driver names.
type Post struct {
	Prog *Program
	In   []Operand
}

// boundPost is a Post over [rows..., columns].
type boundPost struct {
	prog *boundProgram
	in   []Operand
	dims []int

	touches []Range // what Go code reads of the operands
}

// bind prepares p for the space dims, whose last dim is the columns, or with blocked set the last two are pixels and lanes;
// result is where the driver writes.
func (p *Post) bind(set *Set, dims []int, blocked bool, result unsafe.Pointer) (*boundPost, error) {
	n := len(dims)
	sp := space{dims: append([]int{}, dims...)}
	for i, x := range p.In {
		if len(x.Strides) != n {
			return nil, fmt.Errorf("post operand %d has %d strides for %d dims", i, len(x.Strides), n)
		}
		if last := x.Strides[n-1]; last != 0 && last != 1 {
			return nil, fmt.Errorf("post operand %d has stride %d along columns: want 0 or 1", i, last)
		}
		sp.strides = append(sp.strides, append([]int{}, x.Strides...))
	}
	modes := []mode{modeFull}
	if blocked {
		if modes = append(modes, sp.lanes()...); len(sp.dims) == n {
			return nil, fmt.Errorf("post operands of a blocked tensor must be dense, constant or per channel over [pixels, 16]")
		}
	} else {
		modes = append(modes, sp.modes()...)
	}
	in := make([]Operand, len(p.In))
	for i, x := range p.In {
		in[i] = Operand{x.Ptr, sp.strides[i]}
	}
	if len(p.Prog.Out) != 1 {
		return nil, fmt.Errorf("post program has %d outputs: want 1", len(p.Prog.Out))
	}
	bp, err := p.Prog.bind(set, modes, func(_, i int) bool { return i == 0 || p.In[i-1].Ptr == result })
	b := &boundPost{prog: bp, in: in, dims: sp.dims}
	for i, x := range p.In {
		b.touches = append(b.touches, hull(addr(x.Ptr), 4, dims, p.In[i].Strides, false))
	}
	return b, err
}

// reads is what Go code reads of the operands.
func (b *boundPost) reads() []Range {
	if b == nil {
		return nil
	}
	return b.touches
}

// tables are what kernels read of the post's own.
func (b *boundPost) tables() []Range {
	if b == nil {
		return nil
	}
	return b.prog.tables()
}

// run applies the program to n columns from col on of a row (counted over all leading dims) whose result is at c.
func (b *boundPost) run(s *Scratch, off, row, col int, c uintptr, n int) {
	last := len(b.dims) - 1
	s.cur.in[0], s.cur.out[0] = c, c
	for o := range b.in {
		x := &b.in[o]
		e := col * x.Strides[last]
		for d, q := last-1, row; d >= 0; d-- {
			e += q % b.dims[d] * x.Strides[d]
			q /= b.dims[d]
		}
		s.cur.in[o+1] = at(addr(x.Ptr), e*4)
	}
	b.prog.run(s, off, n)
}
