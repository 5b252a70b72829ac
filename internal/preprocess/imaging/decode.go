package imaging

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// MaxPixels is the largest picture that Decode takes by default, and MaxBytes
// the largest file.
const (
	MaxPixels = 1 << 27
	MaxBytes  = 1 << 29
)

// codec is one file format, known by how its files begin ('?' is any byte).
type codec struct {
	name   string
	magic  string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	exif   func([]byte) []byte
}

var codecs = []codec{
	{"jpeg", "\xff\xd8", jpeg.DecodeConfig, jpeg.Decode, jpegExif},
	{"png", "\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode, pngExif},
	{"gif", "GIF8", gif.DecodeConfig, gif.Decode, nil},
	{"bmp", "BM", bmp.DecodeConfig, bmp.Decode, nil},
	{"webp", "RIFF????WEBP", webp.DecodeConfig, webp.Decode, webpExif},
	{"tiff", "II*\x00", tiff.DecodeConfig, tiff.Decode, nil},
	{"tiff", "MM\x00*", tiff.DecodeConfig, tiff.Decode, nil},
	{"pnm", "P1", pnmConfig, pnmDecode, nil},
	{"pnm", "P2", pnmConfig, pnmDecode, nil},
	{"pnm", "P3", pnmConfig, pnmDecode, nil},
	{"pnm", "P4", pnmConfig, pnmDecode, nil},
	{"pnm", "P5", pnmConfig, pnmDecode, nil},
	{"pnm", "P6", pnmConfig, pnmDecode, nil},
}

func (c codec) match(b []byte) bool {
	if len(b) < len(c.magic) {
		return false
	}
	for i := range c.magic {
		if c.magic[i] != '?' && c.magic[i] != b[i] {
			return false
		}
	}
	return true
}

// Decode reads a JPEG, PNG, GIF (its first frame), BMP, WebP, TIFF or PNM
// picture and turns it upright by its EXIF orientation. Grey pictures have one
// channel, all others three; transparency is dropped, not blended. Pictures
// that say they have more than maxPixels (0: MaxPixels) are refused before
// decoding.
func Decode(r io.Reader, maxPixels int) (*Picture, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	return decode(b, maxPixels, true)
}

// DecodeAsStored is Decode without regard to the EXIF orientation.
func DecodeAsStored(b []byte, maxPixels int) (*Picture, error) { return decode(b, maxPixels, false) }

func decode(b []byte, maxPixels int, upright bool) (*Picture, error) {
	if maxPixels <= 0 {
		maxPixels = MaxPixels
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("image file passes %d bytes", MaxBytes)
	}
	for _, c := range codecs {
		if c.match(b) {
			if !upright {
				c.exif = nil
			}
			p, err := c.read(b, maxPixels)
			if err != nil {
				return nil, fmt.Errorf("%s image: %w", c.name, err)
			}
			return p, nil
		}
	}
	if IsJPEG2000(b) {
		return nil, fmt.Errorf("a JPEG 2000 image, which hone does not read: convert it to PNG or JPEG")
	}
	return nil, fmt.Errorf("not an image that hone reads (JPEG, PNG, GIF, BMP, WebP, TIFF or PNM)")
}

// IsJPEG2000 reports whether b begins like a JPEG 2000 file or code stream.
func IsJPEG2000(b []byte) bool {
	return bytes.HasPrefix(b, []byte("\x00\x00\x00\x0cjP  \r\n\x87\n")) || bytes.HasPrefix(b, []byte("\xff\x4f\xff\x51"))
}

func (c codec) read(b []byte, maxPixels int) (p *Picture, err error) {
	// The decoders are others' code that reads hostile bytes.
	defer func() {
		if e := recover(); e != nil {
			p, err = nil, fmt.Errorf("damaged: %v", e)
		}
	}()
	cfg, err := c.config(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if cfg.Width <= 0 || cfg.Height <= 0 || cfg.Width > maxPixels/cfg.Height {
		return nil, fmt.Errorf("%d x %d pixels, at most %d in all are read", cfg.Width, cfg.Height, maxPixels)
	}
	img, err := c.decode(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	// A container may hold another size than its header says.
	if s := img.Bounds().Size(); s.X <= 0 || s.Y <= 0 || s.X > maxPixels/s.Y {
		return nil, fmt.Errorf("%d x %d pixels, at most %d in all are read", s.X, s.Y, maxPixels)
	}
	p = convert(img, c.name == "webp")
	if c.exif != nil {
		p = p.Orient(orientation(c.exif(b)))
	}
	return p, nil
}

// convert takes the decoders' image types to a Picture.
func convert(img image.Image, webp bool) *Picture {
	r := img.Bounds()
	switch m := img.(type) {
	case *image.YCbCr:
		return fromYCbCr(m, webp)
	case *image.NYCbCrA:
		return fromYCbCr(&m.YCbCr, webp)
	case *image.Gray:
		p := New(r.Dx(), r.Dy(), 1)
		for y := range p.H {
			copy(p.Pix[p.at(0, y):p.at(0, y+1)], m.Pix[m.PixOffset(r.Min.X, r.Min.Y+y):])
		}
		return p
	case *image.Gray16:
		p := New(r.Dx(), r.Dy(), 1)
		for i := range p.Pix {
			p.Pix[i] = m.Pix[m.PixOffset(r.Min.X+i%p.W, r.Min.Y+i/p.W)]
		}
		return p
	}
	p := New(r.Dx(), r.Dy(), 3)
	for y := range p.H {
		for x := range p.W {
			c := straight(img, r.Min.X+x, r.Min.Y+y)
			i := p.at(x, y)
			p.Pix[i], p.Pix[i+1], p.Pix[i+2] = c.R, c.G, c.B
		}
	}
	return p
}

// straight returns a pixel's colour with alpha not multiplied in.
func straight(img image.Image, x, y int) color.NRGBA {
	switch m := img.(type) {
	case *image.NRGBA:
		return m.NRGBAAt(x, y)
	case *image.RGBA:
		if c := m.RGBAAt(x, y); c.A == 0xff {
			return color.NRGBA(c)
		}
	case *image.NRGBA64:
		c := m.NRGBA64At(x, y)
		return color.NRGBA{uint8(c.R >> 8), uint8(c.G >> 8), uint8(c.B >> 8), uint8(c.A >> 8)}
	case *image.RGBA64:
		if c := m.RGBA64At(x, y); c.A == 0xffff {
			return color.NRGBA{uint8(c.R >> 8), uint8(c.G >> 8), uint8(c.B >> 8), 0xff}
		}
	case *image.Paletted:
		if c, ok := m.At(x, y).(color.NRGBA); ok {
			return c
		}
	}
	return color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
}
