package ir

import (
	"fmt"
	"iter"
	"slices"
)

// Level says which ops a module may hold, and so what may be done with it.
type Level uint8

// Core has ONNX ops and composites with a definition in ONNX ops; export
// starts here. Fused groups them by what a target can fuse. CPU has layouts
// and kernels.
const (
	Core Level = iota
	Fused
	CPU
)

var levelNames = []string{"core", "fused", "cpu"}

func (l Level) String() string { return levelNames[l] }

// Module is a whole model.
type Module struct {
	Name   string
	Level  Level
	Opset  int // the opset that ops of the standard domain mean, always the newest
	Source Source
	Meta   []KeyValue // the model's own metadata, in file order
	Funcs  []*Func    // the first one is the entry
	fresh  int
}

// Source is what the file said of itself, kept for export and for reports.
type Source struct {
	IRVersion       int64
	ModelVersion    int64
	Opsets          []Opset
	Producer        string
	ProducerVersion string
	Domain          string
	Doc             string
	Unknown         []byte // fields of a newer format, carried to the export
}

// Opset is one imported operator set.
type Opset struct {
	Domain  string
	Version int64
}

// KeyValue is one entry of the model's metadata.
type KeyValue struct{ Key, Value string }

// NewModule returns a module with one function without ops.
func NewModule(name string, opset int) *Module {
	m := &Module{Name: name, Opset: opset}
	f := &Func{Name: "main", module: m}
	f.Body = &Block{fn: f}
	m.Funcs = []*Func{f}
	return m
}

// Main returns the entry function.
func (m *Module) Main() *Func { return m.Funcs[0] }

// FreshDim returns a new symbol for a size that only a run will tell.
func (m *Module) FreshDim() Dim {
	m.fresh++
	return Sym(fmt.Sprintf("?%d", m.fresh))
}

// Func is a function. Its parameters are the arguments of Body; Body ends
// with a yield of the results. Outputs holds the results' names.
type Func struct {
	Name    string
	Body    *Block
	Outputs []string
	module  *Module
}

// Module returns the module that holds f.
func (f *Func) Module() *Module { return f.module }

// AddInput appends a parameter.
func (f *Func) AddInput(name string, t Type) *Value {
	v := f.Body.AddArg(name, t)
	v.Origin = Origin{Name: name}
	return v
}

// Return ends the body with a yield of vals under the given names.
func (f *Func) Return(names []string, vals ...*Value) *Op {
	f.Outputs = names
	return AtEnd(f.Body).Op(YieldName, vals, nil)
}

// Results returns the values that the function yields.
func (f *Func) Results() []*Value { return f.Body.Results() }

// Block is a straight list of ops. It is the body of a function or a region
// of an op, and ends with a yield.
type Block struct {
	Name        string // the region's name: then_branch, body ...
	Args        []*Value
	first, last *Op
	len         int
	parent      *Op
	fn          *Func
}

// YieldName is the op that ends every block.
const YieldName = "yield"

// AddArg appends an argument.
func (b *Block) AddArg(name string, t Type) *Value {
	v := &Value{Name: name, Type: t, block: b, index: len(b.Args)}
	b.Args = append(b.Args, v)
	return v
}

// Parent returns the op that holds the block as a region, nil for a body.
func (b *Block) Parent() *Op { return b.parent }

// Func returns the function that holds the block, nil where it is detached.
func (b *Block) Func() *Func {
	for b.parent != nil {
		b = b.parent.block
		if b == nil {
			return nil
		}
	}
	return b.fn
}

// First and Last return the block's first and last op.
func (b *Block) First() *Op { return b.first }

// Last returns the block's last op: its yield, once it is complete.
func (b *Block) Last() *Op { return b.last }

// Len returns the number of ops, the yield included.
func (b *Block) Len() int { return b.len }

// Yield returns the block's terminator, nil while there is none.
func (b *Block) Yield() *Op {
	if b.last != nil && b.last.Name == YieldName {
		return b.last
	}
	return nil
}

// Results returns the values that the block yields.
func (b *Block) Results() []*Value {
	if y := b.Yield(); y != nil {
		return y.Operands()
	}
	return nil
}

// Ops iterates in program order. The op at hand may be erased, and ops may be
// inserted around it.
func (b *Block) Ops() iter.Seq[*Op] {
	return func(yield func(*Op) bool) {
		for op := b.first; op != nil; {
			next := op.next
			if !yield(op) {
				return
			}
			op = next
		}
	}
}

// Walk visits every op of the block and of the regions below it, an op before
// its regions, until f returns false.
func (b *Block) Walk(f func(*Op) bool) bool {
	for op := range b.Ops() {
		if !f(op) {
			return false
		}
		for _, r := range op.Regions {
			if !r.Walk(f) {
				return false
			}
		}
	}
	return true
}

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

// Value is defined once, by an op or as a block's argument.
type Value struct {
	Name   string // arguments only: how it is called from outside
	Type   Type
	Origin Origin
	def    *Op
	block  *Block
	index  int
	uses   []Use
}

// Use is one place where a value is read.
type Use struct {
	Op    *Op
	Index int
}

// Relation says how a value relates to the one of the source model it stands
// for.
type Relation string

// The relations. Exact is the zero value.
const (
	Exact    Relation = ""
	Scaled   Relation = "scaled"
	Permuted Relation = "permuted"
)

// Origin names the value of the source model that a value equals.
type Origin struct {
	Name     string
	Relation Relation
}

// Block returns the block that holds the op, nil once it is erased.
func (op *Op) Block() *Block { return op.block }

// Next and Prev return the neighbours in the block.
func (op *Op) Next() *Op { return op.next }

// Prev returns the op before this one.
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

// clear drops every op of the block, last one first.
func (b *Block) clear() {
	for op := b.last; op != nil; op = b.last {
		op.Erase()
	}
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

// link inserts op into b before the given op, at the end where it is nil.
func (b *Block) link(op, before *Op) {
	op.block, op.next = b, before
	if before != nil {
		op.prev, before.prev = before.prev, op
	} else {
		op.prev, b.last = b.last, op
	}
	if op.prev != nil {
		op.prev.next = op
	} else {
		b.first = op
	}
	b.len++
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

// Def returns the op that defines the value, nil for an argument.
func (v *Value) Def() *Op { return v.def }

// Index returns the value's position among its op's results or its block's
// arguments.
func (v *Value) Index() int { return v.index }

// Block returns the block in which the value is defined.
func (v *Value) Block() *Block {
	if v.def != nil {
		return v.def.block
	}
	return v.block
}

// IsArg reports whether the value is a block's argument.
func (v *Value) IsArg() bool { return v.def == nil }

// Uses returns a copy of the use list, in no order that means anything but
// the same in every run.
func (v *Value) Uses() []Use { return slices.Clone(v.uses) }

// NumUses returns the number of uses.
func (v *Value) NumUses() int { return len(v.uses) }

// ReplaceAllUsesWith lets every use of v read w.
func (v *Value) ReplaceAllUsesWith(w *Value) {
	if v == w {
		return
	}
	for len(v.uses) > 0 {
		u := v.uses[len(v.uses)-1]
		u.Op.SetOperand(u.Index, w)
	}
}

// Data returns the data of a value that a Constant defines, nil otherwise.
func (v *Value) Data() *Data {
	if v == nil || v.def == nil || v.def.Name != ConstantName {
		return nil
	}
	c, _ := v.def.Attrs.Get("value").(*Data)
	return c
}

// ConstantName is the op whose attribute "value" is its result.
const ConstantName = "Constant"
