package ops

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
)

// Operators that give the same elements another shape.
func init() {
	axesOperand := []Upgrade{{To: 13, Do: operandFromInts("axes", 1)}}
	axesAttr := []Downgrade{{From: 13, Do: intsFromOperand("axes", 1)}}
	add(map[string]Impl{
		"Reshape": {Infer: inferReshape, Eval: evalReshape, Upgrades: []Upgrade{{To: 5, Do: each(dropAttrs("consumed_inputs"), operandFromInts("shape", 1))}},
			Downgrades: []Downgrade{{From: 14, Do: without("allowzero", int64(0))}}},
		"Flatten":   {Infer: inferFlatten, Eval: evalFlatten},
		"Squeeze":   {Infer: inferSqueeze, Eval: evalSqueeze, Upgrades: axesOperand, Downgrades: axesAttr},
		"Unsqueeze": {Infer: inferUnsqueeze, Eval: evalUnsqueeze, Upgrades: axesOperand, Downgrades: axesAttr},
	})
}

func inferReshape(x *Inference) error {
	in := x.In(0)
	t := x.shaped(in.DType, 1)
	x.Set(0, t)
	if _, known := x.Contents(1); !known {
		return nil
	}
	rest, others := -1, ir.Const(1)
	kept := map[int]bool{}
	for i, d := range t.Dims {
		switch {
		case d.IsInt(-1) && rest < 0:
			rest = i
			continue
		case d.IsInt(0) && !x.Bool("allowzero"):
			if in.Rank() < 0 {
				t.Dims[i] = x.Fresh()
				break
			}
			if i >= in.Rank() {
				return x.Errorf("%s has no dim %d to keep", in, i)
			}
			t.Dims[i] = in.Dims[i]
			kept[i] = true
			continue
		}
		if n, ok := d.Int(); ok && n < 0 {
			return x.Errorf("the shape has a dim of %d", n)
		}
		others = others.Mul(t.Dims[i])
	}
	switch {
	case rest < 0:
	case in.Rank() < 0:
		t.Dims[rest] = x.Fresh()
	default:
		n := ir.Const(1)
		for i, d := range in.Dims {
			if !kept[i] {
				n = n.Mul(d)
			}
		}
		if others.IsInt(0) {
			t.Dims[rest] = ir.Const(0)
		} else {
			t.Dims[rest] = n.FloorDiv(others)
		}
	}
	x.Set(0, t)
	e, ok := x.elems(0)
	x.setElems(e, ok)
	if have, ok := in.StaticShape(); ok {
		if want, ok := t.StaticShape(); ok && product(have) != product(want) {
			return x.Errorf("%s can not be reshaped to %s", in, t)
		}
	}
	return nil
}

func evalReshape(c *Call) error {
	shape, err := ref.ReshapeTo(c.In(0).Shape, intsIn(c.In(1)), c.Bool("allowzero"))
	if err != nil {
		return err
	}
	c.Set(0, c.In(0).Reshaped(shape...))
	return nil
}

// flattenAxis returns the axis at which Flatten cuts: 0 to rank.
func (a attrs) flattenAxis(rank int) (int, error) {
	axis := int(a.Int("axis"))
	if axis < 0 {
		axis += rank
	}
	if axis < 0 || axis > rank {
		return 0, fmt.Errorf("axis %d is out of range for rank %d", a.Int("axis"), rank)
	}
	return axis, nil
}

func inferFlatten(x *Inference) error {
	in := x.In(0)
	if in.Rank() < 0 {
		x.Set(0, x.FreshType(in.DType, 2))
		return nil
	}
	axis, err := x.flattenAxis(in.Rank())
	if err != nil {
		return err
	}
	x.Set(0, ir.TensorOf(in.DType, ir.TensorOf(0, in.Dims[:axis]...).NumElements(), ir.TensorOf(0, in.Dims[axis:]...).NumElements()))
	return nil
}

func evalFlatten(c *Call) error {
	x := c.In(0)
	axis, err := c.flattenAxis(x.Rank())
	if err != nil {
		return err
	}
	c.Set(0, x.Reshaped(product(x.Shape[:axis]), product(x.Shape[axis:])))
	return nil
}

// axesIn returns the axes that operand i lists, as far as they are constant.
func (x *Inference) axesIn(i, rank int) (axes []int, known bool, err error) {
	e, ok := x.Contents(i)
	if !ok {
		return nil, false, nil
	}
	for _, d := range e {
		n, ok := d.Int()
		if !ok {
			return nil, false, nil
		}
		axes = append(axes, int(n))
	}
	axes, err = ref.Axes(axes, rank)
	return axes, true, err
}

func inferSqueeze(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	if in.Rank() < 0 {
		return nil
	}
	axes, known, err := x.axesIn(1, in.Rank())
	if err != nil {
		return err
	}
	if !x.HasIn(1) {
		for i, d := range in.Dims {
			n, static := d.Int()
			if !static {
				return nil // it may be 1
			}
			if n == 1 {
				axes = append(axes, i)
			}
		}
	} else if !known {
		if n := dimsOfType(x.In(1)); len(n) == 1 && int(n[0]) <= in.Rank() {
			x.Set(0, x.FreshType(in.DType, in.Rank()-int(n[0])))
		}
		return nil
	}
	gone := map[int]bool{}
	for _, a := range axes {
		gone[a] = true
		if n, ok := in.Dims[a].Int(); ok && n != 1 {
			return x.Errorf("dim %d of %s is not 1", a, in)
		}
	}
	var dims []ir.Dim
	for i, d := range in.Dims {
		if !gone[i] {
			dims = append(dims, d)
		}
	}
	x.Set(0, ir.TensorOf(in.DType, dims...))
	e, ok := x.elems(0)
	x.setElems(e, ok)
	return nil
}

func evalSqueeze(c *Call) error {
	x := c.In(0)
	axes, err := ref.Axes(intsIn(c.In(1)), x.Rank())
	if err != nil {
		return err
	}
	gone := map[int]bool{}
	for _, a := range axes {
		if x.Shape[a] != 1 {
			return c.Errorf("dim %d of %s is not 1", a, x)
		}
		gone[a] = true
	}
	var shape []int
	for i, d := range x.Shape {
		if !gone[i] && (c.In(1) != nil || d != 1) {
			shape = append(shape, d)
		}
	}
	c.Set(0, x.Reshaped(shape...))
	return nil
}

func inferUnsqueeze(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	n := -1
	if e, ok := x.Contents(1); ok {
		n = len(e)
	} else if d := dimsOfType(x.In(1)); len(d) == 1 && d[0] <= 64 {
		n = int(d[0])
	}
	if in.Rank() < 0 || n < 0 {
		return nil
	}
	axes, known, err := x.axesIn(1, in.Rank()+n)
	if err != nil {
		return err
	}
	if !known {
		x.Set(0, x.FreshType(in.DType, in.Rank()+n))
		return nil
	}
	x.Set(0, ir.TensorOf(in.DType, withOnes(in.Dims, axes, ir.Const(1))...))
	e, ok := x.elems(0)
	x.setElems(e, ok)
	return nil
}

// withOnes inserts one at each of the axes of the result.
func withOnes[T any](dims []T, axes []int, one T) []T {
	out := make([]T, len(dims)+len(axes))
	isOne := make([]bool, len(out))
	for _, a := range axes {
		isOne[a] = true
	}
	for i := range out {
		if isOne[i] {
			out[i] = one
		} else {
			out[i], dims = dims[0], dims[1:]
		}
	}
	return out
}

func evalUnsqueeze(c *Call) error {
	x := c.In(0)
	axes := intsIn(c.In(1))
	axes, err := ref.Axes(axes, x.Rank()+len(axes))
	if err != nil {
		return err
	}
	c.Set(0, x.Reshaped(withOnes(x.Shape, axes, 1)...))
	return nil
}
