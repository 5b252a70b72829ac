package cut

import (
	"context"
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
)

// Options adjust Reduce.
type Options struct {
	// Fails judges a part: does it still fail, and in the same way? An error
	// ends the search.
	Fails func(ctx context.Context, m *ir.Module) (bool, error)
	// Progress hears of every smaller model that still fails.
	Progress func(tried, ops int)
}

// Reduce returns the smallest part of m it finds that still fails. It drops
// ops, halves of them first and single ones last (Zeller and Hildebrandt's
// delta debugging), where what the kept ones read becomes an input; what is
// around a region that fails alone; then outputs, the data of constants, and
// the sizes of dims. The search is
// deterministic and ends early when ctx does.
//
// Every part is a valid module. The result is minimal in the sense that no
// single step of these kinds makes it smaller.
func Reduce(ctx context.Context, m *ir.Module, opt Options) (*ir.Module, error) {
	r := &reducer{ctx: ctx, opt: opt, best: m}
	fails, err := opt.Fails(ctx, m)
	if err != nil {
		return nil, err
	}
	if !fails {
		return nil, fmt.Errorf("the whole model does not fail: there is nothing to reduce")
	}
	for _, step := range []func() error{r.ops, r.regions, r.outputs, r.ops, r.constants, r.sizes} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r.best, nil
}

type reducer struct {
	ctx   context.Context
	opt   Options
	best  *ir.Module
	tried int
}

// try makes part the best one where it is valid and fails.
func (r *reducer) try(part *ir.Module) (bool, error) {
	if err := r.ctx.Err(); err != nil {
		return false, err
	}
	if finish(part) != nil {
		return false, nil
	}
	r.tried++
	fails, err := r.opt.Fails(r.ctx, part)
	if err != nil || !fails {
		return false, err
	}
	r.best = part
	if r.opt.Progress != nil {
		r.opt.Progress(r.tried, len(computing(part)))
	}
	return true, nil
}

// minimize drops members of 0..n-1, chunks first, as long as fails holds of
// what is left; at least one stays.
func minimize(n int, fails func(keep []int) (bool, error)) error {
	keep := make([]int, n)
	for i := range keep {
		keep[i] = i
	}
	for size := (n + 1) / 2; size > 0; {
		dropped := false
		for at := len(keep); at > 0; {
			from := max(0, at-size)
			rest := slices.Delete(slices.Clone(keep), from, at)
			at = from
			if len(rest) == 0 {
				continue
			}
			ok, err := fails(rest)
			if err != nil {
				return err
			}
			if ok {
				keep, dropped = rest, true
			}
		}
		if size == 1 && dropped {
			continue
		}
		size = min(size/2, max(1, len(keep)/2))
	}
	return nil
}

// computing returns the entry's ops that compute something.
func computing(m *ir.Module) []*ir.Op {
	var list []*ir.Op
	for op := range m.Main().Body.Ops() {
		if op.Name != ir.ConstantName && op.Name != ir.YieldName {
			list = append(list, op)
		}
	}
	return list
}

// ops keeps as few ops as fail together. What they read of dropped ones is an
// input, what dropped ones or the caller read of them an output.
func (r *reducer) ops() error {
	from := r.best
	all, n := computing(from), nameValues(from)
	if len(all) < 2 {
		return nil
	}
	return minimize(len(all), func(keep []int) (bool, error) {
		kept := map[*ir.Op]bool{}
		for _, i := range keep {
			kept[all[i]] = true
		}
		stops := map[*ir.Value]bool{}
		for _, op := range all {
			for _, v := range op.Results() {
				stops[v] = !kept[op]
			}
		}
		read := map[*ir.Value]bool{} // by dropped ops and the caller
		for op := range from.Main().Body.Ops() {
			if !kept[op] {
				reads(op, func(v *ir.Value) { read[v] = true })
			}
		}
		var outs []port
		for _, i := range keep {
			for _, v := range all[i].Results() {
				if read[v] || all[i].Unused() {
					outs = append(outs, port{n.of(v), v})
				}
			}
		}
		part, _ := carve(from, n, outs, stops)
		return r.try(part)
	})
}

// outputs drops outputs, with the ops that only they need.
func (r *reducer) outputs() error {
	from := r.best
	results, n := from.Main().Results(), nameValues(from)
	if len(results) < 2 {
		return nil
	}
	return minimize(len(results), func(keep []int) (bool, error) {
		var outs []port
		for _, i := range keep {
			outs = append(outs, port{from.Main().Outputs[i], results[i]})
		}
		part, _ := carve(from, n, outs, nil)
		return r.try(part)
	})
}

// smallConstant is the most elements of a constant that stay: sizes, axes and
// scalars say more than they weigh.
const smallConstant = 16

// constants turns large constants into inputs, so that the part carries no
// weights unless it needs these.
func (r *reducer) constants() error {
	from := r.best
	n := nameValues(from)
	var large []*ir.Value
	for op := range from.Main().Body.Ops() {
		if d := op.Result(0).Data(); d != nil && d.Len() > smallConstant {
			large = append(large, op.Result(0))
		}
	}
	outs := make([]port, 0, 1)
	for i, v := range from.Main().Results() {
		outs = append(outs, port{from.Main().Outputs[i], v})
	}
	try := func(keep []int) (bool, error) {
		stops := map[*ir.Value]bool{}
		for i, v := range large {
			stops[v] = !slices.Contains(keep, i)
		}
		part, _ := carve(from, n, outs, stops)
		return r.try(part)
	}
	if len(large) == 0 {
		return nil
	}
	if ok, err := try(nil); ok || err != nil {
		return err
	}
	return minimize(len(large), try)
}
