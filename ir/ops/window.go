package ops

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// What convolution and pooling share: a window that slides over the spatial
// dims of [N,C,spatial...].

// intsOf converts a list of ints; nil stays nil.
func intsOf(v []int64) []int {
	if v == nil {
		return nil
	}
	out := make([]int, len(v))
	for i, n := range v {
		out[i] = int(n)
	}
	return out
}

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

func constDims(v []int) []ir.Dim {
	dims := make([]ir.Dim, len(v))
	for i, n := range v {
		dims[i] = ir.Const(int64(n))
	}
	return dims
}

// agree reports an error where two dims are known and differ.
func agree(what string, a, b ir.Dim) error {
	m, ok := a.Int()
	n, also := b.Int()
	if ok && also && m != n {
		return fmt.Errorf("%s: %d is not %d", what, m, n)
	}
	return nil
}

// asFirst gives the first result the type of the first operand.
func asFirst(x *Inference) error {
	x.Set(0, x.In(0))
	return nil
}

// floatScalar returns the only element of a real tensor, or the default where
// it is absent or empty.
func floatScalar(t *tensor.Tensor, standard float64) (float64, error) {
	if t == nil || t.Len() == 0 {
		return standard, nil
	}
	if t.Len() != 1 {
		return 0, fmt.Errorf("a scalar is needed, not %s", t)
	}
	return ref.Float64s(t)[0], nil
}

// intsIn returns the elements of a numeric tensor as ints, nil where it is
// absent. 64-bit integers are read exactly.
func intsIn(t *tensor.Tensor) []int {
	if t == nil {
		return nil
	}
	out := make([]int, t.Len())
	if t.DType == tensor.Int64 {
		for i, v := range tensor.Of[int64](t) {
			out[i] = int(v)
		}
		return out
	}
	if t.DType == tensor.String || t.DType.IsComplex() {
		panic(failure{fmt.Errorf("%s holds no sizes or positions", t)})
	}
	for i, v := range ref.Float64s(t) {
		out[i] = int(v)
	}
	return out
}

// floatsOf widens a list of floats.
func floatsOf(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, f := range v {
		out[i] = float64(f)
	}
	return out
}
