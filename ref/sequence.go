package ref

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// Stack puts tensors of one shape one behind the other along a new axis.
func Stack(items []*tensor.Tensor, axis int) (*tensor.Tensor, error) {
	thin := make([]*tensor.Tensor, len(items))
	for i, t := range items {
		if axis < 0 || axis > t.Rank() {
			return nil, fmt.Errorf("%s can not have a new axis %d", t, axis)
		}
		shape := append([]int{}, t.Shape[:axis]...)
		shape = append(append(shape, 1), t.Shape[axis:]...)
		thin[i] = t.Reshaped(shape...)
	}
	return Concat(axis, thin...)
}

// Squeezed drops an axis of size 1.
func Squeezed(t *tensor.Tensor, axis int) *tensor.Tensor {
	shape := append([]int{}, t.Shape[:axis]...)
	return t.Reshaped(append(shape, t.Shape[axis+1:]...)...)
}

// ConcatSequence concatenates the tensors of a sequence along an axis, or
// stacks them along a new one.
func ConcatSequence(s *tensor.Sequence, axis int, newAxis bool) (*tensor.Tensor, error) {
	items := make([]*tensor.Tensor, len(s.Items))
	for i, v := range s.Items {
		t, ok := v.(*tensor.Tensor)
		if !ok {
			return nil, fmt.Errorf("element %d is a %T, not a tensor", i, v)
		}
		items[i] = t
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("the sequence is empty")
	}
	rank := items[0].Rank()
	if newAxis {
		rank++
	}
	a, err := axisOf(axis, rank)
	if err != nil {
		return nil, err
	}
	if newAxis {
		return Stack(items, a)
	}
	return Concat(a, items...)
}

// SplitToSequence cuts a tensor along an axis: into slices of size 1 where
// split is nil, of the given size (the last one may be smaller) where it is a
// scalar, and else of the given sizes. Slices of size 1 lose the axis where
// keepDims is false and there is no split.
func SplitToSequence(x, split *tensor.Tensor, axis int, keepDims bool) (*tensor.Sequence, error) {
	a, err := axisOf(axis, x.Rank())
	if err != nil {
		return nil, err
	}
	sizes, err := splitSizes(split, x.Shape[a])
	if err != nil {
		return nil, err
	}
	parts, err := Split(x, a, sizes)
	if err != nil {
		return nil, err
	}
	s := &tensor.Sequence{Elem: x.DType}
	for _, p := range parts {
		if split == nil && !keepDims {
			p = Squeezed(p, a)
		}
		s.Items = append(s.Items, p)
	}
	return s, nil
}

func splitSizes(split *tensor.Tensor, n int) ([]int, error) {
	each := 1
	if split != nil {
		vals := Float64s(split)
		if split.Rank() == 1 {
			sizes, total := make([]int, len(vals)), 0
			for i, v := range vals {
				if v < 0 || v > float64(n) {
					return nil, fmt.Errorf("split %v of a dim of %d", vals, n)
				}
				sizes[i] = int(v)
				total += sizes[i]
			}
			if total != n {
				return nil, fmt.Errorf("the sizes %v do not add up to %d", sizes, n)
			}
			return sizes, nil
		}
		if len(vals) != 1 || vals[0] < 1 {
			return nil, fmt.Errorf("split must be a positive scalar or a list, not %v", vals)
		}
		each = int(min(vals[0], float64(max(n, 1))))
	}
	var sizes []int
	for at := 0; at < n; at += each {
		sizes = append(sizes, min(each, n-at))
	}
	return sizes, nil
}

// SequenceIndex returns the place that a possibly negative position names in
// a sequence of n; nil names the end. Inserting may name the place behind the
// last one too.
func SequenceIndex(pos *tensor.Tensor, n int, insert bool) (int, error) {
	last := n - 1
	if insert {
		last = n
	}
	i := last
	if pos != nil {
		if pos.Len() != 1 {
			return 0, fmt.Errorf("position must be one number, not %s", pos)
		}
		v := Float64s(pos)[0]
		if v < 0 {
			v += float64(n)
		}
		if v < 0 || v > float64(last) {
			return 0, fmt.Errorf("position %v is outside of a sequence of %d", Float64s(pos)[0], n)
		}
		i = int(v)
	}
	if i < 0 {
		return 0, fmt.Errorf("the sequence is empty")
	}
	return i, nil
}
