package rewrite

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// Set is rules indexed by the op at their root, so that the cost of applying
// all of them grows with the graph and not with their number.
type Set struct {
	Rules  []*Rule
	byRoot map[string][]*Rule
}

// NewSet indexes rules; those of one root are tried in order.
func NewSet(rules []*Rule) *Set {
	s := &Set{Rules: rules, byRoot: map[string][]*Rule{}}
	for _, r := range rules {
		seen := map[string]bool{}
		for _, m := range r.Match {
			if !seen[m.op] {
				seen[m.op] = true
				s.byRoot[m.op] = append(s.byRoot[m.op], r)
			}
		}
	}
	return s
}

// Pass makes a pass that applies the rules once over the module in program
// order. Users of a replaced value come later and see what replaced it.
func (s *Set) Pass(name string) passes.Pass { return pass{name, s} }

type pass struct {
	name string
	set  *Set
}

func (p pass) Name() string { return p.name }

func (p pass) Run(c *passes.Context, m *ir.Module) (changed bool, err error) {
	for _, f := range m.Funcs {
		ch, err := p.set.block(c, f.Body)
		changed = changed || ch
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// RulesOf returns the rules that a pass applies, none for a pass of another kind.
func RulesOf(p passes.Pass) []*Rule {
	if p, ok := p.(pass); ok {
		return p.set.Rules
	}
	return nil
}

func (s *Set) block(c *passes.Context, b *ir.Block) (bool, error) {
	changed := false
	for op := range b.Ops() {
		for _, r := range op.Regions {
			ch, err := s.block(c, r)
			changed = changed || ch
			if err != nil {
				return changed, err
			}
		}
		for _, r := range s.byRoot[op.Name] {
			b := r.match(op)
			if b == nil {
				continue
			}
			ok, err := r.apply(c, b)
			if err != nil {
				return changed, err
			}
			if ok {
				changed = true
				break
			}
		}
	}
	return changed, nil
}

// apply replaces the root of a match.
func (r *Rule) apply(c *passes.Context, b *Bindings) (bool, error) {
	root := b.Root
	inner := b.ops[1:] // outermost first
	also := slices.Clone(inner)
	slices.Reverse(also)
	ok, err := c.Apply(r.Name, root, also, func(w *passes.Rewriter) []*ir.Value {
		for _, l := range r.Let {
			b.values[l.name] = r.build(w, b, l.expr)
		}
		v := r.build(w, b, r.Emit)
		if v != nil && !compatible(v.Type, root.Result(0).Type) {
			w.Fail(fmt.Errorf("%s puts %s in the place of %s", r.Pos, v.Type, root.Result(0).Type))
		}
		vals := make([]*ir.Value, root.NumResults())
		vals[0] = v
		return vals
	})
	if err != nil || !ok {
		return ok, err
	}
	for _, op := range inner { // each use goes before its value
		if op.Block() != nil && op.Unused() {
			op.Erase()
		}
	}
	return true, nil
}

// compatible reports whether a value of type t may stand where one of type u
// stood: nothing that was known is contradicted.
func compatible(t, u ir.Type) bool {
	if t.Kind != u.Kind || t.DType != u.DType {
		return false
	}
	if !t.Ranked || !u.Ranked {
		return true
	}
	if len(t.Dims) != len(u.Dims) {
		return false
	}
	for i, d := range t.Dims {
		a, ok1 := d.Int()
		b, ok2 := u.Dims[i].Int()
		if ok1 && ok2 && a != b {
			return false
		}
	}
	return true
}

// build makes the value of a replacement.
func (r *Rule) build(w *passes.Rewriter, b *Bindings, e *expr) *ir.Value {
	switch e.kind {
	case exprHole:
		return b.values[e.name]
	case exprNumber:
		return w.Tensor(number(b.Root.Result(0).Type.DType, e.number))
	case exprList:
		return w.Tensor(tensor.Int64s(e.list))
	}
	var operands []*ir.Value
	for _, a := range e.args {
		if a.kind == exprRest {
			operands = append(operands, b.rests[a.name]...)
		} else {
			operands = append(operands, r.build(w, b, a))
		}
	}
	for len(operands) > 0 && operands[len(operands)-1] == nil {
		operands = operands[:len(operands)-1]
	}
	attrs := append([]ir.Attr{}, b.attrs[e.rest]...)
	for _, a := range e.attrs {
		v := a.value
		if a.variable != "" {
			v = b.variable(a.variable)
		}
		if v != nil {
			attrs = append(attrs, ir.Attr{Name: a.name, Value: v})
		}
	}
	return w.Op(e.op, operands, attrs...)
}

// variable returns what $name stands for: an attribute that was matched, or
// the value of a constant hole of that name, as an attribute.
func (b *Bindings) variable(name string) any {
	if v, ok := b.vars[name]; ok {
		return v
	}
	if l, ok := list(b.values[name]); ok && len(l) == 1 {
		return l[0]
	}
	if f, ok := scalar(b.values[name]); ok {
		return float32(f)
	}
	return nil
}

// number makes a scalar of a type, float32 where the type is no number.
func number(d tensor.DType, f float64) *tensor.Tensor {
	switch d {
	case tensor.Float64:
		return tensor.Scalar(d, f)
	case tensor.Int64:
		return tensor.Scalar(d, int64(f))
	case tensor.Int32:
		return tensor.Scalar(d, int32(f))
	}
	return tensor.Scalar(tensor.Float32, float32(f))
}
