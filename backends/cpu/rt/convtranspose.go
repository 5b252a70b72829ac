package rt

import (
	"fmt"
	"unsafe"
)

// ConvTranspose is Y = clamp(convTranspose(X, Weights) + Bias + R), float32: each input pixel adds its products with the filter to
// the output around Stride times its place. It runs as StrideH·StrideW ordinary convolutions, one for each phase of output pixels.
//
//	X        NCHWc16 [N][C/16][H][W][16]
//	Weights  packed by PackConvTranspose
//	Y        NCHWc16 [N][O/16][OH][OW][16]; lanes past O are zero
//	Bias     O values rounded up to 16 (PackVector), or nil
//	R        a residual of Y's layout, or nil
//
// One group, no dilation, KH ≥ StrideH and KW ≥ StrideW.
type ConvTranspose struct {
	Set              *Set
	N, C, O          int
	H, W, OH, OW     int
	KH, KW           int
	StrideH, StrideW int
	PadTop, PadLeft  int
	X, Weights, Y    unsafe.Pointer
	Bias, R          unsafe.Pointer
	Clamp            bool
	Lo, Hi           float32
}

// phase is the taps of one dimension that reach output positions r, r+stride, ...: first, first+stride, ...
type phase struct {
	first, taps int
	pad         int // of the ordinary convolution over the phase
	out         int // number of output positions
}

func newPhase(r, k, stride, pad, out int) phase {
	first := (r + pad) % stride
	p := phase{first: first, taps: ceilDiv(k-first, stride), out: ceilDiv(out-r, stride)}
	p.pad = p.taps - 1 - (r+pad-first)/stride
	return p
}

// Work binds the convolution.
func (c *ConvTranspose) Work() (Work, error) {
	if c.StrideH < 1 || c.StrideW < 1 || c.KH < c.StrideH || c.KW < c.StrideW || c.PadTop < 0 || c.PadLeft < 0 || c.OH < 0 || c.OW < 0 {
		return Work{}, fmt.Errorf("transposed convolution with filter %d×%d, strides %d×%d, pads %d and %d: want strides from 1 to the filter's size",
			c.KH, c.KW, c.StrideH, c.StrideW, c.PadTop, c.PadLeft)
	}
	var works []Work
	var total Work
	for ry := range min(c.StrideH, c.OH) {
		for rx := range min(c.StrideW, c.OW) {
			py, px := newPhase(ry, c.KH, c.StrideH, c.PadTop, c.OH), newPhase(rx, c.KW, c.StrideW, c.PadLeft, c.OW)
			offset := packedPhase(c.O, c.C, c.KH, c.KW, c.StrideH, c.StrideW, py.first, px.first)
			conv := Conv{Set: c.Set, N: c.N, C: c.C, O: c.O, Groups: 1, X: c.X, Weights: unsafe.Add(c.Weights, offset*4), Y: c.Y, Bias: c.Bias, R: c.R,
				Clamp: c.Clamp, Lo: c.Lo, Hi: c.Hi,
				Window: Window{H: c.H, W: c.W, OH: py.out, OW: px.out, KH: py.taps, KW: px.taps, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1,
					PadTop: py.pad, PadLeft: px.pad},
				out: grid{c.OH, c.OW, c.StrideH, c.StrideW, ry, rx}}
			w, err := conv.Work()
			if err != nil {
				return Work{}, err
			}
			works = append(works, w)
			total.Tiles += w.Tiles
			total.Touches, total.own = append(total.Touches, w.Touches...), append(total.own, w.own...)
			total.Scratch = max(total.Scratch, w.Scratch)
		}
	}
	total.Run = func(tile int, s *Scratch) {
		for i := range works {
			if tile < works[i].Tiles {
				works[i].Run(tile, s)
				return
			}
			tile -= works[i].Tiles
		}
	}
	return total, nil
}

// PackedConvTransposeSize is the number of values in packed weights of a transposed convolution.
func PackedConvTransposeSize(o, c, kh, kw int) int { return PackedConvSize(o, c, kh, kw) }

// packedPhase is where the phase of the filter that begins at tap (fy, fx) lies in the packed weights.
func packedPhase(o, c, kh, kw, strideH, strideW, fy, fx int) int {
	off := 0
	for y := range strideH {
		for x := range strideW {
			if y == fy && x == fx {
				return off
			}
			off += PackedConvSize(o, c, ceilDiv(kh-y, strideH), ceilDiv(kw-x, strideW))
		}
	}
	return off
}

// PackConvTranspose packs w [C][O][KH][KW] for ConvTranspose with the given strides: for each phase of the filter's taps, these
// taps in reverse order as PackConv has them.
func PackConvTranspose(dst, w []float32, o, c, kh, kw, strideH, strideW int) {
	for fy := range strideH {
		for fx := range strideW {
			ty, tx := ceilDiv(kh-fy, strideH), ceilDiv(kw-fx, strideW)
			part := make([]float32, 0, o*c*ty*tx)
			for a := range o {
				for b := range c {
					for y := ty - 1; y >= 0; y-- {
						for x := tx - 1; x >= 0; x-- {
							part = append(part, w[((b*o+a)*kh+fy+y*strideH)*kw+fx+x*strideW])
						}
					}
				}
			}
			PackConv(dst[packedPhase(o, c, kh, kw, strideH, strideW, fy, fx):], part, o, c, ty, tx)
		}
	}
}
