package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"training.Adagrad":  {Infer: inferOptimizer(1), Eval: evalOptimizer(1, adagrad)},
		"training.Adam":     {Infer: inferOptimizer(2), Eval: evalOptimizer(2, adam)},
		"training.Momentum": {Infer: inferOptimizer(1), Eval: evalOptimizer(1, momentum)},
		// Gradient names values of its graph; what it means is written out when
		// a model is read, so that nothing later has to know.
		"training.Gradient": {Upgrades: []Upgrade{{To: math.MaxInt, Do: writeGradient}}},
	})
}

// An optimizer's operands are the rate, the count of steps, and then all
// parameters, all gradients, and all of each kind of state.
func inferOptimizer(states int) func(x *Inference) error {
	return func(x *Inference) error {
		n, err := parameters(x.NumIn(), x.NumOut(), states)
		if err != nil {
			return x.Errorf("%d operands and %d results are no whole parameters", x.NumIn(), x.NumOut())
		}
		for i := range n {
			x.Set(i, x.In(2+i))
			for s := range states {
				x.Set((1+s)*n+i, x.In(2+(2+s)*n+i))
			}
		}
		return nil
	}
}

func parameters(ins, outs, states int) (int, error) {
	n := (ins - 2) / (2 + states)
	if n < 1 || 2+n*(2+states) != ins || n*(1+states) != outs {
		return 0, fmt.Errorf("the operands and results are no whole parameters")
	}
	return n, nil
}

func evalOptimizer(states int, step func(c *Call, rate float64, t int64) (ref.Step, error)) func(c *Call) error {
	return func(c *Call) error {
		n, err := parameters(c.NumIn(), c.NumOut(), states)
		if err != nil {
			return err
		}
		rate, err := floatScalar(c.In(0), 0)
		if err != nil {
			return err
		}
		t, err := c.number(1, 0)
		if err != nil {
			return err
		}
		f, err := step(c, rate, int64(t))
		if err != nil {
			return err
		}
		for i := range n {
			var state []*tensor.Tensor
			for s := range states {
				state = append(state, c.In(2+(2+s)*n+i))
			}
			outs, err := f.Apply(c.In(2+i), c.In(2+n+i), state...)
			if err != nil {
				return err
			}
			for k, y := range outs {
				c.Set(k*n+i, y)
			}
		}
		return nil
	}
}

func (c *Call) float(name string) float64 { return float64(c.Float(name)) }

func adagrad(c *Call, rate float64, t int64) (ref.Step, error) {
	return ref.Adagrad(rate, t, c.float("decay_factor"), c.float("epsilon"), c.float("norm_coefficient")), nil
}

func adam(c *Call, rate float64, t int64) (ref.Step, error) {
	return ref.Adam(rate, t, c.float("alpha"), c.float("beta"), c.float("epsilon"), c.float("norm_coefficient"), c.float("norm_coefficient_post")), nil
}

func momentum(c *Call, rate float64, t int64) (ref.Step, error) {
	mode := c.Str("mode")
	if mode != "standard" && mode != "nesterov" {
		return nil, c.Errorf("mode %q is not one of standard, nesterov", mode)
	}
	return ref.Momentum(rate, t, c.float("alpha"), c.float("beta"), c.float("norm_coefficient"), mode == "nesterov"), nil
}

// writeGradient replaces a Gradient by the ops that compute it: the graph
// from xs and zs to y again, on the op's operands, and back (reverse
// accumulation), where each op on the way is one of those that backward knows.
func writeGradient(b *ir.Builder, op *ir.Op) error {
	xs, _ := op.Attrs.Get("xs").([]string)
	zs, _ := op.Attrs.Get("zs").([]string)
	y, _ := op.Attrs.Get("y").(string)
	leaves := append(slices.Clone(xs), zs...)
	if len(leaves) != op.NumOperands() || len(xs) != op.NumResults() {
		return fmt.Errorf("gradient: %d names for %d operands and %d results", len(leaves), op.NumOperands(), op.NumResults())
	}
	named := map[string]*ir.Value{}
	for _, a := range op.Block().Args {
		named[a.Name] = a
	}
	for o := range op.Block().Ops() {
		if o == op {
			break
		}
		for _, r := range o.Results() {
			named[r.Origin.Name] = r
		}
	}
	if named[y] == nil {
		return fmt.Errorf("gradient: there is no value %q before it", y)
	}
	again := map[*ir.Value]*ir.Value{}
	for i, name := range leaves {
		if named[name] == nil {
			return fmt.Errorf("gradient: there is no value %q before it", name)
		}
		again[named[name]] = op.Operand(i)
	}
	var order []*ir.Op
	for _, o := range slices.Collect(op.Block().Ops()) { // the clones join the block
		if o == op {
			break
		}
		fresh := !slices.ContainsFunc(o.Results(), func(r *ir.Value) bool { return again[r] != nil })
		if fresh && slices.ContainsFunc(o.Operands(), func(v *ir.Value) bool { return again[v] != nil }) {
			order = append(order, b.Clone(o, again))
		}
	}
	if again[named[y]] == nil {
		return fmt.Errorf("gradient: %q does not depend on %q", y, xs)
	}
	grads := map[*ir.Value]*ir.Value{}
	one, err := filled(b, again[named[y]], 1)
	if err != nil {
		return err
	}
	grads[again[named[y]]] = one
	for _, o := range slices.Backward(order) {
		if g := grads[o.Result(0)]; g != nil {
			if err := backward(b, o, g, grads); err != nil {
				return err
			}
		}
	}
	for i := range xs {
		g := grads[op.Operand(i)]
		if g == nil {
			if g, err = filled(b, op.Operand(i), 0); err != nil {
				return err
			}
		}
		op.Result(i).ReplaceAllUsesWith(g)
	}
	op.Erase()
	return nil
}

// backward adds what o gives to the gradients of its operands.
func backward(b *ir.Builder, o *ir.Op, g *ir.Value, grads map[*ir.Value]*ir.Value) error {
	give := func(v, part *ir.Value, err error) error {
		if err != nil {
			return err
		}
		if grads[v] != nil {
			if part, err = built(b, "Add", grads[v], part); err != nil {
				return err
			}
		}
		grads[v] = part
		return nil
	}
	p, q := o.Operand(0), o.Operand(1)
	switch o.Name {
	case "Identity":
		return give(p, g, nil)
	case "Neg":
		n, err := built(b, "Neg", g)
		return give(p, n, err)
	case "Add", "Sub", "Mul":
		if !p.Type.Equal(q.Type) {
			return fmt.Errorf("gradient: %s of %s and %s broadcasts", o.Name, p.Type, q.Type)
		}
	default:
		return fmt.Errorf("gradient: the gradient of %s is not known", o.Name)
	}
	left, right := g, g
	var err error
	if o.Name == "Mul" {
		if left, err = built(b, "Mul", g, q); err != nil {
			return err
		}
		right, err = built(b, "Mul", g, p)
	} else if o.Name == "Sub" {
		right, err = built(b, "Neg", g)
	}
	if err := give(p, left, err); err != nil {
		return err
	}
	return give(q, right, nil)
}

func built(b *ir.Builder, name string, operands ...*ir.Value) (*ir.Value, error) {
	op, err := Build(b, name, operands)
	if err != nil {
		return nil, err
	}
	return op.Result(0), nil
}

// filled returns a tensor of v's shape with one value in all elements.
func filled(b *ir.Builder, v *ir.Value, n float64) (*ir.Value, error) {
	shape, err := built(b, "Shape", v)
	if err != nil {
		return nil, err
	}
	value := tensor.New(v.Type.DType, 1)
	switch v.Type.DType {
	case tensor.Float32:
		tensor.Of[float32](value)[0] = float32(n)
	case tensor.Float64:
		tensor.Of[float64](value)[0] = n
	default:
		return nil, fmt.Errorf("gradient: of %s, not of f32 or f64", v.Type)
	}
	op, err := Build(b, "ConstantOfShape", []*ir.Value{shape}, ir.Attr{Name: "value", Value: ir.NewData(value)})
	if err != nil {
		return nil, err
	}
	return op.Result(0), nil
}
