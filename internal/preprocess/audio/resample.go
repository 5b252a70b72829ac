package audio

import (
	"fmt"
	"math"
)

const (
	// zeros is how many zero crossings of the sinc lie on each side.
	zeros = 6
	// rolloff puts the cut a little below the lower Nyquist frequency.
	rolloff = 0.99
	// maxSamples bounds what Resample makes.
	maxSamples = 1 << 28
)

// Resample takes samples from one rate to another, both in Hz, by a polyphase
// filter: a sinc under a Hann window (Smith, "Digital Audio Resampling",
// https://ccrma.stanford.edu/~jos/resample/). n samples become
// ceil(n*to/from).
func Resample(x []float32, from, to int) ([]float32, error) {
	if from == to {
		return x, nil
	}
	if from < 1 || to < 1 || len(x) > maxSamples/to*from {
		return nil, fmt.Errorf("%d samples from %d to %d Hz are too many", len(x), from, to)
	}
	g := gcd(from, to)
	up, down := to/g, from/g
	// Sample i of the output lies between input samples at i*down/up; the
	// fraction takes one of up values, each with its own weights.
	phases := make([]phase, up)
	out := make([]float32, (len(x)*up+down-1)/down)
	for i := range out {
		at, frac := i*down/up, i*down%up
		p := &phases[frac]
		if p.weights == nil {
			*p = newPhase(float64(frac)/float64(up), float64(from), float64(to))
		}
		sum := 0.0
		for j, w := range p.weights {
			if k := at + p.first + j; k >= 0 && k < len(x) {
				sum += float64(x[k]) * float64(w)
			}
		}
		out[i] = float32(sum)
	}
	return out, nil
}

// phase holds the weights of the input samples from first on, relative to the
// one before the output sample.
type phase struct {
	first   int
	weights []float32
}

func newPhase(frac, from, to float64) phase {
	cut := min(from, to) * rolloff / from // zero crossings per input sample
	reach := zeros / cut
	lo, hi := int(math.Ceil(frac-reach)), int(math.Floor(frac+reach))
	p := phase{first: lo}
	for k := lo; k <= hi; k++ {
		t := (float64(k) - frac) * cut
		hann := math.Pow(math.Cos(t*math.Pi/zeros/2), 2)
		sinc := 1.0
		if t != 0 {
			sinc = math.Sin(math.Pi*t) / (math.Pi * t)
		}
		p.weights = append(p.weights, float32(sinc*hann*cut))
	}
	return p
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
