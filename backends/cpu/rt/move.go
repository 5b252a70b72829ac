package rt

import (
	"fmt"
	"unsafe"
)

// Copy copies elements of Size bytes between two tensors seen through strides in elements: slices, parts of a concatenation,
// broadcasts (stride 0 in Src), transposes, reversals (negative strides), nearest-neighbour enlargement. Dst's elements are
// distinct, and Src does not overlap Dst.
type Copy struct {
	Set                    *Set
	Size                   int // 1, 2, 4 or 8
	Dims                   []int
	Src, Dst               unsafe.Pointer
	SrcStrides, DstStrides []int
}

// copyBound is a Copy over merged dims, the innermost last.
type copyBound struct {
	Copy
	space
	n, rows, group int
	flat           bool // the innermost dim is contiguous on both sides
	square         bool // the last two dims are a 2-D transpose of 4-byte elements
}

// Work binds the copy.
func (c *Copy) Work() (Work, error) {
	switch c.Size {
	case 1, 2, 4, 8:
	default:
		return Work{}, fmt.Errorf("copy of elements of %d bytes: want 1, 2, 4 or 8", c.Size)
	}
	sp, err := newSpace(c.Dims, []Operand{{c.Src, c.SrcStrides}, {c.Dst, c.DstStrides}})
	if err != nil {
		return Work{}, fmt.Errorf("copy: %w", err)
	}
	b := &copyBound{Copy: *c, space: sp, rows: 1}
	r := len(sp.dims)
	src, dst := sp.strides[0], sp.strides[1]
	b.flat = src[r-1] == 1 && dst[r-1] == 1
	if !b.flat && r > 1 && c.Size == 4 {
		// The dim where Src is contiguous goes last but one, if Dst is contiguous in the last.
		for d := range r - 1 {
			if src[d] == 1 && dst[r-1] == 1 {
				for _, x := range [][]int{sp.dims, src, dst} {
					v := x[d]
					copy(x[d:], x[d+1:r-1])
					x[r-2] = v
				}
				b.square = true
				break
			}
		}
	}
	b.n = sp.dims[r-1]
	outer := sp.dims[:r-1]
	if b.square {
		b.n *= sp.dims[r-2]
		outer = sp.dims[:r-2]
	}
	for _, d := range outer {
		b.rows *= d
	}
	tiles := 0
	if b.n > 0 {
		b.group = max(1, tileElems/b.n)
		tiles = ceilDiv(b.rows, b.group)
		if b.square && b.rows == 1 { // one large matrix: a tile is 16 columns of Src
			b.group = 1
			tiles = ceilDiv(sp.dims[r-1], Lanes)
		}
	}
	touches := []Range{hull(addr(c.Src), c.Size, sp.dims, src, false), hull(addr(c.Dst), c.Size, sp.dims, dst, true)}
	return Work{Tiles: tiles, Run: b.run, Touches: touches, Moves: true}, nil
}

func (b *copyBound) run(tile int, s *Scratch) {
	if b.square && b.rows == 1 {
		b.matrix(s, 0, 0, tile*Lanes, Lanes)
		return
	}
	outer := len(b.dims) - 1
	if b.square {
		outer--
	}
	for row := tile * b.group; row < min(b.rows, (tile+1)*b.group); row++ {
		var src, dst int
		for d, q := outer-1, row; d >= 0; d-- {
			i := q % b.dims[d]
			q /= b.dims[d]
			src, dst = src+i*b.strides[0][d], dst+i*b.strides[1][d]
		}
		if b.square {
			b.matrix(s, src, dst, 0, b.dims[outer+1])
		} else {
			b.line(src, dst)
		}
	}
}

// line copies the innermost dim.
func (b *copyBound) line(src, dst int) {
	from, to := at(addr(b.Src), src*b.Size), at(addr(b.Dst), dst*b.Size)
	if b.flat {
		copy(bytesAt(to, b.n*b.Size), bytesAt(from, b.n*b.Size))
		return
	}
	last := len(b.dims) - 1
	ss, ds := b.strides[0][last]*b.Size, b.strides[1][last]*b.Size
	switch b.Size {
	case 1:
		strided[uint8](from, to, ss, ds, b.n)
	case 2:
		strided[uint16](from, to, ss, ds, b.n)
	case 4:
		strided[uint32](from, to, ss, ds, b.n)
	default:
		strided[uint64](from, to, ss, ds, b.n)
	}
}

func bytesAt(a uintptr, n int) []byte {
	if n <= 0 {
		return nil
	}
	return unsafe.Slice((*byte)(pointer(a)), n)
}

func strided[T any](from, to uintptr, ss, ds, n int) {
	for range n {
		*(*T)(pointer(to)) = *(*T)(pointer(from))
		from, to = at(from, ss), at(to, ds)
	}
}

// matrix transposes the last two dims: rows first to first+n-1 of Src (Dst's columns), in blocks of 16.
func (b *copyBound) matrix(s *Scratch, src, dst, first, n int) {
	last := len(b.dims) - 1
	rows, cols := min(b.dims[last], first+n), b.dims[last-1]
	lds, ldd := b.strides[0][last]*4, b.strides[1][last-1]*4
	g := &s.Args.Transpose
	for r := first; r < rows; r += Lanes {
		*g = TransposeArgs{Src: at(addr(b.Src), src*4+r*lds), Dst: at(addr(b.Dst), (dst+r)*4), LdS: int64(lds), LdD: int64(ldd)}
		transposeTile(b.Set, g, min(Lanes, rows-r), cols)
	}
}

// Transpose copies X, dense with shape Dims, to Y with Y's dim i being X's dim Perm[i].
func Transpose(set *Set, size int, dims, perm []int, x, y unsafe.Pointer) (Work, error) {
	n := len(dims)
	if len(perm) != n {
		return Work{}, fmt.Errorf("transpose of %d dims by %v", n, perm)
	}
	c := Copy{Set: set, Size: size, Src: x, Dst: y, Dims: make([]int, n), SrcStrides: make([]int, n), DstStrides: make([]int, n)}
	dense := Dense(dims)
	seen := make([]bool, n)
	for i, p := range perm {
		if p < 0 || p >= n || seen[p] {
			return Work{}, fmt.Errorf("transpose of %d dims by %v: not a permutation", n, perm)
		}
		seen[p] = true
		c.Dims[i], c.SrcStrides[i] = dims[p], dense[p]
	}
	c.DstStrides = Dense(c.Dims)
	return c.Work()
}

// Dense is the strides in elements of a row-major tensor.
func Dense(dims []int) []int {
	st := make([]int, len(dims))
	n := 1
	for d := len(dims) - 1; d >= 0; d-- {
		st[d] = n
		n *= dims[d]
	}
	return st
}

// Gather copies rows: Y[o][i] = X[o][Index[i]], each Row bytes, for X [Outer][Count][Row], Y [Outer][len(index)][Row].
// Index is N int64 values, or int32 with Index32 set; negative ones count from the end, others out of range end the run with an error.
type Gather struct {
	Outer, Count, N, Row int
	Index32              bool
	X, Index, Y          unsafe.Pointer
}

// Work binds the gather.
func (o *Gather) Work() (Work, error) {
	if o.Outer < 0 || o.Count < 0 || o.N < 0 || o.Row < 0 {
		return Work{}, fmt.Errorf("gather of %d of %d rows of %d bytes", o.N, o.Count, o.Row)
	}
	b := *o
	size := 8
	if o.Index32 {
		size = 4
	}
	w := eachRow(o.Outer*o.N, ceilDiv(o.Row, 4), 0, func(i int, _ *Scratch) {
		outer, n := i/b.N, i%b.N
		var at64 int
		if b.Index32 {
			at64 = int(*(*int32)(pointer(at(addr(b.Index), n*4))))
		} else {
			at64 = int(*(*int64)(pointer(at(addr(b.Index), n*8))))
		}
		if at64 < 0 {
			at64 += b.Count
		}
		if at64 < 0 || at64 >= b.Count {
			panic(fmt.Errorf("gather index %d is outside of %d rows", at64, b.Count))
		}
		copy(bytesAt(at(addr(b.Y), i*b.Row), b.Row), bytesAt(at(addr(b.X), (outer*b.Count+at64)*b.Row), b.Row))
	})
	w.Moves = true
	if w.Tiles > 0 {
		w.Touches = []Range{span(addr(o.X), o.Outer*o.Count*o.Row, false), span(addr(o.Index), o.N*size, false), span(addr(o.Y), o.Outer*o.N*o.Row, true)}
	}
	return w, nil
}
