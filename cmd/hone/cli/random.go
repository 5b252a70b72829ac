package cli

import (
	"math/rand/v2"
	"strings"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// randomInput makes normal floats, small integers, all-one masks and zeros for
// types of tokens; dims that the shape leaves open are 1. The same seed gives the same input.
func randomInput(p hone.Port, shape string, seed uint64) (*tensor.Tensor, error) {
	if !p.Type.IsTensor() || p.Type.DType == tensor.String || p.Type.DType.IsComplex() {
		return nil, usagef("input %q is %s, which is not made at random: give it a file", p.Name, p.Type)
	}
	dims, err := randomShape(p, shape)
	if err != nil {
		return nil, err
	}
	n, err := tensor.NumElements(dims)
	if err != nil || n > 1<<31 {
		return nil, usagef("input %q: the shape %v has too many elements", p.Name, dims)
	}
	x := tensor.New(tensor.Float32, dims...)
	v, r := tensor.Of[float32](x), rand.New(rand.NewPCG(seed, 7))
	mask := p.Type.DType == tensor.Bool || strings.Contains(p.Name, "mask")
	for i := range v {
		switch {
		case p.Type.DType.IsFloat():
			v[i] = float32(r.NormFloat64())
		case strings.Contains(p.Name, "token_type"): // stays 0
		case mask:
			v[i] = 1
		case p.Type.DType.Bits() < 8:
			v[i] = float32(r.IntN(2))
		default:
			v[i] = float32(r.IntN(16))
		}
	}
	if p.Type.DType == tensor.Float32 {
		return x, nil
	}
	return ref.Cast(x, p.Type.DType, ref.CastOptions{})
}

func randomShape(p hone.Port, shape string) ([]int, error) {
	if shape != "" {
		s, err := parseShape(shape)
		if err != nil {
			return nil, usagef("input %q: %v", p.Name, err)
		}
		dims := make([]int, len(s))
		for i, n := range s {
			dims[i] = int(n)
		}
		return dims, nil
	}
	if !p.Type.Ranked {
		return nil, usagef("input %q is %s: say its shape, --input %s=random:SHAPE", p.Name, p.Type, p.Name)
	}
	dims := make([]int, len(p.Type.Dims))
	for i, d := range p.Type.Dims {
		n, ok := d.Int()
		if !ok {
			n = 1
		}
		dims[i] = int(n)
	}
	return dims, nil
}

// randomInputs makes every input at random.
func randomInputs(ports []hone.Port) ([]tensor.Value, error) {
	ins := make([]tensor.Value, len(ports))
	for i, p := range ports {
		t, err := randomInput(p, "", uint64(i))
		if err != nil {
			return nil, err
		}
		ins[i] = t
	}
	return ins, nil
}
