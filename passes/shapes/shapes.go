// Package shapes replaces computed shapes by constants where the types say
// what comes out: exporters compute the shapes of Reshape and Expand from dims
// that they pass through unchanged. It also joins chains of ops that only
// change a shape, or that cut and join along axes.
package shapes

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "simplify-shapes",
		Help: "write shapes as constants that copy dims, compute equal sizes once, join chains of Reshape, Unsqueeze, Slice and Concat",
		Example: `func @main(%x: f32[N,3]) -> (y: f32[N,3]) {
  %0 = Shape(%x) {start=0, end=1} : i64[1]
  %1 = const i64[1] [3]
  %2 = Concat(%0, %1) {axis=0} : i64[2]
  %3 = Reshape(%x, %2) : f32[N,3]
  return(%3)
}
`,
		New: func(passes.Options) (passes.Pass, error) {
			return passes.Func("simplify-shapes", func(c *passes.Context, m *ir.Module) (bool, error) {
				s := &simplifier{Context: c, shapes: ops.NewShapes(m)}
				for _, f := range m.Funcs {
					if err := s.block(f.Body, nil); err != nil {
						return s.changed, err
					}
				}
				return s.changed, nil
			}), nil
		},
	})
}

type simplifier struct {
	*passes.Context
	shapes  *ops.Shapes
	changed bool
}

// rewrites are tried on an op in order until one applies.
var rewrites = []func(*simplifier, *ir.Op) (bool, error){
	(*simplifier).stack, (*simplifier).reshape, (*simplifier).axes, (*simplifier).expand, (*simplifier).concat, (*simplifier).slice, (*simplifier).pixels,
}

func (s *simplifier) block(b *ir.Block, outer *sizes) error {
	known := &sizes{outer, map[string]*ir.Value{}}
	for op := range b.Ops() {
		for _, r := range op.Regions {
			if err := s.block(r, known); err != nil {
				return err
			}
		}
		if op.NumResults() != 1 {
			continue
		}
		ok, err := s.share(op, known)
		for _, f := range rewrites {
			if ok || err != nil {
				break
			}
			ok, err = f(s, op)
		}
		if err != nil {
			return err
		}
		s.changed = s.changed || ok
	}
	return nil
}

// sizes holds the first value of each content, by block.
type sizes struct {
	outer *sizes
	first map[string]*ir.Value
}

func (s *sizes) find(key string) *ir.Value {
	for ; s != nil; s = s.outer {
		if v := s.first[key]; v != nil {
			return v
		}
	}
	return nil
}

// share lets an integer whose elements are known as sizes, symbols among them,
// be computed once however often the model does it.
func (s *simplifier) share(op *ir.Op, known *sizes) (bool, error) {
	v := op.Result(0)
	if v.Data() != nil || op.Name == ir.ConstantName || !v.Type.IsTensor() || !v.Type.DType.IsInt() || v.Type.Rank() < 0 || v.Type.Rank() > 1 {
		return false, nil
	}
	elems, ok := s.shapes.Contents(v)
	if !ok || len(elems) == 0 || len(elems) > 16 {
		return false, nil
	}
	key := v.Type.String()
	for _, e := range elems {
		if ops.IsUnknown(e) {
			return false, nil
		}
		key += "," + e.Key()
	}
	first := known.find(key)
	if first == nil {
		known.first[key] = v
		return false, nil
	}
	return s.Apply("same-size", op, nil, func(*passes.Rewriter) []*ir.Value { return []*ir.Value{first} })
}

// reshapes reports whether an op only changes a shape: a Transpose does where
// it moves dims of 1 alone.
func reshapes(op *ir.Op) bool {
	switch op.Name {
	case "Reshape", "Unsqueeze", "Squeeze", "Flatten":
		return true
	case "Transpose":
		p, ok := op.Attrs.Get("perm").([]int64)
		dims := op.Operand(0).Type.Dims
		if !ok || len(p) != len(dims) {
			return false
		}
		before := int64(-1)
		for _, n := range p {
			if n < 0 || int(n) >= len(dims) {
				return false
			}
			if dims[n].IsInt(1) {
				continue
			}
			if n < before {
				return false
			}
			before = n
		}
		return true
	}
	return false
}

// reshape writes an op that only changes a shape as a Reshape with a constant,
// where its shape is computed or stands behind another such op.
func (s *simplifier) reshape(op *ir.Op) (bool, error) {
	if !reshapes(op) || !op.Result(0).Type.IsTensor() {
		return false, nil
	}
	x, y := op.Operand(0), op.Result(0)
	var also []*ir.Op
	for x.Def() != nil && reshapes(x.Def()) && x.NumUses() == 1 && x.Block() == op.Block() {
		also = append(also, x.Def())
		x = x.Def().Operand(0)
	}
	computed := op.Name == "Reshape" && op.Operand(1).Data() == nil
	if len(also) == 0 && !computed {
		return false, nil
	}
	if x.Type.Ranked && x.Type.Equal(y.Type) {
		return s.Apply("reshape", op, also, func(*passes.Rewriter) []*ir.Value { return []*ir.Value{x} })
	}
	shape, ok := copied(x.Type, y.Type)
	if !ok {
		return false, nil
	}
	return s.Apply("reshape", op, also, func(r *passes.Rewriter) []*ir.Value {
		return []*ir.Value{r.Op("Reshape", []*ir.Value{x, r.Int64s(shape...)})}
	})
}

// copied returns the shape operand of a Reshape from a type to another one: a
// number, 0 for the dim in the same place, -1 for one that follows from the
// rest.
func copied(from, to ir.Type) ([]int64, bool) {
	if !from.Ranked || !to.Ranked {
		return nil, false
	}
	shape := make([]int64, len(to.Dims))
	rest := -1
	for i, d := range to.Dims {
		n, static := d.Int()
		switch {
		case static && n == 0:
			return nil, false // a 0 would copy
		case static:
			shape[i] = n
		case i < len(from.Dims) && d.Equal(from.Dims[i]):
		case rest < 0:
			shape[i], rest = -1, i
		default:
			return nil, false
		}
	}
	if rest < 0 {
		return shape, true
	}
	for i, n := range shape {
		// What follows from the rest does so only where the rest is not 0.
		if n == 0 && i != rest && !positive(to.Dims[i]) {
			return nil, false
		}
	}
	return shape, true
}

// positive reports whether a dim can not be 0.
func positive(d ir.Dim) bool { return d.Sub(ir.Const(1)).NonNegative() }

// axes joins Unsqueeze with Unsqueeze, and Squeeze with Squeeze, where the
// shape can not be a constant.
func (s *simplifier) axes(op *ir.Op) (bool, error) {
	if op.Name != "Unsqueeze" && op.Name != "Squeeze" {
		return false, nil
	}
	inner := op.Operand(0).Def()
	if inner == nil || inner.Name != op.Name || inner.Result(0).NumUses() != 1 || inner.Block() != op.Block() {
		return false, nil
	}
	wide, thin, mid := op.Result(0).Type, inner.Operand(0).Type, op.Operand(0).Type
	if op.Name == "Squeeze" {
		wide, thin = thin, wide
	}
	if !wide.Ranked || !thin.Ranked || !mid.Ranked {
		return false, nil
	}
	first, second := inner, op // in the order that takes the thin one to the wide one
	if op.Name == "Squeeze" {
		first, second = op, inner
	}
	a, ok1 := axesOf(first, mid.Rank())
	b, ok2 := axesOf(second, wide.Rank())
	if !ok1 || !ok2 {
		return false, nil
	}
	var list []int64
	at := 0 // in mid
	for i := range wide.Rank() {
		if b[i] {
			list = append(list, int64(i))
			continue
		}
		if a[at] {
			list = append(list, int64(i))
		}
		at++
	}
	return s.Apply("axes", op, []*ir.Op{inner}, func(r *passes.Rewriter) []*ir.Value {
		return []*ir.Value{r.Op(op.Name, []*ir.Value{inner.Operand(0), r.Int64s(list...)})}
	})
}

// axesOf returns which dims an Unsqueeze adds or a Squeeze takes away; rank is
// that of the wider side.
func axesOf(op *ir.Op, rank int) ([]bool, bool) {
	l, ok := ints(op.Operand(1))
	set := make([]bool, rank)
	for _, a := range l {
		if a < 0 {
			a += int64(rank)
		}
		if a < 0 || int(a) >= rank || set[a] {
			return nil, false
		}
		set[a] = true
	}
	return set, ok
}

// expand writes the computed shape of an Expand as a constant: dims that the
// operand has already are 1 there. An Expand to the operand's own type goes.
func (s *simplifier) expand(op *ir.Op) (bool, error) {
	if op.Name != "Expand" || op.Operand(1).Data() != nil {
		return false, nil
	}
	x, y := op.Operand(0), op.Result(0)
	if !x.Type.Ranked || !y.Type.Ranked {
		return false, nil
	}
	if x.Type.Equal(y.Type) {
		return s.Apply("expand", op, nil, func(*passes.Rewriter) []*ir.Value { return []*ir.Value{x} })
	}
	shape := make([]int64, len(y.Type.Dims))
	lead := len(shape) - len(x.Type.Dims)
	for i, d := range y.Type.Dims {
		n, static := d.Int()
		switch {
		case i >= lead && d.Equal(x.Type.Dims[i-lead]):
			shape[i] = 1
		case static:
			shape[i] = n
		default:
			return false, nil
		}
	}
	return s.Apply("expand", op, nil, func(r *passes.Rewriter) []*ir.Value {
		return []*ir.Value{r.Op("Expand", []*ir.Value{x, r.Int64s(shape...)})}
	})
}

// ints returns the elements of an int64 constant.
func ints(v *ir.Value) ([]int64, bool) {
	if v == nil || v.Data() == nil || v.Data().DType != tensor.Int64 || len(v.Data().Shape) > 1 {
		return nil, false
	}
	t, err := v.Data().Tensor()
	if err != nil {
		return nil, false
	}
	return tensor.Of[int64](t), true
}
