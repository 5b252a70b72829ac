// Package dce erases ops whose results nobody reads.
package dce

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
)

func init() {
	passes.Register(passes.Spec{
		Name: "dce",
		Help: "erase ops whose results nobody reads, and the optional last results of others",
		Example: `func @main(%x: f32[N]) -> (y: f32[N]) {
  %0 = Exp(%x) : f32[N]
  %1 = Neg(%0) : f32[N]
  %2 = Abs(%x) : f32[N]
  return(%2)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return passes.EachBlock("dce", block), nil },
	})
}

// trim drops the last results of an op that nobody reads and that its schema
// calls optional: what a target need not compute.
func trim(c *passes.Context, op *ir.Op) (bool, error) {
	s := ops.SchemaOf(op.Name)
	n := op.NumResults()
	for n > 1 && s != nil && n <= len(s.Outputs) && s.Outputs[n-1].Optional && op.Result(n-1).NumUses() == 0 {
		n--
	}
	if n == op.NumResults() {
		return false, nil
	}
	return c.Change("dead-results", op, func() error { op.TrimResults(n); return nil })
}

// block goes backwards, so that one walk erases whole chains.
func block(c *passes.Context, b *ir.Block) (changed bool, err error) {
	for op := b.Last(); op != nil; {
		prev := op.Prev()
		if op.Name != ir.YieldName && op.Unused() {
			ok, err := c.Change("", op, func() error { op.Erase(); return nil })
			if err != nil {
				return changed, err
			}
			changed = changed || ok
		} else {
			ok, err := trim(c, op)
			if changed = changed || ok; err != nil {
				return changed, err
			}
			for _, r := range op.Regions {
				ch, err := block(c, r)
				if err != nil {
					return changed, err
				}
				changed = changed || ch
			}
		}
		op = prev
	}
	return changed, nil
}
