package ref

import (
	"errors"
	"fmt"
	"math"
)

// Window is how a convolution or a pooling slides over the spatial dims. Nil
// slices mean strides and dilations of 1 and pads of 0. Pads holds all begins,
// then all ends, as in ONNX.
type Window struct {
	Kernel    []int
	Strides   []int
	Dilations []int
	Pads      []int
	AutoPad   string
	Ceil      bool // round output sizes up (pooling's ceil_mode)
}

// resolved is a Window over one input: no defaults left.
type resolved struct {
	in, out, kernel, strides, dilations []int
	begin                               []int // pad before, per dim
	end                                 []int // pad after, per dim, as the attribute has it
}

// Sizes returns the output's spatial dims for an input's.
func (w Window) Sizes(in []int) ([]int, error) {
	r, err := w.over(in)
	if err != nil {
		return nil, err
	}
	return r.out, nil
}

// over applies the window to the spatial dims of an input.
func (w Window) over(in []int) (*resolved, error) {
	n := len(in)
	if n == 0 {
		return nil, errors.New("the input has no spatial dims")
	}
	r := &resolved{in: in, kernel: w.Kernel, strides: orOnes(w.Strides, n), dilations: orOnes(w.Dilations, n)}
	if len(w.Kernel) != n || len(r.strides) != n || len(r.dilations) != n {
		return nil, fmt.Errorf("%d spatial dims, but kernel %v, strides %v, dilations %v", n, w.Kernel, w.Strides, w.Dilations)
	}
	pads := w.Pads
	if pads == nil || (w.AutoPad != "" && w.AutoPad != "NOTSET") {
		pads = make([]int, 2*n)
	}
	if len(pads) != 2*n {
		return nil, fmt.Errorf("%d spatial dims, but pads %v", n, w.Pads)
	}
	r.out, r.begin, r.end = make([]int, n), make([]int, n), make([]int, n)
	for i := range n {
		k, s, d := r.kernel[i], r.strides[i], r.dilations[i]
		if k < 1 || s < 1 || d < 1 || k > math.MaxInt32 || d > math.MaxInt32 || s > math.MaxInt32 {
			return nil, fmt.Errorf("kernel %v, strides %v and dilations %v must be positive", r.kernel, r.strides, r.dilations)
		}
		if pads[i] > math.MaxInt32 || pads[n+i] > math.MaxInt32 || pads[i] < math.MinInt32 || pads[n+i] < math.MinInt32 {
			return nil, fmt.Errorf("pads %v are out of range", pads)
		}
		extent := (k-1)*d + 1
		r.begin[i], r.end[i] = pads[i], pads[n+i]
		switch w.AutoPad {
		case "SAME_UPPER", "SAME_LOWER":
			r.out[i] = (in[i] + s - 1) / s
			total := max(0, (r.out[i]-1)*s+extent-in[i])
			r.begin[i] = total / 2
			if w.AutoPad == "SAME_LOWER" {
				r.begin[i] = total - total/2
			}
			r.end[i] = total - r.begin[i]
			continue
		case "", "NOTSET", "VALID":
		default:
			return nil, fmt.Errorf("auto_pad %q is none of NOTSET, SAME_UPPER, SAME_LOWER and VALID", w.AutoPad)
		}
		room := in[i] + r.begin[i] + r.end[i] - extent
		if room < 0 {
			r.out[i] = 0
			continue
		}
		r.out[i] = room/s + 1
		if w.Ceil {
			r.out[i] = (room+s-1)/s + 1
			if (r.out[i]-1)*s >= in[i]+r.begin[i] {
				r.out[i]-- // the last window would start in the end padding
			}
		}
	}
	return r, nil
}

func orOnes(v []int, n int) []int {
	if v != nil {
		return v
	}
	v = make([]int, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

// next advances an index over a shape in row-major order; false after the
// last.
func next(index, shape []int) bool {
	for i := len(shape) - 1; i >= 0; i-- {
		if index[i]++; index[i] < shape[i] {
			return true
		}
		index[i] = 0
	}
	return false
}

// at returns the input position along a dim that output position o reads for
// kernel index k; it may lie in the padding.
func (r *resolved) at(dim, o, k int) int {
	return o*r.strides[dim] - r.begin[dim] + k*r.dilations[dim]
}
