package cpu

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// control is an op with regions that run as plans of their own. Their memory
// is a part of the arena, which others use before and after the op.
type control interface {
	// bodies are the plans, in the order of the regions. No two run at the
	// same time, so they share memory.
	bodies() []*body
	// shapes returns those of the results, nil where only a run tells.
	shapes() [][]int
	// run computes the results.
	run(x *run, p *plan) ([]tensor.Value, error)
}

// body is a region bound to the shapes of what it reads.
type body struct {
	*binder
	ins    []*ir.Value // outer values that the arguments behind the region's own are
	broken error       // why types could not be inferred
}

// newControl makes the plans of an op with regions, nil for an op that has
// none. An error says why the reference runs the op.
func (b *binder) newControl(op *ir.Op) (control, error) {
	switch op.Name {
	case "If":
		return newIf(b, op)
	case "Loop":
		return newLoop(b, op)
	case "Scan":
		return newScan(b, op)
	}
	return nil, nil
}

// isControl reports whether op may have plans of its own.
func isControl(op *ir.Op) bool { return op.Name == "If" || op.Name == "Loop" || op.Name == "Scan" }

// newBody binds a region for arguments of the given types.
func (b *binder) newBody(r *ir.Block, args []ir.Type) (*body, error) {
	if r == nil || r.Yield() == nil {
		return nil, errors.New("a region is missing")
	}
	o := bodyOf(r)
	if len(o.args) != len(args) {
		return nil, fmt.Errorf("the region takes %d arguments, not %d", len(o.args), len(args))
	}
	known := map[*ir.Value]*tensor.Tensor{}
	for _, v := range o.outer {
		if t := b.knownInts(v); t != nil {
			known[v] = t
		}
	}
	types := func(v *ir.Value) ir.Type {
		if p := b.places[v]; p != nil {
			return typeOf(v, p.shape)
		}
		return v.Type
	}
	fn, ins, ahead, err := o.function(args, types, known, b.ahead)
	depth := b.depth + 1
	if err != nil { // sizes that do not fit: nobody minds if the branch is not taken
		depth = maxDepth
	}
	outer := b.seen(ins, nil)
	for _, t := range slices.Backward(args) {
		a := argument{}
		if a.shape, a.known = t.StaticShape(); !t.IsTensor() || t.DType == tensor.String || !a.known {
			return nil, errors.New("a state is no tensor of known size")
		}
		outer = slices.Insert(outer, 0, a)
	}
	inner, failed := newBinder(fn, ahead, b.machine, outer, depth)
	if failed != nil {
		return nil, failed
	}
	return &body{binder: inner, ins: ins, broken: err}, nil
}

// shape returns that of a result, nil where only a run tells.
func (y *body) shape(i int) []int {
	if p := y.places[y.fn.Results()[i]]; p != nil && y.tail == nil && y.broken == nil {
		return p.shape
	}
	return nil
}

// start gives the body what it reads and its first arguments.
func (y *body) start(p *plan, args []tensor.Value) error { return y.take(p, args, y.ins) }

// ifControl has a plan for each branch, or for one where the condition is
// known when the plan is made.
type ifControl struct {
	op      *ir.Op
	yes, no *body
}

func newIf(b *binder, op *ir.Op) (control, error) {
	c := &ifControl{op: op}
	known, yes := b.dataOf(op.Operand(0)), false
	if known != nil {
		var err error
		if yes, err = truth(known); err != nil {
			return nil, err
		}
	}
	for _, side := range []struct {
		region string
		body   **body
		when   bool
	}{{"then_branch", &c.yes, true}, {"else_branch", &c.no, false}} {
		if known != nil && yes != side.when {
			continue
		}
		var err error
		if *side.body, err = b.newBody(op.Region(side.region), nil); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *ifControl) bodies() []*body {
	return slices.DeleteFunc([]*body{c.yes, c.no}, func(y *body) bool { return y == nil })
}

func (c *ifControl) shapes() [][]int {
	shapes := make([][]int, c.op.NumResults())
	for i := range shapes {
		all := c.bodies()
		shape := all[0].shape(i)
		if other := all[len(all)-1].shape(i); shape != nil && other != nil && slices.Equal(shape, other) {
			shapes[i] = shape
		}
	}
	return shapes
}

func (c *ifControl) run(x *run, p *plan) ([]tensor.Value, error) {
	yes, err := truth(p.value(c.op.Operand(0)))
	if err != nil {
		return nil, err
	}
	y := c.no
	if yes {
		y = c.yes
	}
	if err := y.start(p, nil); err != nil {
		return nil, err
	}
	return y.execute(x)
}

// truth returns the one element of a bool tensor.
func truth(v tensor.Value) (bool, error) {
	t, ok := v.(*tensor.Tensor)
	if !ok || t.DType != tensor.Bool || t.Len() != 1 {
		return false, errors.New("a condition must be one bool")
	}
	return t.Data[0] != 0, nil
}

// controlled makes the plans of an op with regions and notes the sizes that
// they tell of its results.
func (b *binder) controlled(op *ir.Op) {
	if !isControl(op) || b.depth >= maxDepth {
		return
	}
	c, err := b.newControl(op)
	if err != nil {
		b.refused[op] = fmt.Errorf("the reference runs its regions: %w", err)
		return
	}
	b.control[op] = c
	for i, shape := range c.shapes() {
		if shape != nil {
			b.learn(op.Result(i).Type, shape)
			b.told[op.Result(i)] = shape
		}
	}
}

// learn binds the symbols of a type to the sizes that turned up.
func (b *binder) learn(t ir.Type, shape []int) {
	if len(t.Dims) != len(shape) {
		return
	}
	for i, d := range t.Dims {
		if s := d.Symbols(); len(s) == 1 && d.Equal(ir.Sym(s[0])) {
			if _, ok := b.env[s[0]]; !ok {
				b.env[s[0]] = int64(shape[i])
			}
		}
	}
}

// runControl runs a step that has plans of its own.
func (p *plan) runControl(x *run, s *step) error {
	outs, err := s.control.run(x, p)
	if err != nil {
		return fmt.Errorf("%s: %w", ops.Describe(s.op), err)
	}
	return p.keepResults(s.op, outs)
}
