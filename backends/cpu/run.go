package cpu

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// run is the state of one run, shared by all plans that take part.
type run struct {
	context.Context
	root    *plan
	threads int
	need    int                        // bytes of scratch memory that workers have
	observe func(*step, time.Duration) // nil, or told what each step took
}

// reserve makes sure that workers have scratch memory for a plan that the
// run came upon.
func (x *run) reserve(need int) error {
	if need <= x.need {
		return nil
	}
	x.root.run.End()
	x.need, x.root.need = need, max(need, x.root.need)
	if err := x.begin(); err != nil {
		return fmt.Errorf("scratch memory: %w", err)
	}
	return nil
}

// size returns the memory that the plan and its tails take.
func (p *plan) size() int {
	n := p.bytes
	if p.tail != nil {
		n += p.tail.bytes()
	}
	for y := range p.regions() {
		if y.tail != nil {
			n += y.tail.bytes()
		}
	}
	return n
}

// regions iterates over the plans of regions, those within them too.
func (p *plan) regions() iter.Seq[*plan] {
	return func(yield func(*plan) bool) {
		for i := range p.steps {
			if p.steps[i].control == nil {
				continue
			}
			for _, y := range p.steps[i].control.bodies() {
				if !yield(y.plan) {
					return
				}
				for z := range y.regions() {
					if !yield(z) {
						return
					}
				}
			}
		}
	}
}

func (p *plan) free() {
	for y := range p.regions() {
		if y.tail != nil {
			y.tail.free()
		}
	}
	if p.tail != nil {
		p.tail.free()
	}
	_ = p.arena.Free()
	_ = p.run.Free()
}

// runInputs runs the plan of a module; observe, if any, is told what each step took.
func (p *plan) runInputs(ctx context.Context, threads int, inputs []tensor.Value, observe func(*step, time.Duration)) ([]tensor.Value, error) {
	for i, a := range p.fn.Body.Args {
		if q := p.inputs[i]; q != nil {
			if err := q.store(p.arena, inputs[i].(*tensor.Tensor)); err != nil {
				return nil, fmt.Errorf("input %q: %w", a.Name, err)
			}
		} else {
			p.dynamic[a] = inputs[i]
		}
	}
	x := &run{Context: ctx, root: p, threads: threads, need: p.need, observe: observe}
	if err := x.begin(); err != nil {
		return nil, err
	}
	defer p.run.End()
	outs, err := p.execute(x)
	if err != nil {
		return nil, err
	}
	if p.tail == nil { // a tail's results are the caller's
		for i, v := range p.fn.Results() {
			if t, ok := outs[i].(*tensor.Tensor); ok && p.places[v] != nil {
				outs[i] = t.Clone()
			}
		}
	}
	return outs, nil
}

// begin takes workers for the run.
func (x *run) begin() error { return x.root.run.Begin(rt.SharedPool(), x.threads, x.need) }

// execute runs the steps and returns the results, which may lie in the arena.
func (p *plan) execute(x *run) ([]tensor.Value, error) {
	for i := range p.steps {
		if err := x.Err(); err != nil {
			return nil, err
		}
		if x.observe == nil || p.steps[i].control != nil {
			if err := p.runStep(x, &p.steps[i]); err != nil {
				return nil, err
			}
			continue
		}
		start := time.Now()
		if err := p.runStep(x, &p.steps[i]); err != nil {
			return nil, err
		}
		x.observe(&p.steps[i], time.Since(start))
	}
	if p.tail != nil {
		return p.tail.run(x, p)
	}
	results := p.fn.Results()
	outs := make([]tensor.Value, len(results))
	for i, v := range results {
		outs[i] = p.value(v)
	}
	return outs, nil
}

func (p *plan) runStep(x *run, s *step) error {
	switch {
	case s.control != nil:
		return p.runControl(x, s)
	case s.choose != nil:
		return p.choose(x, s)
	case s.eval != nil:
		return p.evaluate(x, s)
	}
	for j := range s.works {
		if err := x.root.run.Do(&s.works[j]); err != nil {
			return fmt.Errorf("%s: %w", ops.Describe(s.op), err)
		}
	}
	return nil
}

// value returns a value of the run at hand. Memory of the arena is shared.
func (p *plan) value(v *ir.Value) tensor.Value {
	if q := p.places[v]; q != nil {
		return q.view(p.arena)
	}
	if t, ok := p.fixed[v]; ok {
		return t
	}
	return p.dynamic[v]
}

// evaluate computes a step by the reference.
func (p *plan) evaluate(ctx context.Context, s *step) error {
	ins := make([]tensor.Value, s.op.NumOperands())
	for i, v := range s.op.Operands() {
		if v != nil {
			ins[i] = p.value(v)
		}
	}
	outs, err := s.eval.Eval(ctx, ins, p.value, interp.Options{MemoryLimit: int64(p.limit)})
	if err != nil {
		return err
	}
	return p.keepResults(s.op, outs)
}

// keepResults stores the results of an op where the steps behind it find them.
func (p *plan) keepResults(op *ir.Op, outs []tensor.Value) error {
	for i, v := range op.Results() {
		q := p.places[v]
		switch {
		case outs[i] == nil:
		case q == nil:
			p.dynamic[v] = own(outs[i])
		case q.root().data != nil: // known without running
		default:
			t, ok := outs[i].(*tensor.Tensor)
			if !ok {
				return fmt.Errorf("%s: result %d is no tensor", ops.Describe(op), i)
			}
			if err := q.store(p.arena, t); err != nil {
				return fmt.Errorf("%s: %w", ops.Describe(op), err)
			}
		}
	}
	return nil
}

// own copies a result, which may share the memory of an operand in the arena.
func own(v tensor.Value) tensor.Value {
	switch x := v.(type) {
	case *tensor.Tensor:
		return x.Clone()
	case *tensor.Sequence:
		c := &tensor.Sequence{Elem: x.Elem}
		for _, item := range x.Items {
			c.Items = append(c.Items, own(item))
		}
		return c
	case *tensor.Optional:
		if x.Elem != nil {
			return &tensor.Optional{Type: x.Type, Elem: own(x.Elem)}
		}
	}
	return v
}
