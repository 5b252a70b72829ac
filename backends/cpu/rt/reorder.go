package rt

import (
	"fmt"
	"unsafe"
)

// Layout is how an image tensor's elements lie.
type Layout uint8

const (
	NCHW    Layout = iota // [N][C][H·W]
	NHWC                  // [N][H·W][C]
	NCHWc16               // [N][C/16][H·W][16], lanes past C zero
)

// Reorder copies a float32 tensor of N images, C channels and Pixels = H·W from one layout to another, one of them NCHWc16.
// Between NCHW and NHWC use Transpose.
type Reorder struct {
	Set          *Set
	From, To     Layout
	N, C, Pixels int
	X, Y         unsafe.Pointer
}

// Work binds the reordering. A tile is one channel block of one image.
func (o *Reorder) Work() (Work, error) {
	if o.N < 0 || o.C < 1 || o.Pixels < 0 {
		return Work{}, fmt.Errorf("reorder of N=%d C=%d and %d pixels", o.N, o.C, o.Pixels)
	}
	b := *o
	var f func(s *Scratch, n, block, width int)
	switch {
	case o.From == NCHW && o.To == NCHWc16:
		f = b.fromPlanes
	case o.From == NCHWc16 && o.To == NCHW:
		f = b.toPlanes
	case o.From == NHWC && o.To == NCHWc16:
		f = b.fromRows
	case o.From == NCHWc16 && o.To == NHWC:
		f = b.toRows
	default:
		return Work{}, fmt.Errorf("reorder from layout %d to %d", o.From, o.To)
	}
	blocks := ceilDiv(o.C, Lanes)
	plain, blocked := o.N*o.C*o.Pixels*4, o.N*blocks*o.Pixels*laneBytes
	if o.From == NCHWc16 {
		plain, blocked = blocked, plain
	}
	touches := []Range{span(addr(o.X), plain, false), span(addr(o.Y), blocked, true)}
	return Work{Tiles: o.N * blocks, Touches: touches, Moves: true, Run: func(tile int, s *Scratch) {
		n, block := tile/blocks, tile%blocks
		f(s, n, block, min(Lanes, b.C-block*Lanes))
	}}, nil
}

// blocked is the address of a channel block in NCHWc16.
func (o *Reorder) blocked(p unsafe.Pointer, n, block int) uintptr {
	return at(addr(p), (n*ceilDiv(o.C, Lanes)+block)*o.Pixels*laneBytes)
}

func (o *Reorder) fromPlanes(s *Scratch, n, block, width int) {
	y := o.blocked(o.Y, n, block)
	if width < Lanes {
		clear(floats(y, o.Pixels*Lanes))
	}
	g := &s.Args.Transpose
	*g = TransposeArgs{Src: at(addr(o.X), (n*o.C+block*Lanes)*o.Pixels*4), Dst: y, LdS: int64(o.Pixels) * 4, LdD: laneBytes}
	transposeTile(o.Set, g, width, o.Pixels)
}

func (o *Reorder) toPlanes(s *Scratch, n, block, width int) {
	x := o.blocked(o.X, n, block)
	y := at(addr(o.Y), (n*o.C+block*Lanes)*o.Pixels*4)
	g := &s.Args.Transpose
	for p := 0; p < o.Pixels; p += Lanes {
		*g = TransposeArgs{Src: at(x, p*laneBytes), Dst: at(y, p*4), LdS: laneBytes, LdD: int64(o.Pixels) * 4}
		transposeTile(o.Set, g, min(Lanes, o.Pixels-p), width)
	}
}

func (o *Reorder) fromRows(_ *Scratch, n, block, width int) {
	x := at(addr(o.X), (n*o.Pixels*o.C+block*Lanes)*4)
	y := o.blocked(o.Y, n, block)
	for range o.Pixels {
		d := lanes(y)
		clear(d[copy(d[:], floats(x, width)):])
		x, y = at(x, o.C*4), at(y, laneBytes)
	}
}

func (o *Reorder) toRows(_ *Scratch, n, block, width int) {
	x := o.blocked(o.X, n, block)
	y := at(addr(o.Y), (n*o.Pixels*o.C+block*Lanes)*4)
	for range o.Pixels {
		copy(floats(y, width), lanes(x)[:width])
		x, y = at(x, laneBytes), at(y, o.C*4)
	}
}

// MoveLanes copies count lanes of every pixel of a block of channels to lanes of another block, for n images: x and y are the
// first lanes, stepX and stepY the values from one image to the next.
func MoveLanes(n, pixels, count int, x unsafe.Pointer, stepX int, y unsafe.Pointer, stepY int) Work {
	const most = 4 << 10 // pixels of a tile
	parts := ceilDiv(pixels, most)
	run := func(tile int, _ *Scratch) {
		image, first := tile/parts, tile%parts*most
		from, to := at(addr(x), (image*stepX+first*Lanes)*4), at(addr(y), (image*stepY+first*Lanes)*4)
		for range min(most, pixels-first) {
			switch count {
			case 4:
				*(*[4]float32)(pointer(to)) = *(*[4]float32)(pointer(from))
			case 8:
				*(*[8]float32)(pointer(to)) = *(*[8]float32)(pointer(from))
			default:
				copy(floats(to, count), floats(from, count))
			}
			from, to = at(from, laneBytes), at(to, laneBytes)
		}
	}
	bytes := func(step int) int { return ((n-1)*step + (pixels-1)*Lanes + count) * 4 }
	w := Work{Run: run, Moves: true}
	if n > 0 && pixels > 0 {
		w.Tiles = n * parts
		w.Touches = []Range{span(addr(x), bytes(stepX), false), span(addr(y), bytes(stepY), true)}
	}
	return w
}
