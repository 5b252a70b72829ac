package ref

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// Expand repeats x until it has the shape that x's and the given one broadcast
// to. It returns x itself where that is its shape already.
func Expand(x *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	out, err := broadcastShape(x.Shape, shape)
	if err != nil {
		return nil, err
	}
	if sameShape("x", x, out) == nil {
		return x, nil
	}
	y, err := newResult(x.DType, out...)
	if err != nil {
		return nil, err
	}
	copyStrided(y, 0, stridesOf(out), x, 0, spread(x.Shape, out), out)
	return y, nil
}

// Tile repeats x along each axis.
func Tile(x *tensor.Tensor, repeats []int) (*tensor.Tensor, error) {
	if len(repeats) != x.Rank() {
		return nil, fmt.Errorf("%d repeats for %s", len(repeats), x)
	}
	// [a,b] repeated [p,q] times is [p,a,q,b] with strides of zero.
	var loop, from []int
	shape := make([]int, x.Rank())
	s := stridesOf(x.Shape)
	for i, d := range x.Shape {
		if repeats[i] < 0 {
			return nil, fmt.Errorf("repeats are %v, must not be negative", repeats)
		}
		if _, err := tensor.NumElements([]int{d, repeats[i]}); err != nil {
			return nil, err
		}
		shape[i] = d * repeats[i]
		loop, from = append(loop, repeats[i], d), append(from, 0, s[i])
	}
	y, err := newResult(x.DType, shape...)
	if err != nil {
		return nil, err
	}
	copyStrided(y, 0, stridesOf(loop), x, 0, from, loop)
	return y, nil
}

// Transpose permutes the axes: dim i of the result is dim perm[i] of x.
func Transpose(x *tensor.Tensor, perm []int) (*tensor.Tensor, error) {
	if err := checkPermutation(perm, x.Rank()); err != nil {
		return nil, err
	}
	s := stridesOf(x.Shape)
	shape, from := make([]int, len(perm)), make([]int, len(perm))
	for i, p := range perm {
		shape[i], from[i] = x.Shape[p], s[p]
	}
	y := tensor.New(x.DType, shape...)
	copyStrided(y, 0, stridesOf(shape), x, 0, from, shape)
	return y, nil
}

func checkPermutation(perm []int, rank int) error {
	seen := make([]bool, rank)
	ok := len(perm) == rank
	for _, p := range perm {
		ok = ok && p >= 0 && p < rank && !seen[p]
		if ok {
			seen[p] = true
		}
	}
	if !ok {
		return fmt.Errorf("perm is %v, not a permutation of %d axes", perm, rank)
	}
	return nil
}
