package calibrate

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// maxElements bounds a value made at random.
const maxElements = 1 << 31

// Random makes a value for an input: normal floats, small integers, all-one
// masks and zeros for types of tokens. The same seed gives the same value.
func Random(name string, d tensor.DType, shape []int, seed uint64) (*tensor.Tensor, error) {
	if n, err := tensor.NumElements(shape); err != nil || n > maxElements {
		return nil, fmt.Errorf("input %q: the shape %v has too many elements", name, shape)
	}
	x := tensor.New(tensor.Float32, shape...)
	v, r := tensor.Of[float32](x), rand.New(rand.NewPCG(seed, 7))
	mask := d == tensor.Bool || strings.Contains(name, "mask")
	for i := range v {
		switch {
		case d.IsFloat():
			v[i] = float32(r.NormFloat64())
		case strings.Contains(name, "token_type"): // stays 0
		case mask:
			v[i] = 1
		case d.Bits() < 8:
			v[i] = float32(r.IntN(2))
		default:
			v[i] = float32(r.IntN(16))
		}
	}
	if d == tensor.Float32 {
		return x, nil
	}
	return ref.Cast(x, d, ref.CastOptions{})
}

// Seeded makes n batches of random inputs for a function with the arguments
// args, dims that they leave open taken as 1: for those who have no data.
func Seeded(args []*ir.Value, n int) ([]Batch, error) {
	var batches []Batch
	for i := range n {
		b := make(Batch, len(args))
		for j, a := range args {
			if !a.Type.IsTensor() || !a.Type.Ranked || a.Type.DType == tensor.String || a.Type.DType.IsComplex() {
				return nil, fmt.Errorf("input %q is %s, which is not made at random: give calibration data", a.Name, a.Type)
			}
			shape := make([]int, len(a.Type.Dims))
			for k, d := range a.Type.Dims {
				shape[k] = 1
				if size, ok := d.Int(); ok {
					shape[k] = int(size)
				}
			}
			t, err := Random(a.Name, a.Type.DType, shape, uint64(i*len(args)+j))
			if err != nil {
				return nil, err
			}
			b[j] = t
		}
		batches = append(batches, b)
	}
	return batches, nil
}

// LoadOrSeeded reads the batches at path, or makes n at random where there is none.
func LoadOrSeeded(path string, args []*ir.Value, n int) ([]Batch, error) {
	if path == "" {
		return Seeded(args, n)
	}
	return Load(path, args)
}
