package ops

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"SequenceConstruct":  {Infer: inferSequenceConstruct, Eval: evalSequenceConstruct},
		"SequenceEmpty":      {Infer: inferSequenceEmpty, Eval: evalSequenceEmpty},
		"SequenceInsert":     {Infer: inferSequenceInsert, Eval: evalSequenceInsert},
		"SequenceErase":      {Infer: asFirst, Eval: evalSequenceErase},
		"SequenceAt":         {Infer: inferSequenceAt, Eval: evalSequenceAt},
		"SequenceLength":     {Infer: inferSequenceLength, Eval: evalSequenceLength},
		"ConcatFromSequence": {Infer: inferConcatFromSequence, Eval: evalConcatFromSequence},
		"SplitToSequence":    {Infer: inferSplitToSequence, Eval: evalSplitToSequence},
		"Optional":           {Infer: inferOptional, Eval: evalOptional},
		"OptionalGetElement": {Infer: inferOptionalGet, Eval: evalOptionalGet},
		"OptionalHasElement": {Infer: inferOptionalHas, Eval: evalOptionalHas},
	})
}

// instance returns t with a symbol of its own for each size that depends on
// data: two elements of a sequence need not agree in it.
func (x *Inference) instance(t ir.Type) ir.Type {
	if t.Rank() < 0 {
		return t
	}
	dims := slices.Clone(t.Dims)
	for i, d := range dims {
		if d.IsFresh() {
			dims[i] = x.Fresh()
		}
	}
	return t.WithDims(dims...)
}

// union returns a type that holds for values of either type: what differs
// becomes unknown. It fails where the kinds or element types differ.
func (x *Inference) union(a, b ir.Type) (ir.Type, error) {
	return x.merge(a, b, func(int) ir.Dim { return x.Fresh() })
}

func (x *Inference) merge(a, b ir.Type, unknown func(i int) ir.Dim) (ir.Type, error) {
	if a.Kind != b.Kind && a.Kind == ir.KindOptional {
		b = ir.OptionalOf(b) // a value stands for an optional that holds it
	} else if a.Kind != b.Kind && b.Kind == ir.KindOptional {
		a = ir.OptionalOf(a)
	}
	switch {
	case a.Kind != b.Kind:
		return a, x.Errorf("%s and %s can not be the same value", a, b)
	case a.DType != b.DType:
		if a.IsTensor() && a.DType == tensor.Undefined {
			return b, nil
		}
		if b.IsTensor() && b.DType == tensor.Undefined {
			return a, nil
		}
		return a, x.Errorf("%s and %s can not be the same value", a, b)
	case a.Elem != nil && b.Elem != nil:
		e, err := x.merge(*a.Elem, *b.Elem, unknown)
		a.Elem = &e
		return a, err
	case a.Kind != ir.KindTensor || a.Equal(b):
		return a, nil
	case a.Rank() < 0 || a.Rank() != b.Rank():
		return ir.Unranked(a.DType), nil
	}
	dims := slices.Clone(a.Dims)
	for i, d := range dims {
		if !d.Equal(b.Dims[i]) {
			dims[i] = unknown(i)
		}
	}
	return a.WithDims(dims...), nil
}

// elem returns the element type of operand i, a sequence or an optional.
func (x *Inference) elem(i int) ir.Type {
	if e := x.In(i).Elem; e != nil {
		return *e
	}
	return ir.Type{}
}

func inferSequenceConstruct(x *Inference) error {
	t := x.In(0)
	for i := 1; i < x.NumIn(); i++ {
		var err error
		if t, err = x.union(t, x.In(i)); err != nil {
			return err
		}
	}
	x.Set(0, ir.SequenceOf(t))
	return nil
}

func evalSequenceConstruct(c *Call) error {
	s := &tensor.Sequence{Elem: c.In(0).DType}
	for i := range c.NumIn() {
		if c.In(i).DType != s.Elem {
			return c.Errorf("%s in a sequence of %s", c.In(i), s.Elem)
		}
		s.Items = append(s.Items, c.In(i))
	}
	c.Set(0, s)
	return nil
}

func (a attrs) sequenceDType() tensor.DType {
	if a.Has("dtype") {
		return tensor.DType(a.Int("dtype"))
	}
	return tensor.Float32
}

func inferSequenceEmpty(x *Inference) error {
	x.Set(0, ir.SequenceOf(ir.Unranked(x.sequenceDType())))
	return nil
}

func evalSequenceEmpty(c *Call) error {
	c.Set(0, &tensor.Sequence{Elem: c.sequenceDType()})
	return nil
}

// sequence returns operand i, which must be a sequence.
func (c *Call) sequence(i int) *tensor.Sequence {
	s, ok := c.Value(i).(*tensor.Sequence)
	if !ok {
		panic(failure{c.Errorf("operand %d is no sequence", i)})
	}
	return s
}

func inferSequenceInsert(x *Inference) error {
	e := x.elem(0)
	if def := x.Op().Operand(0).Def(); def != nil && def.Name == "SequenceEmpty" {
		x.Set(0, ir.SequenceOf(x.In(1)))
		return nil
	}
	e, err := x.union(e, x.In(1))
	x.Set(0, ir.SequenceOf(e))
	return err
}

func evalSequenceInsert(c *Call) error {
	s, t := c.sequence(0), c.In(1)
	if t.DType != s.Elem && s.Elem != tensor.Undefined {
		return c.Errorf("%s for a sequence of %s", t, s.Elem)
	}
	i, err := ref.SequenceIndex(c.In(2), len(s.Items), true)
	if err != nil {
		return err
	}
	c.Set(0, &tensor.Sequence{Elem: t.DType, Items: slices.Insert(slices.Clone(s.Items), i, tensor.Value(t))})
	return nil
}

func evalSequenceErase(c *Call) error {
	s := c.sequence(0)
	i, err := ref.SequenceIndex(c.In(1), len(s.Items), false)
	if err != nil {
		return err
	}
	c.Set(0, &tensor.Sequence{Elem: s.Elem, Items: slices.Delete(slices.Clone(s.Items), i, i+1)})
	return nil
}

func inferSequenceAt(x *Inference) error {
	x.Set(0, x.instance(x.elem(0)))
	return nil
}

func evalSequenceAt(c *Call) error {
	s := c.sequence(0)
	i, err := ref.SequenceIndex(c.In(1), len(s.Items), false)
	if err != nil {
		return err
	}
	c.Set(0, s.Items[i])
	return nil
}

func inferSequenceLength(x *Inference) error {
	x.Set(0, ir.Static(tensor.Int64))
	return nil
}

func evalSequenceLength(c *Call) error {
	c.Set(0, tensor.Scalar(tensor.Int64, int64(len(c.sequence(0).Items))))
	return nil
}

func inferConcatFromSequence(x *Inference) error {
	t := x.elem(0)
	if t.Rank() < 0 {
		x.Set(0, ir.Unranked(t.DType))
		return nil
	}
	dims := slices.Clone(x.instance(t).Dims)
	rank := len(dims)
	if x.Bool("new_axis") {
		rank++
	}
	axis := int(x.Int("axis"))
	if axis < -rank || axis >= rank {
		return x.Errorf("axis %d is not one of %d", axis, rank)
	}
	axis = (axis + rank) % max(rank, 1)
	if x.Bool("new_axis") {
		dims = slices.Insert(dims, axis, x.Fresh())
	} else {
		dims[axis] = x.Fresh()
	}
	x.Set(0, t.WithDims(dims...))
	return nil
}

func evalConcatFromSequence(c *Call) error {
	return c.done(ref.ConcatSequence(c.sequence(0), int(c.Int("axis")), c.Bool("new_axis")))
}

func inferSplitToSequence(x *Inference) error {
	t := x.In(0)
	if t.Rank() < 0 {
		x.Set(0, ir.SequenceOf(t))
		return nil
	}
	axis := int(x.Int("axis"))
	if axis < -t.Rank() || axis >= t.Rank() {
		return x.Errorf("axis %d is not one of %s", axis, t)
	}
	if axis < 0 {
		axis += t.Rank()
	}
	dims := slices.Clone(t.Dims)
	switch {
	case x.HasIn(1):
		dims[axis] = x.Fresh()
	case x.Bool("keepdims"):
		dims[axis] = ir.Const(1)
	default:
		dims = slices.Delete(dims, axis, axis+1)
	}
	x.Set(0, ir.SequenceOf(t.WithDims(dims...)))
	return nil
}

func evalSplitToSequence(c *Call) error {
	s, err := ref.SplitToSequence(c.In(0), c.In(1), int(c.Int("axis")), c.Bool("keepdims"))
	if err != nil {
		return err
	}
	c.Set(0, s)
	return nil
}

func inferOptional(x *Inference) error {
	if x.HasIn(0) {
		x.Set(0, ir.OptionalOf(x.In(0)))
		return nil
	}
	t, ok := x.TypeAttr("type")
	if !ok {
		return x.Errorf("neither an operand nor a type is given")
	}
	x.Set(0, ir.OptionalOf(t))
	return nil
}

func evalOptional(c *Call) error {
	o := &tensor.Optional{Elem: c.Value(0)}
	if t := c.OutType(0).Elem; t != nil {
		for o.Type = t.DType; t.Elem != nil; t = t.Elem {
			o.Type = t.Elem.DType
		}
	}
	c.Set(0, o)
	return nil
}

func inferOptionalGet(x *Inference) error {
	t := x.In(0)
	if t.Kind == ir.KindOptional {
		t = x.elem(0)
	}
	x.Set(0, t)
	return nil
}

func evalOptionalGet(c *Call) error {
	v := c.Value(0)
	if o, ok := v.(*tensor.Optional); ok {
		v = o.Elem
	}
	if v == nil {
		return c.Errorf("the optional holds nothing")
	}
	c.Set(0, v)
	return nil
}

func inferOptionalHas(x *Inference) error {
	x.Set(0, ir.Static(tensor.Bool))
	return nil
}

func evalOptionalHas(c *Call) error {
	v := c.Value(0)
	if o, ok := v.(*tensor.Optional); ok {
		v = o.Elem
	}
	c.Set(0, tensor.Scalar(tensor.Bool, v != nil))
	return nil
}
