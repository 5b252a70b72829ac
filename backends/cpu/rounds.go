package cpu

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// rounds runs a body again and again: what Loop and Scan have in common.
type rounds struct {
	op     *ir.Op
	body   *body
	skip   int // results of the body before the states: Loop's condition
	states int
	scans  [][]byte // what rounds yield, one behind another
}

// newRounds binds a body whose states keep their shapes from round to round.
func (b *binder) newRounds(op *ir.Op, lead []ir.Type, states []*ir.Value, rest []ir.Type) (*rounds, error) {
	args := slices.Clone(lead)
	for _, v := range states {
		p := b.places[v]
		if p == nil {
			return nil, errors.New("a state is no tensor of known size")
		}
		args = append(args, ir.Static(p.dtype, p.shape...))
	}
	y, err := b.newBody(op.Region("body"), append(args, rest...))
	if err != nil {
		return nil, err
	}
	r := &rounds{op: op, body: y, states: len(states)}
	if len(lead) > 0 {
		r.skip = 1
	}
	results := y.fn.Results()
	if len(results) != r.skip+op.NumResults() {
		return nil, fmt.Errorf("the body yields %d values", len(results))
	}
	for i := range states {
		t := args[len(lead)+i]
		shape, _ := t.StaticShape()
		if s := y.shape(r.skip + i); s == nil || !slices.Equal(s, shape) || y.places[results[r.skip+i]].dtype != t.DType {
			return nil, errors.New("a state changes its shape from round to round")
		}
	}
	for i := range op.NumResults() - len(states) {
		if y.shape(r.skip+len(states)+i) == nil {
			return nil, errors.New("what a round yields has no known shape")
		}
	}
	// Arguments are written again behind each round, while results are read.
	for _, a := range y.fn.Body.Args {
		if p := y.places[a]; p != nil && !p.outside {
			p.root().last = len(y.pending)
		}
	}
	return r, nil
}

func (r *rounds) bodies() []*body { return []*body{r.body} }

// shapesFor returns the results' shapes for n rounds, negative where a run
// tells.
func (r *rounds) shapesFor(n int) [][]int {
	shapes := make([][]int, r.op.NumResults())
	for i := range shapes {
		s := r.body.shape(r.skip + i)
		if i >= r.states {
			if s == nil || n < 0 {
				continue
			}
			s = slices.Insert(slices.Clone(s), 0, n)
		}
		shapes[i] = s
	}
	return shapes
}

// begin starts the first round.
func (r *rounds) begin(p *plan, args []tensor.Value) error {
	if len(r.scans) == 0 {
		r.scans = make([][]byte, r.op.NumResults()-r.states)
	}
	for i := range r.scans {
		r.scans[i] = r.scans[i][:0]
	}
	return r.body.start(p, args)
}

// next runs a round and makes its states the arguments of the next one, which begin at argument first.
func (r *rounds) next(x *run, first int) ([]tensor.Value, error) {
	if err := x.Err(); err != nil {
		return nil, err
	}
	outs, err := r.body.execute(x)
	if err != nil {
		return nil, err
	}
	for i := range r.scans {
		t := outs[r.skip+r.states+i].(*tensor.Tensor)
		if len(r.scans[i])+len(t.Data) > tensor.MaxBytes {
			return nil, fmt.Errorf("the collected values take over %d bytes", int64(tensor.MaxBytes))
		}
		r.scans[i] = append(r.scans[i], t.Data...)
	}
	states := outs[r.skip : r.skip+r.states]
	for i, v := range states { // one state may be another one's argument
		root := r.body.places[r.body.fn.Results()[r.skip+i]].root()
		if root.argument && root != r.body.inputs[first+i].root() {
			states[i] = v.(*tensor.Tensor).Clone()
		}
	}
	for i, v := range states {
		if err := r.body.inputs[first+i].store(r.body.arena, v.(*tensor.Tensor)); err != nil {
			return nil, err
		}
	}
	return outs, nil
}

// results returns the states, which are arguments from first on, and what n rounds yielded, for the plan around.
func (r *rounds) results(around *plan, first, n int) []tensor.Value {
	outs := make([]tensor.Value, r.op.NumResults())
	for i := range r.states {
		outs[i] = r.body.inputs[first+i].view(r.body.arena)
	}
	for i, b := range r.scans {
		p := r.body.places[r.body.fn.Results()[r.skip+r.states+i]]
		outs[r.states+i] = &tensor.Tensor{DType: p.dtype, Shape: slices.Insert(slices.Clone(p.shape), 0, n), Data: b}
		if v := r.op.Result(r.states + i); n == 0 && around.places[v] == nil { // no round said a shape: unknown sizes are 0
			shape := outs[r.states+i].(*tensor.Tensor).Shape
			for j, d := range v.Type.Dims[:min(len(v.Type.Dims), len(shape))] {
				size, _ := d.Int()
				shape[j] = int(size)
			}
			shape[0] = 0
		}
	}
	return outs
}

type loopControl struct {
	*rounds
	trips int // negative where only a run tells
}

func newLoop(b *binder, op *ir.Op) (control, error) {
	var states []*ir.Value
	for i := 2; i < op.NumOperands(); i++ {
		states = append(states, op.Operand(i))
	}
	r, err := b.newRounds(op, []ir.Type{ir.Static(tensor.Int64), ir.Static(tensor.Bool)}, states, nil)
	if err != nil {
		return nil, err
	}
	c := &loopControl{r, -1}
	if n, ok := b.ints(op.Operand(0)); ok && len(n) == 1 && isTrue(op.Operand(1), true) {
		if more := op.Region("body").Results()[0]; more == op.Region("body").Args[1] || isTrue(more, false) {
			c.trips = max(n[0], 0)
		}
	}
	return c, nil
}

// isTrue reports whether a value is surely true, absent where it is missing.
func isTrue(v *ir.Value, absent bool) bool {
	if v == nil {
		return absent
	}
	d := v.Data()
	if d == nil || d.DType != tensor.Bool || d.Len() != 1 {
		return false
	}
	t, err := d.Tensor()
	return err == nil && t.Data[0] != 0
}

func (c *loopControl) shapes() [][]int { return c.shapesFor(c.trips) }

func (c *loopControl) run(x *run, p *plan) ([]tensor.Value, error) {
	trips, more := int64(1<<63-1), true
	if v := c.op.Operand(0); v != nil {
		t, ok := p.value(v).(*tensor.Tensor)
		if !ok || t.DType != tensor.Int64 || t.Len() != 1 {
			return nil, errors.New("the trip count must be one i64")
		}
		trips = tensor.Of[int64](t)[0]
	}
	if v := c.op.Operand(1); v != nil {
		var err error
		if more, err = truth(p.value(v)); err != nil {
			return nil, err
		}
	}
	args := []tensor.Value{tensor.Scalar(tensor.Int64, int64(0)), tensor.Scalar(tensor.Bool, true)}
	for i := range c.states {
		args = append(args, p.value(c.op.Operand(2+i)))
	}
	if err := c.begin(p, args); err != nil {
		return nil, err
	}
	n := int64(0)
	for ; n < trips && more; n++ {
		tensor.Of[int64](args[0].(*tensor.Tensor))[0] = n
		for i := range 2 {
			if err := c.body.inputs[i].store(c.body.arena, args[i].(*tensor.Tensor)); err != nil {
				return nil, err
			}
		}
		outs, err := c.next(x, 2)
		if err != nil {
			return nil, err
		}
		if more, err = truth(outs[0]); err != nil {
			return nil, err
		}
	}
	return c.results(p, 2, int(n)), nil
}

type scanControl struct {
	*rounds
	length  int
	ins     []*ir.Value
	reverse []bool // of ins, then of what rounds yield
}

func newScan(b *binder, op *ir.Op) (control, error) {
	n, _ := op.Attrs.Get("num_scan_inputs").(int64)
	states := op.NumOperands() - int(n)
	if n < 1 || states < 0 {
		return nil, fmt.Errorf("%d scan inputs", n)
	}
	for _, name := range []string{"scan_input_axes", "scan_output_axes"} {
		axes, _ := op.Attrs.Get(name).([]int64)
		if slices.ContainsFunc(axes, func(a int64) bool { return a != 0 }) {
			return nil, errors.New("it scans along another axis than the first")
		}
	}
	c := &scanControl{length: -1, ins: op.Operands()[states:]}
	var rest []ir.Type
	for _, v := range c.ins {
		p := b.places[v]
		if p == nil || len(p.shape) == 0 || p.layout != ir.Plain || p.strides != nil || c.length >= 0 && p.shape[0] != c.length {
			return nil, errors.New("scan inputs have no common length")
		}
		c.length = p.shape[0]
		rest = append(rest, ir.Static(p.dtype, p.shape[1:]...))
	}
	var err error
	if c.rounds, err = b.newRounds(op, nil, op.Operands()[:states], rest); err != nil {
		return nil, err
	}
	for i, name := range []string{"scan_input_directions", "scan_output_directions"} {
		d, _ := op.Attrs.Get(name).([]int64)
		for k := range []int{len(c.ins), op.NumResults() - states}[i] {
			c.reverse = append(c.reverse, k < len(d) && d[k] == 1)
		}
	}
	return c, nil
}

func (c *scanControl) shapes() [][]int { return c.shapesFor(c.length) }

func (c *scanControl) run(x *run, p *plan) ([]tensor.Value, error) {
	var args []tensor.Value
	for i := range c.states {
		args = append(args, p.value(c.op.Operand(i)))
	}
	ins, parts := make([]*tensor.Tensor, len(c.ins)), make([]*tensor.Tensor, len(c.ins))
	for i, v := range c.ins {
		ins[i] = p.value(v).(*tensor.Tensor)
		parts[i] = tensor.New(ins[i].DType, ins[i].Shape[1:]...)
		args = append(args, parts[i])
	}
	if err := c.begin(p, args); err != nil {
		return nil, err
	}
	for k := range c.length {
		for i, t := range ins {
			at := k
			if c.reverse[i] {
				at = c.length - 1 - k
			}
			size := len(t.Data) / c.length
			parts[i].Data = t.Data[at*size : (at+1)*size]
			if err := c.body.inputs[c.states+i].store(c.body.arena, parts[i]); err != nil {
				return nil, err
			}
		}
		if _, err := c.next(x, 0); err != nil {
			return nil, err
		}
	}
	for i, b := range c.scans {
		if c.reverse[len(c.ins)+i] && c.length > 0 {
			size := len(b) / c.length
			for lo, hi := 0, c.length-1; lo < hi; lo, hi = lo+1, hi-1 {
				for j := range size {
					b[lo*size+j], b[hi*size+j] = b[hi*size+j], b[lo*size+j]
				}
			}
		}
	}
	return c.results(p, 0, c.length), nil
}
