package report

import (
	"cmp"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// Step is the module after a pass; the first one is the module as it was read.
type Step struct {
	Title string
	Pass  bool // that made it; else it is a module of its own
	Graph *Graph
	Ops   int
	// Rules are the changes that the pass made, by the rule behind them.
	Rules []RuleCount
}

// RuleCount says how often a rule was applied; where a pass has no rules, it
// counts as one itself.
type RuleCount struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// maxSteps bounds the steps of a history: a fixpoint group may run its passes
// many times. The last step is always the end.
const maxSteps = 40

// Still is a module as one step.
func Still(title string, m *ir.Module) Step {
	return Step{Title: title, Graph: Draw(m), Ops: passes.CountOps(m)}
}

// History runs passes over a copy of m and draws it after each that changes it.
// last is the module at the end.
func History(c *passes.Context, m *ir.Module, run func(*passes.Context, *ir.Module) error) (steps []Step, last *ir.Module, err error) {
	last = m.Clone()
	steps = []Step{Still("as read", last)}
	var rules []RuleCount // since the last step
	around, onApply, missed := c.Around, c.OnApply, false
	c.OnApply = func(a passes.Application) {
		name := cmp.Or(a.Rule, a.Pass)
		i := slices.IndexFunc(rules, func(r RuleCount) bool { return r.Name == name })
		if i < 0 {
			i = len(rules)
			rules = append(rules, RuleCount{Name: name})
		}
		rules[i].Count++
		if onApply != nil {
			onApply(a)
		}
	}
	add := func(title string, m *ir.Module) {
		slices.SortStableFunc(rules, func(a, b RuleCount) int { return cmp.Compare(b.Count, a.Count) })
		steps = append(steps, Step{title, true, Draw(m), passes.CountOps(m), rules})
		rules = nil
	}
	c.Around = func(p passes.Pass, m *ir.Module, done, changed bool) error {
		if done && changed {
			if missed = len(steps) > maxSteps; !missed {
				add(p.Name(), m)
			}
		}
		if around != nil {
			return around(p, m, done, changed)
		}
		return nil
	}
	err = run(c, last)
	c.Around, c.OnApply = around, onApply
	if missed {
		add("the end", last)
	}
	return steps, last, err
}
