package ref

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// Slice takes x[start:end:step] along the given axes, with the bounds of
// numpy's slices. ends beyond the dim mean its end.
func Slice(x *tensor.Tensor, starts, ends, axes, steps []int) (*tensor.Tensor, error) {
	if len(starts) != len(ends) || len(starts) != len(axes) || len(starts) != len(steps) {
		return nil, fmt.Errorf("%d starts, %d ends, %d axes, %d steps", len(starts), len(ends), len(axes), len(steps))
	}
	axes, err := Axes(axes, x.Rank())
	if err != nil {
		return nil, err
	}
	shape, strides, at := slices.Clone(x.Shape), stridesOf(x.Shape), 0
	for i, a := range axes {
		first, n, err := SliceRange(x.Shape[a], starts[i], ends[i], steps[i])
		if err != nil {
			return nil, err
		}
		at += first * strides[a]
		strides[a] *= steps[i]
		shape[a] = n
	}
	y := tensor.New(x.DType, shape...)
	copyStrided(y, 0, stridesOf(shape), x, at, strides, shape)
	return y, nil
}

// SliceRange returns the first element and the number of elements that
// [start:end:step] takes of a dim of size n.
func SliceRange(n, start, end, step int) (first, count int, err error) {
	if step == 0 {
		return 0, 0, fmt.Errorf("a step of a slice is 0")
	}
	lo, hi := 0, n
	if step < 0 {
		lo, hi = -1, n-1
	}
	bound := func(v int) int {
		if v < 0 {
			v += n
		}
		return min(max(v, lo), hi)
	}
	first, end = bound(start), bound(end)
	if step > 0 && end > first {
		return first, (end-first-1)/step + 1, nil
	}
	if step < 0 && end < first {
		return first, (first-end-1)/-max(step, -n-1) + 1, nil
	}
	return 0, 0, nil
}

// Concat joins tensors along the axis.
func Concat(axis int, xs ...*tensor.Tensor) (*tensor.Tensor, error) {
	if len(xs) == 0 {
		return nil, fmt.Errorf("there is nothing to concatenate")
	}
	axis, err := axisOf(axis, xs[0].Rank())
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(xs[0].Shape)
	shape[axis] = 0
	for _, x := range xs {
		if x.DType != xs[0].DType || x.Rank() != len(shape) {
			return nil, fmt.Errorf("%s and %s do not concatenate", xs[0], x)
		}
		want := slices.Clone(shape)
		want[axis] = x.Shape[axis]
		if !slices.Equal(want, x.Shape) {
			return nil, fmt.Errorf("%s and %s do not concatenate along axis %d", xs[0], x, axis)
		}
		shape[axis] += x.Shape[axis]
	}
	y, err := newResult(xs[0].DType, shape...)
	if err != nil {
		return nil, err
	}
	strides, at := stridesOf(shape), 0
	for _, x := range xs {
		copyStrided(y, at*strides[axis], strides, x, 0, stridesOf(x.Shape), x.Shape)
		at += x.Shape[axis]
	}
	return y, nil
}

// Split cuts x along the axis into parts of the given sizes.
func Split(x *tensor.Tensor, axis int, sizes []int) ([]*tensor.Tensor, error) {
	axis, err := axisOf(axis, x.Rank())
	if err != nil {
		return nil, err
	}
	at := 0
	var parts []*tensor.Tensor
	strides := stridesOf(x.Shape)
	for _, n := range sizes {
		if n < 0 || n > x.Shape[axis]-at {
			return nil, fmt.Errorf("parts of %v do not fit axis %d of %s", sizes, axis, x)
		}
		shape := slices.Clone(x.Shape)
		shape[axis] = n
		y := tensor.New(x.DType, shape...)
		copyStrided(y, 0, stridesOf(shape), x, at*strides[axis], strides, shape)
		parts = append(parts, y)
		at += n
	}
	if at != x.Shape[axis] {
		return nil, fmt.Errorf("parts of %v do not fill axis %d of %s", sizes, axis, x)
	}
	return parts, nil
}

// EvenSplit returns the sizes of n parts of a dim: equal ones, the last one
// smaller where the dim does not divide.
func EvenSplit(dim, n int) ([]int, error) {
	if n <= 0 {
		return nil, fmt.Errorf("a split into %d parts", n)
	}
	each := (dim + n - 1) / n
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = min(each, max(0, dim-i*each))
	}
	return sizes, nil
}

// ReshapeTo resolves the sizes that Reshape is given: one -1 is what is left,
// a 0 the dim of x unless zero is allowed.
func ReshapeTo(shape, to []int, allowZero bool) ([]int, error) {
	out, rest := slices.Clone(to), -1
	for i, d := range to {
		switch {
		case d == -1 && rest < 0:
			rest = i
			out[i] = 1
		case d == 0 && !allowZero:
			if i >= len(shape) {
				return nil, fmt.Errorf("shape %v reshaped to %v: there is no dim %d to keep", shape, to, i)
			}
			out[i] = shape[i]
		case d < 0:
			return nil, fmt.Errorf("shape %v reshaped to %v: bad dim %d", shape, to, d)
		}
	}
	have := product(shape)
	n, err := tensor.NumElements(out)
	if err != nil {
		return nil, err
	}
	if rest >= 0 && n > 0 {
		out[rest] = have / n
		n *= out[rest]
	} else if rest >= 0 {
		out[rest] = 0
	}
	if n != have {
		return nil, fmt.Errorf("shape %v can not be reshaped to %v", shape, to)
	}
	return out, nil
}

// Pad adds begin[i] elements before and end[i] behind axis i; negative
// numbers take away. Modes are constant (with the value, zero where it is
// nil), edge, reflect and wrap.
func Pad(x *tensor.Tensor, begin, end []int, mode string, value *tensor.Tensor) (*tensor.Tensor, error) {
	shape := make([]int, x.Rank())
	index := make([][]int, x.Rank()) // of each output coordinate; -1 is outside
	for d, n := range x.Shape {
		if begin[d] > maxResult || end[d] > maxResult || n+begin[d]+end[d] < 0 {
			return nil, fmt.Errorf("pads %v and %v do not fit %s", begin, end, x)
		}
		shape[d] = n + begin[d] + end[d]
		if err := checkSize(shape[d]); err != nil {
			return nil, err
		}
		index[d] = make([]int, shape[d])
		for i := range index[d] {
			p, err := PadIndex(mode, i-begin[d], n)
			if err != nil {
				return nil, err
			}
			index[d][i] = p
		}
	}
	y, err := newResult(x.DType, shape...)
	if err != nil {
		return nil, err
	}
	if value != nil {
		if value.Len() != 1 || value.DType != x.DType {
			return nil, fmt.Errorf("the value is %s, want a scalar %s", value, x.DType)
		}
		copyStrided(y, 0, stridesOf(shape), value, 0, make([]int, len(shape)), shape)
	}
	if len(shape) == 0 {
		return x, nil
	}
	copyIndexed(y, x, index)
	return y, nil
}

// PadIndex returns which of n elements of an axis lies at position i, which may be
// outside of them, when the axis is padded in the given mode; -1 for the constant.
func PadIndex(mode string, i, n int) (int, error) {
	if i >= 0 && i < n {
		return i, nil
	}
	if mode != "constant" && n == 0 {
		return 0, fmt.Errorf("an empty dim can not be padded by %s", mode)
	}
	switch mode {
	case "constant":
		return -1, nil
	case "edge":
		return min(max(i, 0), n-1), nil
	case "wrap":
		return i - floorDiv(i, n)*n, nil
	case "reflect":
		if n == 1 {
			return 0, nil
		}
		i -= floorDiv(i, 2*n-2) * (2*n - 2)
		return min(i, 2*n-2-i), nil
	}
	return 0, fmt.Errorf("mode is %q, want constant, edge, reflect or wrap", mode)
}

// copyIndexed sets the elements of y from those of x whose coordinates are
// index[d][i] for coordinate i of dim d, where none is negative.
func copyIndexed(y, x *tensor.Tensor, index [][]int) {
	last := len(index) - 1
	ys, xs := stridesOf(y.Shape), stridesOf(x.Shape)
	one := []int{1}
	var visit func(d, to, from int)
	visit = func(d, to, from int) {
		if d < last {
			for i, p := range index[d] {
				if p >= 0 {
					visit(d+1, to+i*ys[d], from+p*xs[d])
				}
			}
			return
		}
		row := index[last]
		for i := 0; i < len(row); {
			if row[i] < 0 {
				i++
				continue
			}
			n := 1
			for i+n < len(row) && row[i+n] == row[i]+n {
				n++
			}
			copyStrided(y, to+i, one, x, from+row[i], one, []int{n})
			i += n
		}
	}
	visit(0, 0, 0)
}

// CenterCropPad crops or pads axes with zeros to the given sizes, evenly on
// both sides; what is odd falls to the end.
func CenterCropPad(x *tensor.Tensor, sizes, axes []int) (*tensor.Tensor, error) {
	axes, err := Axes(axes, x.Rank())
	if err != nil {
		return nil, err
	}
	if len(axes) != len(sizes) {
		return nil, fmt.Errorf("%d sizes for %d axes", len(sizes), len(axes))
	}
	begin, end := make([]int, x.Rank()), make([]int, x.Rank())
	for i, a := range axes {
		if sizes[i] < 0 {
			return nil, fmt.Errorf("sizes are %v, must not be negative", sizes)
		}
		// A crop starts at half the surplus, a pad has half the lack before it.
		diff := sizes[i] - x.Shape[a]
		begin[a] = diff / 2
		end[a] = diff - begin[a]
	}
	return Pad(x, begin, end, "constant", nil)
}

// ReverseSequence reverses, for each position along the batch axis, the
// first lengths[i] elements along the time axis.
func ReverseSequence(x, lengths *tensor.Tensor, batchAxis, timeAxis int) (*tensor.Tensor, error) {
	axes, err := Axes([]int{batchAxis, timeAxis}, x.Rank())
	if err != nil {
		return nil, err
	}
	b, t := axes[0], axes[1]
	n := Ints(lengths)
	if len(n) != x.Shape[b] {
		return nil, fmt.Errorf("%d lengths for a batch of %d", len(n), x.Shape[b])
	}
	y := x.Clone()
	strides := stridesOf(x.Shape)
	shape := slices.Clone(x.Shape)
	shape[b] = 1
	for i, l := range n {
		if l < 0 || l > x.Shape[t] {
			return nil, fmt.Errorf("length %d is outside of %d steps", l, x.Shape[t])
		}
		if l == 0 {
			continue
		}
		shape[t] = l
		back := slices.Clone(strides)
		back[t] = -strides[t]
		at := i * strides[b]
		copyStrided(y, at, strides, x, at+(l-1)*strides[t], back, shape)
	}
	return y, nil
}

// maxBlock bounds a block's side, so that its area does not overflow.
const maxBlock = 1 << 16

// DepthToSpace moves blocks of channels of an NCHW tensor into space; mode
// DCR has the block's place in the outer part of the channel, CRD in the inner.
func DepthToSpace(x *tensor.Tensor, block int, mode string) (*tensor.Tensor, error) {
	if x.Rank() != 4 || block < 1 || block > maxBlock || x.Shape[1]%(block*block) != 0 {
		return nil, fmt.Errorf("%s does not divide into blocks of %d", x, block)
	}
	n, c, h, w := x.Shape[0], x.Shape[1]/(block*block), x.Shape[2], x.Shape[3]
	split, perm := []int{n, block, block, c, h, w}, []int{0, 3, 4, 1, 5, 2}
	if mode == "CRD" {
		split, perm = []int{n, c, block, block, h, w}, []int{0, 1, 4, 2, 5, 3}
	} else if mode != "DCR" {
		return nil, fmt.Errorf("mode is %q, want DCR or CRD", mode)
	}
	y, err := Transpose(x.Reshaped(split...), perm)
	if err != nil {
		return nil, err
	}
	return y.Reshaped(n, c, h*block, w*block), nil
}

// SpaceToDepth is the inverse of DepthToSpace.
func SpaceToDepth(x *tensor.Tensor, block int, mode string) (*tensor.Tensor, error) {
	if x.Rank() != 4 || block < 1 || block > maxBlock || x.Shape[2]%block != 0 || x.Shape[3]%block != 0 {
		return nil, fmt.Errorf("%s does not divide into blocks of %d", x, block)
	}
	n, c, h, w := x.Shape[0], x.Shape[1], x.Shape[2]/block, x.Shape[3]/block
	perm := []int{0, 3, 5, 1, 2, 4}
	if mode == "CRD" {
		perm = []int{0, 1, 3, 5, 2, 4}
	} else if mode != "DCR" {
		return nil, fmt.Errorf("mode is %q, want DCR or CRD", mode)
	}
	y, err := Transpose(x.Reshaped(n, c, h, block, w, block), perm)
	if err != nil {
		return nil, err
	}
	return y.Reshaped(n, c*block*block, h, w), nil
}

// Trilu keeps the upper or the lower triangle of matrices, shifted by k; the
// rest is zero.
func Trilu(x *tensor.Tensor, k int, upper bool) (*tensor.Tensor, error) {
	r := x.Rank()
	if r < 2 {
		return nil, fmt.Errorf("%s holds no matrices", x)
	}
	y := tensor.New(x.DType, x.Shape...)
	rows, cols := x.Shape[r-2], x.Shape[r-1]
	one := []int{1}
	for i := range product(x.Shape[:r-1]) {
		split := min(max(i%max(rows, 1)+k, 0), cols)
		lo, n := split, cols-split
		if !upper {
			lo, n = 0, min(max(i%max(rows, 1)+k+1, 0), cols)
		}
		copyStrided(y, i*cols+lo, one, x, i*cols+lo, one, []int{n})
	}
	return y, nil
}
