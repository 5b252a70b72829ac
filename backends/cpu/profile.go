package cpu

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// Cost is the time of all steps of a run that compute one kind of op.
type Cost struct {
	Op        string // a fused op with what it holds: Conv+Relu
	Reference bool   // no kernel computes it
	Loc       string // of the slowest
	Count     int    // steps a run
	Time      time.Duration
	slowest   time.Duration
}

// Profile runs the module and tells what takes the time of a run, the largest
// part first, as means over the runs. Regions and tails count as the ops that
// they hold.
func (s *Session) Profile(ctx context.Context, inputs []tensor.Value, runs int) ([]Cost, error) {
	p, err := s.acquire(inputs)
	if err != nil {
		return nil, err
	}
	defer s.release(p)
	costs := map[Cost]*Cost{}
	observe := func(st *step, took time.Duration) {
		key := Cost{Op: describeStep(st), Reference: st.eval != nil}
		c := costs[key]
		if c == nil {
			c = &key
			costs[Cost{Op: key.Op, Reference: key.Reference}] = c
		}
		c.Count++
		c.Time += took
		if took > c.slowest {
			c.slowest, c.Loc = took, strings.Join(st.op.Loc, "+")
		}
	}
	for i := range runs + 1 {
		if i == 1 { // the first run binds tails and warms caches
			clear(costs)
		}
		if _, err := p.runInputs(ctx, s.opt.Threads, inputs, observe); err != nil {
			return nil, err
		}
	}
	var list []Cost
	for _, c := range costs {
		c.Time /= time.Duration(runs)
		c.Count /= runs
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Cost) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), strings.Compare(a.Op, b.Op))
	})
	return list, nil
}

func describeStep(s *step) string {
	if s.op.Name != ops.FusedName {
		return s.op.Name
	}
	var names []string
	for op := range s.op.Region(ops.FusedRegion).Ops() {
		names = append(names, op.Name)
	}
	return strings.Join(names[:len(names)-1], "+")
}
