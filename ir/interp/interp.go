// Package interp is the reference interpreter: it runs any module, at any
// level, op by op, with the meaning that ir/ops and ref give each op. It is
// the judge of every pass and every target, so it is kept obvious.
package interp

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// Options adjust a run. The zero value runs without limits.
type Options struct {
	// MemoryLimit bounds the bytes of values that are alive at once; 0 is no
	// bound. Constants do not count, nor does what an op needs while it computes.
	// A result whose size follows from the operands is refused before it is made.
	MemoryLimit int64
	// Observe is called with every value that is computed, arguments of
	// regions included, each time that it is.
	Observe func(v *ir.Value, x tensor.Value)
	// Seed starts the generator of random ops that bring no seed.
	Seed uint64
}

// Program is a module made ready to run. It may run many times, also at once.
type Program struct {
	fn   *ir.Func // or
	op   *ir.Op
	dies map[*ir.Op][]*ir.Value // values of the op's block that nobody reads after it
}

// New prepares the entry function of m. The module must not change while the
// program is in use.
func New(m *ir.Module) *Program {
	p := &Program{fn: m.Main(), dies: map[*ir.Op][]*ir.Value{}}
	p.lifetimes(p.fn.Body)
	return p
}

// ForOp prepares a single op, with its regions, for Eval.
func ForOp(op *ir.Op) *Program {
	p := &Program{op: op, dies: map[*ir.Op][]*ir.Value{}}
	for _, r := range op.Regions {
		p.lifetimes(r)
	}
	return p
}

// Eval computes the results of the op that ForOp prepared. Outer finds the
// values that its regions see from outside.
func (p *Program) Eval(ctx context.Context, ins []tensor.Value, outer func(*ir.Value) tensor.Value, opt Options) ([]tensor.Value, error) {
	r := p.start(ctx, opt)
	r.outer = outer
	if err := r.room(p.op, ins); err != nil {
		return nil, err
	}
	return ops.Eval(p.op, ins, &r.env)
}

// lifetimes finds the last reader of each value that the block defines. A use
// inside a region counts for the op of this block that holds the region.
func (p *Program) lifetimes(b *ir.Block) {
	order := map[*ir.Op]int{}
	n := 0
	for op := range b.Ops() {
		order[op] = n
		n++
		for _, r := range op.Regions {
			p.lifetimes(r)
		}
	}
	last := func(v *ir.Value, def *ir.Op) {
		at := def
		for _, u := range v.Uses() {
			o := u.Op
			for o.Block() != b { // in a region of an op of b
				o = o.Block().Parent()
			}
			if at == nil || order[o] > order[at] {
				at = o
			}
		}
		if at != nil {
			p.dies[at] = append(p.dies[at], v)
		}
	}
	for _, a := range b.Args {
		last(a, nil)
	}
	for op := range b.Ops() {
		for _, r := range op.Results() {
			last(r, op)
		}
	}
}

// Run computes the outputs from inputs, both in the order of the function's
// signature.
func (p *Program) Run(ctx context.Context, inputs []tensor.Value, opt Options) ([]tensor.Value, error) {
	if err := p.checkInputs(inputs); err != nil {
		return nil, err
	}
	return p.start(ctx, opt).block(p.fn.Body, inputs)
}

func (p *Program) start(ctx context.Context, opt Options) *run {
	r := &run{Program: p, opt: opt, vals: map[*ir.Value]tensor.Value{}, refs: map[any]int{}}
	r.env = ops.Env{Context: ctx, Rand: rand.New(rand.NewPCG(opt.Seed, 1)), Run: r.block}
	return r
}

func (p *Program) checkInputs(inputs []tensor.Value) error {
	args := p.fn.Body.Args
	if len(inputs) != len(args) {
		return fmt.Errorf("%d inputs given, the model takes %d", len(inputs), len(args))
	}
	for i, a := range args {
		if inputs[i] == nil {
			return fmt.Errorf("input %q is missing", a.Name)
		}
		t, ok := inputs[i].(*tensor.Tensor)
		if !a.Type.IsTensor() || !ok {
			continue
		}
		if r := a.Type.Rank(); t.DType != a.Type.DType || r >= 0 && r != t.Rank() {
			return fmt.Errorf("input %q is %s, the model takes %s", a.Name, t, a.Type)
		}
	}
	return nil
}

// run is the state of one run.
type run struct {
	*Program
	opt   Options
	env   ops.Env
	outer func(*ir.Value) tensor.Value // finds values from outside of an op
	vals  map[*ir.Value]tensor.Value
	refs  map[any]int // live tensors by the memory they share
	live  int64
}

func (r *run) block(b *ir.Block, args []tensor.Value) ([]tensor.Value, error) {
	for i, a := range b.Args {
		if err := r.define(a, args[i]); err != nil {
			return nil, err
		}
	}
	for op := range b.Ops() {
		if err := r.env.Context.Err(); err != nil {
			return nil, err
		}
		ins := make([]tensor.Value, op.NumOperands())
		for i := range ins {
			if v := op.Operand(i); v != nil {
				ins[i] = r.value(v)
			}
		}
		if op.Name == ir.YieldName {
			r.bury(op)
			return ins, nil
		}
		if err := r.room(op, ins); err != nil {
			return nil, err
		}
		outs, err := ops.Eval(op, ins, &r.env)
		if err != nil {
			return nil, err
		}
		for i, v := range op.Results() {
			if outs[i] == nil {
				continue
			}
			if err := r.define(v, outs[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", ops.Describe(op), err)
			}
		}
		r.bury(op)
	}
	return nil, fmt.Errorf("block %q has no end", b.Name)
}

func (r *run) value(v *ir.Value) tensor.Value {
	if x, ok := r.vals[v]; ok || r.outer == nil {
		return x
	}
	return r.outer(v)
}

func (r *run) define(v *ir.Value, x tensor.Value) error {
	r.release(v) // the value of the iteration before
	r.vals[v] = x
	if r.opt.Observe != nil {
		r.opt.Observe(v, x)
	}
	if r.opt.MemoryLimit <= 0 || v.Data() != nil {
		return nil
	}
	r.count(x, 1)
	if r.live > r.opt.MemoryLimit {
		return r.overLimit(r.live)
	}
	return nil
}

// room refuses an op whose results would pass the limit, as far as their sizes
// follow from the operands.
func (r *run) room(op *ir.Op, ins []tensor.Value) error {
	if r.opt.MemoryLimit <= 0 {
		return nil
	}
	need := ir.Const(r.live)
	for _, t := range ops.ResultTypes(op, ins) {
		if t.Ranked {
			need = need.Add(t.NumElements().Mul(ir.Const(int64(t.DType.Size()))))
		}
	}
	if !ir.Const(r.opt.MemoryLimit).Sub(need).NonNegative() {
		if n, known := need.Int(); known {
			return fmt.Errorf("%s: %w", ops.Describe(op), r.overLimit(n))
		}
	}
	return nil
}

func (r *run) overLimit(n int64) error {
	return fmt.Errorf("values take %d bytes, over the limit of %d for this run", n, r.opt.MemoryLimit)
}

// bury drops the values that nobody reads after op.
func (r *run) bury(op *ir.Op) {
	for _, v := range r.dies[op] {
		r.release(v)
	}
}

func (r *run) release(v *ir.Value) {
	x, ok := r.vals[v]
	if !ok {
		return
	}
	delete(r.vals, v)
	if r.opt.MemoryLimit > 0 && v.Data() == nil {
		r.count(x, -1)
	}
}

// count adds or takes back a use of all memory that x holds.
func (r *run) count(x tensor.Value, by int) {
	switch x := x.(type) {
	case *tensor.Tensor:
		var at any
		var n int64
		switch {
		case x == nil:
			return
		case len(x.Data) > 0:
			at, n = &x.Data[0], int64(len(x.Data))
		case len(x.Strings) > 0:
			at, n = &x.Strings[0], int64(len(x.Strings))*16
			for _, s := range x.Strings {
				n += int64(len(s))
			}
		default:
			return
		}
		was := r.refs[at]
		if r.refs[at] += by; was == 0 {
			r.live += n
		} else if r.refs[at] == 0 {
			delete(r.refs, at)
			r.live -= n
		}
	case *tensor.Sequence:
		for _, item := range x.Items {
			r.count(item, by)
		}
	case *tensor.Optional:
		r.count(x.Elem, by)
	case *tensor.Map:
		r.count(x.Values, by)
	}
}
