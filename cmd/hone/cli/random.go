package cli

import (
	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/tensor"
)

// randomInput makes an input as calibrate.Random does; dims that the shape leaves open are 1.
func randomInput(p hone.Port, shape string, seed uint64) (*tensor.Tensor, error) {
	if !p.Type.IsTensor() || p.Type.DType == tensor.String || p.Type.DType.IsComplex() {
		return nil, usagef("input %q is %s, which is not made at random: give it a file", p.Name, p.Type)
	}
	dims, err := randomShape(p, shape)
	if err != nil {
		return nil, err
	}
	x, err := calibrate.Random(p.Name, p.Type.DType, dims, seed)
	if err != nil {
		return nil, usageError{err}
	}
	return x, nil
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
