package ops

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"Resize": {Infer: inferResize, Eval: evalResize, Upgrades: []Upgrade{{To: 11, Do: resize10}}, Downgrades: []Downgrade{
			{From: 18, Do: each(without("antialias", int64(0)), without("keep_aspect_ratio_policy", "stretch"), wholeAxes)},
			{From: 13, Do: emptyOperands},
			{From: 11, Do: toResize10},
		}},
		"Upsample":          {Upgrades: []Upgrade{{To: 10, Do: upsampleToResize}}},
		"GridSample":        {Infer: inferGridSample, Eval: evalGridSample, Upgrades: []Upgrade{{To: 20, Do: plainModes}}, Downgrades: []Downgrade{{From: 20, Do: flatModes}}},
		"AffineGrid":        {Infer: inferAffineGrid, Eval: evalAffineGrid},
		"NonMaxSuppression": {Infer: inferNonMaxSuppression, Eval: evalNonMaxSuppression},
	})
}

func (a attrs) resampling() ref.Resampling {
	return ref.Resampling{
		Axes:           intsOf(a.Ints("axes")),
		Mode:           a.Str("mode"),
		NearestMode:    a.Str("nearest_mode"),
		Transform:      a.Str("coordinate_transformation_mode"),
		Policy:         a.Str("keep_aspect_ratio_policy"),
		CubicA:         float64(a.Float("cubic_coeff_a")),
		Extrapolation:  float64(a.Float("extrapolation_value")),
		ExcludeOutside: a.Bool("exclude_outside"),
		Antialias:      a.Bool("antialias"),
	}
}

// ResamplingOf returns what the attributes of a Resize say.
func ResamplingOf(op *ir.Op) ref.Resampling { return attrs{op}.resampling() }

func evalResize(c *Call) error {
	o := c.resampling()
	if t := c.In(1); t != nil {
		o.Roi = ref.Float64s(t)
	}
	if t := c.In(2); t != nil {
		o.Scales = ref.Float64s(t)
	}
	o.Sizes = intsIn(c.In(3))
	return c.done(ref.Resize(c.In(0), o))
}

func inferResize(x *Inference) error {
	in := x.In(0)
	rank := in.Rank()
	x.Set(0, ir.Unranked(in.DType))
	if rank < 0 {
		return nil
	}
	o := x.resampling()
	axes := o.Axes
	if axes == nil {
		for i := range rank {
			axes = append(axes, i)
		}
	}
	out := append([]ir.Dim{}, in.Dims...)
	for i, a := range axes {
		if a < -rank || a >= rank {
			return fmt.Errorf("axis %d is out of range for rank %d", a, rank)
		}
		axes[i] = (a + rank) % rank
	}
	shape, static := in.StaticShape()
	scales := x.Const(2)
	sizes, sized := x.Contents(3)
	sized = sized && len(sizes) > 0
	switch {
	case scales != nil && scales.Len() > 0:
		if scales.Len() != len(axes) {
			return fmt.Errorf("%d scales for %d axes", scales.Len(), len(axes))
		}
		for i, s := range ref.Float64s(scales) {
			out[axes[i]] = x.scaled(in.Dims[axes[i]], s)
		}
	case sized && len(sizes) != len(axes):
		return fmt.Errorf("%d sizes for %d axes", len(sizes), len(axes))
	case sized && o.Policy != "not_larger" && o.Policy != "not_smaller":
		for i, a := range axes {
			out[a] = sizes[i]
		}
	case sized && static && allConst(sizes):
		for _, d := range sizes {
			n, _ := d.Int()
			o.Sizes = append(o.Sizes, int(n))
		}
		dims, _, err := o.Sizing(shape)
		if err != nil {
			return err
		}
		out = constDims(dims)
	default:
		for _, a := range axes {
			out[a] = x.Fresh()
		}
	}
	x.Set(0, in.WithDims(out...))
	return nil
}

func allConst(dims []ir.Dim) bool {
	for _, d := range dims {
		if _, ok := d.Int(); !ok {
			return false
		}
	}
	return true
}

// scaled is a dim times a scale, rounded down: an expression where the scale is
// a whole number or one over a whole number.
func (x *Inference) scaled(d ir.Dim, scale float64) ir.Dim {
	if n, ok := d.Int(); ok {
		return ir.Const(int64(float64(n) * scale))
	}
	if scale == float64(int64(scale)) && scale >= 1 {
		return d.Mul(ir.Const(int64(scale)))
	}
	for k := int64(2); k <= 64; k *= 2 {
		if n := scale * float64(k); n == float64(int64(n)) {
			return d.Mul(ir.Const(int64(n))).FloorDiv(ir.Const(k))
		}
	}
	return x.Fresh()
}

// resize10 brings Resize-10, which had but two operands, to the next form.
func resize10(_ *ir.Builder, op *ir.Op) error {
	op.SetOperands(op.Operand(0), nil, op.Operand(1))
	op.Attrs.Set("coordinate_transformation_mode", "asymmetric")
	op.Attrs.Set("nearest_mode", "floor")
	return nil
}

// wholeAxes drops axes where they are all of them, in order.
func wholeAxes(_ *ir.Builder, op *ir.Op) error {
	axes, ok := op.Attrs.Get("axes").([]int64)
	if !ok {
		return nil
	}
	if rank := op.Operand(0).Type.Rank(); rank != len(axes) {
		return fmt.Errorf("axes=%v has no older form", axes)
	}
	for i, a := range axes {
		if (int(a)+len(axes))%len(axes) != i {
			return fmt.Errorf("axes=%v has no older form", axes)
		}
	}
	op.Attrs.Delete("axes")
	return nil
}

// emptyOperands gives roi and scales, which had to be there, no elements.
func emptyOperands(b *ir.Builder, op *ir.Op) error {
	for op.NumOperands() < 3 {
		op.AddOperand(nil)
	}
	for i := 1; i <= 2; i++ {
		if op.Operand(i) == nil {
			op.SetOperand(i, b.Tensor(tensor.New(tensor.Float32, 0)))
		}
	}
	return nil
}

// toResize10 undoes resize10.
func toResize10(_ *ir.Builder, op *ir.Op) error {
	scales := op.Operand(2)
	if t := scales.Type; op.Operand(3) != nil || t.Rank() != 1 || t.Dims[0].IsInt(0) {
		return fmt.Errorf("sizes have no older form")
	}
	if op.Attrs.Get("mode") == "cubic" {
		return fmt.Errorf("cubic has no older form")
	}
	if op.Attrs.Get("coordinate_transformation_mode") != "asymmetric" ||
		(op.Attrs.Get("mode") != "linear" && op.Attrs.Get("nearest_mode") != "floor") {
		return fmt.Errorf("only asymmetric positions, rounded down, have an older form")
	}
	for _, n := range []string{"coordinate_transformation_mode", "nearest_mode", "cubic_coeff_a", "exclude_outside", "extrapolation_value"} {
		op.Attrs.Delete(n)
	}
	op.SetOperands(op.Operand(0), scales)
	return nil
}

// upsampleToResize turns Upsample, in any of its forms, into Resize-10.
func upsampleToResize(b *ir.Builder, op *ir.Op) error {
	scales := op.Operand(1)
	if scales == nil {
		v, ok := op.Attrs.Get("scales").([]float32)
		if !ok { // opset 1, images only
			h, _ := op.Attrs.Get("height_scale").(float32)
			w, _ := op.Attrs.Get("width_scale").(float32)
			v = []float32{1, 1, h, w}
		}
		scales = b.Tensor(tensor.Float32s(v, len(v)))
	}
	switch op.Attrs.Get("mode") {
	case "bilinear", "linear", "trilinear":
		op.Attrs.Set("mode", "linear")
	default:
		op.Attrs.Set("mode", "nearest")
	}
	for _, n := range []string{"scales", "height_scale", "width_scale"} {
		op.Attrs.Delete(n)
	}
	op.Name = "Resize"
	op.SetOperands(op.Operand(0), scales)
	return nil
}

func inferGridSample(x *Inference) error {
	in, grid := x.In(0), x.In(1)
	rank := max(in.Rank(), grid.Rank())
	x.Set(0, ir.Unranked(in.DType))
	if rank < 0 {
		return nil
	}
	if rank < 3 || (in.Rank() >= 0 && grid.Rank() >= 0 && in.Rank() != grid.Rank()) {
		return x.Errorf("input %s must be [N,C,in...] and grid %s [N,out...,dims]", in, grid)
	}
	t := x.FreshType(in.DType, rank)
	if in.Rank() >= 0 {
		copy(t.Dims, in.Dims[:2])
	}
	if grid.Rank() >= 0 {
		t.Dims[0] = grid.Dims[0]
		copy(t.Dims[2:], grid.Dims[1:rank-1])
	}
	x.Set(0, t)
	return nil
}

func evalGridSample(c *Call) error {
	return c.done(ref.GridSample(c.In(0), c.In(1), ref.Sampling{Mode: c.Str("mode"), Padding: c.Str("padding_mode"), AlignCorners: c.Bool("align_corners")}))
}

// plainModes renames the modes that said how many dims there are.
func plainModes(_ *ir.Builder, op *ir.Op) error {
	switch op.Attrs.Get("mode") {
	case "bilinear":
		op.Attrs.Set("mode", "linear")
	case "bicubic":
		op.Attrs.Set("mode", "cubic")
	}
	return nil
}

// flatModes undoes plainModes, which images only had.
func flatModes(_ *ir.Builder, op *ir.Op) error {
	if op.Operand(0).Type.Rank() != 4 {
		return fmt.Errorf("%s, which is no image, has no older form", op.Operand(0).Type)
	}
	switch op.Attrs.Get("mode") {
	case "linear", nil:
		op.Attrs.Set("mode", "bilinear")
	case "cubic":
		op.Attrs.Set("mode", "bicubic")
	}
	return nil
}

func inferAffineGrid(x *Inference) error {
	theta := x.In(0)
	x.Set(0, ir.Unranked(theta.DType))
	size, ok := x.Contents(1)
	if !ok {
		return nil
	}
	if len(size) != 4 && len(size) != 5 {
		return x.Errorf("size has %d elements, must have 4 or 5", len(size))
	}
	dims := append([]ir.Dim{size[0]}, size[2:]...)
	x.Set(0, ir.TensorOf(theta.DType, append(dims, ir.Const(int64(len(size)-2)))...))
	return nil
}

func evalAffineGrid(c *Call) error {
	return c.done(ref.AffineGrid(c.In(0), intsIn(c.In(1)), c.Bool("align_corners")))
}

func inferNonMaxSuppression(x *Inference) error {
	x.Set(0, ir.TensorOf(tensor.Int64, x.Fresh(), ir.Const(3)))
	return nil
}

func evalNonMaxSuppression(c *Call) error {
	most, err := floatScalar(c.In(2), 0)
	if err != nil {
		return err
	}
	iou, err := floatScalar(c.In(3), 0)
	if err != nil {
		return err
	}
	s := ref.Suppression{MaxPerClass: int(min(most, 1<<40)), IoU: iou, Centers: c.Bool("center_point_box")}
	if t := c.In(4); t != nil && t.Len() > 0 {
		least, err := floatScalar(t, 0)
		if err != nil {
			return err
		}
		s.MinScore = &least
	}
	return c.done(ref.NonMaxSuppression(c.In(0), c.In(1), s))
}
