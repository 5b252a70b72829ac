package imaging

import (
	"fmt"
	"math"
)

// Filter says how pixels between pixels are computed.
type Filter string

// The filters, as Pillow defines them. Bilinear and Bicubic (a = -0.5) widen
// when shrinking, so that every source pixel counts.
const (
	Nearest  Filter = "nearest"
	Bilinear Filter = "bilinear"
	Bicubic  Filter = "bicubic"
)

// kernel is a filter's weight at distance x, zero beyond reach.
type kernel struct {
	reach  float64
	weight func(x float64) float64
}

var kernels = map[Filter]kernel{
	Bilinear: {1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }},
	// Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981.
	Bicubic: {2, func(x float64) float64 {
		const a = -0.5
		switch x = math.Abs(x); {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	}},
}

// Valid returns an error that lists the filters where f is none of them.
func (f Filter) Valid() error {
	if _, ok := kernels[f]; ok || f == Nearest {
		return nil
	}
	return fmt.Errorf("filter is %q, want nearest, bilinear or bicubic", string(f))
}

// Resize returns p scaled to w by h pixels. Rows are filtered first, then
// columns, each in fixed point and rounded to 8 bits.
func (p *Picture) Resize(w, h int, f Filter) *Picture {
	if w == p.W && h == p.H {
		return p
	}
	if f == Nearest {
		return p.nearest(w, h)
	}
	k := kernels[f]
	if w != p.W {
		p = p.across(taps(p.W, w, k), w)
	}
	if h != p.H {
		p = p.down(taps(p.H, h, k), h)
	}
	return p
}

func (p *Picture) nearest(w, h int) *Picture {
	out := New(w, h, p.Channels)
	sx, sy := float64(p.W)/float64(w), float64(p.H)/float64(h)
	for y := range h {
		fy := min(int((float64(y)+0.5)*sy), p.H-1)
		for x := range w {
			fx := min(int((float64(x)+0.5)*sx), p.W-1)
			copy(out.Pix[out.at(x, y):out.at(x, y)+p.Channels], p.Pix[p.at(fx, fy):])
		}
	}
	return out
}

// precision is the number of fraction bits of a weight: 8 bits of pixel and
// two of headroom for the negative lobes leave 22 of 32.
const precision = 32 - 8 - 2

// tap is one output pixel's share of the input: weights from pixel first on.
type tap struct {
	first   int
	weights []int32
}

// taps computes the weights that take n pixels to m.
func taps(n, m int, k kernel) []tap {
	scale := float64(n) / float64(m)
	wide := max(scale, 1)
	reach := k.reach * wide
	out := make([]tap, m)
	var w []float64
	for i := range out {
		centre := (float64(i) + 0.5) * scale
		lo := max(int(centre-reach+0.5), 0)
		hi := min(int(centre+reach+0.5), n)
		w = w[:0]
		sum := 0.0
		for x := lo; x < hi; x++ {
			v := k.weight((float64(x) - centre + 0.5) / wide)
			w = append(w, v)
			sum += v
		}
		out[i] = tap{lo, make([]int32, len(w))}
		for j, v := range w {
			if sum != 0 {
				v /= sum
			}
			out[i].weights[j] = int32(math.Round(v * (1 << precision)))
		}
	}
	return out
}

func clip(sum int32) uint8 { return uint8(min(max(sum>>precision, 0), 255)) }

// across filters each row.
func (p *Picture) across(ts []tap, w int) *Picture {
	out := New(w, p.H, p.Channels)
	c := p.Channels
	for y := range p.H {
		row := p.Pix[p.at(0, y):p.at(0, y+1)]
		dst := out.Pix[out.at(0, y):out.at(0, y+1)]
		for x, t := range ts {
			for ch := range c {
				sum := int32(1) << (precision - 1)
				i := t.first*c + ch
				for _, wt := range t.weights {
					sum += int32(row[i]) * wt
					i += c
				}
				dst[x*c+ch] = clip(sum)
			}
		}
	}
	return out
}

// down filters each column, a row at a time so that memory is read in order.
func (p *Picture) down(ts []tap, h int) *Picture {
	out := New(p.W, h, p.Channels)
	n := p.W * p.Channels
	sums := make([]int32, n)
	for y, t := range ts {
		for i := range sums {
			sums[i] = 1 << (precision - 1)
		}
		for j, wt := range t.weights {
			row := p.Pix[p.at(0, t.first+j):][:n]
			for i, v := range row {
				sums[i] += int32(v) * wt
			}
		}
		dst := out.Pix[y*n:][:n]
		for i, s := range sums {
			dst[i] = clip(s)
		}
	}
	return out
}
