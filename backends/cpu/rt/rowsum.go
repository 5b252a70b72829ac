package rt

import (
	"fmt"
	"unsafe"
)

// RowSum adds up rows of tables, as embeddings are made: every row of Y [Dims...][N] is the sum, in their order, of one row
// of each term, which Norm then normalizes if it is set (its Set, Rows, N, X and Y are not read). All is dense float32.
type RowSum struct {
	Set   *Set
	Dims  []int
	N     int
	Terms []RowTerm
	Norm  *Norm
	Y     unsafe.Pointer
}

// RowTerm says which row a term adds: row i of X [Rows][N], where i is what Strides reach in the dims of Y's rows, or the
// element of Index that they reach where Index is set. Negative elements count from the end, others out of range end the
// run with an error.
type RowTerm struct {
	X       unsafe.Pointer
	Rows    int
	Index   unsafe.Pointer
	Index32 bool
	Strides []int
}

// Work binds the sum.
func (o *RowSum) Work() (Work, error) {
	rows := 1
	for _, d := range o.Dims {
		if d < 0 {
			return Work{}, fmt.Errorf("a sum over rows of %v", o.Dims)
		}
		rows *= d
	}
	if o.N < 0 || len(o.Terms) == 0 {
		return Work{}, fmt.Errorf("a sum of %d rows of %d", len(o.Terms), o.N)
	}
	if rows == 0 || o.N == 0 {
		return Work{}, nil
	}
	b := *o
	touches := []Range{span(addr(b.Y), rows*b.N*4, true)}
	for i := range b.Terms {
		t := &b.Terms[i]
		if len(t.Strides) != len(b.Dims) {
			return Work{}, fmt.Errorf("a term has strides for %d dims, not %d", len(t.Strides), len(b.Dims))
		}
		touches = append(touches, span(addr(t.X), t.Rows*b.N*4, false))
		if t.Index != nil {
			touches = append(touches, hull(addr(t.Index), t.indexSize(), b.Dims, t.Strides, false))
		}
	}
	if b.Norm != nil {
		n := *b.Norm
		n.Set, n.Rows, n.N, n.X, n.Y = b.Set, rows, b.N, b.Y, b.Y
		b.Norm = &n
		for _, p := range []unsafe.Pointer{n.Scale, n.Bias} {
			if p != nil {
				touches = append(touches, span(addr(p), b.N*4, false))
			}
		}
	}
	w := eachRow(rows, b.N*len(b.Terms), 2*laneBytes, b.row)
	w.Moves, w.Touches = true, touches // which rows it reads depends on what Index holds
	return w, nil
}

func (o *RowSum) row(row int, s *Scratch) {
	y := at(addr(o.Y), row*o.N*4)
	sum := o.term(0, row)
	v := &s.Args.Vec
	for i := 1; i < len(o.Terms); i++ {
		*v = VecArgs{Dst: y, X: sum, Y: o.term(i, row), SX: laneBytes, SY: laneBytes, N: int64(o.N)}
		o.Set.Vec[OpAdd].Fn(v)
		sum = y
	}
	if len(o.Terms) == 1 {
		copy(floats(y, o.N), floats(sum, o.N))
	}
	if o.Norm != nil {
		o.Norm.row(row, s)
	}
}

// term is the address of the row that term i adds to a row.
func (o *RowSum) term(i, row int) uintptr {
	t := &o.Terms[i]
	n := 0
	for d := len(o.Dims) - 1; d >= 0; d-- {
		n += row % o.Dims[d] * t.Strides[d]
		row /= o.Dims[d]
	}
	if t.Index != nil {
		n = t.index(n)
	}
	if n < 0 || n >= t.Rows {
		panic(fmt.Errorf("gather index %d is outside of %d rows", n, t.Rows))
	}
	return at(addr(t.X), n*o.N*4)
}

func (t *RowTerm) indexSize() int {
	if t.Index32 {
		return 4
	}
	return 8
}

// index reads an element of Index, counted from the front.
func (t *RowTerm) index(n int) int {
	i := 0
	if p := pointer(at(addr(t.Index), n*t.indexSize())); t.Index32 {
		i = int(*(*int32)(p))
	} else {
		i = int(*(*int64)(p))
	}
	if i < 0 {
		i += t.Rows
	}
	return i
}
