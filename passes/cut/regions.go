package cut

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
)

// regions goes into If, Loop and Scan as long as a region fails on its own.
func (r *reducer) regions() error {
	for opened := true; opened; {
		opened = false
		for i, op := range computing(r.best) {
			for j := range op.Regions {
				ok, err := r.try(opening(r.best, i, j))
				if err != nil {
					return err
				}
				opened = opened || ok
				if ok {
					break
				}
			}
			if opened {
				break
			}
		}
		if opened {
			if err := r.ops(); err != nil {
				return err
			}
		}
	}
	return nil
}

// opening returns region j of op i as a model of its own: the region's
// arguments become inputs, what it yields the outputs.
func opening(m *ir.Module, i, j int) *ir.Module {
	c := m.Clone()
	main := c.Main()
	op := computing(c)[i]
	region := op.Regions[j]
	main.Body.Yield().Erase()
	copies := map[*ir.Value]*ir.Value{}
	for _, a := range region.Args {
		copies[a] = main.AddInput(freshInput(main, a), a.Type)
	}
	at := ir.Before(op)
	for inner := range region.Ops() {
		if inner.Name != ir.YieldName {
			at.Clone(inner, copies)
		}
	}
	names := nameValues(c)
	var outs []port
	seen := map[*ir.Value]bool{}
	for _, v := range region.Results() {
		if w, ok := copies[v]; ok {
			v = w
		}
		if v != nil && !seen[v] {
			seen[v] = true
			outs = append(outs, port{names.of(v), v})
		}
	}
	part, _ := carve(c, names, outs, nil)
	return part
}

// freshInput returns a name for a region's argument that no input has.
func freshInput(f *ir.Func, a *ir.Value) string {
	name := a.Origin.Name
	if name == "" {
		name = a.Name
	}
	taken := func(n string) bool {
		return n == "" || slices.ContainsFunc(f.Body.Args, func(x *ir.Value) bool { return x.Name == n })
	}
	for i := 0; taken(name); i++ {
		name = fmt.Sprintf("argument_%d", i)
	}
	return name
}
