package ref

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// Draw is a source of random numbers: uniform ones in [0, 1) and those of the
// standard normal distribution.
type Draw interface {
	Float64() float64
	NormFloat64() float64
}

// RandomUniform returns numbers between low and high.
func RandomUniform(d tensor.DType, shape []int, low, high float64, r Draw) (*tensor.Tensor, error) {
	return drawn(d, shape, func() float64 { return low + (high-low)*r.Float64() })
}

// RandomNormal returns numbers of a normal distribution.
func RandomNormal(d tensor.DType, shape []int, mean, scale float64, r Draw) (*tensor.Tensor, error) {
	return drawn(d, shape, func() float64 { return mean + scale*r.NormFloat64() })
}

func drawn(d tensor.DType, shape []int, next func() float64) (*tensor.Tensor, error) {
	if !d.IsFloat() || isSmallFloat(d) {
		return nil, fmt.Errorf("random numbers of type %s", d)
	}
	v, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	for i := range v {
		v[i] = next()
	}
	return fromFloat64s(d, v, shape...), nil
}

// Bernoulli returns 1 with the probability that the element of p is, else 0.
func Bernoulli(p *tensor.Tensor, to tensor.DType, r Draw) (*tensor.Tensor, error) {
	in, err := reals(p)
	if err != nil {
		return nil, err
	}
	v := make([]float64, len(in))
	for i, q := range in {
		if r.Float64() < q {
			v[i] = 1
		}
	}
	return castFloats(v, to, CastOptions{}, p.Shape), nil
}

// Multinomial draws classes for each row of x, whose elements are the
// logarithms of unnormalized probabilities.
func Multinomial(x *tensor.Tensor, samples int, to tensor.DType, r Draw) (*tensor.Tensor, error) {
	if x.Rank() != 2 || samples < 0 {
		return nil, fmt.Errorf("%d samples of %s, want [batch, classes]", samples, x)
	}
	p, err := Softmax(x, 1)
	if err != nil {
		return nil, err
	}
	rows, classes := x.Shape[0], x.Shape[1]
	if classes == 0 {
		return nil, fmt.Errorf("%s has no classes", x)
	}
	out, err := newFloats([]int{rows, samples})
	if err != nil {
		return nil, err
	}
	v := Float64s(p)
	for i := range out {
		row := v[i/samples*classes:][:classes]
		u, c := r.Float64(), 0
		for ; c < classes-1 && u >= row[c]; c++ {
			u -= row[c]
		}
		out[i] = float64(c)
	}
	return castFloats(out, to, CastOptions{}, []int{rows, samples}), nil
}
