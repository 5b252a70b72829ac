package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"If":          {Infer: inferIf, Eval: evalIf, Traits: Control},
		"Loop":        {Infer: inferLoop, Eval: evalLoop, Traits: Control},
		"Scan":        {Infer: inferScan, Eval: evalScan, Traits: Control, Upgrades: []Upgrade{{To: 9, Do: unbatchScan}}},
		"SequenceMap": {Infer: inferSequenceMap, Eval: evalSequenceMap, Traits: Control},
	})
}

func inferIf(x *Inference) error {
	yes, err := x.Region("then_branch")
	if err != nil {
		return err
	}
	no, err := x.Region("else_branch")
	if err != nil {
		return err
	}
	if len(yes) != x.NumOut() || len(no) != x.NumOut() {
		return x.Errorf("the branches yield %d and %d values for %d results", len(yes), len(no), x.NumOut())
	}
	for i := range yes {
		t, err := x.union(yes[i], no[i])
		if err != nil {
			return x.Errorf("result %d: %w", i, err)
		}
		x.Set(i, t)
	}
	return nil
}

// truth returns the one element of a bool tensor.
func truth(c *Call, t *tensor.Tensor) (bool, error) {
	if t == nil || t.DType != tensor.Bool || t.Len() != 1 {
		return false, c.Errorf("the condition must be one bool")
	}
	return t.Data[0] != 0, nil
}

func evalIf(c *Call) error {
	cond, err := truth(c, c.In(0))
	if err != nil {
		return err
	}
	branch := "else_branch"
	if cond {
		branch = "then_branch"
	}
	outs, err := c.Run(branch)
	for i, v := range outs {
		c.Set(i, v)
	}
	return err
}

// carried infers a body whose first arguments, from arg skip on, are states:
// each round's values of them are what the round before yielded. It widens
// the states' types until the body keeps them, and returns the states' and
// the other results' types.
func (x *Inference) carried(skip int, lead, states, rest []ir.Type) (final, others []ir.Type, err error) {
	body := x.op.Region("body")
	if body == nil {
		return nil, nil, x.Errorf("there is no body")
	}
	if len(body.Args) != len(lead)+len(states)+len(rest) {
		return nil, nil, x.Errorf("the body takes %d arguments, got %d", len(body.Args), len(lead)+len(states)+len(rest))
	}
	before := make([]ir.Type, len(states)) // the types of an inference before this one
	for i := range states {
		before[i] = body.Args[len(lead)+i].Type
	}
	final = slices.Clone(states)
	for range 4 {
		outs, err := x.Region("body", slices.Concat(lead, final, rest)...)
		if err != nil {
			return nil, nil, err
		}
		if len(outs) < skip+len(states) {
			return nil, nil, x.Errorf("the body yields %d values for %d states", len(outs), len(states))
		}
		outs = outs[skip:]
		stable := true
		for i, t := range final {
			arg := before[i]
			w, err := x.merge(t, outs[i], func(d int) ir.Dim {
				// A symbol that stands for the state already is kept, so that
				// inferring twice changes nothing.
				if d < arg.Rank() && arg.Dims[d].IsFresh() && !arg.Dims[d].Equal(states[i].Dims[d]) && t.Dims[d].Equal(states[i].Dims[d]) {
					return arg.Dims[d]
				}
				if t.Rank() >= 0 && t.Dims[d].IsFresh() && !t.Dims[d].Equal(states[i].Dims[d]) {
					return t.Dims[d]
				}
				return x.Fresh()
			})
			if err != nil {
				return nil, nil, x.Errorf("state %d: %w", i, err)
			}
			if !w.Equal(t) {
				final[i], stable = w, false
			}
		}
		if stable || x.dry {
			return final, outs[len(states):], nil
		}
	}
	for i := range final {
		if final[i].IsTensor() {
			final[i] = ir.Unranked(final[i].DType)
		}
	}
	outs, err := x.Region("body", slices.Concat(lead, final, rest)...)
	if err != nil {
		return nil, nil, err
	}
	return final, outs[skip+len(states):], nil
}

func inferLoop(x *Inference) error {
	var states []ir.Type
	for i := 2; i < x.NumIn(); i++ {
		states = append(states, x.In(i))
	}
	lead := []ir.Type{ir.Static(tensor.Int64), ir.Static(tensor.Bool)}
	final, scans, err := x.carried(1, lead, states, nil)
	if err != nil {
		return err
	}
	if len(final)+len(scans) != x.NumOut() {
		return x.Errorf("the body yields %d values for %d results", 1+len(final)+len(scans), x.NumOut())
	}
	yields := x.op.Region("body").Results()
	for i, t := range final {
		if t.Kind == ir.KindOptional && yields[1+i].Type.Kind != ir.KindOptional {
			t = *t.Elem // only what goes in is an optional
		}
		x.Set(i, x.outside(t, states[i]))
	}
	trips, known := x.trips()
	for i, t := range scans {
		if t.Rank() >= 0 {
			if !known {
				trips = x.Fresh()
				known = true
			}
			t = x.instance(t)
			t = t.WithDims(slices.Insert(slices.Clone(t.Dims), 0, trips)...)
		}
		x.Set(len(final)+i, t)
	}
	return nil
}

// outside returns the type of a state after the loop, in symbols of its own
// where the body's state has symbols that each round may change.
func (x *Inference) outside(t, initial ir.Type) ir.Type {
	if t.Equal(initial) {
		return t
	}
	return x.instance(t)
}

// trips returns how often a Loop runs, where only its count ends it.
func (x *Inference) trips() (ir.Dim, bool) {
	if c := x.op.Operand(1); c != nil {
		if t := x.Const(1); t == nil || t.Len() != 1 || t.Data[0] == 0 {
			return ir.Dim{}, false
		}
	}
	body := x.op.Region("body")
	next := body.Results()[0]
	if next != body.Args[1] {
		d := next.Data()
		if d == nil {
			return ir.Dim{}, false
		}
		if t, err := d.Tensor(); err != nil || t.Len() != 1 || t.DType != tensor.Bool || t.Data[0] == 0 {
			return ir.Dim{}, false
		}
	}
	m, ok := x.Contents(0)
	if !ok || len(m) != 1 || m[0].IsFresh() {
		return ir.Dim{}, false
	}
	return m[0].Max(ir.Const(0)), true
}

func evalLoop(c *Call) error {
	rounds, more := int64(math.MaxInt64), true
	if m := c.In(0); m != nil {
		if m.DType != tensor.Int64 || m.Len() != 1 {
			return c.Errorf("the trip count must be one i64, not %s", m)
		}
		rounds = tensor.Of[int64](m)[0]
	}
	if t := c.In(1); t != nil {
		var err error
		if more, err = truth(c, t); err != nil {
			return err
		}
	}
	states := slices.Clone(c.ins[min(2, len(c.ins)):])
	scans := make([]stacker, c.NumOut()-len(states))
	for i := int64(0); i < rounds && more; i++ {
		if err := c.Context().Err(); err != nil {
			return err
		}
		args := append([]tensor.Value{tensor.Scalar(tensor.Int64, i), tensor.Scalar(tensor.Bool, true)}, states...)
		outs, err := c.Run("body", args...)
		if err != nil {
			return err
		}
		if len(outs) != 1+len(states)+len(scans) {
			return c.Errorf("the body yields %d values for %d results", len(outs), c.NumOut())
		}
		cond, ok := outs[0].(*tensor.Tensor)
		if !ok {
			return c.Errorf("the body's condition is no tensor")
		}
		if more, err = truth(c, cond); err != nil {
			return err
		}
		states = outs[1 : 1+len(states)]
		for k := range scans {
			if err := scans[k].add(outs[1+len(states)+k]); err != nil {
				return err
			}
		}
	}
	for i, v := range states {
		if o, ok := v.(*tensor.Optional); ok && o.Elem != nil && c.OutType(i).Kind != ir.KindOptional {
			v = o.Elem
		}
		c.Set(i, v)
	}
	for k := range scans {
		y, err := scans[k].stack(0, false, c.OutType(len(states)+k))
		if err != nil {
			return err
		}
		c.Set(len(states)+k, y)
	}
	return nil
}

// stacker collects what each round yields.
type stacker struct {
	items []*tensor.Tensor
	bytes int
}

func (s *stacker) add(v tensor.Value) error {
	t, ok := v.(*tensor.Tensor)
	if !ok {
		return fmt.Errorf("a %T can not be collected over rounds, only tensors can", v)
	}
	s.items = append(s.items, t)
	if s.bytes += len(t.Data) + 16*len(t.Strings); s.bytes > tensor.MaxBytes {
		return fmt.Errorf("the collected values take over %d bytes", int64(tensor.MaxBytes))
	}
	return nil
}

// stack joins what was collected along a new axis, last one first where
// reverse is true. Without any rounds, t says what the result would have been.
func (s *stacker) stack(axis int, reverse bool, t ir.Type) (*tensor.Tensor, error) {
	if len(s.items) > 0 {
		if reverse {
			slices.Reverse(s.items)
		}
		rank := s.items[0].Rank() + 1
		if axis < -rank || axis >= rank {
			return nil, fmt.Errorf("axis %d is not one of %d", axis, rank)
		}
		if axis < 0 {
			axis += rank
		}
		return ref.Stack(s.items, axis)
	}
	shape := []int{0}
	if t.Rank() > 0 {
		shape = make([]int, t.Rank())
		for i, d := range t.Dims {
			n, _ := d.Int() // an unknown size of nothing is 0
			shape[i] = int(n)
		}
		shape[(axis+len(shape))%len(shape)] = 0
	}
	if _, err := tensor.NumElements(shape); err != nil {
		return nil, err
	}
	return tensor.New(t.DType, shape...), nil
}
