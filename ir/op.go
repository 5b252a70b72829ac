package ir

import "fmt"

// Op is one operation. Name is the ONNX operator's name for the standard
// domain, "ml.Name" and the like for ONNX's other domains, and dotted by its
// layer for hone's own: hone.Fused, cpu.Conv.
type Op struct {
	Name    string
	Attrs   Attrs
	Regions []*Block
	Loc     []string // the ONNX nodes that it came from

	operands   []operand
	results    []*Value
	block      *Block
	prev, next *Op
}

// operand knows its place in the value's use list, so that removing a use
// costs the same however many uses there are.
type operand struct {
	v   *Value
	pos int
}

// Block returns the block that holds the op, nil once it is erased.
func (op *Op) Block() *Block { return op.block }

// Next returns the op behind this one in its block, nil at the end.
func (op *Op) Next() *Op { return op.next }

// Prev returns the op before this one, nil at the start.
func (op *Op) Prev() *Op { return op.prev }

// NumOperands returns the number of operands, absent ones included.
func (op *Op) NumOperands() int { return len(op.operands) }

// Operand returns operand i, nil where it is absent or past the end.
func (op *Op) Operand(i int) *Value {
	if i < 0 || i >= len(op.operands) {
		return nil
	}
	return op.operands[i].v
}

// Operands returns the operands as a new slice; absent ones are nil.
func (op *Op) Operands() []*Value {
	vs := make([]*Value, len(op.operands))
	for i, o := range op.operands {
		vs[i] = o.v
	}
	return vs
}

// SetOperand replaces operand i; nil makes it absent.
func (op *Op) SetOperand(i int, v *Value) {
	op.dropUse(i)
	op.operands[i].v = v
	if v != nil {
		op.operands[i].pos = len(v.uses)
		v.uses = append(v.uses, Use{op, i})
	}
}

// SetOperands replaces all operands.
func (op *Op) SetOperands(vs ...*Value) {
	for i := range op.operands {
		op.dropUse(i)
	}
	op.operands = make([]operand, len(vs))
	for i, v := range vs {
		op.SetOperand(i, v)
	}
}

// AddOperand appends an operand.
func (op *Op) AddOperand(v *Value) {
	op.operands = append(op.operands, operand{})
	op.SetOperand(len(op.operands)-1, v)
}

func (op *Op) dropUse(i int) {
	o := &op.operands[i]
	if o.v == nil {
		return
	}
	last := len(o.v.uses) - 1
	if o.pos != last {
		moved := o.v.uses[last]
		o.v.uses[o.pos] = moved
		moved.Op.operands[moved.Index].pos = o.pos
	}
	o.v.uses = o.v.uses[:last]
	o.v = nil
}

// NumResults returns the number of results.
func (op *Op) NumResults() int { return len(op.results) }

// Result returns result i, nil past the end.
func (op *Op) Result(i int) *Value {
	if i < 0 || i >= len(op.results) {
		return nil
	}
	return op.results[i]
}

// Results returns the results; the slice is the op's own.
func (op *Op) Results() []*Value { return op.results }

// AddResult appends a result.
func (op *Op) AddResult(t Type) *Value {
	v := &Value{Type: t, def: op, index: len(op.results)}
	op.results = append(op.results, v)
	return v
}

// TrimResults drops trailing results beyond n; they must be unused.
func (op *Op) TrimResults(n int) {
	for _, r := range op.results[n:] {
		if len(r.uses) > 0 {
			panic("ir: trimming a result in use")
		}
	}
	op.results = op.results[:n]
}

// AddRegion appends an empty region.
func (op *Op) AddRegion(name string) *Block {
	b := &Block{Name: name, parent: op}
	op.Regions = append(op.Regions, b)
	return b
}

// Region returns the region of that name, nil where there is none.
func (op *Op) Region(name string) *Block {
	for _, r := range op.Regions {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Module returns the module that holds the op.
func (op *Op) Module() *Module {
	if op.block == nil {
		return nil
	}
	if f := op.block.Func(); f != nil {
		return f.module
	}
	return nil
}

// Unused reports whether no result has a use.
func (op *Op) Unused() bool {
	for _, r := range op.results {
		if len(r.uses) > 0 {
			return false
		}
	}
	return true
}

// Erase takes the op out of its block and drops its uses of other values.
// Its results must be unused.
func (op *Op) Erase() {
	if !op.Unused() {
		panic(fmt.Sprintf("ir: erasing %s, whose result is in use", op.Name))
	}
	for i := range op.operands {
		op.dropUse(i)
	}
	for _, r := range op.Regions {
		r.clear()
	}
	op.unlink()
}

func (op *Op) unlink() {
	b := op.block
	if b == nil {
		return
	}
	if op.prev != nil {
		op.prev.next = op.next
	} else {
		b.first = op.next
	}
	if op.next != nil {
		op.next.prev = op.prev
	} else {
		b.last = op.prev
	}
	op.prev, op.next, op.block = nil, nil, nil
	b.len--
}

// MoveBefore takes the op out of its block and inserts it before another one.
func (op *Op) MoveBefore(other *Op) {
	op.unlink()
	other.block.link(op, other)
}

// MoveAfter takes the op out of its block and inserts it behind another one.
func (op *Op) MoveAfter(other *Op) {
	op.unlink()
	other.block.link(op, other.next)
}
