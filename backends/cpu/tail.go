package cpu

import (
	"container/list"
	"encoding/binary"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// tail is what of a function waits for sizes that only a run of the plan
// before it tells: what NonZero, TopK and their like return. It is bound as a
// function of its own to the sizes that turn up, and kept for those seen before.
type tail struct {
	*outline
	known map[*ir.Value]*tensor.Tensor // by shape arithmetic
	says  []*ir.Value                  // small integers whose elements decide shapes
	idle  *list.List                   // of *bound, the one used last in front
	depth int
	ahead *restored
}

// bound is a piece bound to sizes.
type bound struct {
	*plan
	key string
	ins []*ir.Value // the values outside that its arguments are
}

// A tail keeps the plans of so many sizes, and so many tails may follow one
// another: behind them, the reference runs.
const (
	maxTails = 8
	maxDepth = 24
)

// newTail makes the tail of a plan.
func (b *binder) newTail(waiting []*ir.Op, results []*ir.Value) *tail {
	t := &tail{outline: outlineOf(waiting, nil, results), known: map[*ir.Value]*tensor.Tensor{}, idle: list.New(), depth: b.depth + 1, ahead: b.ahead}
	memo := map[*ir.Value]bool{}
	for _, v := range t.outer {
		if known := b.knownInts(v); known != nil {
			t.known[v] = known
		} else if d := v.Type.DType; v.Data() == nil && v.Type.IsTensor() && (d == tensor.Int64 || d == tensor.Int32) && decidesShapes(v, memo) {
			t.says = append(t.says, v)
		}
	}
	return t
}

// run binds the tail to the values of the run at hand and runs it.
func (t *tail) run(x *run, p *plan) ([]tensor.Value, error) {
	b, err := t.acquire(p)
	if err != nil {
		return nil, err
	}
	if err := x.reserve(b.need); err != nil {
		return nil, err
	}
	if err := b.take(p, nil, b.ins); err != nil {
		return nil, err
	}
	outs, err := b.execute(x)
	for i := range outs {
		outs[i] = own(outs[i])
	}
	clear(b.dynamic)
	return outs, err
}

// acquire finds the plan for the values at hand or makes it.
func (t *tail) acquire(p *plan) (*bound, error) {
	key, known := t.key(p)
	for e := t.idle.Front(); e != nil; e = e.Next() {
		if b := e.Value.(*bound); b.key == key {
			t.idle.MoveToFront(e)
			return b, nil
		}
	}
	types := func(v *ir.Value) ir.Type {
		if x, ok := p.value(v).(*tensor.Tensor); ok {
			return typeOf(v, x.Shape)
		}
		return v.Type
	}
	fn, ins, ahead, err := t.function(nil, types, merge(t.known, known), t.ahead)
	depth := t.depth
	if err != nil { // sizes that do not fit: the op that minds says so when it is evaluated
		depth = maxDepth
	}
	b := &bound{key: key, ins: ins}
	nb, err := newBinder(fn, ahead, p.machine, p.seen(ins, p.value), depth)
	if err != nil {
		return nil, err
	}
	b.plan = nb.plan
	if err := nb.finish(p, ins); err != nil {
		return nil, err
	}
	t.idle.PushFront(b)
	if t.idle.Len() > maxTails {
		old := t.idle.Remove(t.idle.Back()).(*bound)
		old.free()
	}
	return b, nil
}

// bytes returns the memory of the plans that are kept.
func (t *tail) bytes() int {
	n := 0
	for e := t.idle.Front(); e != nil; e = e.Next() {
		n += e.Value.(*bound).size()
	}
	return n
}

func (t *tail) free() {
	for e := t.idle.Front(); e != nil; e = e.Next() {
		e.Value.(*bound).free()
	}
	t.idle.Init()
}

// key tells apart values for which other plans are needed, and returns the
// elements that it holds.
func (t *tail) key(p *plan) (string, map[*ir.Value]*tensor.Tensor) {
	var key []byte
	known := map[*ir.Value]*tensor.Tensor{}
	for _, v := range t.outer {
		if x, ok := p.dynamic[v].(*tensor.Tensor); ok {
			key = binary.AppendUvarint(key, uint64(len(x.Shape)))
			for _, n := range x.Shape {
				key = binary.AppendUvarint(key, uint64(n))
			}
		}
	}
	for _, v := range t.says {
		if x, ok := p.value(v).(*tensor.Tensor); ok && x.Len() <= mostKnown && x.Rank() <= 1 {
			x = x.Clone()
			known[v] = x
			key = append(key, x.Data...)
		}
	}
	return string(key), known
}
