package ops

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"Conv":                {Infer: inferConv, Eval: evalConv},
		"ConvInteger":         {Infer: inferConvInteger, Eval: evalConvInteger},
		"QLinearConv":         {Infer: inferQLinearConv, Eval: evalQLinearConv},
		"ConvTranspose":       {Infer: inferConvTranspose, Eval: evalConvTranspose},
		"DeformConv":          {Infer: inferConv, Eval: evalDeformConv},
		"Col2Im":              {Infer: inferCol2Im, Eval: evalCol2Im},
		"CausalConvWithState": {Infer: inferCausalConv, Eval: evalCausalConv},
	})
}

func inferConv(x *Inference) error { return convolved(x, 1, x.In(0).DType) }

func inferConvInteger(x *Inference) error { return convolved(x, 1, tensor.Int32) }

func inferQLinearConv(x *Inference) error { return convolved(x, 3, x.In(7).DType) }

// convolved infers a convolution of operand 0 with the filter at operand w.
func convolved(x *Inference, w int, d tensor.DType) error {
	in, filter := x.In(0), x.In(w)
	rank := max(in.Rank(), filter.Rank())
	x.Set(0, ir.Unranked(d))
	if rank < 0 {
		return nil
	}
	if rank < 3 {
		return x.Errorf("input %s and filter %s have no spatial dims", in, filter)
	}
	if in.Rank() < 0 {
		in = x.FreshType(in.DType, rank)
	}
	if filter.Rank() < 0 {
		filter = x.FreshType(filter.DType, rank)
	}
	if in.Rank() != filter.Rank() {
		return x.Errorf("input %s and filter %s have different ranks", in, filter)
	}
	if err := agree("channels of the input and of the filter", in.Dims[1], filter.Dims[1].Mul(ir.Const(x.Int("group")))); err != nil {
		return err
	}
	out, err := slide(x.window(), in.Dims[2:], filter.Dims[2:])
	if err != nil {
		return err
	}
	x.Set(0, ir.TensorOf(d, append([]ir.Dim{in.Dims[0], filter.Dims[0]}, out...)...))
	return nil
}

func evalConv(c *Call) error {
	return c.done(ref.Conv(c.In(0), c.In(1), c.In(2), c.window(), int(c.Int("group"))))
}

func evalConvInteger(c *Call) error {
	return c.done(ref.ConvInteger(c.In(0), c.In(1), c.In(2), c.In(3), c.window(), int(c.Int("group"))))
}

func evalQLinearConv(c *Call) error {
	q := func(i int) ref.Quant { return ref.Quant{Scale: c.In(i), Zero: c.In(i + 1)} }
	return c.done(ref.QLinearConv(c.In(0), c.In(3), c.In(8), q(1), q(4), q(6), c.window(), int(c.Int("group"))))
}

func evalDeformConv(c *Call) error {
	return c.done(ref.DeformConv(c.In(0), c.In(1), c.In(2), c.In(3), c.In(4), c.window(), int(c.Int("group")), int(c.Int("offset_group"))))
}

func (a attrs) transposeWindow() ref.TransposeWindow {
	return ref.TransposeWindow{Window: a.window(), OutputPadding: intsOf(a.Ints("output_padding")), Output: intsOf(a.Ints("output_shape"))}
}

func inferConvTranspose(x *Inference) error {
	in, filter := x.In(0), x.In(1)
	x.Set(0, ir.Unranked(in.DType))
	rank := max(in.Rank(), filter.Rank())
	if rank < 0 {
		return nil
	}
	if in.Rank() < 0 {
		in = x.FreshType(in.DType, rank)
	}
	if filter.Rank() < 0 {
		filter = x.FreshType(filter.DType, rank)
	}
	if rank < 3 || in.Rank() != filter.Rank() {
		return x.Errorf("input %s and filter %s must both be [_,_,spatial...]", in, filter)
	}
	if err := agree("channels of the input and of the filter", in.Dims[1], filter.Dims[0]); err != nil {
		return err
	}
	w, n := x.transposeWindow(), rank-2
	dims := []ir.Dim{in.Dims[0], filter.Dims[1].Mul(ir.Const(x.Int("group")))}
	for i := range n {
		d, err := transposedDim(w, i, n, in.Dims[2+i], filter.Dims[2+i])
		if err != nil {
			return err
		}
		dims = append(dims, d)
	}
	x.Set(0, ir.TensorOf(in.DType, dims...))
	return nil
}

// transposedDim is the i-th of n spatial dims that ConvTranspose gives.
func transposedDim(w ref.TransposeWindow, i, n int, in, kernel ir.Dim) (ir.Dim, error) {
	at := func(v []int, i int, standard int64) ir.Dim {
		if i < len(v) {
			return ir.Const(int64(v[i]))
		}
		return ir.Const(standard)
	}
	if len(w.Kernel) > i {
		kernel = at(w.Kernel, i, 0)
	}
	size, sized := in.Int()
	k, fixed := kernel.Int()
	if sized && fixed {
		one := ref.TransposeWindow{Window: only(w.Window, i, n, int(k))}
		if i < len(w.OutputPadding) {
			one.OutputPadding = w.OutputPadding[i : i+1]
		}
		if len(w.Output) >= n {
			one.Output = w.Output[len(w.Output)-n+i:][:1]
		}
		out, _, err := one.Sizes([]int{int(size)})
		if err != nil {
			return ir.Dim{}, err
		}
		return ir.Const(int64(out[0])), nil
	}
	stride, one := at(w.Strides, i, 1), ir.Const(1)
	switch {
	case len(w.Output) >= n:
		return at(w.Output, len(w.Output)-n+i, 0), nil
	case w.AutoPad == "SAME_UPPER" || w.AutoPad == "SAME_LOWER":
		return in.Mul(stride), nil
	}
	full := in.Sub(one).Mul(stride).Add(at(w.OutputPadding, i, 0)).Add(kernel.Sub(one).Mul(at(w.Dilations, i, 1))).Add(one)
	if w.AutoPad == "VALID" {
		return full, nil
	}
	return full.Sub(at(w.Pads, i, 0)).Sub(at(w.Pads, n+i, 0)), nil
}

func evalConvTranspose(c *Call) error {
	return c.done(ref.ConvTranspose(c.In(0), c.In(1), c.In(2), c.transposeWindow(), int(c.Int("group"))))
}

func inferCol2Im(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	image, ok := x.Contents(1)
	if !ok {
		return nil
	}
	n, ch := x.Fresh(), x.Fresh()
	if in.Rank() == 3 {
		n = in.Dims[0]
		if block, ok := x.Contents(2); ok {
			area := ir.Const(1)
			for _, d := range block {
				area = area.Mul(d)
			}
			ch = in.Dims[1].FloorDiv(area)
		}
	}
	x.Set(0, ir.TensorOf(in.DType, append([]ir.Dim{n, ch}, image...)...))
	return nil
}

func evalCol2Im(c *Call) error {
	w := c.window()
	return c.done(ref.Col2Im(c.In(0), intsIn(c.In(1)), intsIn(c.In(2)), w.Strides, w.Dilations, w.Pads))
}

func inferCausalConv(x *Inference) error {
	in, filter := x.In(0), x.In(1)
	x.Set(0, in)
	state := x.FreshType(in.DType, 3)
	if in.Rank() == 3 {
		copy(state.Dims, in.Dims[:2])
	}
	if filter.Rank() == 3 {
		state.Dims[2] = filter.Dims[2].Sub(ir.Const(1))
	}
	x.Set(1, state)
	return nil
}

func evalCausalConv(c *Call) error {
	y, state, err := ref.CausalConv(c.In(0), c.In(1), c.In(2), c.In(3), c.Str("activation"))
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, state)
	return nil
}
