package cpu

import (
	"fmt"
	"unsafe"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// argument is what a plan is made for: the shape of one of its function's
// arguments, and where the plan around it has the value. A value that is not
// known comes with each run as it is.
type argument struct {
	shape []int
	known bool
	place *place // nil: the value is copied to a place of the plan's own
}

// bindInputs binds the symbols of the inputs' dims to numbers.
func (b *binder) bindInputs(args []argument) error {
	for i, a := range b.fn.Body.Args {
		if !args[i].known || !a.Type.IsTensor() || a.Type.DType == tensor.String {
			b.inputs = append(b.inputs, nil)
			continue
		}
		shape := args[i].shape
		if a.Type.Ranked {
			if len(shape) != len(a.Type.Dims) {
				return fmt.Errorf("input %q has %d dims, the model takes %s", a.Name, len(shape), a.Type)
			}
			b.learn(a.Type, shape)
		}
		p, err := newPlace(a.Type, shape)
		if err != nil {
			return fmt.Errorf("input %q: %w", a.Name, err)
		}
		p.argument = true
		if q := args[i].place; q != nil {
			p.outside, p.strides = true, q.strides
		}
		b.places[a] = p
		b.inputs = append(b.inputs, p)
	}
	for i, a := range b.fn.Body.Args {
		if !a.Type.Ranked || b.inputs[i] == nil {
			continue
		}
		for j, d := range a.Type.Dims {
			shape := args[i].shape
			if n, err := d.Eval(b.env); err != nil || n != int64(shape[j]) {
				e := &InputError{Input: a.Name, Problem: fmt.Sprintf("input %q has shape %v, the model takes %s: dim %d is %s", a.Name, shape, a.Type, j, describeDim(d, n, err))}
				if s := d.Symbols(); err == nil && len(s) == 1 && d.Equal(ir.Sym(s[0])) {
					e.Claimed = s[0]
				}
				return e
			}
		}
	}
	return nil
}

func describeDim(d ir.Dim, n int64, err error) string {
	if _, ok := d.Int(); ok || err != nil {
		return d.String()
	}
	return fmt.Sprintf("%s, which other inputs make %d", d, n)
}

// seen describes values of this plan for one that reads them; value, if any,
// finds those without a place in the run at hand.
func (p *plan) seen(vs []*ir.Value, value func(*ir.Value) tensor.Value) []argument {
	args := make([]argument, len(vs))
	for i, v := range vs {
		if q := p.places[v]; q != nil {
			args[i] = argument{q.shape, true, q}
		} else if value != nil {
			if t, ok := value(v).(*tensor.Tensor); ok && t.DType != tensor.String {
				args[i] = argument{shape: t.Shape, known: true}
			}
		}
	}
	return args
}

// borrow points the places that belong to the plan around at its memory: ins
// are its values that the last arguments stand for.
func (p *plan) borrow(outer *plan, ins []*ir.Value) {
	first := len(p.fn.Body.Args) - len(ins)
	for i, v := range ins {
		if q := p.inputs[first+i]; q != nil && q.outside {
			q.data = nothing[:0]
			if q.bytes > 0 {
				q.data = unsafe.Slice((*byte)(outer.places[v].ptr(outer.arena)), q.bytes)
			}
		}
	}
}

// take gives a plan its arguments: args, then those of the plan around.
func (p *plan) take(outer *plan, args []tensor.Value, ins []*ir.Value) error {
	clear(p.dynamic)
	for i, a := range p.fn.Body.Args {
		q := p.inputs[i]
		if q != nil && q.outside {
			continue
		}
		var v tensor.Value
		if i < len(args) {
			v = args[i]
		} else {
			v = outer.value(ins[i-len(args)])
		}
		if q == nil {
			p.dynamic[a] = v
			continue
		}
		t, ok := v.(*tensor.Tensor)
		if !ok {
			return fmt.Errorf("argument %d is no tensor", i)
		}
		if err := q.store(p.arena, t); err != nil {
			return err
		}
	}
	return nil
}
