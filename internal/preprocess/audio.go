package preprocess

import (
	"fmt"
	"math"
	"strings"

	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/internal/preprocess/audio"
	"github.com/hone-ml/hone/tensor"
)

// Audio says how a WAV sound becomes a tensor: decode, mix to mono, resample,
// cut or pad to a length, normalise, cut into frames.
type Audio struct {
	// Input is the model input to make.
	Input string `json:"input"`
	// Rate is the sampling rate that the model wants, in Hz.
	Rate int `json:"rate"`
	// Length, in samples, cuts longer sounds and pads shorter ones with
	// silence; 0 keeps each sound's own.
	Length int `json:"length,omitempty"`
	// Normalize brings each sound to mean 0 and deviation 1.
	Normalize bool `json:"normalize,omitempty"`
	// Scale multiplies samples of -1 to 1; 0 stands for 1.
	Scale float64 `json:"scale,omitempty"`
	// Window and Hop, in samples, cut the sound into overlapping frames; with
	// them T in Layout is two dims, frames and samples. A sound that is
	// shorter than a window is padded to one; what does not fill a frame at
	// the end is left out.
	Window int `json:"window,omitempty"`
	Hop    int `json:"hop,omitempty"`
	// Layout is NT, NCT (one channel) or T.
	Layout string `json:"layout"`
	// Type is the element type: f32 or f16.
	Type string `json:"type"`
}

// maxFrames bounds the samples that all frames of a sound hold together.
const maxFrames = 1 << 28

func (a *Audio) outputs() []string { return []string{a.Input} }

func (a *Audio) validate() error {
	switch {
	case a.Rate < audio.MinRate || a.Rate > audio.MaxRate:
		return fmt.Errorf("rate is %d, want %d to %d", a.Rate, audio.MinRate, audio.MaxRate)
	case a.Layout != "NT" && a.Layout != "NCT" && a.Layout != "T":
		return fmt.Errorf("layout is %q, want NT, NCT or T", a.Layout)
	case a.Type != "f32" && a.Type != "f16":
		return fmt.Errorf("type is %q, want f32 or f16", a.Type)
	case a.Length < 0 || a.Length > maxFrames:
		return fmt.Errorf("length is %d, want 0 to %d", a.Length, maxFrames)
	case a.Window < 0 || a.Window > 1<<20 || (a.Window == 0) != (a.Hop == 0) || a.Hop < 0:
		return fmt.Errorf("window is %d and hop %d, want both positive or none", a.Window, a.Hop)
	}
	return nil
}

func (a *Audio) apply(sources []Source) ([]*tensor.Tensor, error) {
	ts := make([]*tensor.Tensor, len(sources))
	for i, s := range sources {
		r, name, err := s.open()
		if err != nil {
			return nil, err
		}
		sound, err := audio.DecodeWAV(r)
		r.Close()
		if err == nil {
			ts[i], err = a.tensor(sound)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if a.Layout == "T" {
		if len(ts) != 1 {
			return nil, fmt.Errorf("layout T holds one sound, %d given", len(ts))
		}
		return ts, nil
	}
	t, err := batch(ts, "sounds")
	return []*tensor.Tensor{t}, err
}

func (a *Audio) tensor(s *audio.Sound) (*tensor.Tensor, error) {
	x, err := audio.Resample(s.Mono(), s.Rate, a.Rate)
	if err != nil {
		return nil, err
	}
	if a.Length > 0 {
		x = fit(x, a.Length)
	}
	if x = a.adjust(x); a.Window > 0 && len(x) < a.Window {
		x = fit(x, a.Window)
	}
	shape := []int{len(x)}
	if a.Window > 0 {
		n := 1 + (len(x)-a.Window)/a.Hop
		if n > maxFrames/a.Window {
			return nil, fmt.Errorf("%d frames of %d samples are too many", n, a.Window)
		}
		frames := make([]float32, 0, n*a.Window)
		for i := range n {
			frames = append(frames, x[i*a.Hop:i*a.Hop+a.Window]...)
		}
		x, shape = frames, []int{n, a.Window}
	}
	if strings.Contains(a.Layout, "C") {
		shape = append([]int{1}, shape...)
	}
	if a.Type == "f16" {
		t := tensor.New(tensor.Float16, shape...)
		float16.FromFloat32s(tensor.Of[uint16](t), x)
		return t, nil
	}
	return tensor.Float32s(x, shape...), nil
}

// fit returns a copy of x with n samples.
func fit(x []float32, n int) []float32 {
	out := make([]float32, n)
	copy(out, x)
	return out
}

// adjust normalises and scales, in float64.
func (a *Audio) adjust(x []float32) []float32 {
	scale, mean := a.Scale, 0.0
	if scale == 0 {
		scale = 1
	}
	if a.Normalize && len(x) > 0 {
		square := 0.0
		for _, v := range x {
			mean += float64(v)
		}
		mean /= float64(len(x))
		for _, v := range x {
			square += (float64(v) - mean) * (float64(v) - mean)
		}
		scale /= math.Sqrt(square/float64(len(x)) + 1e-7)
	}
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32((float64(v) - mean) * scale)
	}
	return out
}
