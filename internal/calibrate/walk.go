package calibrate

import (
	"context"
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// Walk runs the main function on all batches side by side, op by op, and calls
// before ahead of each: it may look at what the op reads in every batch, and
// change the op, which then computes on as changed. So one run of the module
// shows every layer the inputs that the layers before it, changed already, give
// it. progress, which may be nil, hears how much is done, 0 to 1.
func Walk(ctx context.Context, m *ir.Module, batches []Batch, before func(op *ir.Op, value func(batch int, v *ir.Value) *tensor.Tensor) error, progress func(float64)) error {
	w := &walker{batches: len(batches), values: map[*ir.Value][]tensor.Value{}, readers: map[*ir.Value]int{}}
	body := m.Main().Body
	for i, a := range body.Args {
		for _, b := range batches {
			w.values[a] = append(w.values[a], b[i])
		}
	}
	total, done := 0, 0
	for op := range body.Ops() {
		total++
		w.reads(op, 1)
	}
	see := func(batch int, v *ir.Value) *tensor.Tensor {
		t, _ := w.value(batch, v).(*tensor.Tensor)
		return t
	}
	for op := range body.Ops() {
		if done++; progress != nil {
			progress(float64(done) / float64(total))
		}
		if op.Name == ir.YieldName {
			break
		}
		was := outside(op)
		if err := before(op, see); err != nil {
			return err
		}
		if err := w.run(ctx, op); err != nil {
			return err
		}
		w.release(was)
	}
	return nil
}

type walker struct {
	batches int
	values  map[*ir.Value][]tensor.Value
	readers map[*ir.Value]int // ops of the body that are still to read a value
}

// outside are the values that op and its regions read.
func outside(op *ir.Op) []*ir.Value {
	vs := append([]*ir.Value{}, op.Operands()...)
	for _, r := range op.Regions {
		r.Walk(func(inner *ir.Op) bool {
			vs = append(vs, inner.Operands()...)
			return true
		})
	}
	return vs
}

func (w *walker) reads(op *ir.Op, n int) {
	for _, v := range outside(op) {
		if v != nil {
			w.readers[v] += n
		}
	}
}

// release forgets values that no op is left to read.
func (w *walker) release(vs []*ir.Value) {
	for _, v := range vs {
		if v == nil {
			continue
		}
		if w.readers[v]--; w.readers[v] <= 0 {
			delete(w.values, v)
		}
	}
}

func (w *walker) value(batch int, v *ir.Value) tensor.Value {
	if d := v.Data(); d != nil {
		if t, err := d.Tensor(); err == nil {
			return t
		}
		return nil
	}
	if vs := w.values[v]; vs != nil {
		return vs[batch]
	}
	return nil
}

// run evaluates op on every batch.
func (w *walker) run(ctx context.Context, op *ir.Op) error {
	if op.Name == ir.ConstantName {
		return nil
	}
	shared := make([]tensor.Value, op.NumOperands()) // what was inserted for op
	for k, v := range op.Operands() {
		if v != nil && w.values[v] == nil && v.Data() == nil && v.Def() != nil && v.Block() == op.Block() {
			var err error
			if shared[k], err = inserted(ctx, v); err != nil {
				return err
			}
		}
	}
	p := interp.ForOp(op)
	for i := range w.batches {
		ins := make([]tensor.Value, op.NumOperands())
		for k, v := range op.Operands() {
			if ins[k] = shared[k]; v != nil && ins[k] == nil {
				ins[k] = w.value(i, v)
			}
		}
		outs, err := p.Eval(ctx, ins, func(v *ir.Value) tensor.Value { return w.value(i, v) }, interp.Options{})
		if err != nil {
			return fmt.Errorf("calibration batch %d: %s: %w", i, ops.Describe(op), err)
		}
		for k, r := range op.Results() {
			if w.values[r] == nil {
				w.values[r] = make([]tensor.Value, w.batches)
			}
			w.values[r][i] = outs[k]
		}
	}
	return nil
}

// inserted evaluates what a change made of constants.
func inserted(ctx context.Context, v *ir.Value) (tensor.Value, error) {
	if d := v.Data(); d != nil {
		return d.Tensor()
	}
	op := v.Def()
	ins := make([]tensor.Value, op.NumOperands())
	for k, o := range op.Operands() {
		if o == nil {
			continue
		}
		if o.IsArg() {
			return nil, fmt.Errorf("%s was inserted and reads more than constants", ops.Describe(op))
		}
		var err error
		if ins[k], err = inserted(ctx, o); err != nil {
			return nil, err
		}
	}
	outs, err := ops.Eval(op, ins, &ops.Env{Context: ctx})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ops.Describe(op), err)
	}
	return outs[v.Index()], nil
}
