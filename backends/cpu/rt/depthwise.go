package rt

import (
	"fmt"
	"unsafe"
)

// Depthwise is Y = Post(clamp(conv(X, Weights) + Bias)) with one filter a channel, float32.
//
//	X        NCHWc16 [N][C/16][H][W][16]
//	Weights  packed by PackDepthwise
//	Y        NCHWc16 [N][C/16][OH][OW][16]
//	Bias     C values rounded up to 16 (PackVector), or nil
//	Post     over [N, C/16, OH·OW, 16], as in Conv
type Depthwise struct {
	Set *Set
	Window
	N, C          int
	X, Weights, Y unsafe.Pointer
	Bias          unsafe.Pointer
	Clamp         bool
	Lo, Hi        float32
	Post          *Post
}

const (
	depthwiseWork = 16 << 10 // taps times pixels of 16 channels in a tile
	depthwiseWide = 32       // pixels of a row for which calls for its edges cost less than a copy of it
)

// depthwiseBound is a Depthwise with its partition: tiles of output rows of a block, or of several whole blocks.
type depthwiseBound struct {
	Depthwise
	blocks              int // of an image
	rowTile, rowTiles   int
	blockTile           int // blocks of a tile, counted over the whole batch
	pitch               int
	steps               []int64 // over a copy
	inPlace             []int64 // over the image, nil where all of it is copied
	innerH, innerW      [2]int  // output rows and columns that read nothing outside of it
	post                *boundPost
	copyBytes, padLanes int
}

// Work binds the convolution.
func (d *Depthwise) Work() (Work, error) {
	if err := d.Window.check(); err != nil {
		return Work{}, fmt.Errorf("depthwise: %w", err)
	}
	if d.N < 0 || d.C < 1 {
		return Work{}, fmt.Errorf("depthwise: N=%d C=%d", d.N, d.C)
	}
	b := &depthwiseBound{Depthwise: *d, blocks: ceilDiv(d.C, Lanes), pitch: d.W, blockTile: 1}
	rowWork := max(1, d.OW*d.KH*d.KW)
	b.rowTile = min(max(1, depthwiseWork/rowWork), max(1, d.OH))
	b.rowTiles = ceilDiv(d.OH, b.rowTile)
	if b.rowTiles == 1 {
		b.blockTile = max(1, depthwiseWork/(rowWork*max(1, d.OH)))
	}
	copied := !d.inside()
	if copied {
		b.pitch = d.width()
		b.copyBytes = d.rowsFor(b.rowTile) * b.pitch * laneBytes
	}
	b.steps = b.makeSteps(b.pitch)
	b.innerH, b.innerW = innerOf(d.H, d.OH, d.KH, d.StrideH, d.DilationH, d.PadTop), innerOf(d.W, d.OW, d.KW, d.StrideW, d.DilationW, d.PadLeft)
	if !copied || b.innerW[1]-b.innerW[0] >= depthwiseWide {
		b.inPlace = b.makeSteps(d.W)
	}
	if d.C%Lanes != 0 && (d.Post != nil || d.Clamp && (d.Lo > 0 || d.Hi < 0)) {
		b.padLanes = Lanes - d.C%Lanes
	}
	scratch := b.copyBytes
	if d.Post != nil {
		var err error
		if b.post, err = d.Post.bind(d.Set, []int{d.N, b.blocks, d.OH * d.OW, Lanes}, true, d.Y); err != nil {
			return Work{}, fmt.Errorf("depthwise: %w", err)
		}
		scratch += b.post.prog.ScratchBytes()
	}
	tiles := ceilDiv(d.N*b.blocks, b.blockTile) * b.rowTiles
	if d.OW == 0 {
		tiles = 0
	}
	touches := []Range{span(addr(d.X), d.N*b.blocks*d.H*d.W*laneBytes, false), span(addr(d.Y), d.N*b.blocks*d.OH*d.OW*laneBytes, true)}
	return Work{Tiles: tiles, Scratch: scratch, Run: b.run, Touches: append(touches, b.post.reads()...), own: append(append(tables(b.steps), tables(b.inPlace)...), b.post.tables()...)}, nil
}

// makeSteps says how to go from tap to tap with rows pitch pixels apart.
func (b *depthwiseBound) makeSteps(pitch int) []int64 {
	steps := make([]int64, 0, b.KH*b.KW)
	for y := range b.KH {
		for x := range b.KW {
			step := b.DilationW
			if x == b.KW-1 {
				step = b.DilationH*pitch - (b.KW-1)*b.DilationW
			}
			if y < b.KH-1 || x < b.KW-1 {
				steps = append(steps, int64(step)*laneBytes)
			}
		}
	}
	return steps
}

// innerOf is the range of output positions whose windows lie inside an input of n.
func innerOf(n, out, k, stride, dilation, pad int) [2]int {
	lo, hi := inner(n, out, k, stride, dilation, pad)
	return [2]int{max(0, lo), hi}
}

func (b *depthwiseBound) run(tile int, s *Scratch) {
	row := tile % b.rowTiles * b.rowTile
	rows := min(b.rowTile, b.OH-row)
	first := tile / b.rowTiles * b.blockTile
	for block := first; block < min(first+b.blockTile, b.N*b.blocks); block++ {
		b.block(s, block, row, rows)
	}
}

func (b *depthwiseBound) block(s *Scratch, block, row, rows int) {
	y0, y1 := common(row, rows, b.innerH)
	x0, x1 := common(0, b.OW, b.innerW)
	if b.inPlace == nil || y0 == y1 || x0 == x1 {
		b.part(s, block, row, rows, 0, b.OW, true)
	} else {
		b.part(s, block, row, y0-row, 0, b.OW, true)
		b.part(s, block, y1, row+rows-y1, 0, b.OW, true)
		b.part(s, block, y0, y1-y0, 0, x0, true)
		b.part(s, block, y0, y1-y0, x1, b.OW-x1, true)
		b.part(s, block, y0, y1-y0, x0, x1-x0, false)
	}
	y, channel := at(addr(b.Y), (block*b.OH+row)*b.OW*laneBytes), block%b.blocks
	if b.post != nil {
		b.post.run(s, b.copyBytes, block, row*b.OW*Lanes, y, rows*b.OW*Lanes)
	}
	if b.padLanes > 0 && channel == b.blocks-1 {
		zeroLanes(y, rows*b.OW, b.padLanes)
	}
}

// common is what of n positions from first on lies in a range; if nothing does, it is empty and at their end.
func common(first, n int, r [2]int) (lo, hi int) {
	lo, hi = max(first, r[0]), min(first+n, r[1])
	if lo >= hi {
		return first + n, first + n
	}
	return lo, hi
}

// part computes rows by cols pixels of a block: from the image, or padded from a copy with zeros around it.
func (b *depthwiseBound) part(s *Scratch, block, row, rows, col, cols int, padded bool) {
	if rows == 0 || cols == 0 {
		return
	}
	x, pitch, steps := at(addr(b.X), block*b.H*b.W*laneBytes), b.W, b.inPlace
	if padded {
		pitch, steps = b.pitch, b.steps
		w := b.Window
		w.OW, w.PadLeft = cols, w.PadLeft-col*b.StrideW
		w.padRows(s, 0, x, row, rows, Lanes, pitch*Lanes)
		x = s.at(0)
	} else {
		x = at(x, ((row*b.StrideH-b.PadTop)*pitch+col*b.StrideW-b.PadLeft)*laneBytes)
	}
	taps, channel := b.KH*b.KW, block%b.blocks
	g := &s.Args.Tap
	*g = TapArgs{A: x, W: at(addr(b.Weights), channel*taps*laneBytes), C: at(addr(b.Y), ((block*b.OH+row)*b.OW+col)*laneBytes), Steps: table(steps),
		Taps: int64(taps), N: int64(cols), LdA: int64(b.StrideW) * laneBytes}
	if b.Bias != nil {
		g.Bias = at(addr(b.Bias), channel*laneBytes)
	}
	if b.Clamp {
		g.Flags, g.Lo, g.Hi = FlagClamp, b.Lo, b.Hi
	}
	for range rows {
		b.Set.Depthwise.Fn(g)
		g.A = at(g.A, b.StrideH*pitch*laneBytes)
		g.C = at(g.C, b.OW*laneBytes)
	}
}
