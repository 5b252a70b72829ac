package report

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// Step is the module after a pass; the first one is the module as it was read.
type Step struct {
	Title string
	Graph *Graph
}

// maxSteps bounds the steps of a history: a fixpoint group may run its passes
// many times. The last step is always the end.
const maxSteps = 40

// History runs passes over a copy of m and draws it after each that changes it.
// last is the module at the end.
func History(c *passes.Context, m *ir.Module, run func(*passes.Context, *ir.Module) error) (steps []Step, last *ir.Module, err error) {
	last = m.Clone()
	steps = []Step{{"as read", Draw(last)}}
	around, before, missed := c.Around, 0, false
	c.Around = func(p passes.Pass, m *ir.Module, done, changed bool) error {
		if !done {
			before = c.Applied
		} else if changed {
			if missed = len(steps) > maxSteps; !missed {
				title := fmt.Sprintf("%s (%d changes, %d ops)", p.Name(), c.Applied-before, passes.CountOps(m))
				steps = append(steps, Step{title, Draw(m)})
			}
		}
		if around != nil {
			return around(p, m, done, changed)
		}
		return nil
	}
	err = run(c, last)
	c.Around = around
	if missed {
		steps = append(steps, Step{fmt.Sprintf("the end (%d ops)", passes.CountOps(last)), Draw(last)})
	}
	return steps, last, err
}
