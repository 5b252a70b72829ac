// Package control takes branches and loops out of a module whose way is known
// at compile time.
package control

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "inline-control",
		Help: "put the branch of an If with a constant condition in its place, unroll Loops with a constant trip count, drop unread results",
		Options: []passes.Option{{
			Name: "max-ops", Default: "256", Type: passes.Int(0, 1<<20), Help: "the most ops that unrolling a Loop may make",
		}},
		Example: `func @main(%x: f32[N]) -> (y: f32[N]) {
  %0 = const bool[] [false]
  %1 = If(%0) : f32[N] then_branch {
    %2 = Relu(%x) : f32[N]
    yield(%2)
  } else_branch {
    %3 = Neg(%x) : f32[N]
    yield(%3)
  }
  return(%1)
}
`,
		New: func(o passes.Options) (passes.Pass, error) {
			return passes.Func("inline-control", func(c *passes.Context, m *ir.Module) (bool, error) {
				i := &inliner{Context: c, budget: o.Int("max-ops")}
				for _, f := range m.Funcs {
					if err := i.block(f.Body); err != nil {
						return i.changed, err
					}
				}
				if !i.changed {
					return false, nil
				}
				return true, ops.InferModule(m)
			}), nil
		},
	})
}

type inliner struct {
	*passes.Context
	budget  int
	changed bool
}

func (i *inliner) block(b *ir.Block) error {
	for op := b.First(); op != nil; {
		next := op.Next()
		for _, r := range op.Regions {
			if err := i.block(r); err != nil {
				return err
			}
		}
		var ok bool
		var err error
		switch op.Name {
		case "If":
			if ok, err = i.branch(op); err == nil && !ok {
				ok, err = i.narrow(op)
			}
		case "Loop":
			if ok, err = i.unroll(op); err == nil && !ok {
				ok, err = i.narrow(op)
			}
		case "Scan":
			ok, err = i.narrow(op)
		}
		if err != nil {
			return err
		}
		i.changed = i.changed || ok
		op = next
	}
	return nil
}

// branch puts the ops of the branch that is taken in the place of an If.
func (i *inliner) branch(op *ir.Op) (bool, error) {
	cond, ok := truth(op.Operand(0))
	if !ok {
		return false, nil
	}
	taken := op.Region("else_branch")
	if cond {
		taken = op.Region("then_branch")
	}
	return i.Apply("if", op, nil, func(r *passes.Rewriter) []*ir.Value {
		r.Loc = nil // the clones have their own
		return copyBlock(taken, map[*ir.Value]*ir.Value{}, func(inner *ir.Op, m map[*ir.Value]*ir.Value) error {
			r.Clone(inner, m)
			return nil
		})
	})
}

// copyBlock copies the ops of a block but the yield and returns what it
// yields.
func copyBlock(b *ir.Block, m map[*ir.Value]*ir.Value, clone func(*ir.Op, map[*ir.Value]*ir.Value) error) []*ir.Value {
	for inner := range b.Ops() {
		if inner.Name == ir.YieldName {
			outs := inner.Operands()
			for k, v := range outs {
				if w, ok := m[v]; ok {
					outs[k] = w
				}
			}
			return outs
		}
		if clone(inner, m) != nil {
			return nil
		}
	}
	return nil
}

// narrow drops the results of an If, and those that a Loop or Scan collects, that
// nobody reads. States stay: a round may need them.
func (i *inliner) narrow(op *ir.Op) (bool, error) {
	if len(op.Regions) == 0 {
		return false, nil
	}
	lead, states := 0, 0 // what is yielded ahead of the results, and those of them that are states
	switch op.Name {
	case "Loop":
		lead, states = 1, len(op.Regions[0].Args)-2
	case "Scan":
		inputs, _ := op.Attrs.Get("num_scan_inputs").(int64)
		states = len(op.Regions[0].Args) - int(inputs)
	}
	var kept []int
	for k, r := range op.Results() {
		if k < states || r.NumUses() > 0 {
			kept = append(kept, k)
		}
	}
	if states < 0 || op.Unused() || len(kept) == op.NumResults() {
		return false, nil
	}
	return i.Change("dead-results", op, func() error {
		types := make([]ir.Type, len(kept))
		for k, old := range kept {
			types[k] = op.Result(old).Type
		}
		thin := ir.Before(op).Op(op.Name, op.Operands(), types, op.Attrs...)
		for _, name := range []string{"scan_output_axes", "scan_output_directions"} {
			if list, ok := op.Attrs.Get(name).([]int64); ok && len(list) == op.NumResults()-states {
				var of []int64
				for _, k := range kept[states:] {
					of = append(of, list[k-states])
				}
				thin.Attrs.Set(name, of)
			}
		}
		for _, region := range op.Regions {
			region.CloneInto(thin.AddRegion(region.Name), map[*ir.Value]*ir.Value{})
			yield := thin.Region(region.Name).Yield()
			all := yield.Operands()
			outs := all[:lead:lead]
			for _, old := range kept {
				outs = append(outs, all[lead+old])
			}
			yield.SetOperands(outs...)
		}
		for k, old := range kept {
			thin.Result(k).Origin = op.Result(old).Origin
			op.Result(old).ReplaceAllUsesWith(thin.Result(k))
		}
		op.Erase()
		return nil
	})
}

// unroll writes out a Loop that runs a number of times that is known: nothing
// that the body computes ends it.
func (i *inliner) unroll(op *ir.Op) (bool, error) {
	body := op.Region("body")
	trips, ok := count(op.Operand(0))
	if !ok || body == nil || body.Yield() == nil {
		return false, nil
	}
	if cond := op.Operand(1); cond != nil {
		goes, ok := truth(cond)
		if !ok {
			return false, nil
		}
		if !goes {
			trips = 0
		}
	}
	states := op.NumOperands() - 2
	yields := body.Yield().Operands()
	scans := len(yields) - 1 - states
	if states < 0 || scans < 0 || len(body.Args) != 2+states || op.NumResults() != states+scans || trips == 0 && scans > 0 {
		return false, nil
	}
	if goes, ok := truth(yields[0]); yields[0] != body.Args[1] && !(ok && goes) && trips > 1 {
		return false, nil
	}
	for inner := range body.Ops() {
		impl := ops.Lookup(inner.Name)
		if len(inner.Regions) > 0 || inner.Name != ir.YieldName && (impl == nil || impl.Traits != 0) {
			return false, nil
		}
	}
	if trips > int64(i.budget) || int(trips)*body.Len() > i.budget {
		return false, nil
	}
	return i.Apply("loop", op, nil, func(r *passes.Rewriter) []*ir.Value {
		return unrolled(r, op, body, int(trips), states, scans)
	})
}

// unrolled builds the rounds. Types are inferred anew in each: sizes that only
// a run tells differ from round to round.
func unrolled(r *passes.Rewriter, op *ir.Op, body *ir.Block, trips, states, scans int) []*ir.Value {
	values := slices.Clone(op.Operands()[2:])
	rows := make([][]*ir.Value, scans)
	always := r.Tensor(tensor.Scalar(tensor.Bool, true))
	for n := range trips {
		m := map[*ir.Value]*ir.Value{body.Args[0]: r.Tensor(tensor.Scalar(tensor.Int64, int64(n))), body.Args[1]: always}
		for k, v := range values {
			m[body.Args[2+k]] = v
		}
		outs := copyBlock(body, m, func(inner *ir.Op, m map[*ir.Value]*ir.Value) error { return copyOp(r, inner, m) })
		if outs == nil {
			return nil
		}
		values = slices.Clone(outs[1 : 1+states])
		for k := range rows {
			rows[k] = append(rows[k], r.Op("Unsqueeze", []*ir.Value{outs[1+states+k], r.Int64s(0)}))
		}
	}
	for _, row := range rows {
		values = append(values, r.Op("Concat", row, ir.Attr{Name: "axis", Value: int64(0)}))
	}
	return values
}

// copyOp inserts a copy of an op whose types are inferred.
func copyOp(r *passes.Rewriter, op *ir.Op, m map[*ir.Value]*ir.Value) error {
	if op.Name == ir.ConstantName {
		r.Clone(op, m)
		return nil
	}
	operands := op.Operands()
	for k, v := range operands {
		if w, ok := m[v]; ok {
			operands[k] = w
		}
	}
	c, err := ops.BuildN(r.Builder, op.Name, op.NumResults(), operands, op.Attrs...)
	if err != nil {
		r.Fail(err)
		return err
	}
	for k, v := range op.Results() {
		m[v] = c.Result(k)
	}
	return nil
}

// truth returns the value of a constant bool.
func truth(v *ir.Value) (bool, bool) {
	t := constant(v, tensor.Bool)
	return t != nil && t.Data[0] != 0, t != nil
}

// count returns the value of a constant int64.
func count(v *ir.Value) (int64, bool) {
	t := constant(v, tensor.Int64)
	if t == nil || tensor.Of[int64](t)[0] < 0 {
		return 0, false
	}
	return tensor.Of[int64](t)[0], true
}

func constant(v *ir.Value, d tensor.DType) *tensor.Tensor {
	if v == nil || v.Data() == nil || v.Data().DType != d || v.Data().Len() != 1 {
		return nil
	}
	t, err := v.Data().Tensor()
	if err != nil {
		return nil
	}
	return t
}
