package passes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// Rewriter makes changes, one application at a time. Every application asks
// the context's counter first, so that a run can be stopped before any one of
// them.
type Rewriter struct {
	ctx *Context
	*ir.Builder
	err error
}

// Apply makes one change: it replaces the results of op with the values that
// build returns, and erases op. The new ops stand before op and have its
// location, behind those of the ops in also, which the change swallows; the
// new values take over the origins of those that they replace, and what is
// known of their types. A nil value keeps a result that has no uses.
//
// It returns false where the counter forbids the change, and an error where the
// context has ended: then nothing has been touched and build was not called. A match must be complete before
// Apply: build may fail only where the module itself is wrong.
func (c *Context) Apply(rule string, op *ir.Op, also []*ir.Op, build func(r *Rewriter) []*ir.Value) (bool, error) {
	if ok, err := c.allow(rule, op); !ok {
		return false, err
	}
	r := &Rewriter{ctx: c, Builder: ir.Before(op)}
	r.Loc = JoinLocs(append(slices.Clone(also), op)...)
	vals := build(r)
	if r.err != nil {
		return false, fmt.Errorf("rule %s at %s: %w", rule, ops.Describe(op), r.err)
	}
	if len(vals) != op.NumResults() {
		return false, fmt.Errorf("rule %s at %s: %d values for %d results", rule, ops.Describe(op), len(vals), op.NumResults())
	}
	for i, v := range vals {
		old := op.Result(i)
		if v == nil {
			continue
		}
		if v.Origin.Name == "" {
			v.Origin = old.Origin
		}
		v.Type = v.Type.Refine(old.Type)
		old.ReplaceAllUsesWith(v)
	}
	op.Erase()
	return true, nil
}

// Change makes one change that is no replacement of an op's results: edit may
// set operands, attributes and types, move and erase ops.
func (c *Context) Change(rule string, op *ir.Op, edit func() error) (bool, error) {
	if ok, err := c.allow(rule, op); !ok {
		return false, err
	}
	if err := edit(); err != nil {
		return false, fmt.Errorf("rule %s: %w", rule, err)
	}
	return true, nil
}

// allow asks for one more change. A context that has ended ends the pass.
func (c *Context) allow(rule string, op *ir.Op) (bool, error) {
	if err := c.Err(); err != nil {
		return false, err
	}
	if c.Limit >= 0 && c.Applied >= c.Limit {
		return false, nil
	}
	if c.OnApply != nil {
		c.OnApply(Application{c.Applied, c.pass, rule, op})
	}
	c.Applied++
	if c.watch != nil {
		c.watch[c.label(rule)]++
	}
	return true, nil
}

func (c *Context) label(rule string) string {
	if rule == "" {
		return "pass " + c.pass
	}
	return "rule " + rule + " of pass " + c.pass
}

// unstable names what was applied in the rounds that were watched.
func (c *Context) unstable() string {
	names := slices.Sorted(maps.Keys(c.watch))
	switch len(names) {
	case 0:
		return "a pass says that it changes what it does not"
	case 1:
		return names[0] + " matches what it makes"
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " undo each other"
}

// Op inserts an op with its types inferred and returns its first result.
func (r *Rewriter) Op(name string, operands []*ir.Value, attrs ...ir.Attr) *ir.Value {
	op, err := ops.Build(r.Builder, name, operands, attrs...)
	if err != nil {
		if r.err == nil {
			r.err = err
		}
		return nil
	}
	return op.Result(0)
}

// OpN inserts an op with n results, their types inferred, and returns them.
func (r *Rewriter) OpN(name string, n int, operands []*ir.Value, attrs ...ir.Attr) []*ir.Value {
	op, err := ops.BuildN(r.Builder, name, n, operands, attrs...)
	if err != nil {
		if r.err == nil {
			r.err = err
		}
		return make([]*ir.Value, n)
	}
	return op.Results()
}

// Fail makes the application fail: something is wrong with the module.
func (r *Rewriter) Fail(err error) { r.err = err }

// JoinLocs returns the locations of ops, in their order, each once.
func JoinLocs(ops ...*ir.Op) []string {
	var locs []string
	for _, op := range ops {
		for _, l := range op.Loc {
			if !slices.Contains(locs, l) {
				locs = append(locs, l)
			}
		}
	}
	return locs
}
