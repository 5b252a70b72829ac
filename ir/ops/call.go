package ops

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// Env is what an evaluation may need from the one who runs it.
type Env struct {
	Context context.Context
	// Rand is the source of random ops that have no seed of their own.
	Rand *rand.Rand
	// Run evaluates a region on the given arguments.
	Run func(region *ir.Block, args []tensor.Value) ([]tensor.Value, error)
}

// Call is one evaluation of an op.
type Call struct {
	attrs
	env  *Env
	ins  []tensor.Value
	outs []tensor.Value
}

// Eval computes an op's results. ins has a value an operand, nil where it is
// absent. Results that nobody asked for may be nil.
func Eval(op *ir.Op, ins []tensor.Value, env *Env) (outs []tensor.Value, err error) {
	impl := Lookup(op.Name)
	if impl == nil || impl.Eval == nil {
		return nil, fmt.Errorf("%s: there is no such operator", Describe(op))
	}
	defer guard(op, &err)
	c := &Call{attrs: attrs{op}, env: env, ins: ins, outs: make([]tensor.Value, op.NumResults())}
	if err := impl.Eval(c); err != nil {
		return nil, err
	}
	for i, v := range c.outs {
		if v == nil && op.Result(i).NumUses() > 0 {
			return nil, fmt.Errorf("result %d was not computed", i)
		}
	}
	return c.outs, nil
}

// NumIn returns the number of operands, absent ones included.
func (c *Call) NumIn() int { return len(c.ins) }

// Value returns operand i, nil where it is absent.
func (c *Call) Value(i int) tensor.Value {
	if i >= len(c.ins) {
		return nil
	}
	return c.ins[i]
}

// In returns operand i as a tensor, nil where it is absent. An operand that
// is no tensor fails the op.
func (c *Call) In(i int) *tensor.Tensor {
	switch v := c.Value(i).(type) {
	case nil:
		return nil
	case *tensor.Tensor:
		return v
	default:
		panic(failure{fmt.Errorf("operand %d is a %T, not a tensor", i, v)})
	}
}

// NumOut returns the number of results.
func (c *Call) NumOut() int { return len(c.outs) }

// Set gives result i; results beyond those that the op has are dropped.
func (c *Call) Set(i int, v tensor.Value) {
	if i < len(c.outs) {
		c.outs[i] = v
	}
}

// done gives the only result, or passes the error on.
func (c *Call) done(y tensor.Value, err error) error {
	if err != nil {
		return err
	}
	c.Set(0, y)
	return nil
}

// OutType returns the type of result i.
func (c *Call) OutType(i int) ir.Type { return c.op.Result(i).Type }

// Region returns the named region, nil where there is none.
func (c *Call) Region(name string) *ir.Block { return c.op.Region(name) }

// Run evaluates the named region.
func (c *Call) Run(region string, args ...tensor.Value) ([]tensor.Value, error) {
	r := c.op.Region(region)
	if r == nil {
		return nil, fmt.Errorf("there is no %s", region)
	}
	if c.env == nil || c.env.Run == nil {
		return nil, fmt.Errorf("regions can not run here")
	}
	if len(args) != len(r.Args) {
		return nil, fmt.Errorf("%s takes %d arguments, got %d", region, len(r.Args), len(args))
	}
	return c.env.Run(r, args)
}

// Context returns the context of the run.
func (c *Call) Context() context.Context {
	if c.env == nil || c.env.Context == nil {
		return context.Background()
	}
	return c.env.Context
}

// Rand returns the source of random numbers: the op's own seed where it has
// one, else the run's.
func (c *Call) Rand() *rand.Rand {
	if c.Has("seed") {
		s := uint64(int64(c.Float("seed") * 65536))
		return rand.New(rand.NewPCG(s, 0x9e3779b97f4a7c15))
	}
	if c.env == nil || c.env.Rand == nil {
		return rand.New(rand.NewPCG(0, 0))
	}
	return c.env.Rand
}

// Errorf makes an error; Eval adds the op's name and location.
func (c *Call) Errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
