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

const depthwiseWork = 16 << 10 // taps times pixels of 16 channels in a tile

// depthwiseBound is a Depthwise with its partition: tiles of output rows of a block, or of several whole blocks.
type depthwiseBound struct {
	Depthwise
	copied              bool
	blocks              int // of an image
	rowTile, rowTiles   int
	blockTile           int // blocks of a tile, counted over the whole batch
	pitch               int
	steps               []int64
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
	b := &depthwiseBound{Depthwise: *d, copied: !d.inside(), blocks: ceilDiv(d.C, Lanes), pitch: d.W, blockTile: 1}
	rowWork := max(1, d.OW*d.KH*d.KW)
	b.rowTile = min(max(1, depthwiseWork/rowWork), max(1, d.OH))
	b.rowTiles = ceilDiv(d.OH, b.rowTile)
	if b.rowTiles == 1 {
		b.blockTile = max(1, depthwiseWork/(rowWork*max(1, d.OH)))
	}
	if b.copied {
		b.pitch = d.width()
		b.copyBytes = d.rowsFor(b.rowTile) * b.pitch * laneBytes
	}
	for y := range d.KH {
		for x := range d.KW {
			step := d.DilationW
			if x == d.KW-1 {
				step = d.DilationH*b.pitch - (d.KW-1)*d.DilationW
			}
			if y < d.KH-1 || x < d.KW-1 {
				b.steps = append(b.steps, int64(step)*laneBytes)
			}
		}
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
	return Work{Tiles: tiles, Scratch: scratch, Run: b.run, Touches: append(touches, b.post.reads()...), own: append(tables(b.steps), b.post.tables()...)}, nil
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
	x := at(addr(b.X), block*b.H*b.W*laneBytes)
	if b.copied {
		b.padCopy(s, 0, x, row, rows, Lanes)
		x = s.at(0)
	} else {
		x = at(x, row*b.StrideH*b.pitch*laneBytes)
	}
	y := at(addr(b.Y), (block*b.OH+row)*b.OW*laneBytes)
	taps := b.KH * b.KW
	channel := block % b.blocks
	g := &s.Args.Tap
	*g = TapArgs{A: x, W: at(addr(b.Weights), channel*taps*laneBytes), C: y, Steps: table(b.steps), Taps: int64(taps),
		N: int64(b.OW), LdA: int64(b.StrideW) * laneBytes}
	if b.Bias != nil {
		g.Bias = at(addr(b.Bias), channel*laneBytes)
	}
	if b.Clamp {
		g.Flags, g.Lo, g.Hi = FlagClamp, b.Lo, b.Hi
	}
	for range rows {
		b.Set.Depthwise.Fn(g)
		g.A = at(g.A, b.StrideH*b.pitch*laneBytes)
		g.C = at(g.C, b.OW*laneBytes)
	}
	if b.post != nil {
		b.post.run(s, b.copyBytes, block, row*b.OW*Lanes, y, rows*b.OW*Lanes)
	}
	if b.padLanes > 0 && channel == b.blocks-1 {
		zeroLanes(y, rows*b.OW, b.padLanes)
	}
}
