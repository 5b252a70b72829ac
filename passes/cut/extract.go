// Package cut makes smaller models of a model: Extract cuts out what computes
// chosen values, Reduce searches for the smallest part that still fails a
// check. Neither changes the module it is given; nor do they know files or who
// judges a part.
package cut

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/hone-ml/hone/internal/nearest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// Extract returns a module that computes the named values, and no more than
// they need. The computation starts at the values named by inputs, which
// become inputs of the new module, and at the model's own inputs; constants
// are kept. Names are those of the source model: an input's, an output's, a
// value's origin, or a node's for all its results.
func Extract(m *ir.Module, outputs, inputs []string) (*ir.Module, error) {
	if len(outputs) == 0 {
		return nil, fmt.Errorf("name at least one output to extract")
	}
	names := nameValues(m)
	var outs []port
	for _, n := range outputs {
		vs, err := names.find(n)
		if err != nil {
			return nil, fmt.Errorf("output %w", err)
		}
		for i, v := range vs {
			if len(vs) == 1 {
				outs = append(outs, port{n, v})
			} else {
				outs = append(outs, port{names.of(vs[i]), v})
			}
		}
	}
	stops := map[*ir.Value]bool{}
	for _, n := range inputs {
		vs, err := names.find(n)
		if err != nil {
			return nil, fmt.Errorf("input %w", err)
		}
		for _, v := range vs {
			stops[v] = true
		}
	}
	part, used := carve(m, names, outs, stops)
	for v := range stops {
		if !used[v] {
			return nil, fmt.Errorf("input %q is not needed to compute %q: take it out, or name an output that depends on it", names.of(v), outputs)
		}
	}
	return part, finish(part)
}

// finish checks a part as if it came from outside.
func finish(m *ir.Module) error {
	if err := ops.Verify(m); err != nil {
		return err
	}
	return ops.InferModule(m)
}

// port is a value under the name by which it leaves a module.
type port struct {
	name string
	v    *ir.Value
}

// carve copies what computes outs into a new module; values in stops become
// its inputs where they are needed, which used tells.
func carve(m *ir.Module, names *names, outs []port, stops map[*ir.Value]bool) (part *ir.Module, used map[*ir.Value]bool) {
	used = map[*ir.Value]bool{}
	for _, o := range outs {
		used[o.v] = true
	}
	keep := map[*ir.Op]bool{}
	body := m.Main().Body
	for op := body.Last(); op != nil; op = op.Prev() {
		for _, r := range op.Results() {
			keep[op] = keep[op] || used[r] && !stops[r]
		}
		if keep[op] {
			reads(op, func(v *ir.Value) { used[v] = true })
		}
	}
	part = hollow(m)
	copies := map[*ir.Value]*ir.Value{}
	add := func(v *ir.Value) {
		c := part.Main().AddInput(names.of(v), v.Type)
		if v.Origin.Name != "" {
			c.Origin = v.Origin
		}
		copies[v] = c
	}
	for _, a := range body.Args {
		if used[a] {
			add(a)
		}
	}
	at := ir.AtEnd(part.Main().Body)
	for op := range body.Ops() {
		for _, r := range op.Results() {
			if used[r] && stops[r] {
				add(r)
			}
		}
	}
	for op := range body.Ops() {
		if !keep[op] {
			continue
		}
		held := map[*ir.Value]*ir.Value{}
		for _, r := range op.Results() {
			if c, ok := copies[r]; ok {
				held[r] = c
			}
		}
		at.Clone(op, copies)
		maps.Copy(copies, held)
	}
	var outNames []string
	var vals []*ir.Value
	for _, o := range outs {
		outNames = append(outNames, o.name)
		vals = append(vals, copies[o.v])
	}
	part.Main().Return(outNames, vals...)
	return part, used
}

// reads calls f for every value that op or an op in its regions reads.
func reads(op *ir.Op, f func(*ir.Value)) {
	for _, v := range op.Operands() {
		if v != nil {
			f(v)
		}
	}
	for _, r := range op.Regions {
		r.Walk(func(o *ir.Op) bool {
			for _, v := range o.Operands() {
				if v != nil {
					f(v)
				}
			}
			return true
		})
	}
}

// hollow returns a copy of m whose entry has no inputs and no ops.
func hollow(m *ir.Module) *ir.Module {
	c := m.Clone()
	body := c.Main().Body
	for op := body.Last(); op != nil; op = body.Last() {
		op.Erase()
	}
	body.Args, c.Main().Outputs = nil, nil
	return c
}

// names knows the values of a module's entry by the names of the source.
type names struct {
	values map[string][]*ir.Value
	called map[*ir.Value]string
	inner  map[string]string // names within regions, and the op that holds them
}

func nameValues(m *ir.Module) *names {
	n := &names{values: map[string][]*ir.Value{}, called: map[*ir.Value]string{}, inner: map[string]string{}}
	taken := map[string]bool{}
	call := func(v *ir.Value, name string) {
		if _, ok := n.called[v]; ok || name == "" || taken[name] {
			return
		}
		taken[name] = true
		n.called[v] = name
		n.values[name] = []*ir.Value{v}
	}
	main := m.Main()
	for _, a := range main.Body.Args {
		call(a, a.Name)
	}
	for i, v := range main.Results() {
		if v != nil {
			call(v, main.Outputs[i])
			if _, ok := n.values[main.Outputs[i]]; !ok {
				n.values[main.Outputs[i]] = []*ir.Value{v}
			}
		}
	}
	byRelation := func(want func(ir.Relation) bool) {
		for op := range main.Body.Ops() {
			for _, r := range op.Results() {
				if want(r.Origin.Relation) {
					call(r, r.Origin.Name)
				}
			}
		}
	}
	byRelation(func(r ir.Relation) bool { return r == ir.Exact })
	byRelation(func(r ir.Relation) bool { return r != ir.Exact })
	serial := 0
	for op := range main.Body.Ops() {
		for _, r := range op.Results() {
			for _, ok := n.called[r]; !ok; _, ok = n.called[r] {
				call(r, "value_"+strconv.Itoa(serial))
				serial++
			}
		}
		for _, l := range op.Loc {
			if _, ok := n.values[l]; !ok && op.Name != ir.YieldName {
				n.values[l] = op.Results()
			}
		}
		n.within(op)
	}
	return n
}

// within notes the names in the op's regions, for errors.
func (n *names) within(op *ir.Op) {
	for _, r := range op.Regions {
		r.Walk(func(o *ir.Op) bool {
			for _, v := range o.Results() {
				n.inner[v.Origin.Name] = ops.Describe(op)
			}
			return true
		})
	}
}

func (n *names) of(v *ir.Value) string { return n.called[v] }

func (n *names) find(name string) ([]*ir.Value, error) {
	if vs, ok := n.values[name]; ok {
		return vs, nil
	}
	if holder, ok := n.inner[name]; ok {
		return nil, fmt.Errorf("%q lies in a region of %s: only values outside regions can be cut at", name, holder)
	}
	return nil, fmt.Errorf("%q is no value of the model%s", name, nearest.Hint(name, slices.Sorted(maps.Keys(n.values))))
}
