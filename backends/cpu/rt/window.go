package rt

import "fmt"

// Window is how a filter slides over an image: shared by convolutions and pooling. Sizes are in pixels.
// Padding at the bottom and right is whatever the output size implies. A negative pad skips pixels.
type Window struct {
	H, W                 int // input
	OH, OW               int // output
	KH, KW               int // filter
	StrideH, StrideW     int
	DilationH, DilationW int
	PadTop, PadLeft      int
}

func (w *Window) check() error {
	if w.H < 0 || w.W < 0 || w.OH < 0 || w.OW < 0 ||
		w.KH < 1 || w.KW < 1 || w.StrideH < 1 || w.StrideW < 1 || w.DilationH < 1 || w.DilationW < 1 {
		return fmt.Errorf("window %+v: sizes must be at least 0; filter, strides and dilations at least 1", *w)
	}
	return nil
}

// inside tells whether no tap of any output pixel falls outside of the input.
func (w *Window) inside() bool {
	return w.PadTop == 0 && w.PadLeft == 0 &&
		(w.OH-1)*w.StrideH+(w.KH-1)*w.DilationH < w.H && (w.OW-1)*w.StrideW+(w.KW-1)*w.DilationW < w.W
}

// pointwise tells whether every output pixel reads the input pixel at its own place.
func (w *Window) pointwise() bool {
	return w.KH == 1 && w.KW == 1 && w.StrideH == 1 && w.StrideW == 1 && w.PadTop == 0 && w.PadLeft == 0 && w.OH == w.H && w.OW == w.W
}

// rowsFor is how many input rows n output rows read.
func (w *Window) rowsFor(n int) int { return (n-1)*w.StrideH + (w.KH-1)*w.DilationH + 1 }

// width is how many input columns a row of output reads.
func (w *Window) width() int { return (w.OW-1)*w.StrideW + (w.KW-1)*w.DilationW + 1 }

// padCopy copies what output rows first to first+n-1 read from one plane to scratch memory from off bytes on, with zeros where the
// window is outside of the input. A pixel is px values.
func (w *Window) padCopy(s *Scratch, off int, plane uintptr, first, n, px int) {
	w.padRows(s, off, plane, first, n, px, w.width()*px)
}

// padRows is padCopy with rows pitch values apart.
func (w *Window) padRows(s *Scratch, off int, plane uintptr, first, n, px, pitch int) {
	if s.dry {
		return
	}
	dst := s.at(off)
	width := w.width()
	left := max(0, min(w.PadLeft, width)) // columns before the input
	skip := max(0, -w.PadLeft)            // and columns of it before the window
	mid := max(0, min(w.W-skip, width-left))
	for r := range w.rowsFor(n) {
		row := floats(dst, width*px)
		dst = at(dst, pitch*4)
		y := first*w.StrideH - w.PadTop + r
		if y < 0 || y >= w.H {
			clear(row)
			continue
		}
		clear(row[:left*px])
		copy(row[left*px:], floats(at(plane, (y*w.W+skip)*px*4), mid*px))
		clear(row[(left+mid)*px:])
	}
}

// padPhases is padCopy of single values that sorts the columns of each row by their remainder by the stride, size of each.
func (w *Window) padPhases(s *Scratch, off int, plane uintptr, first, n, size int) {
	if w.StrideW == 1 {
		w.padRows(s, off, plane, first, n, 1, size)
		return
	}
	if s.dry {
		return
	}
	dst := s.at(off)
	for r := range w.rowsFor(n) {
		y := first*w.StrideH - w.PadTop + r
		for q := range w.StrideW {
			d := floats(dst, size)
			dst = at(dst, size*4)
			if y < 0 || y >= w.H {
				clear(d)
				continue
			}
			row := floats(at(plane, y*w.W*4), w.W)
			left := min(max(0, ceilDiv(w.PadLeft-q, w.StrideW)), size) // before the input, and what lies in it
			mid := min(max(0, ceilDiv(w.PadLeft-q+w.W, w.StrideW)-left), size-left)
			clear(d[:left])
			x := left*w.StrideW + q - w.PadLeft
			for i := range d[left : left+mid] {
				d[left+i] = row[x]
				x += w.StrideW
			}
			clear(d[left+mid:])
		}
	}
}
