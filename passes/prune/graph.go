package prune

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes/layers"
)

// space is a set of channels that must be cut together: those of every value
// that elementwise ops tie to each other, and of every constant that has an
// entry a channel.
type space struct {
	parent    *space // of a union
	size      int
	locked    bool // something reads the channels that we can not cut
	producers []layers.Layer
	norms     []*ir.Op // BatchNormalizations over the channels
	cuts      []cut
}

// cut is a constant to slice: of every channel the given number of entries
// along an axis.
type cut struct {
	op      *ir.Op
	operand int
	axis    int
	factor  int
}

func (s *space) root() *space {
	for s.parent != nil {
		s = s.parent
	}
	return s
}

// ref is the space of a value's axis 1, which has factor entries a channel.
type ref struct {
	*space
	factor int
}

// graph is the dependency graph of the channels of a function.
type graph struct {
	refs   map[*ir.Value]ref
	layers map[*ir.Op]layers.Layer // those that may lose outputs
	spaces []*space
	work   []work
}

// work is a product whose cost depends on two spaces; a nil one is fixed.
type work struct {
	macs    float64
	in, out *space
}

var elementwise = []string{"Relu", "Clip", "Sigmoid", "HardSwish", "HardSigmoid", "LeakyRelu", "Tanh", "Elu", "Selu", "Softplus", "Softsign",
	"Identity", "Dropout", "Gelu", "Mish", "Neg", "Abs", "Sqrt", "Erf", "Cast",
	"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "GlobalLpPool"}

func (g *graph) fresh(size int) *space {
	s := &space{size: size}
	g.spaces = append(g.spaces, s)
	return s
}

// of returns the space of a value; what we know nothing of has a locked one.
func (g *graph) of(v *ir.Value) (ref, bool) {
	r, ok := g.refs[v]
	return r, ok
}

func (g *graph) lock(v *ir.Value) {
	if r, ok := g.of(v); ok {
		r.root().locked = true
	}
}

func (g *graph) lockAll(op *ir.Op) {
	for _, v := range op.Operands() {
		if v != nil {
			g.lock(v)
		}
	}
	for _, r := range op.Regions {
		r.Walk(func(o *ir.Op) bool {
			g.lockAll(o)
			return true
		})
	}
}

func (g *graph) join(a, b *space) *space {
	a, b = a.root(), b.root()
	if a == b {
		return a
	}
	a.locked = a.locked || b.locked || a.size != b.size
	a.producers = append(a.producers, b.producers...)
	a.norms = append(a.norms, b.norms...)
	a.cuts = append(a.cuts, b.cuts...)
	b.parent = a
	return a
}

func (g *graph) add(s *space, op *ir.Op, operand, axis, factor int) {
	s = s.root()
	s.cuts = append(s.cuts, cut{op, operand, axis, factor})
}

// visit takes one op into the graph.
func (g *graph) visit(op *ir.Op) {
	x, known := g.of(op.Operand(0))
	switch {
	case op.Name == ir.ConstantName:
	case op.Name == "Conv" && g.conv(op):
	case (op.Name == "Gemm" || op.Name == "MatMul") && g.product(op):
	case op.Name == "BatchNormalization" && known && x.factor == 1 && g.perChannel(op, x):
		s := x.root()
		s.norms = append(s.norms, op)
		g.refs[op.Result(0)] = x
	case slices.Contains(elementwise, op.Name) && known && op.NumResults() == 1:
		g.refs[op.Result(0)] = x
	case op.Name == "ReduceMean" && known && g.spatial(op):
		g.refs[op.Result(0)] = x
	case op.Name == "Flatten" && known && g.flatten(op, x):
	case (op.Name == "Add" || op.Name == "Mul" || op.Name == "Sub" || op.Name == "Div") && g.binary(op):
	default:
		g.lockAll(op)
	}
}

func (g *graph) conv(op *ir.Op) bool {
	w := op.Operand(1).Data()
	if w == nil || op.Operand(2) != nil && op.Operand(2).Data() == nil {
		return false
	}
	group, ok := op.Attrs.Get("group").(int64)
	if !ok {
		group = 1
	}
	x, known := g.of(op.Operand(0))
	depthwise := int(group) == w.Shape[0] && w.Shape[1] == 1 && group > 1
	switch {
	case depthwise && known && x.factor == 1 && x.root().size == w.Shape[0]:
		s := x.root()
		if l, ok := g.layers[op]; ok {
			s.producers = append(s.producers, l)
		} else {
			s.locked = true
		}
		g.refs[op.Result(0)] = x
		g.outputs(op, s, 0)
		g.work = append(g.work, work{g.macs(op), s, nil})
	case group == 1:
		var in *space
		if known {
			in = x.space
			g.add(in, op, 1, 1, x.factor)
		}
		out := g.produced(op, w.Shape[0])
		g.outputs(op, out, 0)
		g.work = append(g.work, work{g.macs(op), in, out})
	default:
		return false
	}
	return true
}

// produced gives the result of a layer channels of its own.
func (g *graph) produced(op *ir.Op, n int) *space {
	s := g.fresh(n)
	l, ok := g.layers[op]
	if ok {
		s.producers = append(s.producers, l)
	}
	s.locked = !ok
	g.refs[op.Result(0)] = ref{s, 1}
	return s
}

// outputs notes that weights and bias have entries for the channels of s.
func (g *graph) outputs(op *ir.Op, s *space, axis int) {
	g.add(s, op, 1, axis, 1)
	if b := op.Operand(2); b != nil {
		if d := b.Data(); d != nil && len(d.Shape) > 0 && d.Shape[len(d.Shape)-1] == s.root().size {
			g.add(s, op, 2, len(d.Shape)-1, 1)
		} else if d == nil || d.Len() != 1 {
			s.root().locked = true
		}
	}
}

func (g *graph) product(op *ir.Op) bool {
	x, w := op.Operand(0), op.Operand(1).Data()
	t, _ := op.Attrs.Get("transA").(int64)
	if w == nil || len(w.Shape) != 2 || x.Type.Rank() != 2 || t != 0 {
		return false
	}
	in, out := 0, 1
	if t, _ := op.Attrs.Get("transB").(int64); t != 0 {
		in, out = 1, 0
	}
	var from *space
	if r, ok := g.of(x); ok {
		from = r.space
		g.add(from, op, 1, in, r.factor)
	}
	s := g.produced(op, w.Shape[out])
	g.outputs(op, s, out)
	g.work = append(g.work, work{g.macs(op), from, s})
	return true
}

// perChannel takes the four parameters of a BatchNormalization.
func (g *graph) perChannel(op *ir.Op, x ref) bool {
	for i := 1; i <= 4; i++ {
		if d := op.Operand(i).Data(); d == nil || d.Len() != x.root().size {
			return false
		}
	}
	for i := 1; i <= 4; i++ {
		g.add(x.space, op, i, 0, 1)
	}
	return op.NumResults() == 1
}

// spatial reports whether a reduction leaves the axes 0 and 1 alone.
func (g *graph) spatial(op *ir.Op) bool {
	d := op.Operand(1).Data()
	if d == nil {
		return false
	}
	t, err := d.Tensor()
	if err != nil {
		return false
	}
	rank := int64(op.Operand(0).Type.Rank())
	for _, a := range int64s(t) {
		if a < 0 {
			a += rank
		}
		if a < 2 {
			return false
		}
	}
	return rank > 2 && d.Len() > 0
}

func (g *graph) flatten(op *ir.Op, x ref) bool {
	axis, ok := op.Attrs.Get("axis").(int64)
	if ok && axis != 1 {
		return false
	}
	factor := x.factor
	for _, d := range op.Operand(0).Type.Dims[2:] {
		n, ok := d.Int()
		if !ok {
			return false
		}
		factor *= int(n)
	}
	g.refs[op.Result(0)] = ref{x.space, factor}
	return true
}

// binary ties the channels of both sides, where both have them.
func (g *graph) binary(op *ir.Op) bool {
	rank := op.Result(0).Type.Rank()
	var tied *ref
	for i := range 2 {
		v := op.Operand(i)
		r, ok := g.of(v)
		switch d := v.Data(); {
		case d != nil:
		case !ok || r.factor != 1 || v.Type.Rank() != rank || !v.Type.Dims[1].Equal(op.Result(0).Type.Dims[1]):
			return false
		case tied == nil:
			tied = &r
		default:
			g.join(tied.space, r.space)
		}
	}
	if tied == nil {
		return false
	}
	for i := range 2 {
		d := op.Operand(i).Data()
		if d == nil {
			continue
		}
		axis := len(d.Shape) - rank + 1
		switch {
		case axis < 0 || axis < len(d.Shape) && d.Shape[axis] == 1:
		case len(d.Shape) <= rank && d.Shape[axis] == tied.root().size:
			g.add(tied.space, op, i, axis, 1)
		default:
			return false
		}
	}
	g.refs[op.Result(0)] = *tied
	return true
}
