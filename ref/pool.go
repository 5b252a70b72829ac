package ref

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// eachWindow calls f for every window of every channel of x, [N,C,spatial...],
// with its position in the result, its index o, and the positions in x that it
// covers, padding left out. Channels run at the same time.
func eachWindow(channels int, r *resolved, f func(out int, o []int, in []int)) {
	outs := product(r.out)
	if outs == 0 {
		return
	}
	parallel(channels, func(c int) {
		o, i := make([]int, len(r.in)), make([]int, len(r.in))
		first, count := make([]int, len(r.in)), make([]int, len(r.in))
		var covered []int
		for out := range outs {
			covered = covered[:0]
			for d := range r.in {
				first[d], count[d] = r.inside(d, o[d], 0, r.in[d])
			}
			for more := product(count) > 0; more; more = next(i, count) {
				p := c
				for d, size := range r.in {
					p = p*size + r.at(d, o[d], first[d]+i[d])
				}
				covered = append(covered, p)
			}
			f(c*outs+out, o, covered)
			next(o, r.out)
		}
	})
}

// inside returns the kernel indices of window o, along a dim, that fall on
// positions [lo, hi): the first, and how many.
func (r *resolved) inside(d, o, lo, hi int) (first, n int) {
	start, step := r.at(d, o, 0), r.dilations[d]
	if start < lo {
		first = (lo - start + step - 1) / step
	}
	last := r.kernel[d] - 1
	if start+last*step >= hi {
		last = floorDiv(hi-1-start, step)
	}
	return first, max(0, last-first+1)
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// newPool checks a pooling's input and sizes its result.
func newPool(x *tensor.Tensor, win Window) (*resolved, []int, error) {
	if x.Rank() < 3 {
		return nil, nil, fmt.Errorf("input %s must be [N,C,spatial...]", x)
	}
	r, err := win.over(x.Shape[2:])
	if err != nil {
		return nil, nil, err
	}
	shape := append([]int{x.Shape[0], x.Shape[1]}, r.out...)
	n, err := tensor.NumElements(shape)
	if err == nil && n > maxFloats {
		err = fmt.Errorf("a result of shape %v is too large", shape)
	}
	return r, shape, err
}

// AveragePool computes ONNX's AveragePool over [N,C,spatial...]. Padding counts
// where countPad is set, but never what a ceiled size adds beyond it.
func AveragePool(x *tensor.Tensor, win Window, countPad bool) (*tensor.Tensor, error) {
	return sumPool(x, win, func(v float64) float64 { return v }, func(sum float64, r *resolved, o []int, n int) float64 {
		if countPad {
			n = r.padded(o)
		}
		return sum / float64(n)
	})
}

// LpPool computes ONNX's LpPool: the p-norm of each window.
func LpPool(x *tensor.Tensor, win Window, p int) (*tensor.Tensor, error) {
	if p < 1 {
		return nil, errors.New("p must be positive")
	}
	power := func(v float64) float64 { return math.Pow(math.Abs(v), float64(p)) }
	return sumPool(x, win, power, func(sum float64, _ *resolved, _ []int, _ int) float64 {
		return math.Pow(sum, 1/float64(p))
	})
}

// sumPool sums each(x) over every window and finishes with what is told the
// sum, the window and the number of elements that it covers.
func sumPool(x *tensor.Tensor, win Window, each func(float64) float64, finish func(sum float64, r *resolved, o []int, n int) float64) (*tensor.Tensor, error) {
	r, shape, err := newPool(x, win)
	if err != nil {
		return nil, err
	}
	xs, y := Float64s(x), make([]float64, product(shape))
	eachWindow(shape[0]*shape[1], r, func(out int, o []int, in []int) {
		sum := 0.0
		for _, p := range in {
			sum += each(xs[p])
		}
		y[out] = finish(sum, r, o, len(in))
	})
	return fromFloat64s(x.DType, y, shape...), nil
}

// padded returns how many kernel positions of window o lie on the input or its
// padding.
func (r *resolved) padded(o []int) int {
	n := 1
	for d := range r.kernel {
		_, k := r.inside(d, o[d], -r.begin[d], r.in[d]+r.end[d])
		n *= k
	}
	return n
}

// MaxPool computes ONNX's MaxPool over [N,C,spatial...]: the largest element of
// each window and its index in x, counted in column-major order within a channel where
// columnMajor is set. A NaN wins, as in numpy; a window of padding alone is the
// type's lowest value with index -1.
func MaxPool(x *tensor.Tensor, win Window, columnMajor bool) (y, indices *tensor.Tensor, err error) {
	r, shape, err := newPool(x, win)
	if err != nil {
		return nil, nil, err
	}
	xs, v := Float64s(x), make([]float64, product(shape))
	indices = tensor.New(tensor.Int64, shape...)
	at := tensor.Of[int64](indices)
	pixels := product(r.in)
	eachWindow(shape[0]*shape[1], r, func(out int, _ []int, in []int) {
		best, value := -1, math.Inf(-1)
		for _, p := range in {
			if best < 0 || xs[p] > value || (xs[p] != xs[p] && value == value) {
				best, value = p, xs[p]
			}
		}
		v[out], at[out] = value, int64(best)
		if columnMajor && best >= 0 {
			index, p := make([]int, len(r.in)), 0
			indexOf(index, best%pixels, r.in)
			for d := len(index) - 1; d >= 0; d-- {
				p = p*r.in[d] + index[d]
			}
			at[out] = int64(best - best%pixels + p)
		}
	})
	return fromFloat64s(x.DType, v, shape...), indices, nil
}

// MaxUnpool computes ONNX's MaxUnpool: zeros of the shape that the window tells
// (or of shape, where it is not nil), with x's elements at the given indices. The
// indices count in the window's shape.
func MaxUnpool(x, indices *tensor.Tensor, win Window, shape []int) (*tensor.Tensor, error) {
	if err := sameShape("indices", indices, x.Shape); err != nil {
		return nil, err
	}
	own, err := unpoolShape(x.Shape, win)
	if err != nil {
		return nil, err
	}
	if shape == nil {
		shape = own
	}
	if len(shape) != len(own) {
		return nil, fmt.Errorf("output_shape %v does not fit %v", shape, own)
	}
	y, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	size, err := tensor.NumElements(own)
	if err != nil {
		return nil, err
	}
	xs, index := Float64s(x), make([]int, len(own))
	for i, p := range tensor.Of[int64](indices) {
		if p < 0 || p >= int64(size) {
			return nil, fmt.Errorf("index %d is outside of the result %v", p, own)
		}
		indexOf(index, int(p), own)
		q, inside := 0, true
		for d, n := range shape {
			inside = inside && index[d] < n
			q = q*n + index[d]
		}
		if !inside {
			return nil, fmt.Errorf("index %d is outside of output_shape %v", p, shape)
		}
		y[q] = xs[i]
	}
	return fromFloat64s(x.DType, y, shape...), nil
}

// unpoolShape returns the shape that MaxUnpool gives an input of shape in.
func unpoolShape(in []int, win Window) ([]int, error) {
	n := max(0, len(in)-2)
	strides, pads := orOnes(win.Strides, n), win.Pads
	if pads == nil {
		pads = make([]int, 2*n)
	}
	if n < 1 || len(win.Kernel) != n || len(strides) != n || len(pads) != 2*n {
		return nil, fmt.Errorf("input %v does not fit kernel %v, strides %v, pads %v", in, win.Kernel, win.Strides, win.Pads)
	}
	out := append([]int{}, in...)
	for i := range n {
		out[i+2] = (in[i+2]-1)*strides[i] - pads[i] - pads[n+i] + win.Kernel[i]
	}
	return out, nil
}

// GlobalPool reduces the spatial dims of [N,C,spatial...] to 1 each by f, which
// is given one channel at a time.
func GlobalPool(x *tensor.Tensor, f func(channel []float64) float64) (*tensor.Tensor, error) {
	if x.Rank() < 2 {
		return nil, fmt.Errorf("input %s must be [N,C,spatial...]", x)
	}
	shape := append([]int{x.Shape[0], x.Shape[1]}, orOnes(nil, x.Rank()-2)...)
	n, pixels := product(shape), product(x.Shape[2:])
	xs, y := Float64s(x), make([]float64, n)
	for i := range y {
		y[i] = f(xs[i*pixels : (i+1)*pixels])
	}
	return fromFloat64s(x.DType, y, shape...), nil
}

// Mean returns the mean, NaN for no values.
func Mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// Max returns the largest value, a NaN where there is one, -Inf for no values.
func Max(v []float64) float64 {
	best := math.Inf(-1)
	for _, x := range v {
		best = math.Max(best, x)
	}
	return best
}

// Norm returns a function that computes the p-norm.
func Norm(p int) func([]float64) float64 {
	return func(v []float64) float64 {
		sum := 0.0
		for _, x := range v {
			sum += math.Pow(math.Abs(x), float64(p))
		}
		return math.Pow(sum, 1/float64(p))
	}
}
