package rt

import (
	"fmt"
	"math"
	"unsafe"
)

// Pooling is a window's maximum or mean over NCHWc16 activations [N][C/16][H][W][16] to [N][C/16][OH][OW][16], float32.
// Taps outside of the input count for nothing. A mean divides by the taps inside, or with CountPad by those inside of the
// input and its padding (PadBottom and PadRight say where that ends; only CountPad reads them).
// A window wholly outside gives -Inf, or 0 for a mean.
type Pooling struct {
	Set *Set
	Window
	N, C                int
	Mean, CountPad      bool
	PadBottom, PadRight int
	X, Y                unsafe.Pointer
}

// Work binds the pooling. A tile is one channel block of one image.
func (p *Pooling) Work() (Work, error) {
	if err := p.Window.check(); err != nil {
		return Work{}, fmt.Errorf("pooling: %w", err)
	}
	b := *p
	tiles := p.N * ceilDiv(p.C, Lanes)
	if p.OH*p.OW == 0 {
		tiles = 0
	}
	touches := []Range{span(addr(p.X), tiles*p.H*p.W*laneBytes, false), span(addr(p.Y), tiles*p.OH*p.OW*laneBytes, true)}
	return Work{Tiles: tiles, Scratch: p.KH * p.KW * 8, Run: b.run, Touches: touches}, nil
}

// inner is the range of output columns (or rows) whose windows lie inside an input of n.
func inner(n, out, k, stride, dilation, pad int) (lo, hi int) {
	lo = min(ceilDiv(pad, stride), out)
	if last := n - 1 - (k-1)*dilation + pad; last >= 0 {
		hi = min(last/stride+1, out)
	}
	return lo, max(lo, hi)
}

// clip is the range of taps of output position o that lie inside an input of n.
func clip(o, n, k, stride, dilation, pad int) (lo, hi int) {
	first := o*stride - pad
	if first < 0 {
		lo = ceilDiv(-first, dilation)
	}
	hi = k
	if over := first + (k-1)*dilation - (n - 1); over > 0 {
		hi = k - ceilDiv(over, dilation)
	}
	return lo, max(lo, hi)
}

func (p *Pooling) run(tile int, s *Scratch) {
	x := at(addr(p.X), tile*p.H*p.W*laneBytes)
	y := at(addr(p.Y), tile*p.OH*p.OW*laneBytes)
	lo, hi := inner(p.W, p.OW, p.KW, p.StrideW, p.DilationW, p.PadLeft)
	for oy := range p.OH {
		for ox := 0; ox < p.OW; {
			n := 1
			if ox == lo && hi > lo {
				n = hi - lo
			}
			p.pixels(s, x, at(y, (oy*p.OW+ox)*laneBytes), oy, ox, n)
			ox += n
		}
	}
	if pad := ceilDiv(p.C, Lanes)*Lanes - p.C; pad > 0 && (tile+1)%ceilDiv(p.C, Lanes) == 0 && !p.Mean {
		zeroLanes(y, p.OH*p.OW, pad) // a window outside of the input left -Inf there
	}
}

// pixels computes n pixels of a row whose windows are cut alike.
func (p *Pooling) pixels(s *Scratch, x, y uintptr, oy, ox, n int) {
	y0, y1 := clip(oy, p.H, p.KH, p.StrideH, p.DilationH, p.PadTop)
	x0, x1 := clip(ox, p.W, p.KW, p.StrideW, p.DilationW, p.PadLeft)
	taps := (y1 - y0) * (x1 - x0)
	if taps == 0 {
		fill := float32(math.Inf(-1))
		if p.Mean {
			fill = 0
		}
		for i := range floats(y, n*Lanes) {
			floats(y, n*Lanes)[i] = fill
		}
		return
	}
	steps := ints(s.at(0), taps)
	for i := range taps - 1 {
		step := p.DilationW
		if (i+1)%(x1-x0) == 0 {
			step = p.DilationH*p.W - (x1-x0-1)*p.DilationW
		}
		steps[i] = int64(step) * laneBytes
	}
	iy, ix := oy*p.StrideH-p.PadTop+y0*p.DilationH, ox*p.StrideW-p.PadLeft+x0*p.DilationW
	g := &s.Args.Tap
	*g = TapArgs{A: at(x, (iy*p.W+ix)*laneBytes), C: y, Steps: s.at(0), Taps: int64(taps), N: int64(n), LdA: int64(p.StrideW) * laneBytes}
	if !p.Mean {
		p.Set.MaxPool.Fn(g)
		return
	}
	count := taps
	if p.CountPad {
		y0, y1 = clip(oy, p.H+p.PadTop+p.PadBottom, p.KH, p.StrideH, p.DilationH, 0)
		x0, x1 = clip(ox, p.W+p.PadLeft+p.PadRight, p.KW, p.StrideW, p.DilationW, 0)
		count = (y1 - y0) * (x1 - x0)
	}
	g.Scale = 1 / float32(count)
	p.Set.SumPool.Fn(g)
}

// GlobalPooling is the maximum or mean of every channel of NCHWc16 [N][C/16][H][W][16]: [N][C/16][16], which for C a multiple
// of 16 is also [N][C]. Dense set makes it write [N][C] for any C.
type GlobalPooling struct {
	Set        *Set
	N, C, H, W int
	Mean       bool
	Dense      bool
	X, Y       unsafe.Pointer
}

// Work binds the pooling. A tile is one channel block of one image.
func (p *GlobalPooling) Work() (Work, error) {
	if p.N < 0 || p.C < 1 || p.H < 1 || p.W < 1 {
		return Work{}, fmt.Errorf("global pooling of [%d, %d, %d, %d]", p.N, p.C, p.H, p.W)
	}
	b := *p
	steps := make([]int64, max(p.H, p.W))
	for i := range steps {
		steps[i] = laneBytes
	}
	blocks := ceilDiv(p.C, Lanes)
	run := func(tile int, s *Scratch) {
		fn, scale := b.Set.MaxPool.Fn, float32(0)
		if b.Mean {
			fn, scale = b.Set.SumPool.Fn, 1/float32(b.H*b.W)
		}
		rows := s.at(laneBytes)
		g := &s.Args.Tap
		*g = TapArgs{A: at(addr(b.X), tile*b.H*b.W*laneBytes), C: rows, Steps: table(steps), Taps: int64(b.W), N: int64(b.H),
			LdA: int64(b.W) * laneBytes, Scale: 1}
		fn(g)
		*g = TapArgs{A: rows, C: s.at(0), Steps: table(steps), Taps: int64(b.H), N: 1, LdA: laneBytes, Scale: scale}
		fn(g)
		n, block := tile/blocks, tile%blocks
		if b.Dense {
			copy(floats(at(addr(b.Y), (n*b.C+block*Lanes)*4), min(Lanes, b.C-block*Lanes)), lanes(s.at(0))[:])
		} else {
			*lanes(at(addr(b.Y), tile*laneBytes)) = *lanes(s.at(0))
		}
	}
	size := p.N * blocks * laneBytes
	if p.Dense {
		size = p.N * p.C * 4
	}
	return Work{Tiles: p.N * blocks, Scratch: (p.H + 1) * laneBytes, Run: run, Touches: []Range{span(addr(p.Y), size, true)}, own: tables(steps)}, nil
}
