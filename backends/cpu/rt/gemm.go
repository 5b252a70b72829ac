package rt

import (
	"fmt"
	"unsafe"
)

// Batch is one batch dimension of a Gemm, with the distance in elements from one entry to the next (0: shared).
type Batch struct {
	N       int
	A, B, C int
}

// Gemm is C = Post(clamp(A·B + Bias + R)) over float32 matrices, for every entry of Batch.
//
//	A     [M][K], row i at i·LdA elements
//	B     packed by PackGemmB (one for all entries, or batch strides in packed elements), or with Unpacked set
//	      [K][N] with rows LdB elements apart, or with TransB too [N][K]
//	C     [M][N], row i at i·LdC elements; only these M·N values are written
//	Bias  [N] or nil
//	R     a residual with C's layout and strides, or nil; may be C itself
//	Post  a Program over [batch..., M, N], or nil: see Post
//
// K may be 0 (C is then Bias + R). A and B must not overlap C.
type Gemm struct {
	Set      *Set
	M, N, K  int
	Batch    []Batch
	A        unsafe.Pointer
	LdA      int
	B        unsafe.Pointer
	Unpacked bool
	TransB   bool
	LdB      int
	C        unsafe.Pointer
	LdC      int
	Bias     unsafe.Pointer
	R        unsafe.Pointer
	Clamp    bool
	Lo, Hi   float32
	Post     *Post
}

const (
	gemmRows   = 126     // rows of a tile: a multiple of every tier's tallest kernel
	gemmKMost  = 1024    // k of a slice: A's slice stays in L2
	packMost   = 4 << 20 // bytes of plain B that a tile packs
	gemmTiles  = 24      // tiles to aim at
	gemmPanels = 8       // most panels of a tile
	gemmFlat   = 3       // rows for which kernels as wide as a tile are made
)

// gemmBound is a Gemm with its partition.
type gemmBound struct {
	Gemm
	rowTile, panelTile   int
	rowTiles, panelTiles int
	panels, slice        int
	post                 *boundPost
	packBytes            int
	zero                 [Lanes]float32
}

// Work binds the product.
func (g *Gemm) Work() (Work, error) {
	if g.M < 0 || g.N < 0 || g.K < 0 {
		return Work{}, fmt.Errorf("gemm of %d×%d×%d", g.M, g.N, g.K)
	}
	b := &gemmBound{Gemm: *g, panels: ceilDiv(g.N, Lanes)}
	b.rowTiles = max(1, ceilDiv(g.M, gemmRows+gemmRows/4))
	b.rowTile = ceilDiv(g.M, b.rowTiles)
	if b.rowTiles > 1 {
		b.rowTile = min(gemmRows, roundUp(b.rowTile, 14))
		b.rowTiles = ceilDiv(g.M, b.rowTile)
	}
	entries := 1
	for _, d := range g.Batch {
		entries *= d.N
	}
	least := 2
	if g.Post != nil {
		least = 4
	}
	if g.M <= gemmFlat {
		least = gemmPanels
	}
	b.panelTile = min(max(roundUp(b.panels*b.rowTiles*entries/gemmTiles, 2), least), gemmPanels)
	if g.Unpacked {
		fit := max(2, packMost/(max(1, g.K)*laneBytes))
		b.panelTile = min(max(b.panelTile, 256/Lanes), b.panels, fit)
	}
	b.panelTile = max(b.panelTile, 1)
	b.panelTiles = ceilDiv(b.panels, b.panelTile)
	slices := max(1, ceilDiv(g.K, gemmKMost+gemmKMost/2))
	if g.R == g.C && g.R != nil { // partial sums would overwrite the residual
		slices = 1
	}
	b.slice = max(1, roundUp(ceilDiv(g.K, slices), Lanes))
	if g.Unpacked {
		b.packBytes = roundUp(b.panelTile*g.K*laneBytes, Align)
	}
	scratch := b.packBytes
	if g.Post != nil {
		dims := make([]int, 0, len(g.Batch)+2)
		for _, d := range g.Batch {
			dims = append(dims, d.N)
		}
		var err error
		if b.post, err = g.Post.bind(g.Set, append(dims, g.M, g.N), false, g.C); err != nil {
			return Work{}, fmt.Errorf("gemm: %w", err)
		}
		scratch += b.post.prog.ScratchBytes()
	}
	tiles := entries * b.rowTiles * b.panelTiles
	if g.M == 0 || g.N == 0 {
		tiles = 0
	}
	w := Work{Tiles: tiles, Scratch: scratch, Run: b.run, Touches: b.post.reads(), own: append(b.post.tables(), span(addr(unsafe.Pointer(&b.zero)), laneBytes, false))}
	if g.Unpacked && tiles > 0 {
		dims, st := []int{g.K, g.N}, []int{g.LdB, 1}
		if g.TransB {
			st = []int{1, g.LdB}
		}
		for _, d := range g.Batch {
			dims, st = append(dims, d.N), append(st, d.B)
		}
		w.Touches = append(w.Touches, hull(addr(g.B), 4, dims, st, false))
	}
	return w, nil
}

func (b *gemmBound) run(tile int, s *Scratch) {
	row := tile % b.rowTiles * b.rowTile
	panel := tile / b.rowTiles % b.panelTiles * b.panelTile
	entry := tile / b.rowTiles / b.panelTiles
	rows := min(b.rowTile, b.M-row)
	panels := min(b.panelTile, b.panels-panel)
	col := panel * Lanes
	cols := min(panels*Lanes, b.N-col)

	var ea, eb, ec int
	for d, q := len(b.Batch)-1, entry; d >= 0; d-- {
		x := &b.Batch[d]
		i := q % x.N
		q /= x.N
		ea, eb, ec = ea+i*x.A, eb+i*x.B, ec+i*x.C
	}
	a := at(addr(b.A), (ea+row*b.LdA)*4)
	c := at(addr(b.C), (ec+row*b.LdC+col)*4)
	var bp uintptr
	if b.Unpacked {
		bp = s.at(0)
		src := at(addr(b.B), eb*4)
		if b.TransB {
			packTransposed(b.Set, s, bp, at(src, col*b.LdB*4), b.LdB, b.K, cols)
		} else {
			packRows(bp, at(src, col*4), b.LdB, b.K, cols)
		}
	} else {
		bp = at(addr(b.B), (eb+col*b.K)*4)
	}
	mask := uint64(1<<Lanes - 1)
	if col+cols == b.N {
		mask = fullMask(b.N)
	}
	g := &s.Args.Gemm
	for k := 0; ; {
		*g = GemmArgs{A: at(a, k*4), B: at(bp, k*laneBytes), C: c, Blocks: 1, KB: int64(min(b.slice, b.K-k)),
			LdA: int64(b.LdA) * 4, LdC: int64(b.LdC) * 4, PanelB: int64(b.K) * laneBytes, PanelC: laneBytes}
		if k > 0 {
			g.Flags = FlagAccumulate
		}
		if b.K == 0 { // a product of nothing: one k of zeros
			g.A, g.B, g.KB, g.LdA, g.PanelB = addr(unsafe.Pointer(&b.zero)), addr(unsafe.Pointer(&b.zero)), 1, 0, 0
		}
		k += b.slice
		if k >= b.K {
			if b.Bias != nil {
				g.Bias = at(addr(b.Bias), col*4)
			}
			if b.R != nil {
				g.R = at(addr(b.R), (ec+row*b.LdC+col)*4)
			}
			if b.Clamp {
				g.Flags |= FlagClamp
				g.Lo, g.Hi = b.Lo, b.Hi
			}
		}
		b.Set.plan.cover(g, area{rows: rows, groups: 1, panels: panels, mask: mask})
		if k >= b.K {
			break
		}
	}
	if b.post != nil {
		for i := range rows {
			b.post.run(s, b.packBytes, entry*b.M+row+i, col, at(c, i*b.LdC*4), cols)
		}
	}
}
