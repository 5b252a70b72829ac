package ir

import (
	"github.com/hone-ml/hone/tensor"
)

// Builder inserts ops at a point of a block.
type Builder struct {
	block  *Block
	before *Op
	Loc    []string // given to every op that is built
}

// AtEnd returns a builder that appends to b.
func AtEnd(b *Block) *Builder { return &Builder{block: b} }

// Before returns a builder that inserts before op, with op's location.
func Before(op *Op) *Builder { return &Builder{block: op.block, before: op, Loc: op.Loc} }

// After returns a builder that inserts behind op, with op's location.
func After(op *Op) *Builder { return &Builder{block: op.block, before: op.next, Loc: op.Loc} }

// Block returns the block that the builder inserts into.
func (b *Builder) Block() *Block { return b.block }

// Module returns the module that the builder inserts into.
func (b *Builder) Module() *Module {
	if f := b.block.Func(); f != nil {
		return f.module
	}
	return nil
}

// Op inserts an op with results of the given types. Types are not inferred
// here: ops.Build does that.
func (b *Builder) Op(name string, operands []*Value, results []Type, attrs ...Attr) *Op {
	op := &Op{Name: name, Loc: b.Loc}
	for _, a := range attrs {
		op.Attrs.Set(a.Name, a.Value)
	}
	op.operands = make([]operand, len(operands))
	for i, v := range operands {
		op.SetOperand(i, v)
	}
	for _, t := range results {
		op.AddResult(t)
	}
	b.block.link(op, b.before)
	return op
}

// Constant inserts a constant.
func (b *Builder) Constant(c *Data) *Value {
	return b.Op(ConstantName, nil, []Type{Static(c.DType, c.Shape...)}, Attr{"value", c}).Result(0)
}

// Tensor inserts a constant with the tensor's value.
func (b *Builder) Tensor(t *tensor.Tensor) *Value { return b.Constant(NewData(t)) }

// Int64s inserts a one-dimensional int64 constant.
func (b *Builder) Int64s(vals ...int64) *Value { return b.Tensor(tensor.Int64s(vals)) }

// Clone inserts a copy of op, its regions included. Operands are looked up in
// m first, which gets the copies of results and arguments.
func (b *Builder) Clone(op *Op, m map[*Value]*Value) *Op {
	operands := op.Operands()
	for i, v := range operands {
		if w, ok := m[v]; ok {
			operands[i] = w
		}
	}
	c := b.Op(op.Name, operands, nil)
	c.Attrs, c.Loc = op.Attrs.Clone(), op.Loc
	for _, r := range op.results {
		n := c.AddResult(r.Type)
		n.Origin = r.Origin
		m[r] = n
	}
	for _, r := range op.Regions {
		r.CloneInto(c.AddRegion(r.Name), m)
	}
	return c
}

// CloneInto copies arguments and ops to the end of dst.
func (b *Block) CloneInto(dst *Block, m map[*Value]*Value) {
	for _, a := range b.Args {
		n := dst.AddArg(a.Name, a.Type)
		n.Origin = a.Origin
		m[a] = n
	}
	at := AtEnd(dst)
	for op := range b.Ops() {
		at.Clone(op, m)
	}
}

// Clone returns a deep copy of the module; constant data is shared, and stays
// with m, see Close.
func (m *Module) Clone() *Module {
	c := *m
	c.owned = nil
	c.Funcs = make([]*Func, len(m.Funcs))
	for i, f := range m.Funcs {
		g := &Func{Name: f.Name, Outputs: f.Outputs, module: &c}
		g.Body = &Block{fn: g}
		f.Body.CloneInto(g.Body, map[*Value]*Value{})
		c.Funcs[i] = g
	}
	return &c
}
