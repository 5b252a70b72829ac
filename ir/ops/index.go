package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Operators that select elements by index, by value or by condition.
func init() {
	add(map[string]Impl{
		"Gather":         {Infer: inferGather, Eval: evalGather},
		"GatherElements": {Infer: inferGatherElements, Eval: evalGatherElements},
		"GatherND":       {Infer: inferGatherND, Eval: evalGatherND, Downgrades: []Downgrade{{From: 12, Do: without("batch_dims", int64(0))}}},
		"Scatter":        {Upgrades: []Upgrade{{To: 11, Do: renamed("ScatterElements")}}},
		"ScatterElements": {Infer: asFirst, Eval: evalScatterElements,
			Downgrades: []Downgrade{{From: 16, Do: without("reduction", "none")}, {From: 11, Do: renamed("Scatter")}}},
		"ScatterND": {Infer: asFirst, Eval: evalScatterND, Downgrades: []Downgrade{{From: 16, Do: without("reduction", "none")}}},
		"NonZero":   {Infer: inferNonZero, Eval: eval1(ref.NonZero)},
		"OneHot":    {Infer: inferOneHot, Eval: evalOneHot},
		"TopK": {Infer: inferTopK, Eval: evalTopK, Upgrades: []Upgrade{{To: 10, Do: countOperand}},
			Downgrades: []Downgrade{{From: 11, Do: each(without("largest", int64(1)), without("sorted", int64(1)))}, {From: 10, Do: countAttr}}},
		"Unique":   {Infer: inferUnique, Eval: evalUnique},
		"Compress": {Infer: inferCompress, Eval: evalCompress},
	})
}

func inferGather(x *Inference) error {
	in, indices := x.In(0), x.In(1)
	x.Set(0, ir.Unranked(in.DType))
	if in.Rank() < 0 || indices.Rank() < 0 {
		return nil
	}
	axis, err := x.axisIn(in.Rank())
	if err != nil {
		return err
	}
	x.Set(0, ir.TensorOf(in.DType, slices.Concat(in.Dims[:axis], indices.Dims, in.Dims[axis+1:])...))
	e, ok := x.elems(0)
	at, also := x.elems(1)
	if !ok || !also || in.Rank() != 1 || indices.Rank() > 1 {
		return nil
	}
	out := make([]ir.Dim, len(at))
	for i, d := range at {
		n, static := d.Int()
		if n < 0 {
			n += int64(len(e))
		}
		if static && (n < 0 || n >= int64(len(e))) {
			return x.Errorf("index %v is outside of a dim of %d", d, len(e))
		}
		if out[i] = unknownElem; static {
			out[i] = e[n]
		}
	}
	x.SetContents(0, out)
	return nil
}

func evalGather(c *Call) error { return c.done(ref.Gather(c.In(0), c.In(1), int(c.Int("axis")))) }

func inferGatherElements(x *Inference) error {
	x.Set(0, x.In(1).WithDType(x.In(0).DType))
	return nil
}

func evalGatherElements(c *Call) error {
	return c.done(ref.GatherElements(c.In(0), c.In(1), int(c.Int("axis"))))
}

func inferGatherND(x *Inference) error {
	in, indices := x.In(0), x.In(1)
	x.Set(0, ir.Unranked(in.DType))
	r := indices.Rank()
	if in.Rank() < 0 || r < 0 {
		return nil
	}
	if r == 0 {
		return x.Errorf("indices are a scalar, want at least one dim")
	}
	depth, ok := indices.Dims[r-1].Int()
	if !ok {
		return nil
	}
	from := int(x.Int("batch_dims") + depth)
	if from < 0 || from > in.Rank() {
		return x.Errorf("%d coordinates behind %d batch dims for %s", depth, x.Int("batch_dims"), in)
	}
	x.Set(0, ir.TensorOf(in.DType, slices.Concat(indices.Dims[:r-1], in.Dims[from:])...))
	return nil
}

func evalGatherND(c *Call) error {
	return c.done(ref.GatherND(c.In(0), c.In(1), int(c.Int("batch_dims"))))
}

func evalScatterElements(c *Call) error {
	return c.done(ref.ScatterElements(c.In(0), c.In(1), c.In(2), int(c.Int("axis")), c.Str("reduction")))
}

func evalScatterND(c *Call) error {
	return c.done(ref.ScatterND(c.In(0), c.In(1), c.In(2), c.Str("reduction")))
}

func inferNonZero(x *Inference) error {
	t := x.FreshType(tensor.Int64, 2)
	if r := x.In(0).Rank(); r >= 0 {
		t.Dims[0] = ir.Const(int64(r))
	}
	x.Set(0, t)
	return nil
}

func inferOneHot(x *Inference) error {
	in, d := x.In(0), x.In(2).DType
	x.Set(0, ir.Unranked(d))
	if in.Rank() < 0 {
		return nil
	}
	axis, err := x.axisIn(in.Rank() + 1)
	if err != nil {
		return err
	}
	depth := x.Fresh()
	if e, ok := x.elems(1); ok && len(e) == 1 && !IsUnknown(e[0]) {
		depth = e[0]
	}
	x.Set(0, ir.TensorOf(d, slices.Insert(slices.Clone(in.Dims), axis, depth)...))
	return nil
}

func evalOneHot(c *Call) error {
	// Alone among sizes, a depth may be of any numeric type.
	depth := c.In(1)
	if depth.Len() != 1 {
		return c.Errorf("depth is %s, want a scalar", depth)
	}
	n := min(max(ref.Float64s(depth)[0], -1), math.MaxInt32)
	return c.done(ref.OneHot(c.In(0), int(n), c.In(2), int(c.Int("axis"))))
}

func inferTopK(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	x.Set(1, ir.Unranked(tensor.Int64))
	if in.Rank() < 0 {
		return nil
	}
	axis, err := x.axisIn(in.Rank())
	if err != nil {
		return err
	}
	dims := slices.Clone(in.Dims)
	if e, ok := x.Contents(1); ok && len(e) == 1 {
		dims[axis] = e[0]
	} else {
		dims[axis] = x.Fresh()
	}
	x.Set(0, ir.TensorOf(in.DType, dims...))
	x.Set(1, ir.TensorOf(tensor.Int64, dims...))
	return nil
}

func evalTopK(c *Call) error {
	k := intsIn(c.In(1))
	if len(k) != 1 {
		return c.Errorf("k is %s, want one number", c.In(1))
	}
	values, indices, err := ref.TopK(c.In(0), k[0], int(c.Int("axis")), c.Bool("largest"))
	if err != nil {
		return err
	}
	c.Set(0, values)
	c.Set(1, indices)
	return nil
}

// countOperand turns the attribute k of opset 9 and older into an operand.
func countOperand(b *ir.Builder, op *ir.Op) error {
	if k, ok := op.Attrs.Get("k").(int64); ok {
		op.Attrs.Delete("k")
		setOperand(op, 1, b.Int64s(k))
	}
	return nil
}

// countAttr is the inverse of countOperand.
func countAttr(_ *ir.Builder, op *ir.Op) error {
	k, err := constantOf(op.Operand(1))
	if err != nil || k.Len() != 1 {
		return fmt.Errorf("a k that is not constant has no older form")
	}
	op.Attrs.Set("k", int64(intsIn(k)[0]))
	op.SetOperands(op.Operand(0))
	return nil
}

// axisOrNil returns the axis attribute, nil where it is absent.
func (a attrs) axisOrNil() *int {
	if !a.Has("axis") {
		return nil
	}
	axis := int(a.Int("axis"))
	return &axis
}

func inferUnique(x *Inference) error {
	in := x.In(0)
	n := x.Fresh()
	list := ir.TensorOf(tensor.Int64, n)
	all := ir.Unranked(in.DType)
	switch {
	case x.axisOrNil() == nil:
		x.Set(0, ir.TensorOf(in.DType, n))
	case in.Rank() < 0:
		x.Set(0, all)
	default:
		axis, err := x.axisIn(in.Rank())
		if err != nil {
			return err
		}
		dims := slices.Clone(in.Dims)
		dims[axis] = n
		x.Set(0, ir.TensorOf(in.DType, dims...))
	}
	x.Set(1, list)
	x.Set(2, x.FreshType(tensor.Int64, 1))
	x.Set(3, list)
	return nil
}

func evalUnique(c *Call) error {
	u, err := ref.Unique(c.In(0), c.axisOrNil(), c.Bool("sorted"))
	if err != nil {
		return err
	}
	for i, t := range []*tensor.Tensor{u.Y, u.First, u.Inverse, u.Counts} {
		c.Set(i, t)
	}
	return nil
}

func inferCompress(x *Inference) error {
	in := x.In(0)
	x.Set(0, ir.Unranked(in.DType))
	switch {
	case x.axisOrNil() == nil:
		x.Set(0, x.FreshType(in.DType, 1))
	case in.Rank() >= 0:
		axis, err := x.axisIn(in.Rank())
		if err != nil {
			return err
		}
		dims := slices.Clone(in.Dims)
		dims[axis] = x.Fresh()
		x.Set(0, ir.TensorOf(in.DType, dims...))
	}
	return nil
}

func evalCompress(c *Call) error { return c.done(ref.Compress(c.In(0), c.In(1), c.axisOrNil())) }
