// Package bisect finds the one change that breaks a model. Passes make
// numbered applications and can be stopped before any of them; a binary search
// over that number, with the interpreter as the judge, names the first one
// after which the model answers otherwise.
//
// It knows modules, passes and the interpreter, and nothing of files.
package bisect

import (
	"context"
	"fmt"
	"strings"

	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// Options adjust a search.
type Options struct {
	// Run runs the passes under suspicion over a module.
	Run func(c *passes.Context, m *ir.Module) error
	// Cases are the inputs to try, one list a case, in the order of the
	// module's arguments.
	Cases [][]tensor.Value
	// Tolerance is the largest error allowed, relative to the largest element
	// of each output.
	Tolerance float64
	// Progress hears of every step of the search, if set.
	Progress func(limit int, broken error)
}

// Culprit is the application that breaks the model.
type Culprit struct {
	Serial   int      // its number: a run that stops after Serial applications is still right
	Total    int      // applications of the whole run
	Pass     string   // the pass that makes it
	Rule     string   // the rule within the pass, "" where the pass is one rule
	Op       string   // the operator that it starts from
	Location []string // the names that the op has in the source model
	Text     string   // the op as IR text, before it is changed
	Broken   error    // what is wrong once it has been made
	Runs     int      // of the model, the first one aside
}

// String is one line for people.
func (c *Culprit) String() string {
	what := c.Pass
	if c.Rule != "" {
		what += ", rule " + c.Rule
	}
	at := c.Op
	if len(c.Location) > 0 {
		at += fmt.Sprintf(" %q", strings.Join(c.Location, "+"))
	}
	return fmt.Sprintf("application %d of %d: %s, at %s", c.Serial, c.Total, what, at)
}

// Find returns the application that breaks m, nil where the whole run keeps
// the answers. m itself is not changed. It is an error if the model answers
// otherwise before anything has been applied.
func Find(ctx context.Context, m *ir.Module, opt Options) (*Culprit, error) {
	s := &search{Context: ctx, module: m, opt: opt}
	for i, c := range opt.Cases {
		want, err := interp.New(m).Run(ctx, c, interp.Options{})
		if err != nil {
			return nil, fmt.Errorf("the model does not run as it is, case %d: %w", i+1, err)
		}
		s.want = append(s.want, want)
	}
	good := 0                // applications after which it is right
	bad, broken := s.try(-1) // and after which it is broken
	if broken == nil || ctx.Err() != nil {
		return nil, ctx.Err()
	}
	c := &Culprit{Total: bad}
	for bad-good > 1 {
		mid := good + (bad-good)/2
		_, err := s.try(mid)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			good = mid
		} else {
			bad, broken = mid, err
		}
	}
	if good == 0 {
		if _, err := s.try(0); err != nil {
			return nil, fmt.Errorf("the model breaks without any application: %w", err)
		}
	}
	c.Serial, c.Broken, c.Runs = good, broken, s.runs
	s.name(c)
	if c.Pass == "" {
		return nil, fmt.Errorf("the search found application %d of %d, which is not made again: a pass is not deterministic", c.Serial, c.Total)
	}
	return c, ctx.Err()
}

type search struct {
	context.Context
	module *ir.Module
	opt    Options
	want   [][]tensor.Value
	runs   int
}

// try runs the passes up to limit applications and judges the result. It
// returns how many were made.
func (s *search) try(limit int) (applied int, broken error) {
	s.runs++
	m := s.module.Clone()
	c := passes.NewContext(s)
	c.Limit = limit
	broken = s.opt.Run(c, m)
	if broken == nil {
		broken = ops.Verify(m)
	}
	for i := 0; broken == nil && i < len(s.want); i++ {
		if broken = s.judge(m, i); broken != nil && len(s.want) > 1 {
			broken = fmt.Errorf("case %d: %w", i+1, broken)
		}
	}
	if s.opt.Progress != nil {
		s.opt.Progress(limit, broken)
	}
	return c.Applied, broken
}

// name makes the culprit's application again, to tell what it is: passes cost
// little beside the interpreter.
func (s *search) name(culprit *Culprit) {
	c := passes.NewContext(s)
	c.Limit = culprit.Serial + 1
	c.OnApply = func(a passes.Application) {
		if a.Serial == culprit.Serial {
			culprit.Pass, culprit.Rule, culprit.Op, culprit.Location, culprit.Text = a.Pass, a.Rule, a.Op.Name, a.Op.Loc, ir.FormatOp(a.Op)
		}
	}
	_ = s.opt.Run(c, s.module.Clone()) // it may fail: the application is what breaks it
}

func (s *search) judge(m *ir.Module, i int) error {
	got, err := interp.New(m).Run(s, s.opt.Cases[i], interp.Options{})
	if err != nil {
		return err
	}
	outs := m.Main().Results()
	if len(got) != len(s.want[i]) {
		return fmt.Errorf("%d outputs where there were %d", len(got), len(s.want[i]))
	}
	for j, w := range s.want[i] {
		if err := same(got[j], w, s.opt.Tolerance); err != nil {
			return fmt.Errorf("output %d (%s): %w", j, outs[j].Origin.Name, err)
		}
	}
	return nil
}

// same compares values, sequences item by item.
func same(got, want tensor.Value, tolerance float64) error {
	switch w := want.(type) {
	case *tensor.Tensor:
		g, ok := got.(*tensor.Tensor)
		if !ok {
			return fmt.Errorf("got %T, want a tensor", got)
		}
		d, err := compare.Tensors(g, w)
		if err != nil {
			return err
		}
		if !d.Within(tolerance) {
			return fmt.Errorf("%d of %d elements differ, by up to %.3g where the largest is %.3g", d.Different+d.NaNs, d.Elements, d.MaxAbs, d.Scale)
		}
	case *tensor.Sequence:
		g, ok := got.(*tensor.Sequence)
		if !ok || len(g.Items) != len(w.Items) {
			return fmt.Errorf("got another sequence")
		}
		for i := range w.Items {
			if err := same(g.Items[i], w.Items[i], tolerance); err != nil {
				return fmt.Errorf("item %d: %w", i, err)
			}
		}
	case *tensor.Optional:
		g, ok := got.(*tensor.Optional)
		if !ok || (g.Elem == nil) != (w.Elem == nil) {
			return fmt.Errorf("got another optional")
		}
		if w.Elem != nil {
			return same(g.Elem, w.Elem, tolerance)
		}
	}
	return nil
}
