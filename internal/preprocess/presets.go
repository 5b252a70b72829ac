package preprocess

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/preprocess/imaging"
	"github.com/hone-ml/hone/tensor"
)

// ImageNet's mean and deviation, on values of 0 to 1 (torchvision.models).
var (
	imagenetMean = []float64{0.485, 0.456, 0.406}
	imagenetStd  = []float64{0.229, 0.224, 0.225}
)

var presets = map[string]Image{
	// What torchvision's classifiers were trained on.
	"imagenet": {
		Input: "input", Colour: "RGB", Layout: "NCHW", Type: "f32",
		Resize: &Resize{"short", []int{256}, imaging.Bilinear}, Crop: []int{224},
		Scale: 1. / 255, Mean: imagenetMean, Std: imagenetStd,
	},
	"imagenet-efficientnet-lite0": {
		Input: "image", Colour: "RGB", Layout: "NCHW", Type: "f32",
		Resize: &Resize{"short", []int{256}, imaging.Bicubic}, Crop: []int{224},
		Scale: 1. / 255, Mean: []float64{127. / 255}, Std: []float64{128. / 255},
	},
	// Values from -1 to 1 (keras.applications, mode "tf").
	"tensorflow": {
		Input: "input", Colour: "RGB", Layout: "NHWC", Type: "f32",
		Resize: &Resize{"short", []int{256}, imaging.Bilinear}, Crop: []int{224},
		Scale: 1 / 127.5, Mean: []float64{1},
	},
	// Pixels as they are, from 0 to 255.
	"raw": {Input: "input", Colour: "RGB", Layout: "NCHW", Type: "f32"},
}

// Preset returns a named Spec for the given model input; an empty name keeps
// the preset's own.
func Preset(name, input string) (Spec, error) {
	m, ok := presets[name]
	if !ok {
		var names []string
		for n := range presets {
			names = append(names, n)
		}
		slices.Sort(names)
		return Spec{}, fmt.Errorf("no preprocessing preset %q, only %s", name, strings.Join(names, ", "))
	}
	m = m.clone()
	if input != "" {
		m.Input = input
	}
	return Spec{Images: []Image{m}}, nil
}

func (m Image) clone() Image {
	if m.Resize != nil {
		r := *m.Resize
		r.Size = slices.Clone(r.Size)
		m.Resize = &r
	}
	m.Crop, m.Pad = slices.Clone(m.Crop), slices.Clone(m.Pad)
	m.Mean, m.Std = slices.Clone(m.Mean), slices.Clone(m.Std)
	return m
}

// Guess proposes a Spec for a model input that looks like a picture: four
// dims, float or uint8 elements, 1, 3 or 4 channels second (NCHW) or last
// (NHWC). A dim of 0 or less is unknown; an unknown height or width becomes
// 224. Colour pictures get ImageNet's normalisation in NCHW and -1 to 1 in
// NHWC, grey ones 0 to 1, uint8 ones their pixels: a guess, to be shown to the
// user as one.
func Guess(inputName string, dtype tensor.DType, dims []int) (Spec, bool) {
	if len(dims) != 4 || dtype != tensor.Float32 && dtype != tensor.Float16 && dtype != tensor.Uint8 {
		return Spec{}, false
	}
	colours := map[int]string{1: "grey", 3: "RGB", 4: "RGBA"}
	layout, colour, h, w := "NCHW", colours[dims[1]], dims[2], dims[3]
	if colour == "" {
		layout, colour, h, w = "NHWC", colours[dims[3]], dims[1], dims[2]
	}
	for _, side := range []*int{&h, &w} {
		if *side <= 0 {
			*side = 224
		}
		if *side < 8 || *side > 8192 {
			return Spec{}, false
		}
	}
	if colour == "" {
		return Spec{}, false
	}
	m := presets["imagenet"].clone()
	if layout == "NHWC" {
		m = presets["tensorflow"].clone()
	}
	m.Input, m.Layout, m.Colour, m.Type = inputName, layout, colour, dtype.String()
	if colour != "RGB" {
		m.Scale, m.Mean, m.Std = 1./255, nil, nil
	}
	if dtype == tensor.Uint8 {
		m.Scale, m.Mean, m.Std = 0, nil, nil
	}
	if h == w && colour == "RGB" {
		m.Resize.Size, m.Crop = []int{h * 256 / 224}, []int{h}
	} else {
		m.Resize, m.Crop = &Resize{"exact", []int{h, w}, imaging.Bilinear}, nil
	}
	return Spec{Images: []Image{m}}, true
}
