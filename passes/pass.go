// Package passes holds what every transformation of the IR shares: the Pass
// interface, the registry, pipelines as text, the Rewriter through which all
// changes are made, and the counters by which a change can be bisected.
//
// A pass lives in a folder or file of its own below this package and
// registers itself; it knows the IR and ir/ops, and nothing of files or of the
// targets that come after it.
package passes

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// Pass is one transformation of a module. It is deterministic, keeps no state
// from one run to the next, and changes the module only through
// Context.Rewriter.
type Pass interface {
	Name() string
	Run(ctx *Context, m *ir.Module) (changed bool, err error)
}

// Spec registers a pass.
type Spec struct {
	Name    string
	Help    string // one line
	Options []Option
	// New makes the pass of options that the declarations allow.
	New func(o Options) (Pass, error)
	// Example is a function in IR text that the pass changes, for the manual.
	Example string
}

var registry = map[string]Spec{}

// Register adds a pass. It panics where the name is taken: two passes of one
// name are a mistake of the program that links them.
func Register(s Spec) {
	if _, ok := registry[s.Name]; ok {
		panic("passes: " + s.Name + " is registered twice")
	}
	registry[s.Name] = s
}

// Lookup returns the spec of a registered pass.
func Lookup(name string) (Spec, bool) { s, ok := registry[name]; return s, ok }

// Names returns the names of the registered passes, sorted.
func Names() []string { return slices.Sorted(maps.Keys(registry)) }

// Func makes a Pass from a function.
func Func(name string, run func(ctx *Context, m *ir.Module) (bool, error)) Pass {
	return funcPass{name, run}
}

type funcPass struct {
	name string
	run  func(*Context, *ir.Module) (bool, error)
}

func (f funcPass) Name() string                               { return f.name }
func (f funcPass) Run(c *Context, m *ir.Module) (bool, error) { return f.run(c, m) }

// EachBlock makes a Pass from what is done to the body of a function.
func EachBlock(name string, visit func(ctx *Context, b *ir.Block) (bool, error)) Pass {
	return Func(name, func(c *Context, m *ir.Module) (changed bool, err error) {
		for _, f := range m.Funcs {
			ok, err := visit(c, f.Body)
			if changed = changed || ok; err != nil {
				return changed, err
			}
		}
		return changed, nil
	})
}

// EachOp makes a Pass from what is done to an op of the body of a function, in
// program order.
func EachOp(name string, visit func(ctx *Context, op *ir.Op) (bool, error)) Pass {
	return EachBlock(name, func(c *Context, b *ir.Block) (changed bool, err error) {
		for op := range b.Ops() {
			ok, err := visit(c, op)
			if changed = changed || ok; err != nil {
				return changed, err
			}
		}
		return changed, nil
	})
}

// EachNestedOp is EachOp for the ops within regions too: those of an op come
// before it.
func EachNestedOp(name string, visit func(ctx *Context, op *ir.Op) (bool, error)) Pass {
	var block func(c *Context, b *ir.Block) (bool, error)
	block = func(c *Context, b *ir.Block) (changed bool, err error) {
		for op := range b.Ops() {
			for _, r := range op.Regions {
				ok, err := block(c, r)
				if changed = changed || ok; err != nil {
					return changed, err
				}
			}
			ok, err := visit(c, op)
			if changed = changed || ok; err != nil {
				return changed, err
			}
		}
		return changed, nil
	}
	return EachBlock(name, block)
}

// Context goes with a pipeline through all its passes.
type Context struct {
	context.Context

	// Limit stops all changes after that many applications; negative is no
	// limit. Bisecting searches with it for the application that breaks a model.
	Limit int
	// Applied counts applications so far; it is the serial number of the next.
	Applied int
	// OnApply hears of every application before it is made.
	OnApply func(a Application)
	// VerifyEach checks the module after every pass.
	VerifyEach bool
	// Around is called before and after each pass; changed is false before.
	Around func(pass Pass, m *ir.Module, done, changed bool) error
	// Progress, if set, hears from passes that take long how much they have done,
	// 0 to 1.
	Progress func(done float64)
	// Timing receives a line a pass with time and counts, if set.
	Timing io.Writer

	pass  string
	watch map[string]int // applications by label, in a fixpoint group that does not end
	Stats []Stat
	// Notes are what passes have to tell the user, a line each.
	Notes []string
}

// Note adds a line to Notes.
func (c *Context) Note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// Application is one change that a pass makes.
type Application struct {
	Serial int
	Pass   string
	Rule   string // the rule within the pass, "" where the pass is one rule
	Op     *ir.Op // the op that the change starts from
}

// Stat says what one run of a pass did.
type Stat struct {
	Pass         string
	Time         time.Duration
	Applications int
	OpsBefore    int
	OpsAfter     int
}

// NewContext returns a context without limits. Every test checks the module
// after each pass.
func NewContext(ctx context.Context) *Context {
	return &Context{Context: ctx, Limit: -1, VerifyEach: testing.Testing()}
}

// run runs one pass with all that goes around it.
func (c *Context) run(p Pass, m *ir.Module) (bool, error) {
	if err := c.Err(); err != nil {
		return false, err
	}
	if c.Around != nil {
		if err := c.Around(p, m, false, false); err != nil {
			return false, err
		}
	}
	before, applied, start := CountOps(m), c.Applied, time.Now()
	outer := c.pass
	c.pass = p.Name()
	changed, err := p.Run(c, m)
	c.pass = outer
	if err != nil {
		return false, fmt.Errorf("pass %s: %w", p.Name(), err)
	}
	c.Stats = append(c.Stats, Stat{p.Name(), time.Since(start), c.Applied - applied, before, CountOps(m)})
	if c.VerifyEach {
		if err := ops.Verify(m); err != nil {
			return false, fmt.Errorf("pass %s left a broken module: %w", p.Name(), err)
		}
	}
	if c.Around != nil {
		if err := c.Around(p, m, true, changed); err != nil {
			return false, err
		}
	}
	return changed, nil
}

// CountOps returns the number of ops that compute something: constants and
// yields do not, and a fused op counts as one.
func CountOps(m *ir.Module) int {
	n := 0
	var count func(b *ir.Block)
	count = func(b *ir.Block) {
		for op := range b.Ops() {
			if op.Name == ir.ConstantName || op.Name == ir.YieldName {
				continue
			}
			n++
			if op.Name != ops.FusedName {
				for _, r := range op.Regions {
					count(r)
				}
			}
		}
	}
	for _, f := range m.Funcs {
		count(f.Body)
	}
	return n
}
