package rt

import (
	"fmt"
	"math"
	"unsafe"
)

// ConvPlanes is Y = Post(clamp(conv(X, Weights) + Bias + R)), float32, for few output channels: pixels stand in lanes, where
// blocks of 16 channels would be mostly padding.
//
//	X        NCHW [N][C][H][W]
//	Weights  packed by PackPlanes
//	Y        NCHW [N][O][OH][OW]
//	Bias     O values, or nil
//	R        a residual of Y's layout, or nil; may be Y itself
//	Post     over [N, O, OH·OW], or nil
type ConvPlanes struct {
	Set *Set
	Window
	N, C, O       int
	X, Weights, Y unsafe.Pointer
	Bias, R       unsafe.Pointer
	Clamp         bool
	Lo, Hi        float32
	Post          *Post
}

// planesBound is a ConvPlanes with its partition. A tile's input lies in scratch memory with its padding; with a stride, the columns
// of one remainder by it follow one another, so that what neighbouring pixels read of a tap is always neighbours.
type planesBound struct {
	ConvPlanes
	rowTile, rowTiles int // output rows
	colTile, colTiles int // output columns
	phase             int // columns of one remainder
	taps              []int64
	post              *boundPost
	copyBytes         int
}

// Work binds the convolution.
func (c *ConvPlanes) Work() (Work, error) {
	if err := c.Window.check(); err != nil {
		return Work{}, fmt.Errorf("conv: %w", err)
	}
	if c.N < 0 || c.C < 1 || c.O < 1 {
		return Work{}, fmt.Errorf("conv: N=%d C=%d O=%d: want at least 0, 1 and 1", c.N, c.C, c.O)
	}
	b := &planesBound{ConvPlanes: *c}
	b.partition()
	b.phase = ceilDiv(b.columns(0).width(), c.StrideW)
	pitch := b.phase * c.StrideW
	rows := c.rowsFor(b.rowTile)
	b.copyBytes = roundUp((c.C*rows*pitch+Lanes)*4, Align) // kernels read whole panels
	for i := range c.C {
		for y := range c.KH {
			for x := range c.KW {
				d := x * c.DilationW
				b.taps = append(b.taps, int64((i*rows+y*c.DilationH)*pitch+d%c.StrideW*b.phase+d/c.StrideW)*4)
			}
		}
	}
	scratch := b.copyBytes
	if c.Post != nil {
		var err error
		if b.post, err = c.Post.bind(c.Set, []int{c.N, c.O, c.OH * c.OW}, false, c.Y); err != nil {
			return Work{}, fmt.Errorf("conv: %w", err)
		}
		scratch += b.post.prog.ScratchBytes()
	}
	tiles := c.N * b.rowTiles * b.colTiles
	if c.OH*c.OW == 0 {
		tiles = 0
	}
	touches := []Range{span(addr(c.X), c.N*c.C*c.H*c.W*4, false), span(addr(c.Y), c.N*c.O*c.OH*c.OW*4, true)}
	return Work{Tiles: tiles, Scratch: scratch, Run: b.run, Touches: append(touches, b.post.reads()...), own: append(tables(b.taps), b.post.tables()...)}, nil
}

// partition cuts the image into tiles whose input fits the cache, by shapes alone.
func (b *planesBound) partition() {
	b.colTile = b.OW
	if row := b.C * b.rowsFor(1) * 4; row*b.width() > 2*convBytes {
		fit := (convBytes/row - (b.KW-1)*b.DilationW) / b.StrideW / Lanes * Lanes
		b.colTile = min(b.OW, max(fit, 8*Lanes))
	}
	if b.OH < convParts { // a signal: its columns are what there is to share
		b.colTile = min(b.colTile, roundUp(max(ceilDiv(b.OH*b.OW, convParts), 1), 8*Lanes))
	}
	rowBytes := max(1, b.C*b.columns(0).width()*4)
	most := (convBytes/rowBytes-(b.KH-1)*b.DilationH-1)/b.StrideH + 1
	b.rowTile = max(1, min(most, ceilDiv(b.OH, convParts), b.OH))
	b.rowTiles, b.colTiles = ceilDiv(b.OH, b.rowTile), ceilDiv(b.OW, max(b.colTile, 1))
}

// columns is the window of a tile of output columns from first on.
func (b *planesBound) columns(first int) *Window {
	w := b.Window
	w.OW = min(b.colTile, b.OW-first)
	w.PadLeft -= first * b.StrideW
	return &w
}

func (b *planesBound) run(tile int, s *Scratch) {
	col := tile % b.colTiles * b.colTile
	tile /= b.colTiles
	row := tile % b.rowTiles * b.rowTile
	n := tile / b.rowTiles
	rows, cols := min(b.rowTile, b.OH-row), min(b.colTile, b.OW-col)
	pitch := b.phase * b.StrideW

	w := b.columns(col)
	planeBytes := b.rowsFor(b.rowTile) * pitch * 4
	for c := range b.C {
		w.padPhases(s, c*planeBytes, at(addr(b.X), (n*b.C+c)*b.H*b.W*4), row, rows, b.phase)
	}
	y := at(addr(b.Y), (n*b.O*b.OH*b.OW+row*b.OW+col)*4)
	g := &s.Args.Planes
	for r := range rows {
		off := (n*b.O*b.OH*b.OW + (row+r)*b.OW + col) * 4
		*g = PlanesArgs{X: s.at(r * b.StrideH * pitch * 4), Taps: table(b.taps), W: addr(b.Weights), C: at(addr(b.Y), off), Bias: addr(b.Bias),
			K: int64(len(b.taps)), LdW: int64(b.O) * 4, LdC: int64(b.OH*b.OW) * 4}
		if b.R != nil {
			g.R = at(addr(b.R), off)
		}
		if b.Clamp {
			g.Flags, g.Lo, g.Hi = FlagClamp, b.Lo, b.Hi
		}
		b.Set.planes.cover(g, b.O, cols)
	}
	if b.post == nil {
		return
	}
	if cols == b.OW { // rows follow one another
		rows, cols = 1, rows*cols
	}
	for o := range b.O {
		for r := range rows {
			b.post.run(s, b.copyBytes, n*b.O+o, (row+r)*b.OW+col, at(y, (o*b.OH*b.OW+r*b.OW)*4), cols)
		}
	}
}

// planesPlan says how a set's planes kernels cover any number of channels and pixels.
type planesPlan struct {
	cuts [][]*Kernel[PlanesArgs] // by the channels left, at most those of the tallest kernel, and the panels left: what to call next
}

// planesPanels is how many panels a plan looks ahead: with more left than that, the widest kernel is next.
const planesPanels = 24

func newPlanesPlan(kernels []Kernel[PlanesArgs]) planesPlan {
	var p planesPlan
	most := 0
	for i := range kernels {
		most = max(most, kernels[i].Tile[0])
	}
	p.cuts = make([][]*Kernel[PlanesArgs], most+1)
	for left := 1; left <= most; left++ {
		rows := 0
		for i := range kernels {
			if t := kernels[i].Tile[0]; t <= left {
				rows = max(rows, t)
			}
		}
		p.cuts[left] = panelCuts(kernels, rows)
	}
	return p
}

// panelCuts finds the cheapest cut of every number of panels into kernels of so many rows. A kernel costs two accumulators a cycle,
// but at least a load each, and at least the four cycles after which an accumulator can be added to again.
func panelCuts(kernels []Kernel[PlanesArgs], rows int) []*Kernel[PlanesArgs] {
	var cost [planesPanels + 1]float64
	next := make([]*Kernel[PlanesArgs], len(cost))
	for left := 1; left < len(cost); left++ {
		cost[left] = math.Inf(1)
		for i := range kernels {
			k := &kernels[i]
			n := k.Tile[1]
			if k.Tile[0] != rows || n > left {
				continue
			}
			if v := cost[left-n] + max(4, float64(n)*max(1, float64(rows)/2)) + 0.5; v < cost[left] {
				cost[left], next[left] = v, k
			}
		}
	}
	return next
}

// cover computes some channels of pixels that follow one another: g holds the addresses of the first ones, with everything but Mask
// set, and is moved on.
func (p *planesPlan) cover(g *PlanesArgs, channels, pixels int) {
	x, c, r := g.X, g.C, g.R
	for channels > 0 {
		next := p.cuts[min(channels, len(p.cuts)-1)]
		rows := next[1].Tile[0]
		for px := 0; px < pixels; {
			panels := ceilDiv(pixels-px, Lanes)
			k := next[min(panels, planesPanels)]
			g.Mask = 1<<Lanes - 1
			if k.Tile[1] == panels {
				g.Mask = fullMask(pixels)
			}
			g.X, g.C = at(x, px*4), at(c, px*4)
			if r != 0 {
				g.R = at(r, px*4)
			}
			k.Fn(g)
			px += k.Tile[1] * Lanes
		}
		channels -= rows
		g.W, c = at(g.W, rows*4), at(c, rows*int(g.LdC))
		if g.Bias != 0 {
			g.Bias = at(g.Bias, rows*4)
		}
		if r != 0 {
			r = at(r, rows*int(g.LdC))
		}
	}
}
