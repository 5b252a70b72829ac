package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// DFT computes the discrete Fourier transform of x [..., 1 or 2], whose last
// dim holds the real and the imaginary part, along an axis: [..., 2]. The
// signal is cut or padded with zeros to length, -1 for as long as it is.
// A one-sided transform gives the first length/2+1 frequencies; its inverse
// takes them and gives a real signal [..., 1].
func DFT(x *tensor.Tensor, length, axis int, inverse, oneSided bool) (*tensor.Tensor, error) {
	rank := x.Rank()
	axis, err := axisOf(axis, rank)
	if err != nil {
		return nil, err
	}
	if rank < 2 || axis == rank-1 {
		return nil, fmt.Errorf("axis %d of %s is not one of the signal's", axis, x)
	}
	parts := x.Shape[rank-1]
	if parts != 1 && parts != 2 {
		return nil, fmt.Errorf("the last dim of %s must be 1, for real numbers, or 2", x)
	}
	n := x.Shape[axis]
	if length < 0 {
		length = n
		if inverse && oneSided {
			length = 2 * (n - 1)
		}
	}
	if length < 1 {
		return nil, fmt.Errorf("a transform of length %d", length)
	}
	if length > 1<<30 {
		return nil, fmt.Errorf("a transform of length %d is too long", length)
	}
	shape := append([]int{}, x.Shape...)
	shape[axis], shape[rank-1] = length, 2
	switch {
	case inverse && oneSided:
		shape[rank-1] = 1
	case oneSided:
		shape[axis] = length/2 + 1
	}
	out, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	in := Float64s(x)
	inner := product(x.Shape[axis+1 : rank-1])
	line := make([]complex128, length)
	for o := range product(x.Shape[:axis]) {
		for i := range inner {
			clear(line)
			for k := range min(n, length) {
				p := ((o*n+k)*inner + i) * parts
				line[k] = complex(in[p], 0)
				if parts == 2 {
					line[k] = complex(in[p], in[p+1])
				}
			}
			if inverse && oneSided {
				mirror(line)
			}
			for k, v := range fourier(line, inverse)[:shape[axis]] {
				if inverse {
					v /= complex(float64(length), 0)
				}
				p := ((o*shape[axis]+k)*inner + i) * shape[rank-1]
				out[p] = real(v)
				if shape[rank-1] == 2 {
					out[p+1] = imag(v)
				}
			}
		}
	}
	return fromFloat64s(x.DType, out, shape...), nil
}

// mirror completes the first half of the spectrum of a real signal.
func mirror(x []complex128) {
	n := len(x)
	x[0] = complex(real(x[0]), 0)
	if n%2 == 0 {
		x[n/2] = complex(real(x[n/2]), 0)
	}
	for k := 1; k < (n+1)/2; k++ {
		x[n-k] = complex(real(x[k]), -imag(x[k]))
	}
}

// STFT cuts a signal [N, L, 1 or 2] into frames of the given length, step
// apart, multiplies each by the window (nil: ones), and transforms it:
// [N, frames, length or length/2+1, 2].
func STFT(x *tensor.Tensor, step, length int, window *tensor.Tensor, oneSided bool) (*tensor.Tensor, error) {
	if x.Rank() != 3 {
		return nil, fmt.Errorf("the signal %s must be [N,L,1] or [N,L,2]", x)
	}
	batch, n, parts := x.Shape[0], x.Shape[1], x.Shape[2]
	var w []float64
	if window != nil {
		w = Float64s(window)
		if length < 0 {
			length = len(w)
		}
	}
	if length < 0 {
		length = n
	}
	if step < 1 || length < 1 {
		return nil, fmt.Errorf("frames of %d, %d apart", length, step)
	}
	frames := 0
	if n >= length {
		frames = 1 + (n-length)/step
	}
	width := length
	if w != nil {
		width = min(len(w), length)
	}
	buf, err := newFloats([]int{batch, frames, length, parts})
	if err != nil {
		return nil, err
	}
	in := Float64s(x)
	for b := range batch {
		for f := range frames {
			for k := range width {
				for p := range parts {
					v := in[(b*n+f*step+k)*parts+p]
					if w != nil {
						v *= w[k]
					}
					buf[((b*frames+f)*length+k)*parts+p] = v
				}
			}
		}
	}
	y, err := DFT(fromFloat64s(tensor.Float64, buf, batch, frames, length, parts), length, 2, false, oneSided)
	if err != nil {
		return nil, err
	}
	return fromFloat64s(x.DType, Float64s(y), y.Shape...), nil
}

// CosineWindow returns n samples of the window a[0] - a[1]·cos(2πk/m) +
// a[2]·cos(4πk/m) - ..., where m is n for a periodic window, else n-1.
func CosineWindow(d tensor.DType, n int, periodic bool, a ...float64) (*tensor.Tensor, error) {
	if err := storable(d); err != nil {
		return nil, err
	}
	v, err := newFloats([]int{n})
	if err != nil {
		return nil, err
	}
	m := float64(n)
	if !periodic {
		m = float64(max(n-1, 1))
	}
	for k := range v {
		sign := 1.0
		for i, c := range a {
			v[k] += sign * c * math.Cos(2*math.Pi*float64(i*k)/m)
			sign = -sign
		}
	}
	return fromFloat64s(d, v, n), nil
}

// The coefficients of the windows that ONNX names.
var (
	Hann     = []float64{0.5, 0.5}
	Hamming  = []float64{25.0 / 46, 21.0 / 46}
	Blackman = []float64{0.42, 0.5, 0.08}
)

// MelWeightMatrix returns the [dftLength/2+1, bins] matrix that turns a
// spectrum into bins of equal width on the mel scale between two frequencies,
// each a triangle that is 1 at its centre.
func MelWeightMatrix(d tensor.DType, bins, dftLength, sampleRate int, low, high float64) (*tensor.Tensor, error) {
	if bins < 0 || dftLength < 1 || sampleRate < 1 {
		return nil, fmt.Errorf("%d bins of a spectrum of %d at %d Hz", bins, dftLength, sampleRate)
	}
	if err := storable(d); err != nil {
		return nil, err
	}
	rows := dftLength/2 + 1
	m, err := newFloats([]int{rows, bins})
	if err != nil {
		return nil, err
	}
	mel := func(hz float64) float64 { return 2595 * math.Log1p(hz/700) / math.Ln10 }
	step := (mel(high) - mel(low)) / float64(bins+2)
	edges := make([]int, bins+2)
	for i := range edges {
		hz := 700 * math.Expm1((mel(low)+float64(i)*step)/2595*math.Ln10)
		edges[i] = int(math.Floor(float64(dftLength+1) * hz / float64(sampleRate)))
		if edges[i] < 0 || edges[i] >= rows {
			return nil, fmt.Errorf("%v to %v Hz reaches beyond the spectrum of %d at %d Hz", low, high, dftLength, sampleRate)
		}
	}
	for i := range bins {
		left, centre, right := edges[i], edges[i+1], edges[i+2]
		if left == centre {
			m[centre*bins+i] = 1
		}
		for j := left; j <= centre && left < centre; j++ {
			m[j*bins+i] = float64(j-left) / float64(centre-left)
		}
		for j := centre; j < right; j++ {
			m[j*bins+i] = float64(right-j) / float64(right-centre)
		}
	}
	return fromFloat64s(d, m, rows, bins), nil
}
