// Package imaging decodes pictures and resizes them to the pixel values that
// Pillow, and so torchvision and most training code, would give a model.
// It knows nothing of tensors or models.
package imaging

// Picture is an 8-bit image, row by row, with its channels interleaved: one
// for grey, three for RGB.
type Picture struct {
	W, H, Channels int
	Pix            []uint8
}

// New returns a black picture.
func New(w, h, channels int) *Picture {
	return &Picture{W: w, H: h, Channels: channels, Pix: make([]uint8, w*h*channels)}
}

// at returns the index of the pixel's first channel.
func (p *Picture) at(x, y int) int { return (y*p.W + x) * p.Channels }

// Grey returns p with one channel, by the luma weights of ITU-R BT.601.
func (p *Picture) Grey() *Picture {
	if p.Channels == 1 {
		return p
	}
	g := New(p.W, p.H, 1)
	for i := range g.Pix {
		c := p.Pix[3*i : 3*i+3]
		g.Pix[i] = uint8((19595*uint32(c[0]) + 38470*uint32(c[1]) + 7471*uint32(c[2]) + 1<<15) >> 16)
	}
	return g
}

// RGB returns p with three channels.
func (p *Picture) RGB() *Picture {
	if p.Channels == 3 {
		return p
	}
	c := New(p.W, p.H, 3)
	for i, v := range p.Pix {
		c.Pix[3*i], c.Pix[3*i+1], c.Pix[3*i+2] = v, v, v
	}
	return c
}

// Place returns a w by h picture of the given colour (one value a channel)
// with p's upper left corner at x, y. What falls outside is cut off.
func (p *Picture) Place(w, h, x, y int, colour []uint8) *Picture {
	out := New(w, h, p.Channels)
	for i := range out.Pix {
		out.Pix[i] = colour[i%p.Channels]
	}
	x0, x1 := max(x, 0), min(x+p.W, w)
	if x0 >= x1 {
		return out
	}
	for row := max(y, 0); row < min(y+p.H, h); row++ {
		copy(out.Pix[out.at(x0, row):out.at(x1, row)], p.Pix[p.at(x0-x, row-y):])
	}
	return out
}

// CentreCrop returns the middle w by h pixels; where p is smaller, it is
// padded with the colour. Odd remainders round half to even, as torchvision's
// CenterCrop does.
func (p *Picture) CentreCrop(w, h int, colour []uint8) *Picture {
	return p.Place(w, h, -halfEven(p.W-w), -halfEven(p.H-h), colour)
}

// halfEven returns n/2, ties to even.
func halfEven(n int) int {
	h := n >> 1
	if n&1 != 0 && h&1 != 0 {
		h++
	}
	return h
}

// Orient returns p turned upright from the given EXIF orientation (1 to 8).
func (p *Picture) Orient(orientation int) *Picture {
	if orientation < 2 || orientation > 8 {
		return p
	}
	w, h := p.W, p.H
	if orientation >= 5 {
		w, h = h, w
	}
	out := New(w, h, p.Channels)
	for y := range h {
		for x := range w {
			sx, sy := x, y
			switch orientation {
			case 2: // mirrored
				sx = w - 1 - x
			case 3: // turned by 180 degrees
				sx, sy = w-1-x, h-1-y
			case 4: // flipped
				sy = h - 1 - y
			case 5: // transposed
				sx, sy = y, x
			case 6: // needs a quarter turn clockwise
				sx, sy = y, w-1-x
			case 7: // transversed
				sx, sy = h-1-y, w-1-x
			case 8: // needs a quarter turn the other way
				sx, sy = h-1-y, x
			}
			copy(out.Pix[out.at(x, y):out.at(x, y)+p.Channels], p.Pix[p.at(sx, sy):])
		}
	}
	return out
}
