package preprocess

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/internal/preprocess/imaging"
	"github.com/hone-ml/hone/tensor"
)

// Image says how a picture becomes a tensor: decode, turn upright by EXIF,
// resize, crop, then (value*Scale - Mean) / Std for every channel.
type Image struct {
	// Input is the model input to make.
	Input string `json:"input"`
	// Colour is the order of channels: RGB, BGR, grey, or RGBA with an opaque
	// fourth channel.
	Colour string `json:"colour"`
	// Layout is NCHW or NHWC; without N the tensor has no batch dim.
	Layout string `json:"layout"`
	// Type is the element type: f32, f16 or u8 (rounded and clamped).
	Type string `json:"type"`
	// Resize and Crop give the size; without them the picture keeps its own.
	Resize *Resize `json:"resize,omitempty"`
	// Crop takes the centre: one number, or height and width.
	Crop []int `json:"crop,omitempty"`
	// Pad is the colour around pictures that are too small, as R, G, B from 0
	// to 255; black where empty.
	Pad []int `json:"pad,omitempty"`
	// Scale multiplies pixel values of 0 to 255; 0 stands for 1.
	Scale float64 `json:"scale,omitempty"`
	// Mean and Std have a value for each channel, in the order of Colour, or
	// one for all; they default to 0 and 1.
	Mean []float64 `json:"mean,omitempty"`
	Std  []float64 `json:"std,omitempty"`
}

// Resize says how a picture is scaled.
type Resize struct {
	// Mode is "short" (the shorter side becomes Size), "long" (the longer
	// does), "exact" (both are set, ratio ignored) or "letterbox" (fits
	// inside, ratio kept, the rest is padding on both sides).
	Mode string `json:"mode"`
	// Size is one number, or height and width (exact and letterbox).
	Size []int `json:"size"`
	// Filter is nearest, bilinear or bicubic, as in Pillow.
	Filter imaging.Filter `json:"filter"`
}

// maxSide bounds the sizes that a spec may ask for.
const maxSide = 1 << 14

// channels says which of R, G, B (0 to 2) each channel of a colour is; -1 is
// opacity.
var channels = map[string][]int{"RGB": {0, 1, 2}, "BGR": {2, 1, 0}, "grey": {0}, "RGBA": {0, 1, 2, -1}}

func (m *Image) outputs() []string { return []string{m.Input} }

func (m *Image) validate() error {
	chans, ok := channels[m.Colour]
	switch {
	case !ok:
		return fmt.Errorf("colour is %q, want RGB, BGR, grey or RGBA", m.Colour)
	case m.Layout != "NCHW" && m.Layout != "NHWC" && m.Layout != "CHW" && m.Layout != "HWC":
		return fmt.Errorf("layout is %q, want NCHW, NHWC, CHW or HWC", m.Layout)
	case m.Type != "f32" && m.Type != "f16" && m.Type != "u8":
		return fmt.Errorf("type is %q, want f32, f16 or u8", m.Type)
	case m.Crop != nil && !sizeOK(m.Crop, 2):
		return fmt.Errorf("crop is %v, want one or two numbers from 1 to %d", m.Crop, maxSide)
	case len(m.Pad) != 0 && len(m.Pad) != 3:
		return fmt.Errorf("pad has %d values, want red, green and blue", len(m.Pad))
	case len(m.Mean) > 1 && len(m.Mean) != len(chans), len(m.Std) > 1 && len(m.Std) != len(chans):
		return fmt.Errorf("mean has %d values and std %d, want one or %d", len(m.Mean), len(m.Std), len(chans))
	}
	for _, v := range m.Pad {
		if v < 0 || v > 255 {
			return fmt.Errorf("pad is %v, want values from 0 to 255", m.Pad)
		}
	}
	for _, v := range m.Std {
		if v == 0 {
			return errors.New("std is 0")
		}
	}
	if r := m.Resize; r != nil {
		sides := 1
		switch r.Mode {
		case "short", "long":
		case "exact", "letterbox":
			sides = 2
		default:
			return fmt.Errorf("resize mode is %q, want short, long, exact or letterbox", r.Mode)
		}
		if !sizeOK(r.Size, sides) {
			return fmt.Errorf("resize %s has size %v, want up to %d numbers from 1 to %d", r.Mode, r.Size, sides, maxSide)
		}
		return r.Filter.Valid()
	}
	return nil
}

func sizeOK(size []int, most int) bool {
	for _, v := range size {
		if v < 1 || v > maxSide {
			return false
		}
	}
	return len(size) >= 1 && len(size) <= most
}

// sides returns the height and width that one or two numbers stand for.
func sides(size []int) (h, w int) { return size[0], size[len(size)-1] }

func (m *Image) apply(sources []Source) ([]*tensor.Tensor, error) {
	ts := make([]*tensor.Tensor, len(sources))
	for i, s := range sources {
		r, name, err := s.open()
		if err != nil {
			return nil, err
		}
		p, err := imaging.Decode(r, 0)
		r.Close()
		if err == nil {
			p, err = m.shape(p)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		ts[i] = m.tensor(p)
	}
	if !strings.HasPrefix(m.Layout, "N") {
		if len(ts) != 1 {
			return nil, fmt.Errorf("layout %s holds one picture, %d given", m.Layout, len(ts))
		}
		return ts, nil
	}
	t, err := batch(ts, "pictures")
	return []*tensor.Tensor{t}, err
}

// shape brings a picture to the channels and the size that m asks for.
func (m *Image) shape(p *imaging.Picture) (*imaging.Picture, error) {
	pad := []uint8{0, 0, 0}
	for i, v := range m.Pad {
		pad[i] = uint8(v)
	}
	if m.Colour == "grey" {
		p = p.Grey()
		pad = (&imaging.Picture{W: 1, H: 1, Channels: 3, Pix: pad}).Grey().Pix
	} else {
		p = p.RGB()
	}
	if r := m.Resize; r != nil {
		w, h := r.target(p.W, p.H)
		if w > imaging.MaxPixels/h {
			return nil, fmt.Errorf("a picture of %d x %d pixels would be resized to %d x %d", p.W, p.H, w, h)
		}
		p = p.Resize(w, h, r.Filter)
		if r.Mode == "letterbox" {
			boxH, boxW := sides(r.Size)
			p = p.Place(boxW, boxH, (boxW-w)/2, (boxH-h)/2, pad)
		}
	}
	if m.Crop != nil {
		h, w := sides(m.Crop)
		p = p.CentreCrop(w, h, pad)
	}
	return p, nil
}

// target returns the size to resize a picture of w by h to. With short and
// long the other side is cut down to a whole number, as torchvision does.
func (r *Resize) target(w, h int) (int, int) {
	size := r.Size[0]
	switch r.Mode {
	case "exact":
		h, w = sides(r.Size)
		return w, h
	case "letterbox":
		boxH, boxW := sides(r.Size)
		ratio := min(float64(boxH)/float64(h), float64(boxW)/float64(w))
		fit := func(side int) int { return max(int(math.RoundToEven(float64(side)*ratio)), 1) }
		return fit(w), fit(h)
	}
	if (w <= h) == (r.Mode == "short") {
		return size, max(size*h/w, 1)
	}
	return max(size*w/h, 1), size
}

// tensor returns the picture as CHW or HWC.
func (m *Image) tensor(p *imaging.Picture) *tensor.Tensor {
	order := channels[m.Colour]
	n := len(order)
	planar := strings.HasSuffix(m.Layout, "CHW")
	shape := []int{p.H, p.W, n}
	pixel, plane := n, 1
	if planar {
		shape = []int{n, p.H, p.W}
		pixel, plane = 1, p.W*p.H
	}
	d, _ := tensor.ParseDType(m.Type)
	t := tensor.New(d, shape...)
	for c, from := range order {
		table := m.levels(c)
		value := func(i int) int { return int(p.Pix[i*p.Channels+from]) }
		if from < 0 {
			value = func(int) int { return 255 }
		}
		switch d {
		case tensor.Float32:
			spread(tensor.Of[float32](t)[c*plane:], pixel, p.W*p.H, value, table[:])
		case tensor.Float16:
			var half [256]uint16
			float16.FromFloat32s(half[:], table[:])
			spread(tensor.Of[uint16](t)[c*plane:], pixel, p.W*p.H, value, half[:])
		default:
			var bytes [256]uint8
			for i, v := range table {
				bytes[i] = uint8(min(max(math.RoundToEven(float64(v)), 0), 255))
			}
			spread(t.Data[c*plane:], pixel, p.W*p.H, value, bytes[:])
		}
	}
	return t
}

// spread writes n values, looked up, every step elements.
func spread[T any](dst []T, step, n int, value func(int) int, table []T) {
	for i := range n {
		dst[i*step] = table[value(i)]
	}
}

// levels returns what each of the 256 pixel values of a channel becomes.
func (m *Image) levels(channel int) (table [256]float32) {
	pick := func(v []float64, none float64) float64 {
		switch {
		case len(v) == 0:
			return none
		case len(v) == 1:
			return v[0]
		}
		return v[channel]
	}
	scale, mean, std := m.Scale, pick(m.Mean, 0), pick(m.Std, 1)
	if scale == 0 {
		scale = 1
	}
	for i := range table {
		table[i] = float32((float64(i)*scale - mean) / std)
	}
	return table
}
