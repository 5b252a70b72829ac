package ir

import "slices"

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
