// Package fuse lowers a core module to the fused level: it groups ops that a
// target computes in one pass over memory into hone.Fused ops, whose regions
// hold the ops unchanged. What may be grouped is the target's table, not
// this package's business.
package fuse

import (
	"maps"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
)

// Target is a target's table of what it fuses.
type Target struct {
	// Anchor reports whether op is computed by a kernel that can go on with
	// the pointwise ops behind it before its result leaves the cache.
	Anchor func(op *ir.Op, behind []*ir.Op) bool
	// Pointwise reports whether op computes each element of its result from
	// the elements at the same place, operands broadcast.
	Pointwise func(op *ir.Op) bool
	// Anchored leaves ops alone that stand behind no anchor.
	Anchored bool
	// Lookup reports whether op copies rows of a table, Sum whether it adds what
	// may be such rows, and Rows whether it works on each row of its first operand
	// alone. Lookups go with the sums that read them and with what then works on
	// the rows. Nil where the target has no such groups.
	Lookup, Sum, Rows func(op *ir.Op) bool
	// MaxOps and MaxOperands bound a group.
	MaxOps, MaxOperands int
}

// Pass returns the pass for a target.
func Pass(t Target) passes.Pass {
	return passes.Func("fuse", func(c *passes.Context, m *ir.Module) (bool, error) {
		changed := false
		for _, f := range m.Funcs {
			ch, err := block(c, t, f.Body)
			changed = changed || ch
			if err != nil {
				return changed, err
			}
		}
		m.Level = max(m.Level, ir.Fused)
		return changed, nil
	})
}

// block grows groups from their last op backwards, so that a group is
// complete before any of its ops is looked at on its own. What branches and
// loops hold is grouped first.
func block(c *passes.Context, t Target, b *ir.Block) (changed bool, err error) {
	order := map[*ir.Op]int{}
	for op := range b.Ops() {
		order[op] = len(order)
		for _, r := range op.Regions {
			if op.Name == ops.FusedName {
				continue
			}
			ch, err := block(c, t, r)
			if changed = changed || ch; err != nil {
				return changed, err
			}
		}
	}
	for op := b.Last(); op != nil; {
		g := lookups(t, op)
		if g == nil {
			g = grow(t, op, order)
		}
		if len(g) < 2 {
			op = op.Prev()
			continue
		}
		var next *ir.Op // the nearest op before the group's last one that stays
		for next = op.Prev(); next != nil && g[next]; next = next.Prev() {
		}
		ok, err := replace(c, op, inOrder(g, order))
		if err != nil || !ok {
			return changed, err
		}
		changed, op = true, next
	}
	return changed, nil
}

// grow collects the ops that can be computed together with root, the last
// one: each has all its uses within the group and a result of root's type, so
// that nothing outside depends on any of them but root.
func grow(t Target, root *ir.Op, order map[*ir.Op]int) map[*ir.Op]bool {
	if root.NumResults() != 1 || !t.Pointwise(root) {
		return nil
	}
	typ := root.Result(0).Type
	g := map[*ir.Op]bool{root: true}
	for grew := true; grew && len(g) < t.MaxOps; {
		grew = false
		for _, p := range producers(g, root.Block(), order) {
			if t.Pointwise(p) && absorbable(p, typ, g) && len(g) < t.MaxOps && outside(g, p) <= t.MaxOperands {
				g[p], grew = true, true
			}
		}
	}
	var anchor *ir.Op
	for _, p := range producers(g, root.Block(), order) {
		// The latest one: what the others compute is there when it runs.
		if absorbable(p, typ, g) && outside(g, p) <= t.MaxOperands && (anchor == nil || order[p] > order[anchor]) && t.Anchor(p, inOrder(g, order)) {
			anchor = p
		}
	}
	switch {
	case anchor != nil:
		g[anchor] = true
	case t.Anchored:
		return nil
	}
	return g
}

// lookups collects what is computed row by row: root, which works on rows or
// is a sum, the chain of sums before it and the lookups that these read. Each
// sum has one term that is no sum of the chain, so that the order of additions
// stays. Nil where there are no lookups, or too much for a group.
func lookups(t Target, root *ir.Op) map[*ir.Op]bool {
	if t.Lookup == nil || root.NumResults() != 1 || !t.Rows(root) && !t.Sum(root) {
		return nil
	}
	g := map[*ir.Op]bool{root: true}
	found := 0
	for op := root; op != nil; {
		operands := op.Operands()
		if t.Rows(op) {
			operands = operands[:1]
		}
		op = nil
		for _, v := range operands {
			p := v.Def()
			if p == nil || p.Block() != root.Block() || g[p] || !readOnlyBy(v, g) {
				continue
			}
			switch {
			case t.Lookup(p):
				g[p] = true
				found++
			case op == nil && t.Sum(p) && v.Type.Equal(root.Result(0).Type):
				g[p], op = true, p
			case t.Anchor(p, nil):
				return nil // whose kernel adds as well
			}
		}
	}
	if found == 0 || len(g) > t.MaxOps || outside(g, root) > t.MaxOperands {
		return nil
	}
	return g
}

// readOnlyBy reports whether v is read by ops of the group alone.
func readOnlyBy(v *ir.Value, g map[*ir.Op]bool) bool {
	for _, u := range v.Uses() {
		if !g[u.Op] {
			return false
		}
	}
	return true
}

// producers returns the ops of block b that the group reads from, in the
// order of its ops and their operands.
func producers(g map[*ir.Op]bool, b *ir.Block, order map[*ir.Op]int) []*ir.Op {
	var ps []*ir.Op
	seen := map[*ir.Op]bool{}
	for _, op := range inOrder(g, order) {
		for _, v := range op.Operands() {
			if v == nil || v.Def() == nil {
				continue
			}
			p := v.Def()
			if p.Block() == b && !g[p] && !seen[p] && p.Name != ir.ConstantName {
				seen[p] = true
				ps = append(ps, p)
			}
		}
	}
	return ps
}

func absorbable(p *ir.Op, typ ir.Type, g map[*ir.Op]bool) bool {
	return p.NumResults() == 1 && p.Result(0).Type.Equal(typ) && readOnlyBy(p.Result(0), g)
}

// outside counts the values that the group would read from outside with p in it.
func outside(g map[*ir.Op]bool, p *ir.Op) int {
	seen := map[*ir.Value]bool{}
	count := func(op *ir.Op) {
		for _, v := range op.Operands() {
			if v != nil && (v.Def() == nil || !g[v.Def()] && v.Def() != p) {
				seen[v] = true
			}
		}
	}
	count(p)
	for op := range g {
		count(op)
	}
	return len(seen)
}

// inOrder returns the group in program order.
func inOrder(g map[*ir.Op]bool, order map[*ir.Op]int) []*ir.Op {
	return slices.SortedFunc(maps.Keys(g), func(a, b *ir.Op) int { return order[a] - order[b] })
}

// replace puts a fused op in root's place.
func replace(c *passes.Context, root *ir.Op, group []*ir.Op) (bool, error) {
	ok, err := c.Apply("", root, group, func(r *passes.Rewriter) []*ir.Value {
		fused := r.Builder.Op(ops.FusedName, nil, []ir.Type{root.Result(0).Type})
		body := fused.AddRegion(ops.FusedRegion)
		inner := map[*ir.Value]*ir.Value{}
		at := ir.AtEnd(body)
		for _, op := range group {
			for _, v := range op.Operands() {
				if v == nil || inner[v] != nil {
					continue
				}
				fused.AddOperand(v)
				inner[v] = body.AddArg("", v.Type)
			}
			at.Clone(op, inner)
		}
		at.Loc = nil
		at.Op(ir.YieldName, []*ir.Value{inner[root.Result(0)]}, nil)
		return []*ir.Value{fused.Result(0)}
	})
	if err != nil || !ok {
		return ok, err
	}
	for i := len(group) - 1; i >= 0; i-- {
		if group[i] != root {
			group[i].Erase()
		}
	}
	return true, nil
}
