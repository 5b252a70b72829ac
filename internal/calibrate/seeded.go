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
// args, of the shapes given by name, else of their types, dims that those leave
// open taken as 1: for who has no data.
func Seeded(args []*ir.Value, n int, shapes map[string][]int64) ([]Batch, error) {
	var batches []Batch
	for i := range n {
		b := make(Batch, len(args))
		for j, a := range args {
			shape, err := shapeOf(a, shapes[a.Name])
			if err != nil {
				return nil, err
			}
			if b[j], err = Random(a.Name, a.Type.DType, shape, uint64(i*len(args)+j)); err != nil {
				return nil, err
			}
		}
		batches = append(batches, b)
	}
	return batches, nil
}

func shapeOf(a *ir.Value, given []int64) (shape []int, err error) {
	if !a.Type.IsTensor() || given == nil && !a.Type.Ranked || a.Type.DType == tensor.String || a.Type.DType.IsComplex() {
		return nil, fmt.Errorf("input %q is %s, which is not made at random: give data for it", a.Name, a.Type)
	}
	for _, n := range given {
		shape = append(shape, int(n))
	}
	if given != nil {
		return shape, nil
	}
	for _, d := range a.Type.Dims {
		n, ok := d.Int()
		if !ok {
			n = 1
		}
		shape = append(shape, int(n))
	}
	return shape, nil
}

// LoadOrSeeded reads the batches at path, or makes n at random where there is none.
func LoadOrSeeded(path string, args []*ir.Value, n int) ([]Batch, error) {
	if path == "" {
		return Seeded(args, n, nil)
	}
	return Load(path, args)
}

// LoadIfGiven reads the batches at path, none where there is no path.
func LoadIfGiven(path string, args []*ir.Value) ([]Batch, error) {
	if path == "" {
		return nil, nil
	}
	return Load(path, args)
}

// As returns the batches in the element types of args, for a module whose inputs have become narrower.
func As(batches []Batch, args []*ir.Value) ([]Batch, error) {
	out := make([]Batch, len(batches))
	for i, b := range batches {
		if len(b) != len(args) {
			return nil, fmt.Errorf("calibration batch %d has %d inputs, the model takes %d", i, len(b), len(args))
		}
		out[i] = append(Batch{}, b...)
		for j, a := range args {
			t, ok := b[j].(*tensor.Tensor)
			if !ok || !a.Type.IsTensor() || t.DType == a.Type.DType {
				continue
			}
			c, err := ref.Cast(t, a.Type.DType, ref.CastOptions{})
			if err != nil {
				return nil, err
			}
			out[i][j] = c
		}
	}
	return out, nil
}
