package cpu

import (
	"cmp"
	"fmt"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// place is where a value lies once the shapes of the inputs are bound.
type place struct {
	dtype  tensor.DType
	shape  []int
	layout ir.Layout
	bytes  int
	// strides in elements, for a value that is another one seen with its dims
	// permuted, or a part of it; nil where the elements are dense.
	strides []int

	argument bool // a value that comes from outside of the plan
	outside  bool // and whose memory is that of the plan around

	of     *place         // the place whose memory this one shares, nil for its own
	at     int            // bytes from its beginning
	offset int            // in the arena
	data   []byte         // of a constant: its memory, outside of the arena
	seen   *tensor.Tensor // the last view
	first  int            // the step that writes it
	last   int            // the last step that reads it, of any place that shares its memory
}

// root returns the place that owns the memory.
func (p *place) root() *place {
	for p.of != nil {
		p = p.of
	}
	return p
}

// ptr returns the address of the first element.
func (p *place) ptr(arena rt.Mem) unsafe.Pointer {
	r, at := p, 0
	for ; r.of != nil; r = r.of {
		at += r.at
	}
	switch {
	case r.data != nil:
		return unsafe.Pointer(unsafe.SliceData(r.data))
	case r.bytes == 0:
		return unsafe.Pointer(&nothing)
	}
	return arena.At(r.offset + at)
}

// hold makes a place that has its own memory a part of this one's, at bytes from
// its beginning, unless the memory is no step's to write, or more than what.
func (p *place) hold(what *place, at int) {
	r := what.root()
	if r == p || r.bytes == 0 || r.data != nil || r.argument || r.outside || r.bytes != what.bytes || what.strides != nil || at%rt.Align != 0 {
		return
	}
	r.of, r.at = p, at
	p.first, p.last = min(p.first, r.first), max(p.last, r.last)
}

// nothing is where empty tensors lie.
var nothing [rt.Align]byte

// span returns the bytes from the first element to the last.
func (p *place) span() int {
	if p.strides == nil || p.bytes == 0 {
		return p.bytes
	}
	last := 0
	for i, d := range p.shape {
		last += (d - 1) * p.strides[i]
	}
	return (last + 1) * p.dtype.Size()
}

// view returns the value as a tensor. A row-major one shares the place's
// memory, and is the same one as long as that stays where it is; a blocked one
// is a copy.
func (p *place) view(arena rt.Mem) *tensor.Tensor {
	b := unsafe.Slice((*byte)(p.ptr(arena)), p.span())
	if p.layout == ir.Plain && p.strides == nil {
		if p.seen == nil || unsafe.SliceData(p.seen.Data) != unsafe.SliceData(b) {
			p.seen = &tensor.Tensor{DType: p.dtype, Shape: p.shape, Data: b}
		}
		return p.seen
	}
	t := tensor.New(p.dtype, p.shape...)
	if p.strides != nil {
		size := p.dtype.Size()
		p.eachPermuted(func(i, at int) { copy(t.Data[i*size:(i+1)*size], b[at*size:]) })
		return t
	}
	eachBlocked(p.shape, func(plain, blocked int) {
		copy(t.Data[plain*4:plain*4+4], b[blocked*4:])
	})
	return t
}

// store copies a tensor to the place.
func (p *place) store(arena rt.Mem, t *tensor.Tensor) error {
	if t.DType != p.dtype || !slices.Equal(t.Shape, p.shape) {
		return fmt.Errorf("the result is %s, expected %s%v", t, p.dtype, p.shape)
	}
	b := unsafe.Slice((*byte)(p.ptr(arena)), p.span())
	if p.strides != nil {
		size := p.dtype.Size()
		p.eachPermuted(func(i, at int) { copy(b[at*size:(at+1)*size], t.Data[i*size:]) })
		return nil
	}
	if p.layout == ir.Plain {
		copy(b, t.Data)
		return nil
	}
	clear(b)
	eachBlocked(p.shape, func(plain, blocked int) {
		copy(b[blocked*4:blocked*4+4], t.Data[plain*4:])
	})
	return nil
}

// eachPermuted calls f with the index of every element in row-major order and
// in memory.
func (p *place) eachPermuted(f func(i, at int)) {
	dense := rt.Dense(p.shape)
	for i := range product(p.shape) {
		at := 0
		for d, st := range p.strides {
			at += i / dense[d] % p.shape[d] * st
		}
		f(i, at)
	}
}

// eachBlocked calls f with the index of every element in the row-major and in
// the blocked layout.
func eachBlocked(shape []int, f func(plain, blocked int)) {
	n, c, pixels := blockedDims(shape)
	i := 0
	for img := range n {
		for ch := range c {
			at := (img*blocks(c) + ch/rt.Lanes) * pixels
			for px := range pixels {
				f(i, (at+px)*rt.Lanes+ch%rt.Lanes)
				i++
			}
		}
	}
}

// blockedDims returns images, channels and pixels of a tensor [N,C,spatial...].
func blockedDims(shape []int) (n, c, pixels int) {
	pixels = 1
	for _, d := range shape[2:] {
		pixels *= d
	}
	return shape[0], shape[1], pixels
}

// newPlace computes the size of a value of the given shape.
func newPlace(t ir.Type, shape []int) (*place, error) {
	n, err := tensor.NumElements(shape)
	if err != nil {
		return nil, err
	}
	if t.Layout == ir.C16 {
		img, c, px := blockedDims(shape)
		if n, err = tensor.NumElements([]int{img, blocks(c), px, rt.Lanes}); err != nil {
			return nil, err
		}
	}
	size := n * t.DType.Size()
	if size > 1<<40 {
		return nil, fmt.Errorf("%s%v takes %d bytes", t.DType, shape, size)
	}
	return &place{dtype: t.DType, shape: shape, layout: t.Layout, bytes: size, first: -1, last: -1}, nil
}

// layOut gives every place an offset so that places in use at the same time
// do not overlap, and returns the size of the arena: first fit, the largest
// first, which depends on nothing but sizes and lifetimes.
func layOut(places []*place) int {
	order := slices.Clone(places)
	slices.SortStableFunc(order, func(a, b *place) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.first, b.first))
	})
	var placed []*place // by offset
	total := 0
	for _, p := range order {
		size := align(p.bytes)
		at := 0
		for _, q := range placed {
			if q.last < p.first || p.last < q.first {
				continue
			}
			if at+size <= q.offset {
				break
			}
			at = max(at, q.offset+align(q.bytes))
		}
		p.offset = at
		total = max(total, at+size)
		i, _ := slices.BinarySearchFunc(placed, at, func(q *place, at int) int { return cmp.Compare(q.offset, at) })
		placed = slices.Insert(placed, i, p)
	}
	return total
}

func align(n int) int { return (n + rt.Align - 1) &^ (rt.Align - 1) }
