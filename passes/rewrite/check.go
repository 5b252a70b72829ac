package rewrite

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Check proves a rule on graphs made from its own patterns: for each match
// and each example, the pattern is built, the rule must apply, and the graph
// before and after must compute the same from random inputs. Each except must
// not match. A rule without an example that fits is not proved, which is an
// error.
func (r *Rule) Check() error {
	if len(r.Examples) == 0 {
		return fmt.Errorf("%s: rule %s has no example to check it with", r.Pos, r.Name)
	}
	for i, m := range r.Match {
		for j, ex := range r.Examples {
			if err := r.checkMatch(m, ex); err != nil {
				return fmt.Errorf("%s: rule %s, match %d, example %d: %w", r.Pos, r.Name, i+1, j+1, err)
			}
		}
	}
	for i, e := range r.Except {
		g, err := newGraph(e, r.Examples[0])
		if err != nil {
			return fmt.Errorf("%s: rule %s, except %d: %w", r.Pos, r.Name, i+1, err)
		}
		if r.match(g.root) != nil {
			return fmt.Errorf("%s: rule %s matches its except %d", r.Pos, r.Name, i+1)
		}
	}
	return nil
}

// Example returns the rule's first pattern as a module, before and after it.
func (r *Rule) Example() (before, after *ir.Module, err error) {
	if len(r.Examples) == 0 {
		return nil, nil, fmt.Errorf("%s: rule %s has no example", r.Pos, r.Name)
	}
	g, err := newGraph(r.Match[0], r.Examples[0])
	if err != nil {
		return nil, nil, err
	}
	before = g.module.Clone()
	_, err = NewSet([]*Rule{r}).Pass(r.Name).Run(passes.NewContext(context.Background()), g.module)
	return before, g.module, err
}

// tolerance is how far results may be apart, relative to their scale: both
// sides round differently.
const tolerance = 2e-5

func (r *Rule) checkMatch(m *expr, ex example) error {
	g, err := newGraph(m, ex)
	if err != nil {
		return err
	}
	b := r.match(g.root)
	if b == nil {
		return fmt.Errorf("the rule does not match its own pattern")
	}
	before := g.module.Clone()
	ok, err := r.apply(passes.NewContext(context.Background()), b)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("the rule was not applied")
	}
	if err := ops.Verify(g.module); err != nil {
		return err
	}
	for seed := range uint64(3) {
		if err := sameResults(before, g.module, seed); err != nil {
			return err
		}
	}
	return nil
}

func sameResults(before, after *ir.Module, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 5))
	var ins []tensor.Value
	for _, a := range before.Main().Body.Args {
		ins = append(ins, randomTensor(a.Type, rng))
	}
	want, err := interp.New(before).Run(context.Background(), ins, interp.Options{})
	if err != nil {
		return fmt.Errorf("before: %w", err)
	}
	got, err := interp.New(after).Run(context.Background(), ins, interp.Options{})
	if err != nil {
		return fmt.Errorf("after: %w", err)
	}
	x, y := want[0].(*tensor.Tensor), got[0].(*tensor.Tensor)
	if x.String() != y.String() {
		return fmt.Errorf("before gives %s, after gives %s", x, y)
	}
	fx, fy := ref.Float64s(x), ref.Float64s(y)
	scale := 0.0
	for _, f := range fx {
		scale = max(scale, max(f, -f))
	}
	for i, f := range fx {
		if d := f - fy[i]; !(d <= tolerance*scale && -d <= tolerance*scale) && !(f != f && fy[i] != fy[i]) {
			return fmt.Errorf("element %d is %v before and %v after", i, f, fy[i])
		}
	}
	return nil
}

func randomTensor(t ir.Type, rng *rand.Rand) *tensor.Tensor {
	shape := make([]int, len(t.Dims))
	for i, d := range t.Dims {
		n, ok := d.Int()
		if !ok {
			n = 3
		}
		shape[i] = int(n)
	}
	x := tensor.New(t.DType, shape...)
	switch t.DType {
	case tensor.Float32:
		for i := range tensor.Of[float32](x) {
			tensor.Of[float32](x)[i] = float32(rng.NormFloat64())
		}
	case tensor.Float64:
		for i := range tensor.Of[float64](x) {
			tensor.Of[float64](x)[i] = rng.NormFloat64()
		}
	case tensor.Int64:
		for i := range tensor.Of[int64](x) {
			tensor.Of[int64](x)[i] = int64(rng.IntN(3))
		}
	case tensor.Bool:
		for i := range x.Data {
			x.Data[i] = byte(rng.IntN(2))
		}
	case tensor.Int8, tensor.Uint8:
		for i := range x.Data {
			x.Data[i] = byte(rng.IntN(256))
		}
	}
	return x
}

// graph is a module made from a pattern.
type graph struct {
	module *ir.Module
	root   *ir.Op
}

// newGraph builds the pattern: holes become inputs, or constants where they
// must be.
func newGraph(e *expr, ex example) (g *graph, err error) {
	m := ir.NewModule("check", ops.NewestOpset(""))
	b := &graphBuilder{Builder: ir.AtEnd(m.Main().Body), fn: m.Main(), ex: ex, vals: map[string]*ir.Value{}, rng: rand.New(rand.NewPCG(1, 2))}
	defer func() {
		if e, ok := recover().(ruleError); ok {
			g, err = nil, e.error
		} else if e := recover(); e != nil {
			panic(e)
		}
	}()
	v := b.build(e)
	m.Main().Return([]string{"y"}, v)
	return &graph{m, v.Def()}, nil
}

type graphBuilder struct {
	*ir.Builder
	fn   *ir.Func
	ex   example
	vals map[string]*ir.Value
	rng  *rand.Rand
	like tensor.DType
}

func (b *graphBuilder) build(e *expr) *ir.Value {
	switch e.kind {
	case exprHole:
		return b.hole(e)
	case exprNumber:
		return b.Tensor(number(b.like, e.number))
	case exprList:
		return b.Tensor(tensor.Int64s(e.list))
	}
	if v, ok := b.vals[e.name]; ok && e.name != "" {
		return v
	}
	var operands []*ir.Value
	for _, a := range e.args { // holes first: a number has the type of its neighbours
		if a.kind == exprHole {
			if t, ok := b.ex.types[a.name]; ok && t.DType.IsFloat() {
				b.like = t.DType
			}
		}
	}
	for _, a := range e.args {
		if a.kind == exprRest {
			operands = append(operands, b.hole(&expr{name: a.name, pos: a.pos}))
			continue
		}
		operands = append(operands, b.build(a))
	}
	for len(operands) > 0 && operands[len(operands)-1] == nil {
		operands = operands[:len(operands)-1]
	}
	var attrs []ir.Attr
	for _, a := range e.attrs {
		v := a.value
		if a.variable != "" {
			v = b.ex.vars[a.variable]
		}
		if v != nil {
			attrs = append(attrs, ir.Attr{Name: a.name, Value: v})
		}
	}
	op, err := ops.Build(b.Builder, e.op, operands, attrs...)
	if err != nil {
		panic(ruleError{fmt.Errorf("%s: %w", e.pos, err)})
	}
	if e.name != "" {
		b.vals[e.name] = op.Result(0)
	}
	return op.Result(0)
}

func (b *graphBuilder) hole(e *expr) *ir.Value {
	if v, ok := b.vals[e.name]; ok {
		return v
	}
	if c, ok := b.ex.consts[e.name]; ok {
		b.vals[e.name] = b.Tensor(constant(c, b.like))
		return b.vals[e.name]
	}
	t, ok := b.ex.types[e.name]
	if !ok {
		if e.optional {
			return nil
		}
		panic(ruleError{fmt.Errorf("%s: the example gives no type for %s", e.pos, e.name)})
	}
	var v *ir.Value
	if e.want != "" {
		x := randomTensor(t, b.rng)
		if x.DType == tensor.Float32 { // scales and variances are positive
			for i, f := range tensor.Of[float32](x) {
				tensor.Of[float32](x)[i] = max(f, -f) + 0.1
			}
		}
		v = b.Tensor(x)
	} else {
		v = b.fn.AddInput(e.name, t)
	}
	b.vals[e.name] = v
	return v
}

// constant makes a tensor of a literal.
func constant(c any, like tensor.DType) *tensor.Tensor {
	switch c := c.(type) {
	case []int64:
		return tensor.Int64s(c)
	case int64:
		return number(like, float64(c))
	case float32:
		return number(like, float64(c))
	}
	panic(ruleError{fmt.Errorf("%v is no constant", c)})
}
