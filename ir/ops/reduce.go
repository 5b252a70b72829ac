package ops

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	family := map[string]Impl{
		"ArgMax":     {Infer: inferArg, Eval: evalArg(true), Downgrades: []Downgrade{{From: 12, Do: without("select_last_index", int64(0))}}},
		"ArgMin":     {Infer: inferArg, Eval: evalArg(false), Downgrades: []Downgrade{{From: 12, Do: without("select_last_index", int64(0))}}},
		"CumSum":     {Infer: asFirst, Eval: evalCumulative("CumSum")},
		"CumProd":    {Infer: asFirst, Eval: evalCumulative("CumProd")},
		"Softmax":    {Infer: inferAlongAxis, Eval: evalAlongAxis(ref.Softmax)},
		"LogSoftmax": {Infer: inferAlongAxis, Eval: evalAlongAxis(ref.LogSoftmax)},
		"Hardmax":    {Infer: inferAlongAxis, Eval: evalAlongAxis(ref.Hardmax)},
	}
	for _, n := range []string{"Softmax", "LogSoftmax", "Hardmax"} {
		i := family[n]
		i.Upgrades = []Upgrade{{To: 13, Do: flattenFirst}}
		i.Downgrades = []Downgrade{{From: 13, Do: lastAxisOnly}}
		family[n] = i
	}
	for _, n := range []string{"ReduceSum", "ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"} {
		to := 18
		if n == "ReduceSum" {
			to = 13
		}
		family[n] = Impl{Infer: inferReduce(n), Eval: evalReduce(n),
			Upgrades:   []Upgrade{{To: to, Do: operandFromInts("axes", 1)}},
			Downgrades: []Downgrade{{From: to, Do: each(without("noop_with_empty_axes", int64(0)), intsFromOperand("axes", 1))}}}
	}
	add(family)
}

func inferReduce(name string) func(*Inference) error {
	return func(x *Inference) error {
		in := x.In(0)
		x.Set(0, ir.Unranked(in.DType))
		keep := x.Bool("keepdims")
		axes, known := x.Contents(1)
		known = known || !x.HasIn(1) || slices.Equal(dimsOfType(x.In(1)), []int64{0})
		list := make([]int, len(axes))
		for i, d := range axes {
			n, ok := d.Int()
			known = known && ok
			list[i] = int(n)
		}
		if in.Rank() < 0 {
			return nil
		}
		if !known {
			if keep {
				x.Set(0, x.FreshType(in.DType, in.Rank()))
			}
			return nil
		}
		if len(list) == 0 {
			if x.Bool("noop_with_empty_axes") {
				x.Set(0, in)
				return nil
			}
			list = allAxes(in.Rank())
		}
		list, err := ref.Axes(list, in.Rank())
		if err != nil {
			return err
		}
		var dims []ir.Dim
		for i, d := range in.Dims {
			if !slices.Contains(list, i) {
				dims = append(dims, d)
			} else if keep {
				dims = append(dims, ir.Const(1))
			}
		}
		x.Set(0, ir.TensorOf(in.DType, dims...))
		x.reduceElems(name, list)
		return nil
	}
}

// dimsOfType returns the dims of a type whose dims are all constant.
func dimsOfType(t ir.Type) []int64 {
	shape, ok := t.StaticShape()
	if !ok {
		return nil
	}
	out := make([]int64, len(shape))
	for i, n := range shape {
		out[i] = int64(n)
	}
	return out
}

// reduceElems follows sums and products of all sizes of a shape.
func (x *Inference) reduceElems(name string, axes []int) {
	op := map[string]string{"ReduceProd": "Mul", "ReduceSum": "Add", "ReduceMax": "Max", "ReduceMin": "Min"}[name]
	e, ok := x.elems(0)
	if !ok || len(e) == 0 || op == "" || len(axes) != x.In(0).Rank() {
		return
	}
	acc := e[0]
	for _, d := range e[1:] {
		acc, _ = dimArithmetic(op, tensor.Int64, acc, d)
	}
	x.SetContents(0, []ir.Dim{acc})
}

func evalReduce(name string) func(*Call) error {
	return func(c *Call) error {
		x := c.In(0)
		axes := intsIn(c.In(1))
		if len(axes) == 0 {
			if c.Bool("noop_with_empty_axes") {
				c.Set(0, x)
				return nil
			}
			axes = allAxes(x.Rank())
		}
		return c.done(ref.Reduce(name, x, axes, c.Bool("keepdims")))
	}
}

func inferArg(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(tensor.Int64))
	if in.Rank() < 0 {
		return nil
	}
	axis, err := x.axisIn(in.Rank())
	if err != nil {
		return err
	}
	dims := slices.Clone(in.Dims)
	if x.Bool("keepdims") {
		dims[axis] = ir.Const(1)
	} else {
		dims = slices.Delete(dims, axis, axis+1)
	}
	x.Set(0, ir.TensorOf(tensor.Int64, dims...))
	return nil
}

func evalArg(largest bool) func(*Call) error {
	return func(c *Call) error {
		return c.done(ref.ArgBest(c.In(0), int(c.Int("axis")), largest, c.Bool("select_last_index"), c.Bool("keepdims")))
	}
}

func evalCumulative(name string) func(*Call) error {
	return func(c *Call) error {
		axis := intsIn(c.In(1))
		if len(axis) != 1 {
			return c.Errorf("the axis is %s, want a scalar", c.In(1))
		}
		return c.done(ref.Cumulative(name, c.In(0), axis[0], c.Bool("exclusive"), c.Bool("reverse")))
	}
}

func inferAlongAxis(x *Inference) error {
	x.Set(0, x.In(0))
	if r := x.In(0).Rank(); r >= 0 {
		_, err := x.axisIn(r)
		return err
	}
	return nil
}

func evalAlongAxis(f func(x *tensor.Tensor, axis int) (*tensor.Tensor, error)) func(*Call) error {
	return func(c *Call) error { return c.done(f(c.In(0), int(c.Int("axis")))) }
}

// flattenFirst: before opset 13 Softmax and its kin work on x flattened to a
// matrix at the axis, which is 1 where it is not given.
func flattenFirst(b *ir.Builder, op *ir.Op) error {
	axis, given := op.Attrs.Get("axis").(int64)
	if !given {
		axis = 1
	}
	x := op.Operand(0)
	rank := int64(x.Type.Rank())
	op.Attrs.Set("axis", int64(-1))
	if rank >= 0 && (axis == rank-1 || axis == -1) {
		return nil
	}
	flat, err := Build(b, "Flatten", []*ir.Value{x}, ir.Attr{Name: "axis", Value: axis})
	if err != nil {
		return err
	}
	op.SetOperand(0, flat.Result(0))
	return restoreShape(op, x)
}

// lastAxisOnly: along the last axis, old and new Softmax are the same.
func lastAxisOnly(_ *ir.Builder, op *ir.Op) error {
	rank := int64(op.Operand(0).Type.Rank())
	axis, given := op.Attrs.Get("axis").(int64)
	if rank < 0 || given && axis != -1 && axis != rank-1 {
		return fmt.Errorf("an axis that is not the last one has no older form")
	}
	op.Attrs.Set("axis", rank-1)
	return nil
}
