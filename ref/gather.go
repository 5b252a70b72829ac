package ref

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// positions returns the elements of an index tensor for a dim of size n,
// negative ones counted from the end.
func positions(indices *tensor.Tensor, n int) ([]int, error) {
	if !indices.DType.IsInt() {
		return nil, fmt.Errorf("indices are %s, want integers", indices)
	}
	at := Ints(indices)
	for i, p := range at {
		if p < 0 {
			p += n
		}
		if p < 0 || p >= n {
			return nil, fmt.Errorf("index %d is outside of a dim of %d", at[i], n)
		}
		at[i] = p
	}
	return at, nil
}

// Gather takes slices of x along the axis: the axis is replaced by the dims
// of indices.
func Gather(x, indices *tensor.Tensor, axis int) (*tensor.Tensor, error) {
	axis, err := axisOf(axis, x.Rank())
	if err != nil {
		return nil, err
	}
	n := x.Shape[axis]
	at, err := positions(indices, n)
	if err != nil {
		return nil, err
	}
	outer, block := product(x.Shape[:axis]), product(x.Shape[axis+1:])
	shape := append(append(append([]int{}, x.Shape[:axis]...), indices.Shape...), x.Shape[axis+1:]...)
	if err := checkSize(shape...); err != nil {
		return nil, err
	}
	from := make([]int, 0, outer*len(at))
	for o := range outer {
		for _, p := range at {
			from = append(from, o*n+p)
		}
	}
	return take(x, from, block, shape...), nil
}

// elementsAt returns, for each element of indices, the offset in a tensor of
// the given shape whose coordinate along axis is the index and whose others are
// the element's own.
func elementsAt(shape []int, indices *tensor.Tensor, axis int) ([]int, error) {
	if len(shape) != indices.Rank() {
		return nil, fmt.Errorf("indices are %s for a tensor of shape %v, want equal ranks", indices, shape)
	}
	for d, n := range indices.Shape {
		if d != axis && n > shape[d] {
			return nil, fmt.Errorf("indices are %s for a tensor of shape %v: dim %d is too large", indices, shape, d)
		}
	}
	at, err := positions(indices, shape[axis])
	if err != nil {
		return nil, err
	}
	strides := stridesOf(shape)
	step := strides[axis]
	strides[axis] = 0
	for i, o := range offsets(indices.Shape, strides) {
		at[i] = o + at[i]*step
	}
	return at, nil
}

// GatherElements takes single elements: coordinates are those of the index,
// but along the axis the index itself.
func GatherElements(x, indices *tensor.Tensor, axis int) (*tensor.Tensor, error) {
	axis, err := axisOf(axis, x.Rank())
	if err != nil {
		return nil, err
	}
	at, err := elementsAt(x.Shape, indices, axis)
	if err != nil {
		return nil, err
	}
	return take(x, at, 1, indices.Shape...), nil
}

// blocksAt reads the last dim of indices as coordinates into shape and
// returns the number of each block they name, in blocks of the dims that
// follow.
func blocksAt(shape []int, indices *tensor.Tensor) (at []int, block int, err error) {
	r := indices.Rank()
	if r == 0 {
		return nil, 0, fmt.Errorf("indices are a scalar, want at least one dim")
	}
	depth := indices.Shape[r-1]
	if depth > len(shape) {
		return nil, 0, fmt.Errorf("indices are %s: %d coordinates for shape %v", indices, depth, shape)
	}
	strides := stridesOf(shape[:depth])
	c := Ints(indices)
	at = make([]int, product(indices.Shape[:r-1]))
	for i := range at {
		for d := range depth {
			p := c[i*depth+d]
			if p < 0 {
				p += shape[d]
			}
			if p < 0 || p >= shape[d] {
				return nil, 0, fmt.Errorf("index %d is outside of dim %d of %d", c[i*depth+d], d, shape[d])
			}
			at[i] += p * strides[d]
		}
	}
	return at, product(shape[depth:]), nil
}

// GatherND takes the blocks that the coordinates in the last dim of indices
// name; the first batch dims belong together.
func GatherND(x, indices *tensor.Tensor, batch int) (*tensor.Tensor, error) {
	if batch < 0 || batch >= min(x.Rank(), indices.Rank()) && batch > 0 {
		return nil, fmt.Errorf("batch_dims is %d for %s and %s", batch, x, indices)
	}
	for d := range batch {
		if x.Shape[d] != indices.Shape[d] {
			return nil, fmt.Errorf("%s and indices %s differ in batch dim %d", x, indices, d)
		}
	}
	at, block, err := blocksAt(x.Shape[batch:], indices)
	if err != nil {
		return nil, err
	}
	r := indices.Rank()
	depth := indices.Shape[r-1]
	shape := append(append([]int{}, indices.Shape[:r-1]...), x.Shape[batch+depth:]...)
	if err := checkSize(shape...); err != nil {
		return nil, err
	}
	blocks := product(x.Shape[batch : batch+depth])
	each := product(indices.Shape[batch : r-1])
	for i := range at {
		at[i] += i / max(each, 1) * blocks
	}
	return take(x, at, block, shape...), nil
}

// ScatterElements copies x and sets, or combines by the reduction (add, mul,
// min, max), the elements that GatherElements would take.
func ScatterElements(x, indices, updates *tensor.Tensor, axis int, reduction string) (*tensor.Tensor, error) {
	axis, err := axisOf(axis, x.Rank())
	if err != nil {
		return nil, err
	}
	if err := sameShape("updates", updates, indices.Shape); err != nil {
		return nil, err
	}
	at, err := elementsAt(x.Shape, indices, axis)
	if err != nil {
		return nil, err
	}
	return scatter(x, updates, at, 1, reduction)
}

// ScatterND copies x and sets, or combines by the reduction, the blocks that
// GatherND would take.
func ScatterND(x, indices, updates *tensor.Tensor, reduction string) (*tensor.Tensor, error) {
	at, block, err := blocksAt(x.Shape, indices)
	if err != nil {
		return nil, err
	}
	if updates.Len() != len(at)*block {
		return nil, fmt.Errorf("updates are %s for indices %s and data %s", updates, indices, x)
	}
	return scatter(x, updates, at, block, reduction)
}

func scatter(x, updates *tensor.Tensor, at []int, block int, reduction string) (*tensor.Tensor, error) {
	if x.DType != updates.DType {
		return nil, fmt.Errorf("updates are %s, data %s", updates, x)
	}
	if reduction == "none" {
		y := x.Clone()
		put(y, updates, at, block)
		return y, nil
	}
	if x.DType.IsInt() {
		f := map[string]func(a, b int64) int64{
			"add": func(a, b int64) int64 { return a + b },
			"mul": func(a, b int64) int64 { return a * b },
			"min": func(a, b int64) int64 { return min(a, b) },
			"max": func(a, b int64) int64 { return max(a, b) },
		}[reduction]
		if f == nil {
			return nil, fmt.Errorf("reduction is %q, want none, add, mul, min or max", reduction)
		}
		v := append([]int64{}, bits64(x)...)
		combine(v, bits64(updates), at, block, f)
		return castInts(v, x.DType, x.Shape), nil
	}
	f := binary[map[string]string{"add": "Add", "mul": "Mul", "min": "Min", "max": "Max"}[reduction]]
	if f == nil || x.DType == tensor.String {
		return nil, fmt.Errorf("reduction %q of %s, want none, add, mul, min or max of numbers", reduction, x.DType)
	}
	in, err := reals(x)
	if err != nil {
		return nil, err
	}
	up, err := reals(updates)
	if err != nil {
		return nil, err
	}
	v := append([]float64{}, in...)
	combine(v, up, at, block, f)
	if x.DType == tensor.Bool {
		return castFloats(v, x.DType, CastOptions{}, x.Shape), nil
	}
	return fromReals(x.DType, v, CastOptions{Saturate: true}, x.Shape...), nil
}

func combine[T any](dst, src []T, at []int, block int, f func(a, b T) T) {
	for i, p := range at {
		for j := range block {
			dst[p*block+j] = f(dst[p*block+j], src[i*block+j])
		}
	}
}
