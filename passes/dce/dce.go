// Package dce erases ops whose results nobody reads.
package dce

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

func init() {
	passes.Register(passes.Spec{
		Name: "dce",
		Help: "erase ops whose results nobody reads",
		New: func(passes.Options) (passes.Pass, error) {
			return passes.Func("dce", func(c *passes.Context, m *ir.Module) (bool, error) {
				changed := false
				for _, f := range m.Funcs {
					ch, err := block(c, f.Body)
					if err != nil {
						return changed, err
					}
					changed = changed || ch
				}
				return changed, nil
			}), nil
		},
	})
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
