package ref

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// broadcastShape returns the shape that operands of the given shapes have
// together: aligned at the last dim, a dim of 1 repeats.
func broadcastShape(shapes ...[]int) ([]int, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]int, rank)
	for i := range out {
		out[i] = 1
	}
	for _, s := range shapes {
		for i, d := range s {
			o := &out[rank-len(s)+i]
			if *o == 1 {
				*o = d
			} else if d != 1 && d != *o {
				return nil, fmt.Errorf("shapes %v do not broadcast: %d against %d", shapes, d, *o)
			}
		}
	}
	return out, nil
}

// checkSize refuses shapes that come from outside and are too large.
func checkSize(shape ...int) error {
	n, err := tensor.NumElements(shape)
	if err == nil && n > maxResult {
		err = fmt.Errorf("a result of shape %v has %d elements, more than %d", shape, n, maxResult)
	}
	return err
}

// newResult returns a zeroed tensor of a shape that comes from outside.
func newResult(d tensor.DType, shape ...int) (*tensor.Tensor, error) {
	if err := checkSize(shape...); err != nil {
		return nil, err
	}
	return tensor.New(d, shape...), nil
}

// stridesOf returns the row-major strides of a shape, in elements.
func stridesOf(shape []int) []int {
	s, n := make([]int, len(shape)), 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// spread returns the strides by which a row-major tensor of shape from is
// read as if it had shape to; dims that repeat have stride 0.
func spread(from, to []int) []int {
	s, n := make([]int, len(to)), 1
	for i := len(from) - 1; i >= 0; i-- {
		if from[i] != 1 {
			s[len(to)-len(from)+i] = n
		}
		n *= from[i]
	}
	return s
}

// walk is a loop nest over several operands with strides of their own.
type walk struct {
	shape   []int
	strides [][]int // [operand][dim]
}

// newWalk drops dims of 1 and merges neighbours that every operand walks as
// one, so that the innermost loop is as long as it can be.
func newWalk(shape []int, strides ...[]int) *walk {
	w := &walk{strides: make([][]int, len(strides))}
	for d, n := range shape {
		if n == 1 {
			continue
		}
		last := len(w.shape) - 1
		merge := last >= 0
		for o, s := range strides {
			merge = merge && w.strides[o][last] == s[d]*n
		}
		if merge {
			w.shape[last] *= n
		} else {
			w.shape = append(w.shape, n)
		}
		for o, s := range strides {
			if merge {
				w.strides[o][last] = s[d]
			} else {
				w.strides[o] = append(w.strides[o], s[d])
			}
		}
	}
	if len(w.shape) == 0 {
		w.shape = []int{1}
		for o := range w.strides {
			w.strides[o] = []int{0}
		}
	}
	return w
}

// rows calls f for every innermost row with the operands' offsets; the row has
// n elements, at distances step.
func (w *walk) rows(f func(at []int)) {
	at := make([]int, len(w.strides))
	outer := len(w.shape) - 1
	for _, n := range w.shape {
		if n == 0 {
			return
		}
	}
	index := make([]int, outer)
	for {
		f(at)
		d := outer - 1
		for ; d >= 0; d-- {
			index[d]++
			for o, s := range w.strides {
				at[o] += s[d]
			}
			if index[d] < w.shape[d] {
				break
			}
			for o, s := range w.strides {
				at[o] -= s[d] * w.shape[d]
			}
			index[d] = 0
		}
		if d < 0 {
			return
		}
	}
}

// length and step describe the innermost row.
func (w *walk) length() int          { return w.shape[len(w.shape)-1] }
func (w *walk) step(operand int) int { return w.strides[operand][len(w.shape)-1] }

// zip computes out = f(a, b) over the broadcast shape of out.
func zip[A, B, C any](out []C, shape []int, a []A, aShape []int, b []B, bShape []int, f func(A, B) C) {
	w := newWalk(shape, stridesOf(shape), spread(aShape, shape), spread(bShape, shape))
	n, sa, sb := w.length(), w.step(1), w.step(2)
	w.rows(func(at []int) {
		o, i, j := out[at[0]:at[0]+n], at[1], at[2]
		for k := range o {
			o[k] = f(a[i], b[j])
			i += sa
			j += sb
		}
	})
}

// elementsOf returns a tensor's elements one Go value each. T must be as wide
// as an element, or string.
func elementsOf[T any](t *tensor.Tensor) []T {
	var z T
	switch any(z).(type) {
	case string:
		return any(t.Strings).([]T)
	case uint8:
		return any(tensor.Of[uint8](t)).([]T)
	case uint16:
		return any(tensor.Of[uint16](t)).([]T)
	case uint32:
		return any(tensor.Of[uint32](t)).([]T)
	case uint64:
		return any(tensor.Of[uint64](t)).([]T)
	case complex128:
		return any(tensor.Of[complex128](t)).([]T)
	}
	panic(fmt.Sprintf("ref: elements as %T", z))
}

// copyStrided copies shape elements from src to dst, each at its offset and
// strides, whatever the element type.
func copyStrided(dst *tensor.Tensor, dstAt int, dstStrides []int, src *tensor.Tensor, srcAt int, srcStrides, shape []int) {
	switch {
	case dst.DType == tensor.String:
		strided[string](dst, dstAt, dstStrides, src, srcAt, srcStrides, shape)
	case dst.DType.Size() == 1:
		strided[uint8](dst, dstAt, dstStrides, src, srcAt, srcStrides, shape)
	case dst.DType.Size() == 2:
		strided[uint16](dst, dstAt, dstStrides, src, srcAt, srcStrides, shape)
	case dst.DType.Size() == 4:
		strided[uint32](dst, dstAt, dstStrides, src, srcAt, srcStrides, shape)
	case dst.DType.Size() == 8:
		strided[uint64](dst, dstAt, dstStrides, src, srcAt, srcStrides, shape)
	default:
		strided[complex128](dst, dstAt, dstStrides, src, srcAt, srcStrides, shape)
	}
}

func strided[T any](dst *tensor.Tensor, dstAt int, dstStrides []int, src *tensor.Tensor, srcAt int, srcStrides, shape []int) {
	d, s := elementsOf[T](dst), elementsOf[T](src)
	w := newWalk(shape, dstStrides, srcStrides)
	n, sd, ss := w.length(), w.step(0), w.step(1)
	w.rows(func(at []int) {
		i, j := dstAt+at[0], srcAt+at[1]
		if sd == 1 && ss == 1 {
			copy(d[i:i+n], s[j:j+n])
			return
		}
		for range n {
			d[i] = s[j]
			i += sd
			j += ss
		}
	})
}

// take returns a tensor of the given shape whose block i of size elements is
// src's block from[i]; where from[i] is negative, the result stays zero.
func take(src *tensor.Tensor, from []int, size int, shape ...int) *tensor.Tensor {
	out := tensor.New(src.DType, shape...)
	if src.DType == tensor.String {
		takeBlocks(out.Strings, src.Strings, from, size)
	} else {
		takeBlocks(out.Data, src.Data, from, size*src.DType.Size())
	}
	return out
}

func takeBlocks[T any](dst, src []T, from []int, size int) {
	for i, j := range from {
		if j >= 0 {
			copy(dst[i*size:(i+1)*size], src[j*size:(j+1)*size])
		}
	}
}

// put is the inverse of take: it copies block i of src to block to[i] of dst.
func put(dst, src *tensor.Tensor, to []int, size int) {
	if src.DType == tensor.String {
		putBlocks(dst.Strings, src.Strings, to, size)
	} else {
		putBlocks(dst.Data, src.Data, to, size*src.DType.Size())
	}
}

func putBlocks[T any](dst, src []T, to []int, size int) {
	for i, j := range to {
		copy(dst[j*size:(j+1)*size], src[i*size:(i+1)*size])
	}
}

// Ints returns the elements of a tensor of real numbers as ints; what is behind
// the point is dropped, and 64-bit integers are read exactly.
func Ints(t *tensor.Tensor) []int {
	v := make([]int, t.Len())
	switch t.DType {
	case tensor.Int64:
		for i, x := range tensor.Of[int64](t) {
			v[i] = int(x)
		}
	default:
		for i, x := range Float64s(t) {
			v[i] = int(x)
		}
	}
	return v
}
