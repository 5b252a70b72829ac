package ir

import (
	"iter"
	"slices"
)

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

// RemoveArg takes out an argument that nothing uses.
func (b *Block) RemoveArg(v *Value) {
	if v.block != b || len(v.uses) > 0 {
		panic("ir: the argument is another block's or in use")
	}
	b.Args = slices.Delete(b.Args, v.index, v.index+1)
	for i, a := range b.Args {
		a.index = i
	}
	v.block = nil
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

// First returns the block's first op, nil where there is none.
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

// clear drops every op of the block, last one first.
func (b *Block) clear() {
	for op := b.last; op != nil; op = b.last {
		op.Erase()
	}
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
