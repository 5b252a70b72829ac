package imaging

import (
	"image"
	"image/color"
)

// fromYCbCr converts luma and chroma to RGB. Where chroma is at half the
// resolution it is interpolated with the weights 3/4 and 1/4 ("fancy
// upsampling"), as libjpeg and libwebp do, and not repeated as Go's image
// package does: the difference can be tens of levels at sharp edges.
func fromYCbCr(m *image.YCbCr, webp bool) *Picture {
	r := m.Rect
	p := New(r.Dx(), r.Dy(), 3)
	halfX := m.SubsampleRatio == image.YCbCrSubsampleRatio420 || m.SubsampleRatio == image.YCbCrSubsampleRatio422
	halfY := m.SubsampleRatio == image.YCbCrSubsampleRatio420
	toRGB, mix := color.YCbCrToRGB, blend422
	switch {
	case webp:
		toRGB, mix = studioToRGB, blendWebP
	case halfY:
		mix = blend420
	}
	cb, cr := make([]int, p.W), make([]int, p.W)
	for y := range p.H {
		if halfX && r.Min.X == 0 && r.Min.Y == 0 {
			widen(cb, m.Cb, m.CStride, y, p.H, halfY, mix)
			widen(cr, m.Cr, m.CStride, y, p.H, halfY, mix)
		} else {
			for x := range p.W {
				i := m.COffset(r.Min.X+x, r.Min.Y+y)
				cb[x], cr[x] = int(m.Cb[i]), int(m.Cr[i])
			}
		}
		luma := m.Y[m.YOffset(r.Min.X, r.Min.Y+y):]
		for x := range p.W {
			i := p.at(x, y)
			p.Pix[i], p.Pix[i+1], p.Pix[i+2] = toRGB(luma[x], uint8(cb[x]), uint8(cr[x]))
		}
	}
	return p
}

// blend weighs a chroma sample against its neighbours beside, above or below
// (whichever is closer to the pixel) and across the corner: 9, 3, 3 and 1
// sixteenths. odd is 1 for pixels right of their sample. The roundings are
// those of the decoders that Pillow uses.
type blend func(near, side, upright, corner, odd int) int

func blend420(near, side, upright, corner, odd int) int {
	return (9*near + 3*side + 3*upright + corner + 8 - odd) >> 4
}

func blend422(near, side, _, _, odd int) int { return (3*near + side + 1 + odd) >> 2 }

func blendWebP(near, side, upright, corner, _ int) int {
	return ((near+3*side+3*upright+corner+8)>>3 + near) >> 1
}

// widen writes row y of a chroma plane at the picture's full width (dst's) to
// dst. h is the picture's height, halfY says that the plane has half of it.
func widen(dst []int, plane []uint8, stride, y, h int, halfY bool, mix blend) {
	other := y
	if halfY {
		other = min(max(y/2-1+y%2*2, 0), (h+1)/2-1)
		y /= 2
	}
	near, far := plane[y*stride:], plane[other*stride:]
	last := (len(dst)+1)/2 - 1
	for x := range dst {
		i, odd := x/2, x%2
		side := min(max(i-1+2*odd, 0), last)
		dst[x] = mix(int(near[i]), int(near[side]), int(far[i]), int(far[side]), odd)
	}
}

// studioToRGB converts from BT.601 with luma in 16..235, which is what lossy
// WebP holds, in libwebp's fixed point (14 bits and 6 of fraction).
func studioToRGB(y, cb, cr uint8) (uint8, uint8, uint8) {
	l, u, v := int(y)*19077>>8, int(cb), int(cr)
	out := func(c int) uint8 { return uint8(min(max(c>>6, 0), 255)) }
	return out(l + v*26149>>8 - 14234), out(l - u*6419>>8 - v*13320>>8 + 8708), out(l + u*33050>>8 - 17685)
}
