package imaging

import (
	"bufio"
	"fmt"
	"image"
	"image/color"
	"io"
)

// pnm is the header of a netpbm picture: bits (P1, P4), grey (P2, P5) or
// colour (P3, P6), as decimals in the first three, as bytes in the last.
type pnm struct {
	kind          byte
	width, height int
	most          int // the value of white
}

// number reads a decimal and the one byte behind it; space and comments
// before it do not count.
func pnmNumber(r *bufio.Reader) (int, error) {
	n, digits := 0, 0
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF && digits > 0:
			return n, nil
		case err != nil:
			return 0, io.ErrUnexpectedEOF
		case c >= '0' && c <= '9':
			if n = n*10 + int(c-'0'); n > 1<<30 {
				return 0, fmt.Errorf("a number in the header is too large")
			}
			digits++
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if digits > 0 {
				return n, nil
			}
		case c == '#' && digits == 0:
			if _, err := r.ReadString('\n'); err != nil {
				return 0, io.ErrUnexpectedEOF
			}
		default:
			return 0, fmt.Errorf("unexpected byte %#x among numbers", c)
		}
	}
}

func pnmHeader(r *bufio.Reader) (h pnm, err error) {
	var magic [2]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return h, err
	}
	h = pnm{kind: magic[1], most: 1}
	fields := []*int{&h.width, &h.height, &h.most}
	if h.kind == '1' || h.kind == '4' {
		fields = fields[:2]
	}
	for _, f := range fields {
		if *f, err = pnmNumber(r); err != nil {
			return h, err
		}
	}
	if h.most < 1 || h.most > 255 {
		return h, fmt.Errorf("white is %d, at most 255 is read", h.most)
	}
	return h, nil
}

func pnmConfig(r io.Reader) (image.Config, error) {
	h, err := pnmHeader(bufio.NewReader(r))
	return image.Config{ColorModel: color.NRGBAModel, Width: h.width, Height: h.height}, err
}

func pnmDecode(r io.Reader) (image.Image, error) {
	in := bufio.NewReader(r)
	h, err := pnmHeader(in)
	if err != nil {
		return nil, err
	}
	row := h.rows(in)
	bounds := image.Rect(0, 0, h.width, h.height)
	if h.kind != '3' && h.kind != '6' {
		m := image.NewGray(bounds)
		for y := range h.height {
			if err := row(m.Pix[y*m.Stride:][:h.width]); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	m := image.NewNRGBA(bounds)
	line := make([]byte, 3*h.width)
	for y := range h.height {
		if err := row(line); err != nil {
			return nil, err
		}
		for x := range h.width {
			m.SetNRGBA(x, y, color.NRGBA{line[3*x], line[3*x+1], line[3*x+2], 255})
		}
	}
	return m, nil
}

// rows returns a function that reads one row of samples, scaled to 0..255.
func (h pnm) rows(in *bufio.Reader) func([]byte) error {
	scale := func(v int) byte { return byte((min(v, h.most)*255 + h.most/2) / h.most) }
	return func(row []byte) error {
		switch h.kind {
		case '1': // digits need no space between them; 1 is black
			for i := 0; i < len(row); {
				c, err := in.ReadByte()
				if err != nil {
					return io.ErrUnexpectedEOF
				}
				if c == '0' || c == '1' {
					row[i] = ('1' - c) * 255
					i++
				}
			}
		case '4':
			packed := make([]byte, (len(row)+7)/8)
			if _, err := io.ReadFull(in, packed); err != nil {
				return err
			}
			for i := range row {
				row[i] = (1 - packed[i/8]>>(7-i%8)&1) * 255
			}
		case '2', '3':
			for i := range row {
				v, err := pnmNumber(in)
				if err != nil {
					return err
				}
				row[i] = scale(v)
			}
		default:
			if _, err := io.ReadFull(in, row); err != nil {
				return err
			}
			for i, v := range row {
				row[i] = scale(int(v))
			}
		}
		return nil
	}
}
