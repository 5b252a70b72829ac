package ops

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// maxContents bounds the tensors whose elements shape inference follows.
const maxContents = 1024

// Shapes runs shape inference and remembers the elements of small integer
// tensors on the way: what Shape, Gather and Concat compute from symbolic
// dims, and Reshape reads.
type Shapes struct {
	module   *ir.Module
	contents map[*ir.Value][]ir.Dim
	values   map[*ir.Value]*tensor.Tensor // small results that are the same in every run
	depth    int
}

// NewShapes returns an inference over m.
func NewShapes(m *ir.Module) *Shapes {
	return &Shapes{module: m, contents: map[*ir.Value][]ir.Dim{}, values: map[*ir.Value]*tensor.Tensor{}}
}

// InferModule sets the type of every value from the types of the inputs. A
// value of a function's body whose rank inference does not tell keeps the shape
// that was declared; the types of regions, which are inferred until they fit,
// are no declarations.
func InferModule(m *ir.Module) error {
	s := NewShapes(m)
	for _, f := range m.Funcs {
		for op := range f.Body.Ops() {
			declared := make([]ir.Type, op.NumResults())
			for i, v := range op.Results() {
				declared[i] = v.Type
			}
			if err := s.Op(op); err != nil {
				return err
			}
			for i, v := range op.Results() {
				if t := v.Type; t.IsTensor() && !t.Ranked && t.Kind == declared[i].Kind && t.DType == declared[i].DType {
					v.Type = declared[i].WithLayout(t.Layout)
				}
			}
		}
	}
	return nil
}

// Block infers a block whose arguments have their types.
func (s *Shapes) Block(b *ir.Block) error {
	for op := range b.Ops() {
		if err := s.Op(op); err != nil {
			return err
		}
	}
	return nil
}

// Op infers one op, its regions included.
func (s *Shapes) Op(op *ir.Op) error { return s.run(op, false) }

// run calls the op's Infer; dry keeps what it learns of elements only.
func (s *Shapes) run(op *ir.Op, dry bool) (err error) {
	if op.Name == ir.YieldName {
		return nil
	}
	impl := Lookup(op.Name)
	if impl == nil || impl.Infer == nil {
		return nil
	}
	defer guard(op, &err)
	x := &Inference{attrs: attrs{op}, shapes: s, dry: dry, types: make([]*ir.Type, op.NumResults())}
	if err := impl.Infer(x); err != nil {
		return err
	}
	x.commit()
	s.evaluate(op, impl)
	return nil
}

// ResultTypes returns the types of the results that op has for these operands,
// as far as inference tells them from the operands' shapes and small values. It
// leaves op as it is; nil for an op with regions.
func ResultTypes(op *ir.Op, ins []tensor.Value) []ir.Type {
	if len(op.Regions) > 0 {
		return nil
	}
	m := ir.NewModule("", NewestOpset(""))
	b := ir.AtEnd(m.Main().Body)
	operands := make([]*ir.Value, len(ins))
	for i, v := range ins {
		t, ok := v.(*tensor.Tensor)
		switch {
		case v == nil:
		case ok && t.Len() <= maxContents:
			operands[i] = b.Tensor(t)
		case ok:
			operands[i] = m.Main().AddInput("", ir.Static(t.DType, t.Shape...))
		default:
			operands[i] = m.Main().AddInput("", op.Operand(i).Type)
		}
	}
	c := b.Op(op.Name, operands, make([]ir.Type, op.NumResults()), op.Attrs...)
	if err := NewShapes(m).Op(c); err != nil {
		return nil // evaluating the op says it better
	}
	types := make([]ir.Type, op.NumResults())
	for i, r := range c.Results() {
		types[i] = r.Type
	}
	return types
}

// Contents returns the elements of a small integer tensor as far as they are
// known, in row-major order; unknownElem stands for the others.
func (s *Shapes) Contents(v *ir.Value) ([]ir.Dim, bool) {
	if v == nil {
		return nil, false
	}
	if c, ok := s.contents[v]; ok {
		return c, c != nil
	}
	s.contents[v] = nil // also what a cycle or a failure leaves
	if d := v.Data(); d != nil {
		if (d.DType == tensor.Int64 || d.DType == tensor.Int32) && len(d.Shape) <= 1 && d.Len() <= maxContents {
			if t, err := d.Tensor(); err == nil {
				s.contents[v] = dimsOf(t)
			}
		}
	} else if v.Def() != nil && v.Type.DType.IsInt() && v.Type.Rank() <= 1 && s.depth < 64 {
		s.depth++
		_ = s.run(v.Def(), true)
		s.depth--
	}
	return s.contents[v], s.contents[v] != nil
}

func dimsOf(t *tensor.Tensor) []ir.Dim {
	dims := make([]ir.Dim, t.Len())
	for i := range dims {
		if t.DType == tensor.Int32 {
			dims[i] = ir.Const(int64(tensor.Of[int32](t)[i]))
		} else {
			dims[i] = ir.Const(tensor.Of[int64](t)[i])
		}
	}
	return dims
}

// Inference is the shape inference of one op.
type Inference struct {
	attrs
	shapes *Shapes
	dry    bool
	types  []*ir.Type
	fresh  []string
	known  map[int][]ir.Dim
}

// NumIn returns the number of operands, absent ones included.
func (x *Inference) NumIn() int { return x.op.NumOperands() }

// NumOut returns the number of results.
func (x *Inference) NumOut() int { return x.op.NumResults() }

// HasIn reports whether operand i is there.
func (x *Inference) HasIn(i int) bool { return x.op.Operand(i) != nil }

// In returns the type of operand i; an unranked, undefined tensor where it is
// absent.
func (x *Inference) In(i int) ir.Type {
	if v := x.op.Operand(i); v != nil {
		return v.Type
	}
	return ir.Type{}
}

// Set gives the type of result i; results that the op lacks are dropped.
func (x *Inference) Set(i int, t ir.Type) {
	if i < len(x.types) {
		x.types[i] = &t
	}
}

// Fresh returns a symbol for a size that only a run will tell.
func (x *Inference) Fresh() ir.Dim {
	d := x.shapes.module.FreshDim()
	x.fresh = append(x.fresh, d.String())
	return d
}

// FreshType returns a tensor type of known rank and unknown dims.
func (x *Inference) FreshType(d tensor.DType, rank int) ir.Type {
	dims := make([]ir.Dim, rank)
	for i := range dims {
		dims[i] = x.Fresh()
	}
	return ir.TensorOf(d, dims...)
}

// Const returns the value of operand i where it is a constant, else nil.
func (x *Inference) Const(i int) *tensor.Tensor {
	d := x.op.Operand(i).Data()
	if d == nil {
		return x.shapes.values[x.op.Operand(i)]
	}
	t, err := d.Tensor()
	if err != nil {
		panic(failure{fmt.Errorf("operand %d: %w", i, err)})
	}
	return t
}

// Contents returns the elements of operand i, a small integer tensor, as far
// as shape arithmetic tells them; the others are fresh symbols.
func (x *Inference) Contents(i int) ([]ir.Dim, bool) {
	e, ok := x.shapes.Contents(x.op.Operand(i))
	e = slices.Clone(e)
	for j, d := range e {
		if IsUnknown(d) {
			e[j] = x.Fresh()
		}
	}
	return e, ok
}

// unknownElem stands for an element of a shape tensor that shape arithmetic
// does not tell; so does every expression that it is part of.
var unknownElem = ir.Sym("?")

// IsUnknown reports whether an element that Contents returns is not known: two
// such are never equal.
func IsUnknown(d ir.Dim) bool { return slices.Contains(d.Symbols(), "?") }

// SetContents gives the elements of result i.
func (x *Inference) SetContents(i int, elems []ir.Dim) {
	if i >= len(x.types) || len(elems) > maxContents {
		return
	}
	if x.known == nil {
		x.known = map[int][]ir.Dim{}
	}
	x.known[i] = append([]ir.Dim{}, elems...)
}

// Region gives the named region's arguments their types, infers it and
// returns the types that it yields.
func (x *Inference) Region(name string, args ...ir.Type) ([]ir.Type, error) {
	r := x.op.Region(name)
	if r == nil {
		return nil, fmt.Errorf("there is no %s", name)
	}
	if len(args) != len(r.Args) {
		return nil, fmt.Errorf("%s takes %d arguments, got %d", name, len(r.Args), len(args))
	}
	if !x.dry {
		for i, t := range args {
			r.Args[i].Type = t
		}
		if err := x.shapes.Block(r); err != nil {
			return nil, err
		}
	}
	var types []ir.Type
	for _, v := range r.Results() {
		types = append(types, v.Type)
	}
	return types, nil
}

// Errorf makes an error; the engine adds the op's name and location.
func (x *Inference) Errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// commit writes types and elements to the results. A fresh symbol keeps the
// name that the same dim had before, so that inferring twice changes nothing.
func (x *Inference) commit() {
	isFresh := map[string]bool{}
	for _, f := range x.fresh {
		isFresh[f] = true
	}
	same := map[string]ir.Dim{}
	for i, t := range x.types {
		old := x.op.Result(i).Type
		for t != nil && len(isFresh) > 0 && len(old.Dims) == len(t.Dims) {
			for j, d := range t.Dims {
				if o := old.Dims[j]; isFresh[d.String()] && len(o.Symbols()) == 1 && ir.Sym(o.Symbols()[0]).Equal(o) {
					same[d.String()] = o
				}
			}
			if t.Elem == nil || old.Elem == nil {
				break
			}
			t, old = t.Elem, *old.Elem
		}
	}
	for i, t := range x.types {
		r := x.op.Result(i)
		if t != nil && !x.dry {
			if len(same) > 0 {
				*t = t.Subst(same)
			}
			if t.IsTensor() && t.DType == tensor.Undefined {
				t.DType = r.Type.DType
			}
			t.Layout = r.Type.Layout // how a value lies is not the op's business
			r.Type = *t
		}
		if elems, ok := x.known[i]; ok {
			for j, e := range elems {
				if len(same) > 0 {
					elems[j] = e.Subst(same)
				}
			}
			x.shapes.contents[r] = elems
		}
	}
}

// Build inserts an op with one result, or as many as the op must have, and
// infers their types.
func Build(b *ir.Builder, name string, operands []*ir.Value, attrs ...ir.Attr) (*ir.Op, error) {
	n := 1
	if s := SchemaOf(name); s != nil {
		n = max(1, s.MinOutputs())
	}
	return BuildN(b, name, n, operands, attrs...)
}

// BuildN is Build with a number of results.
func BuildN(b *ir.Builder, name string, n int, operands []*ir.Value, attrs ...ir.Attr) (*ir.Op, error) {
	op := b.Op(name, operands, make([]ir.Type, n), attrs...)
	if err := NewShapes(b.Module()).Op(op); err != nil {
		op.Erase()
		return nil, err
	}
	return op, nil
}
