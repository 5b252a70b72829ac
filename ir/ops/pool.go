package ops

import (
	"errors"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	wholeP, floatP := Upgrade{To: 2, Do: wholeNorm}, Downgrade{From: 2, Do: floatNorm}
	plain := func(attr string) func(*ir.Builder, *ir.Op) error { return without(attr, int64(0)) }
	undilated := without("dilations", nil)
	add(map[string]Impl{
		"AveragePool": {Infer: inferPool, Eval: evalAveragePool,
			Downgrades: []Downgrade{{From: 19, Do: undilated}, {From: 10, Do: plain("ceil_mode")}, {From: 7, Do: plain("count_include_pad")}}},
		"MaxPool": {Infer: inferPool, Eval: evalMaxPool,
			Downgrades: []Downgrade{{From: 10, Do: each(undilated, plain("ceil_mode"))}, {From: 8, Do: each(plain("storage_order"), oneResult)}}},
		"LpPool": {Infer: inferPool, Eval: evalLpPool, Upgrades: []Upgrade{wholeP},
			Downgrades: []Downgrade{{From: 18, Do: each(undilated, plain("ceil_mode"))}, floatP}},
		"GlobalAveragePool": {Infer: inferGlobalPool, Eval: evalGlobal(func(*Call) func([]float64) float64 { return ref.Mean })},
		"GlobalMaxPool":     {Infer: inferGlobalPool, Eval: evalGlobal(func(*Call) func([]float64) float64 { return ref.Max })},
		"GlobalLpPool": {Infer: inferGlobalPool, Upgrades: []Upgrade{wholeP}, Downgrades: []Downgrade{floatP},
			Eval: evalGlobal(func(c *Call) func([]float64) float64 { return ref.Norm(int(c.Int("p"))) })},
		"MaxUnpool":  {Infer: inferMaxUnpool, Eval: evalMaxUnpool},
		"MaxRoiPool": {Infer: inferMaxRoiPool, Eval: evalMaxRoiPool},
		"RoiAlign": {Infer: inferRoiAlign, Eval: evalRoiAlign, Upgrades: []Upgrade{{To: 16, Do: setAttr("coordinate_transformation_mode", "output_half_pixel")}},
			Downgrades: []Downgrade{{From: 16, Do: cornerPixels}}},
	})
}

// wholeNorm makes the p of a norm an int: opset 1 had a float.
func wholeNorm(_ *ir.Builder, op *ir.Op) error {
	if p, ok := op.Attrs.Get("p").(float32); ok {
		op.Attrs.Set("p", int64(p))
	}
	return nil
}

// floatNorm undoes wholeNorm.
func floatNorm(_ *ir.Builder, op *ir.Op) error {
	if p, ok := op.Attrs.Get("p").(int64); ok {
		op.Attrs.Set("p", float32(p))
	}
	return nil
}

// cornerPixels drops what RoiAlign could not be told before opset 16.
func cornerPixels(_ *ir.Builder, op *ir.Op) error {
	const mode = "coordinate_transformation_mode"
	if op.Attrs.Get(mode) != "output_half_pixel" {
		return errors.New("half_pixel has no older form")
	}
	op.Attrs.Delete(mode)
	return nil
}

func inferPool(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	x.Set(1, ir.Unranked(tensor.Int64))
	if in.Rank() < 0 {
		return nil
	}
	if in.Rank() < 3 {
		return x.Errorf("input %s has no spatial dims", in)
	}
	out, err := slide(x.window(), in.Dims[2:], nil)
	if err != nil {
		return err
	}
	t := in.WithDims(append([]ir.Dim{in.Dims[0], in.Dims[1]}, out...)...)
	x.Set(0, t)
	x.Set(1, t.WithDType(tensor.Int64))
	return nil
}

func evalAveragePool(c *Call) error {
	return c.done(ref.AveragePool(c.In(0), c.window(), c.Bool("count_include_pad")))
}

func evalMaxPool(c *Call) error {
	y, indices, err := ref.MaxPool(c.In(0), c.window(), c.Bool("storage_order"))
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, indices)
	return nil
}

func evalLpPool(c *Call) error { return c.done(ref.LpPool(c.In(0), c.window(), int(c.Int("p")))) }

func inferGlobalPool(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	if in.Rank() < 0 {
		return nil
	}
	dims := make([]ir.Dim, in.Rank())
	for i := range dims {
		if dims[i] = ir.Const(1); i < 2 {
			dims[i] = in.Dims[i]
		}
	}
	x.Set(0, in.WithDims(dims...))
	return nil
}

func evalGlobal(reduce func(*Call) func([]float64) float64) func(*Call) error {
	return func(c *Call) error {
		return c.done(ref.GlobalPool(c.In(0), reduce(c)))
	}
}

func inferMaxUnpool(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	if shape, ok := x.Contents(2); ok && x.HasIn(2) {
		x.Set(0, ir.TensorOf(in.DType, shape...))
		return nil
	}
	if in.Rank() < 3 {
		return nil
	}
	if x.HasIn(2) {
		x.Set(0, x.FreshType(in.DType, in.Rank()))
		return nil
	}
	w, n := x.window(), in.Rank()-2
	dims := append([]ir.Dim{}, in.Dims...)
	for i := range n {
		if len(w.Kernel) != n {
			return x.Errorf("kernel_shape %v for %d spatial dims", w.Kernel, n)
		}
		d, err := transposedDim(ref.TransposeWindow{Window: ref.Window{Kernel: w.Kernel, Strides: w.Strides, Pads: w.Pads}}, i, n, in.Dims[2+i], ir.Dim{})
		if err != nil {
			return err
		}
		dims[2+i] = d
	}
	x.Set(0, in.WithDims(dims...))
	return nil
}

func evalMaxUnpool(c *Call) error {
	return c.done(ref.MaxUnpool(c.In(0), c.In(1), c.window(), intsIn(c.In(2))))
}

func inferMaxRoiPool(x *Inference) error {
	size := x.Ints("pooled_shape")
	if len(size) != 2 {
		return x.Errorf("pooled_shape %v must have 2 elements", size)
	}
	return regions(x, size[0], size[1])
}

func inferRoiAlign(x *Inference) error {
	return regions(x, x.Int("output_height"), x.Int("output_width"))
}

// regions infers the pooling of regions, operand 1, of an image, operand 0.
func regions(x *Inference, height, width int64) error {
	in, rois := x.In(0), x.In(1)
	t := x.FreshType(in.DType, 2)
	if rois.Rank() == 2 {
		t.Dims[0] = rois.Dims[0]
	}
	if in.Rank() == 4 {
		t.Dims[1] = in.Dims[1]
	}
	x.Set(0, t.WithDims(t.Dims[0], t.Dims[1], ir.Const(height), ir.Const(width)))
	return nil
}

func evalMaxRoiPool(c *Call) error {
	size := c.Ints("pooled_shape")
	if len(size) != 2 {
		return c.Errorf("pooled_shape %v must have 2 elements", size)
	}
	return c.done(ref.MaxRoiPool(c.In(0), c.In(1), ref.RoiPooling{Height: int(size[0]), Width: int(size[1]), Scale: float64(c.Float("spatial_scale"))}))
}

func evalRoiAlign(c *Call) error {
	y, err := ref.RoiAlign(c.In(0), c.In(1), c.In(2), ref.RoiPooling{
		Height:    int(c.Int("output_height")),
		Width:     int(c.Int("output_width")),
		Scale:     float64(c.Float("spatial_scale")),
		Samples:   int(c.Int("sampling_ratio")),
		HalfPixel: c.Str("coordinate_transformation_mode") == "half_pixel",
		Max:       c.Str("mode") == "max",
	})
	c.Set(0, y)
	return err
}
