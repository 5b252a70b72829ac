package ops

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Operators that read shapes, and tensors made from nothing but a shape or a
// range.
func init() {
	add(map[string]Impl{
		"Constant":        {Infer: inferConstant, Eval: evalConstant},
		"ConstantOfShape": {Infer: inferConstantOfShape, Eval: evalConstantOfShape},
		"Identity":        {Infer: inferIdentity, Eval: evalIdentity},
		"Shape":           {Infer: inferShape, Eval: evalShape, Downgrades: []Downgrade{{From: 15, Do: each(without("start", int64(0)), wholeShape)}}},
		"Size":            {Infer: inferSize, Eval: evalSize},
		"Expand":          {Infer: inferExpand, Eval: evalExpand},
		"Range":           {Infer: inferRange, Eval: evalRange},
		"EyeLike":         {Infer: inferEyeLike, Eval: evalEyeLike},
	})
}

// ConstantData returns what a Constant holds, whichever of ONNX's attributes
// spells it.
func ConstantData(op *ir.Op) (*ir.Data, error) {
	if len(op.Attrs) != 1 {
		return nil, fmt.Errorf("it has %d attributes, it takes one", len(op.Attrs))
	}
	switch v := op.Attrs[0].Value.(type) {
	case *ir.Data:
		return v, nil
	case float32:
		return ir.NewData(tensor.Scalar(tensor.Float32, v)), nil
	case []float32:
		return ir.NewData(tensor.Float32s(v, len(v))), nil
	case int64:
		return ir.NewData(tensor.Scalar(tensor.Int64, v)), nil
	case []int64:
		return ir.NewData(tensor.Int64s(v)), nil
	case string:
		return ir.NewData(tensor.StringsOf([]string{v})), nil
	case []string:
		return ir.NewData(tensor.StringsOf(v, len(v))), nil
	default:
		return nil, fmt.Errorf("a constant can not be a %T", v)
	}
}

func inferConstant(x *Inference) error {
	d, err := ConstantData(x.op)
	if err == nil {
		x.Set(0, d.Type())
	}
	return err
}

func evalConstant(c *Call) error {
	d, err := ConstantData(c.op)
	if err != nil {
		return err
	}
	return c.done(d.Tensor())
}

// filler returns the element that ConstantOfShape repeats.
func (a attrs) filler() *tensor.Tensor {
	if t := a.Tensor("value"); t != nil {
		return t
	}
	return tensor.Float32s([]float32{0}, 1)
}

func inferConstantOfShape(x *Inference) error {
	value := x.filler()
	if value.Len() != 1 {
		return x.Errorf("value is %s, want one element", value)
	}
	x.Set(0, x.shaped(value.DType, 0))
	if n, ok := x.types[0].StaticShape(); ok && len(n) <= 1 && value.DType == tensor.Int64 {
		if count := product(n); count <= maxContents {
			e := make([]ir.Dim, count)
			for i := range e {
				e[i] = ir.Const(tensor.Of[int64](value)[0])
			}
			x.SetContents(0, e)
		}
	}
	return nil
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// shaped returns the type whose shape is operand i, as far as that is known.
func (x *Inference) shaped(d tensor.DType, i int) ir.Type {
	if dims, ok := x.Contents(i); ok {
		return ir.TensorOf(d, dims...)
	}
	if n := dimsOfType(x.In(i)); len(n) == 1 && n[0] <= 64 {
		return x.FreshType(d, int(n[0]))
	}
	return ir.Unranked(d)
}

func evalConstantOfShape(c *Call) error {
	shape, err := c.sizes(0)
	if err != nil {
		return err
	}
	return c.done(ref.Expand(c.filler().Reshaped(), shape))
}

func inferIdentity(x *Inference) error {
	x.Set(0, x.In(0))
	e, ok := x.elems(0)
	x.setElems(e, ok)
	return nil
}

func evalIdentity(c *Call) error {
	c.Set(0, c.Value(0))
	return nil
}

// shapeRange returns the dims that Shape's start and end select.
func (a attrs) shapeRange(rank int) (from, to int) {
	bound := func(v int64) int {
		if v < 0 {
			v += int64(rank)
		}
		return int(min(max(v, 0), int64(rank)))
	}
	from, to = bound(a.Int("start")), rank
	if a.Has("end") {
		to = bound(a.Int("end"))
	}
	return from, max(from, to)
}

func inferShape(x *Inference) error {
	r := x.In(0).Rank()
	if r < 0 {
		x.Set(0, x.FreshType(tensor.Int64, 1))
		return nil
	}
	from, to := x.shapeRange(r)
	x.Set(0, ir.Static(tensor.Int64, to-from))
	x.SetContents(0, x.In(0).Dims[from:to])
	return nil
}

func evalShape(c *Call) error {
	shape := c.In(0).Shape
	from, to := c.shapeRange(len(shape))
	v := make([]int64, 0, len(shape))
	for _, d := range shape[from:to] {
		v = append(v, int64(d))
	}
	c.Set(0, tensor.Int64s(v, len(v)))
	return nil
}

// wholeShape refuses an end, which older opsets do not know.
func wholeShape(_ *ir.Builder, op *ir.Op) error { return without("end", int64(math.MaxInt64))(nil, op) }

func inferSize(x *Inference) error {
	x.Set(0, ir.TensorOf(tensor.Int64))
	if x.In(0).Rank() >= 0 {
		x.SetContents(0, []ir.Dim{x.In(0).NumElements()})
	}
	return nil
}

func evalSize(c *Call) error {
	c.Set(0, tensor.Scalar(tensor.Int64, int64(c.In(0).Len())))
	return nil
}

func inferExpand(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	to := x.shaped(in.DType, 1)
	if to.Rank() < 0 || in.Rank() < 0 {
		return nil
	}
	if _, known := x.Contents(1); !known {
		x.Set(0, x.FreshType(in.DType, max(to.Rank(), in.Rank())))
		return nil
	}
	t, err := x.broadcast(in.DType, in, to)
	if err != nil {
		return err
	}
	x.Set(0, t)
	if e, ok := x.elems(0); ok && len(e) == 1 && t.Rank() == 1 {
		if n, ok := t.Dims[0].Int(); ok && n <= maxContents {
			for len(e) < int(n) {
				e = append(e, e[0])
			}
			x.SetContents(0, e[:n])
		}
	} else if ok && len(e) > 1 {
		x.setElems(e, true)
	}
	return nil
}

func evalExpand(c *Call) error {
	shape, err := c.sizes(1)
	if err != nil {
		return err
	}
	return c.done(ref.Expand(c.In(0), shape))
}

func inferRange(x *Inference) error {
	d := knownDType(x.In(0), x.In(1), x.In(2))
	x.Set(0, x.FreshType(d, 1))
	start, ok := x.elems(0)
	limit, also := x.elems(1)
	delta, and := x.elems(2)
	if !ok || !also || !and || len(start)*len(limit)*len(delta) != 1 || IsUnknown(start[0]) || IsUnknown(limit[0]) || IsUnknown(delta[0]) {
		return nil
	}
	if delta[0].IsInt(0) {
		return x.Errorf("a range in steps of 0")
	}
	if _, static := delta[0].Int(); !static {
		return nil
	}
	n := limit[0].Sub(start[0]).CeilDiv(delta[0]).Max(ir.Const(0))
	x.Set(0, ir.TensorOf(d, n))
	if count, ok := n.Int(); ok && count <= maxContents && d.IsInt() {
		e := make([]ir.Dim, count)
		for i := range e {
			e[i] = start[0].Add(delta[0].Mul(ir.Const(int64(i))))
		}
		x.SetContents(0, e)
	}
	return nil
}

func evalRange(c *Call) error { return c.done(ref.Range(c.In(0), c.In(1), c.In(2))) }

func inferEyeLike(x *Inference) error {
	d, err := x.namedType("dtype", x.In(0).DType)
	x.Set(0, x.In(0).WithDType(d))
	return err
}

func evalEyeLike(c *Call) error {
	x := c.In(0)
	if x.Rank() != 2 {
		return c.Errorf("%s is no matrix", x)
	}
	d, err := c.namedType("dtype", x.DType)
	if err != nil {
		return err
	}
	return c.done(ref.EyeLike(d, x.Shape[0], x.Shape[1], int(c.Int("k"))))
}
