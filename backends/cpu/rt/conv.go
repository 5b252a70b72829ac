package rt

import (
	"fmt"
	"unsafe"
)

// Conv is Y = Post(clamp(conv(X, Weights) + Bias + R)), float32.
//
//	X        NCHWc16 [N][C/16][H][W][16], or with Image set NCHW [N][C][H][W] (a network's first convolution)
//	Weights  packed by PackConv, or with Image by PackConvImage
//	Y        NCHWc16 [N][O/16][OH][OW][16]; lanes past O are zero
//	Bias     O values rounded up to 16 (PackVector), or nil
//	R        a residual of Y's layout, or nil; may be Y itself
//	Post     over [N, O/16, OH·OW, 16], or nil: operands dense, constant or per channel (strides [0, 16, 0, 1]) over the last two dims
//
// With Groups above 1, C/Groups and O/Groups must be multiples of 16 and Image false. X's lanes past C must be zero.
type Conv struct {
	Set *Set
	Window
	N, C, O, Groups int
	Image           bool
	X, Weights, Y   unsafe.Pointer
	Bias, R         unsafe.Pointer
	Clamp           bool
	Lo, Hi          float32
	Post            *Post

	out grid
}

// grid is where the output pixels lie in Y: the zero grid means that they are all of it.
type grid struct {
	h, w         int // size of Y
	stepH, stepW int
	offH, offW   int
}

// pixel is the index in Y of output pixel (y, x).
func (g *grid) pixel(y, x int) int { return (g.offH+y*g.stepH)*g.w + g.offW + x*g.stepW }

const (
	convBytes = 256 << 10 // input that a tile keeps in L2
	convTiles = 24        // tiles to aim at
	convParts = 8         // least parts of an image's rows, if it has as many
)

// convBound is a Conv with its partition. A unit is an output row, or one pixel where the window is pointwise.
type convBound struct {
	Conv
	copied               bool
	px                   int // values of an input pixel: 16 or 1
	blocks, kb           int // k blocks, k of each
	pitch, plane         int // values between input rows and between channel planes, as the kernel sees them
	planes               int // channel planes of a group
	units, unitTile      int
	unitTiles            int
	colTile, colTiles    int // output columns of a unit, where whole rows are too much for the cache
	panels, panelTile    int // of a group
	panelTiles           int
	sliceBlocks          int
	steps                []int64
	post                 *boundPost
	copyBytes, zeroLanes int
}

// Work binds the convolution.
func (c *Conv) Work() (Work, error) {
	if err := c.check(); err != nil {
		return Work{}, fmt.Errorf("conv: %w", err)
	}
	b := &convBound{Conv: *c, px: Lanes, planes: ceilDiv(c.C/c.Groups, Lanes), panels: ceilDiv(c.O/c.Groups, Lanes)}
	if c.Image {
		b.px, b.planes = 1, c.C
	}
	if b.out.stepH == 0 {
		b.out = grid{c.OH, c.OW, 1, 1, 0, 0}
	}
	b.copied = !c.inside()
	b.partition()
	b.pitch, b.plane = c.W*b.px, c.H*c.W*b.px
	if b.copied {
		b.pitch = b.columns(0).width() * b.px
		b.plane = c.rowsFor(b.unitTile) * b.pitch
		b.copyBytes = roundUp(b.planes*b.plane*4, Align)
	}
	b.makeSteps()
	if c.O%Lanes != 0 && (c.Post != nil || c.Clamp && (c.Lo > 0 || c.Hi < 0)) {
		b.zeroLanes = Lanes - c.O%Lanes
	}
	scratch := b.copyBytes
	if c.Post != nil {
		var err error
		if b.post, err = c.Post.bind(c.Set, []int{c.N, c.Groups * b.panels, c.OH * c.OW, Lanes}, true, c.Y); err != nil {
			return Work{}, fmt.Errorf("conv: %w", err)
		}
		scratch += b.post.prog.ScratchBytes()
	}
	tiles := c.N * c.Groups * b.panelTiles * b.unitTiles * b.colTiles
	if c.OH*c.OW == 0 {
		tiles = 0
	}
	size := b.planes * c.Groups * b.px
	if c.Image {
		size = c.C
	}
	touches := []Range{span(addr(c.X), c.N*size*c.H*c.W*4, false), span(addr(c.Y), c.N*c.Groups*b.panels*b.out.h*b.out.w*laneBytes, true)}
	return Work{Tiles: tiles, Scratch: scratch, Run: b.run, Touches: append(touches, b.post.reads()...), own: append(tables(b.steps), b.post.tables()...)}, nil
}

func (c *Conv) check() error {
	if err := c.Window.check(); err != nil {
		return err
	}
	switch {
	case c.N < 0 || c.C < 1 || c.O < 1 || c.Groups < 1:
		return fmt.Errorf("N=%d C=%d O=%d Groups=%d: want at least 0, 1, 1 and 1", c.N, c.C, c.O, c.Groups)
	case c.Groups > 1 && (c.Image || c.C%c.Groups != 0 || c.O%c.Groups != 0 || c.C/c.Groups%Lanes != 0 || c.O/c.Groups%Lanes != 0):
		return fmt.Errorf("%d groups of %d inputs and %d outputs: groups need multiples of 16 channels in NCHWc16", c.Groups, c.C, c.O)
	}
	return nil
}

// partition cuts the image into units and the outputs into panels, by shapes alone.
func (b *convBound) partition() {
	k := b.planes * b.px * b.KH * b.KW
	slices := max(1, ceilDiv(k, gemmKMost+gemmKMost/2))
	b.blocks, b.kb = b.planes*b.KH*b.KW, Lanes
	if b.Image {
		b.blocks, b.kb = b.planes*b.KH, b.KW
		if b.DilationW > 1 {
			b.blocks, b.kb = b.blocks*b.KW, 1
		}
	}
	if b.R == b.Y && b.R != nil { // partial sums would overwrite the residual
		slices = 1
	}
	b.sliceBlocks = ceilDiv(b.blocks, slices)
	if b.runs() {
		b.units = b.OH * b.OW
		most := convBytes / 4 / min(k, b.sliceBlocks*b.kb)
		b.unitTile = max(14, min(most, ceilDiv(b.units, convParts)))
		b.unitTile = roundUp(b.unitTile, 14)
		b.colTile = b.OW
	} else {
		b.units = b.OH
		colBytes := b.planes * b.px * 4
		b.colTile = b.OW
		if rows := b.rowsFor(1) * colBytes; rows*b.width() > 2*convBytes {
			fit := (convBytes/rows - (b.KW-1)*b.DilationW) / b.StrideW / 14 * 14
			b.colTile = min(b.OW, max(fit, 14))
		}
		rowBytes := b.columns(0).width() * colBytes
		most := (convBytes/rowBytes-(b.KH-1)*b.DilationH-1)/b.StrideH + 1
		b.unitTile = min(most, max(ceilDiv(56, max(b.colTile, 1)), ceilDiv(b.units, convParts)))
	}
	b.unitTile = max(1, min(b.unitTile, b.units))
	b.unitTiles = ceilDiv(b.units, b.unitTile)
	b.colTiles = ceilDiv(b.OW, max(b.colTile, 1))
	least := 2
	if b.copied {
		least = 4
	}
	b.panelTile = max(1, min(b.panels, max(least, roundUp(b.panels*b.N*b.Groups*b.unitTiles*b.colTiles/convTiles, 2))))
	b.panelTiles = ceilDiv(b.panels, b.panelTile)
}

// columns is the window of a tile of output columns from first on.
func (b *convBound) columns(first int) *Window {
	w := b.Window
	w.OW = min(b.colTile, b.OW-first)
	w.PadLeft -= first * b.StrideW
	return &w
}

// makeSteps fills in where A goes after each k block.
func (b *convBound) makeSteps() {
	off := make([]int, 0, b.blocks)
	for p := range b.planes {
		for y := range b.KH {
			row := p*b.plane + y*b.DilationH*b.pitch
			if b.Image && b.DilationW == 1 {
				off = append(off, row)
				continue
			}
			for x := range b.KW {
				off = append(off, row+x*b.DilationW*b.px)
			}
		}
	}
	for i := range len(off) - 1 {
		b.steps = append(b.steps, int64(off[i+1]-off[i]-b.kb)*4)
	}
	b.steps = append(b.steps, int64(-off[len(off)-1]-b.kb)*4) // never walked: it makes every slice's table whole
}

func (b *convBound) run(tile int, s *Scratch) {
	col := tile % b.colTiles * b.colTile
	tile /= b.colTiles
	unit := tile % b.unitTiles * b.unitTile
	panel := tile / b.unitTiles % b.panelTiles * b.panelTile
	entry := tile / b.unitTiles / b.panelTiles
	group, n := entry%b.Groups, entry/b.Groups
	units := min(b.unitTile, b.units-unit)
	panels := min(b.panelTile, b.panels-panel)
	ohw := b.out.h * b.out.w

	image := b.H * b.W * b.px // values of an input plane
	x := at(addr(b.X), (n*b.Groups+group)*b.planes*image*4)
	r := area{rows: min(b.colTile, b.OW-col), groups: units, groupA: b.StrideH * b.pitch * 4, groupC: b.out.stepH * b.out.w * laneBytes, panels: panels, mask: 1<<Lanes - 1}
	pixel := b.out.pixel(unit, col) // first output pixel
	switch {
	case b.copied:
		w := b.columns(col)
		for p := range b.planes {
			w.padRows(s, p*b.plane*4, at(x, p*image*4), unit, units, b.px, b.pitch)
		}
		x = s.at(0)
	case b.runs():
		pixel = unit
		x = at(x, unit*b.px*4)
		r.rows, r.groups = units, 1
	default:
		x = at(x, (unit*b.StrideH*b.pitch+col*b.StrideW*b.px)*4)
	}
	block := (n*b.Groups+group)*b.panels + panel // first output channel block of the tile, over the whole tensor
	channel := group*b.panels + panel            // the same within an image
	k := b.blocks * b.kb
	y := at(addr(b.Y), (block*ohw+pixel)*laneBytes)
	w := at(addr(b.Weights), channel*k*laneBytes)
	g := &s.Args.Gemm
	for first := 0; first < b.blocks; first += b.sliceBlocks {
		blocks := min(b.sliceBlocks, b.blocks-first)
		*g = GemmArgs{A: x, B: at(w, first*b.kb*laneBytes), C: y, Steps: table(b.steps[first:]), Blocks: int64(blocks), KB: int64(b.kb),
			LdA: int64(b.StrideW*b.px) * 4, LdC: int64(b.out.stepW) * laneBytes, PanelB: int64(k) * laneBytes, PanelC: int64(ohw) * laneBytes}
		if first > 0 {
			g.Flags = FlagAccumulate
		}
		if first+blocks == b.blocks {
			b.epilogue(g, channel, (block*ohw+pixel)*laneBytes)
		}
		b.Set.plan.cover(g, r)
		for i := range blocks {
			x = at(x, b.kb*4+int(b.steps[first+i]))
		}
	}
	if b.post != nil {
		if r.rows == b.OW { // rows follow one another
			r.rows, r.groups = r.rows*r.groups, 1
		}
		for p := range panels {
			for row := range r.groups {
				b.post.run(s, b.copyBytes, n*b.Groups*b.panels+channel+p, (pixel+row*b.OW)*Lanes, at(y, (p*ohw+row*b.OW)*laneBytes), r.rows*Lanes)
			}
		}
	}
	if b.zeroLanes > 0 && panel+panels == b.panels {
		for row := range r.groups {
			for p := range r.rows {
				zeroLanes(at(y, ((panels-1)*ohw+row*b.out.stepH*b.out.w+p*b.out.stepW)*laneBytes), 1, b.zeroLanes)
			}
		}
	}
}

// runs tells whether input and output pixels are one run in the same order: units are then pixels.
func (b *convBound) runs() bool { return b.pointwise() && b.out.stepH == 1 && b.out.stepW == 1 }

// epilogue sets what the last slice of k adds.
func (b *convBound) epilogue(g *GemmArgs, channel, off int) {
	if b.Bias != nil {
		g.Bias = at(addr(b.Bias), channel*laneBytes)
	}
	if b.R != nil {
		g.R = at(addr(b.R), off)
	}
	if b.Clamp {
		g.Flags |= FlagClamp
		g.Lo, g.Hi = b.Lo, b.Hi
	}
}

// zeroLanes clears the last n lanes of pixels.
func zeroLanes(y uintptr, pixels, n int) {
	for range pixels {
		clear(lanes(y)[Lanes-n:])
		y = at(y, laneBytes)
	}
}

// ZeroPadLanes clears the lanes past C of an NCHWc16 tensor of pixels H·W, after an operator that does not keep 0 at 0.
func ZeroPadLanes(x unsafe.Pointer, n, c, pixels int) Work {
	run := func(tile int, _ *Scratch) {
		last := tile*ceilDiv(c, Lanes) + c/Lanes
		zeroLanes(at(addr(x), last*pixels*laneBytes), pixels, Lanes-c%Lanes)
	}
	if c%Lanes == 0 {
		n = 0
	}
	return Work{Tiles: n, Run: run, Touches: []Range{span(addr(x), n*ceilDiv(c, Lanes)*pixels*laneBytes, true)}, Moves: true}
}
