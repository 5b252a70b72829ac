package rt

import (
	"fmt"
	"unsafe"
)

// Winograd is a 3×3 convolution of stride 1 by the minimal filtering algorithm F(4×4, 3×3), with a quarter of a direct convolution's
// multiplications (S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, arXiv:1509.09308): each 6×6 patch of
// input is transformed, 36 matrix products over channels follow, and each 4×4 patch of output is transformed back.
// Its fields mean what Conv's do, with Weights packed by PackWinograd: four times the bytes. The transforms lose about one
// decimal digit; the order of operations depends on shapes alone, as everywhere.
//
// Window must have a 3×3 filter, strides and dilations of 1. One group, NCHWc16 in and out.
type Winograd struct {
	Set *Set
	Window
	N, C, O       int
	X, Weights, Y unsafe.Pointer
	Bias, R       unsafe.Pointer
	Clamp         bool
	Lo, Hi        float32
	Post          *Post
}

const (
	winoOut    = 4               // output pixels of a patch, each way
	winoIn     = 6               // input pixels of a patch
	winoPoints = winoIn * winoIn // values of a transformed patch
	winoBytes  = 640 << 10       // transformed input that a tile keeps in L2
	winoTiles  = 8               // tiles to aim at
	winoTmp    = winoPoints * 64 // scratch of the transform kernels
	winoPair   = 2               // panels of a product
	winoEdge   = winoOut * winoOut * 64
)

// winogradBound is a Winograd with its partition: rows of patches, and output panels.
type winogradBound struct {
	Winograd
	planes, panels        int
	across, down          int // patches of an image
	rowTile, rowTiles     int
	panelTile, panelTiles int
	steps                 []int64
	post                  *boundPost
	vOff, mOff, edgeOff   int // scratch: the padded input comes first
	postOff, padLanes     int
}

// PackedWinogradSize is the number of values in packed Winograd weights.
func PackedWinogradSize(o, i int) int { return winoPoints * roundUp(o, Lanes) * roundUp(i, Lanes) }

// winoG is the filter's transform.
var winoG = [winoIn][3]float64{{1. / 4, 0, 0}, {-1. / 6, -1. / 6, -1. / 6}, {-1. / 6, 1. / 6, -1. / 6},
	{1. / 24, 1. / 12, 1. / 6}, {1. / 24, -1. / 12, 1. / 6}, {0, 0, 1}}

// PackWinograd packs w [O][I][3][3] for Winograd: dst[36][O/16][I rounded up to 16][16 o], each filter g as G·g·Gᵀ.
func PackWinograd(dst, w []float32, o, i int) {
	size := PackedWinogradSize(o, i)
	clear(dst[:size])
	rows := roundUp(i, Lanes)
	for a := range o {
		for b := range i {
			g := w[(a*i+b)*9:]
			var half [winoIn][3]float64
			for y := range winoIn {
				for x := range 3 {
					half[y][x] = winoG[y][0]*float64(g[x]) + winoG[y][1]*float64(g[3+x]) + winoG[y][2]*float64(g[6+x])
				}
			}
			for y := range winoIn {
				for x := range winoIn {
					u := half[y][0]*winoG[x][0] + half[y][1]*winoG[x][1] + half[y][2]*winoG[x][2]
					dst[(y*winoIn+x)*size/winoPoints+((a/Lanes)*rows+b)*Lanes+a%Lanes] = float32(u)
				}
			}
		}
	}
}

// winoBack takes a filter back from its transform: winoBack·winoG is the identity.
var winoBack = [3][winoIn]float64{{4}, {0, -3, 3}, {0, 0, 0, 0, 0, 1}}

// UnpackWinograd is the inverse of PackWinograd, but for the rounding of the packed values.
func UnpackWinograd(w, packed []float32, o, i int) {
	size := PackedWinogradSize(o, i)
	rows := roundUp(i, Lanes)
	for a := range o {
		for b := range i {
			at := ((a/Lanes)*rows+b)*Lanes + a%Lanes
			for y := range 3 {
				for x := range 3 {
					g := 0.0
					for p := range winoPoints {
						g += winoBack[y][p/winoIn] * winoBack[x][p%winoIn] * float64(packed[p*size/winoPoints+at])
					}
					w[(a*i+b)*9+y*3+x] = float32(g)
				}
			}
		}
	}
}

// Work binds the convolution.
func (c *Winograd) Work() (Work, error) {
	if err := c.Window.check(); err != nil {
		return Work{}, fmt.Errorf("winograd: %w", err)
	}
	if c.KH != 3 || c.KW != 3 || c.StrideH != 1 || c.StrideW != 1 || c.DilationH != 1 || c.DilationW != 1 || c.N < 0 || c.C < 1 || c.O < 1 {
		return Work{}, fmt.Errorf("winograd with window %+v, N=%d, C=%d, O=%d: want a 3×3 filter without strides and dilations", c.Window, c.N, c.C, c.O)
	}
	b := &winogradBound{Winograd: *c, planes: ceilDiv(c.C, Lanes), panels: ceilDiv(c.O, Lanes),
		across: ceilDiv(c.OW, winoOut), down: ceilDiv(c.OH, winoOut)}
	if b.across*b.down == 0 {
		return Work{}, nil
	}
	most := winoBytes / (winoPoints * b.planes * laneBytes) / b.across
	b.rowTile = max(1, min(most, b.down, ceilDiv(42, b.across)))
	b.rowTiles = ceilDiv(b.down, b.rowTile)
	b.panelTiles = max(1, min(b.panels/4, ceilDiv(winoTiles, c.N*b.rowTiles)))
	b.panelTile = roundUp(ceilDiv(b.panels, b.panelTiles), winoPair)
	b.panelTiles = ceilDiv(b.panels, b.panelTile)

	patches := b.rowTile * b.across
	for range b.planes {
		b.steps = append(b.steps, int64(patches-1)*laneBytes)
	}
	b.vOff = roundUp(b.padded().rowsFor(b.rowTile*winoOut)*b.padded().width()*b.planes*laneBytes, Align)
	b.mOff = b.vOff + winoPoints*b.planes*patches*laneBytes
	b.edgeOff = b.mOff + winoPoints*winoPair*patches*laneBytes
	b.postOff = b.edgeOff + winoTmp + 2*winoEdge
	scratch := b.postOff
	if c.Post != nil {
		var err error
		if b.post, err = c.Post.bind(c.Set, []int{c.N, b.panels, c.OH * c.OW, Lanes}, true, c.Y); err != nil {
			return Work{}, fmt.Errorf("winograd: %w", err)
		}
		scratch += b.post.prog.ScratchBytes()
	}
	if c.O%Lanes != 0 && (c.Post != nil || c.Clamp && (c.Lo > 0 || c.Hi < 0)) {
		b.padLanes = Lanes - c.O%Lanes
	}
	touches := []Range{span(addr(c.X), c.N*b.planes*c.H*c.W*laneBytes, false), span(addr(c.Y), c.N*b.panels*c.OH*c.OW*laneBytes, true)}
	return Work{Tiles: c.N * b.panelTiles * b.rowTiles, Scratch: scratch, Run: b.run, Touches: append(touches, b.post.reads()...), own: append(tables(b.steps), b.post.tables()...)}, nil
}

// padded is the window with output rounded up to whole patches.
func (b *winogradBound) padded() *Window {
	w := b.Window
	w.OW = b.across * winoOut
	return &w
}

func (b *winogradBound) run(tile int, s *Scratch) {
	row := tile % b.rowTiles * b.rowTile
	panel := tile / b.rowTiles % b.panelTiles * b.panelTile
	n := tile / b.rowTiles / b.panelTiles
	rows := min(b.rowTile, b.down-row)
	last := min(panel+b.panelTile, b.panels)
	b.transformIn(s, n, row, rows)
	patches := rows * b.across
	for ; panel < last; panel += winoPair {
		panels := min(winoPair, last-panel)
		b.products(s, panel, panels, patches)
		for p := range panels {
			b.transformOut(s, n, panel+p, p, row, rows)
		}
	}
}

// patchStride is the bytes between a tile's channel planes of transformed patches: that of a full tile.
func (b *winogradBound) patchStride() int { return b.rowTile * b.across * laneBytes }

// transformIn fills V [36][planes][patches][16] from rows of patches.
func (b *winogradBound) transformIn(s *Scratch, n, row, rows int) {
	w := b.padded()
	pitch := w.width() * laneBytes
	plane := w.rowsFor(b.rowTile*winoOut) * pitch
	g := &s.Args.Wino
	for p := range b.planes {
		x := at(addr(b.X), (n*b.planes+p)*b.H*b.W*laneBytes)
		w.padCopy(s, p*plane, x, row*winoOut, rows*winoOut, Lanes)
		for r := range rows {
			*g = WinoArgs{Src: s.at(p*plane + r*winoOut*pitch), LdS: int64(pitch), Dst: s.at(b.vOff + p*b.patchStride() + r*b.across*laneBytes),
				LdD: int64(b.planes * b.patchStride()), Tmp: s.at(b.edgeOff), N: int64(b.across)}
			b.Set.WinoIn.Fn(g)
		}
	}
}

// products fills M [36][panels][patches][16].
func (b *winogradBound) products(s *Scratch, panel, panels, patches int) {
	k := b.planes * Lanes
	g := &s.Args.Gemm
	for point := range winoPoints {
		*g = GemmArgs{A: s.at(b.vOff + point*b.planes*b.patchStride()), B: at(addr(b.Weights), (point*b.panels+panel)*k*laneBytes),
			C: s.at(b.mOff + point*winoPair*b.patchStride()), Steps: table(b.steps), Blocks: int64(b.planes), KB: Lanes, LdA: laneBytes, LdC: laneBytes,
			PanelB: int64(k) * laneBytes, PanelC: int64(b.patchStride())}
		b.Set.plan.cover(g, area{rows: patches, groups: 1, panels: panels, mask: 1<<Lanes - 1})
	}
}

// transformOut writes one panel of output rows of patches, with all that follows.
func (b *winogradBound) transformOut(s *Scratch, n, panel, p, row, rows int) {
	plane := (n*b.panels + panel) * b.OH * b.OW * laneBytes
	g := &s.Args.Wino
	*g = WinoArgs{LdS: int64(winoPair * b.patchStride()), Tmp: s.at(b.edgeOff), Lo: b.Lo, Hi: b.Hi}
	if b.Bias != nil {
		g.Bias = at(addr(b.Bias), panel*laneBytes)
	}
	if b.Clamp {
		g.Flags = FlagClamp
	}
	whole := b.OW / winoOut // patches of a row that lie inside
	for r := range rows {
		oy := (row + r) * winoOut
		src := s.at(b.mOff + p*b.patchStride() + r*b.across*laneBytes)
		high := min(winoOut, b.OH-oy)
		for x := 0; x < b.across; {
			off := plane + (oy*b.OW+x*winoOut)*laneBytes
			g.Src, g.Dst, g.LdD, g.R, g.N = at(src, x*laneBytes), at(addr(b.Y), off), int64(b.OW)*laneBytes, 0, int64(whole-x)
			if high < winoOut || x >= whole {
				b.edge(s, g, off, high, min(winoOut, b.OW-x*winoOut))
				x++
				continue
			}
			if b.R != nil {
				g.R = at(addr(b.R), off)
			}
			b.Set.WinoOut.Fn(g)
			x = whole
		}
	}
	y := at(addr(b.Y), plane+row*winoOut*b.OW*laneBytes)
	pixels := (min((row+rows)*winoOut, b.OH) - row*winoOut) * b.OW
	if b.post != nil {
		b.post.run(s, b.postOff, n*b.panels+panel, row*winoOut*b.OW*Lanes, y, pixels*Lanes)
	}
	if b.padLanes > 0 && panel == b.panels-1 {
		zeroLanes(y, pixels, b.padLanes)
	}
}

// edge writes a patch that sticks out of the output, by way of scratch memory.
func (b *winogradBound) edge(s *Scratch, g *WinoArgs, off, high, wide int) {
	patch, res := s.at(b.edgeOff+winoTmp), s.at(b.edgeOff+winoTmp+winoEdge)
	pitch := b.OW * laneBytes
	if b.R != nil {
		for y := range high {
			copy(floats(at(res, y*winoOut*laneBytes), wide*Lanes), floats(at(addr(b.R), off+y*pitch), wide*Lanes))
		}
		g.R = res
	}
	g.Dst, g.LdD, g.N = patch, winoOut*laneBytes, 1
	b.Set.WinoOut.Fn(g)
	for y := range high {
		copy(floats(at(addr(b.Y), off+y*pitch), wide*Lanes), floats(at(patch, y*winoOut*laneBytes), wide*Lanes))
	}
}
