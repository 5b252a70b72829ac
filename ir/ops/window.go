package ops

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
)

// What convolution and pooling share: a window that slides over the spatial
// dims of [N,C,spatial...].

// window reads the attributes of a window.
func (a attrs) window() ref.Window {
	return ref.Window{
		Kernel:    intsOf(a.Ints("kernel_shape")),
		Strides:   intsOf(a.Ints("strides")),
		Dilations: intsOf(a.Ints("dilations")),
		Pads:      intsOf(a.Ints("pads")),
		AutoPad:   a.Str("auto_pad"),
		Ceil:      a.Int("ceil_mode") != 0,
	}
}

// only returns the window along one dim, of the given kernel size.
func only(w ref.Window, dim, n, kernel int) ref.Window {
	pick := func(v []int) []int {
		if dim < len(v) {
			return v[dim : dim+1]
		}
		return nil
	}
	one := ref.Window{Kernel: []int{kernel}, Strides: pick(w.Strides), Dilations: pick(w.Dilations), AutoPad: w.AutoPad, Ceil: w.Ceil}
	if len(w.Pads) == 2*n {
		one.Pads = []int{w.Pads[dim], w.Pads[n+dim]}
	}
	return one
}

// slide returns the spatial dims that the window gives for in. The kernel's
// dims come from the attribute or, where that is absent, are given.
func slide(w ref.Window, in, kernel []ir.Dim) ([]ir.Dim, error) {
	n := len(in)
	if w.Kernel != nil {
		kernel = constDims(w.Kernel)
	}
	for _, l := range []struct {
		what string
		list []int
		want int
	}{{"strides", w.Strides, n}, {"dilations", w.Dilations, n}, {"pads", w.Pads, 2 * n}} {
		if l.list != nil && len(l.list) != l.want {
			return nil, fmt.Errorf("%s has %d elements for %d spatial dims", l.what, len(l.list), n)
		}
	}
	if len(kernel) != n {
		return nil, fmt.Errorf("a kernel of %d dims for %d spatial dims", len(kernel), n)
	}
	out := make([]ir.Dim, n)
	for i := range in {
		size, sized := in[i].Int()
		k, fixed := kernel[i].Int()
		one := only(w, i, n, int(k))
		if sized && fixed {
			s, err := one.Sizes([]int{int(size)})
			if err != nil {
				return nil, err
			}
			out[i] = ir.Const(int64(s[0]))
			continue
		}
		out[i] = slideDim(one, in[i], kernel[i])
	}
	return out, nil
}

// slideDim is slide along one dim of unknown size.
func slideDim(w ref.Window, in, kernel ir.Dim) ir.Dim {
	stride, dilation, begin, end := ir.Const(1), ir.Const(1), ir.Const(0), ir.Const(0)
	if w.Strides != nil {
		stride = ir.Const(int64(w.Strides[0]))
	}
	if w.Dilations != nil {
		dilation = ir.Const(int64(w.Dilations[0]))
	}
	switch w.AutoPad {
	case "SAME_UPPER", "SAME_LOWER":
		return in.CeilDiv(stride)
	case "VALID":
	default:
		if w.Pads != nil {
			begin, end = ir.Const(int64(w.Pads[0])), ir.Const(int64(w.Pads[1]))
		}
	}
	one := ir.Const(1)
	extent := kernel.Sub(one).Mul(dilation).Add(one)
	room := in.Add(begin).Add(end).Sub(extent)
	if !w.Ceil {
		return room.FloorDiv(stride).Add(one)
	}
	out := room.CeilDiv(stride).Add(one)
	if slack, ok := end.Add(stride).Sub(extent).Int(); !ok || slack > 0 {
		// The last window may start in the end padding: it does not count.
		out = out.Min(in.Add(begin).CeilDiv(stride))
	}
	return out
}
