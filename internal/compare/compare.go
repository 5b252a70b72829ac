// Package compare measures how far two tensors are apart, in the figures by
// which people judge a model that was changed.
package compare

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Diff says how a tensor differs from a reference of the same shape.
type Diff struct {
	Elements  int
	MaxAbs    float64 // largest |got - want|
	MaxRel    float64 // MaxAbs over Scale
	Scale     float64 // largest |want|
	SNR       float64 // power of want over power of the difference, in dB; +Inf for equal tensors
	Cosine    float64 // cosine of the angle between the two
	Top1      float64 // share of rows of the last axis with the same largest element
	NaNs      int     // elements that are NaN on one side only
	Different int     // elements that differ at all
	WorstAt   int     // index of the element with MaxAbs
}

// Figures are those of a Diff for JSON: null stands for what it lacks, an
// infinite number or none at all. An SNR of null where nothing is different is
// infinite.
type Figures struct {
	Elements  int      `json:"elements"`
	MaxAbs    *float64 `json:"max_abs"`
	MaxRel    *float64 `json:"max_rel"`
	Scale     *float64 `json:"scale"`
	SNR       *float64 `json:"snr_db"`
	Cosine    *float64 `json:"cosine"`
	Top1      float64  `json:"top1"`
	NaNs      int      `json:"nans"`
	Different int      `json:"different"`
	WorstAt   int      `json:"worst_at"`
}

// Figures returns what JSON can say of d.
func (d *Diff) Figures() Figures {
	f := func(x float64) *float64 {
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return nil
		}
		return &x
	}
	return Figures{d.Elements, f(d.MaxAbs), f(d.MaxRel), f(d.Scale), f(d.SNR), f(d.Cosine), d.Top1, d.NaNs, d.Different, d.WorstAt}
}

// Equal reports whether no element differs.
func (d *Diff) Equal() bool { return d.Different == 0 && d.NaNs == 0 }

// Within reports whether the largest error is at most bound times the scale
// of the reference, and NaNs agree.
func (d *Diff) Within(bound float64) bool {
	return d.NaNs == 0 && (d.MaxAbs <= bound*d.Scale || d.Different == 0)
}

// Tensors compares got with want. Types and shapes must be the same.
func Tensors(got, want *tensor.Tensor) (*Diff, error) {
	if got.DType != want.DType {
		return nil, fmt.Errorf("got %s, want %s", got, want)
	}
	if fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
		return nil, fmt.Errorf("got %s, want %s", got, want)
	}
	d := &Diff{Elements: want.Len(), Cosine: 1, Top1: 1, SNR: math.Inf(1)}
	if want.DType == tensor.String {
		for i, s := range want.Strings {
			if got.Strings[i] != s {
				d.Different++
			}
		}
		return d, nil
	}
	g, w := floats(got), floats(want)
	d.elements(g, w)
	if n := len(want.Shape); n > 0 && want.Shape[n-1] > 1 {
		d.top1(g, w, want.Shape[n-1])
	}
	return d, nil
}

func (d *Diff) elements(g, w []float64) {
	var noise, signal, dot, gg float64
	for i, x := range w {
		y := g[i]
		if x != x || y != y {
			if x == x || y == y {
				d.NaNs++
			}
			continue
		}
		if x == y { // also two infinities
			if !math.IsInf(x, 0) {
				d.Scale = max(d.Scale, math.Abs(x))
				signal += x * x
				dot += x * y
				gg += y * y
			}
			continue
		}
		d.Different++
		e := math.Abs(x - y)
		if e > d.MaxAbs || d.Different == 1 {
			d.MaxAbs, d.WorstAt = e, i
		}
		if !math.IsInf(x, 0) {
			d.Scale = max(d.Scale, math.Abs(x))
		}
		noise += e * e
		signal += x * x
		dot += x * y
		gg += y * y
	}
	if d.Scale > 0 {
		d.MaxRel = d.MaxAbs / d.Scale
	} else if d.MaxAbs > 0 {
		d.MaxRel = math.Inf(1)
	}
	if noise > 0 {
		d.SNR = 10 * math.Log10(signal/noise)
	}
	if d.Different > 0 {
		d.Cosine = 0
		if signal > 0 && gg > 0 {
			d.Cosine = dot / math.Sqrt(signal*gg)
		}
	}
}

func (d *Diff) top1(g, w []float64, n int) {
	rows, same := len(w)/n, 0
	for r := range rows {
		if argmax(g[r*n:(r+1)*n]) == argmax(w[r*n:(r+1)*n]) {
			same++
		}
	}
	if rows > 0 {
		d.Top1 = float64(same) / float64(rows)
	}
}

func argmax(v []float64) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}

// floats returns the elements as float64; complex ones give two each.
func floats(t *tensor.Tensor) []float64 {
	switch t.DType {
	case tensor.Complex64:
		return pairs(tensor.Of[complex64](t))
	case tensor.Complex128:
		return pairs(tensor.Of[complex128](t))
	}
	return ref.Float64s(t)
}

func pairs[T complex64 | complex128](v []T) []float64 {
	out := make([]float64, 0, 2*len(v))
	for _, x := range v {
		c := complex128(x)
		out = append(out, real(c), imag(c))
	}
	return out
}
