package rewrite

import (
	"math"
	"reflect"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Bindings is what a match found.
type Bindings struct {
	Root   *ir.Op
	values map[string]*ir.Value
	rests  map[string][]*ir.Value
	vars   map[string]any
	attrs  map[string]ir.Attrs
	ops    []*ir.Op // every op of the match, the root first
}

func (b *Bindings) clone() *Bindings {
	c := *b
	c.values, c.rests, c.vars, c.attrs = cloneMap(b.values), cloneMap(b.rests), cloneMap(b.vars), cloneMap(b.attrs)
	c.ops = slices.Clone(b.ops)
	return &c
}

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	c := make(map[K]V, len(m)+1)
	for k, v := range m {
		c[k] = v
	}
	return c
}

// commutative ops match with their first two operands in either order.
var commutative = map[string]bool{"Add": true, "Mul": true, "Max": true, "Min": true, "And": true, "Or": true, "Equal": true, "Sum": true}

// match matches the rule at op.
func (r *Rule) match(op *ir.Op) *Bindings {
	for _, m := range r.Match {
		if m.op != op.Name {
			continue
		}
		start := &Bindings{Root: op, values: map[string]*ir.Value{}, rests: map[string][]*ir.Value{}, vars: map[string]any{}, attrs: map[string]ir.Attrs{}}
		var found *Bindings
		m.matchOp(start, op, func(b *Bindings) bool {
			if b.private() && r.holds(b) {
				found = b
				return true
			}
			return false
		})
		if found != nil {
			return found
		}
	}
	return nil
}

// private reports whether the ops inside of the match are used by nothing
// outside of it, the root's result excepted.
func (b *Bindings) private() bool {
	for _, op := range b.ops[1:] {
		for _, r := range op.Results() {
			for _, u := range r.Uses() {
				if !slices.Contains(b.ops, u.Op) {
					return false
				}
			}
		}
	}
	return true
}

// The matchers call next with the bindings of each way to match, until next
// says that it has what it wants.

func (e *expr) matchValue(b *Bindings, v *ir.Value, next func(*Bindings) bool) bool {
	switch e.kind {
	case exprNumber:
		f, ok := scalar(v)
		return ok && near(f, e.number) && next(b)
	case exprList:
		l, ok := list(v)
		return ok && slices.Equal(l, e.list) && next(b)
	case exprHole:
		return e.matchHole(b, v, next)
	}
	if v == nil || v.Def() == nil || v.Def().Name != e.op || v.Index() != 0 {
		return false
	}
	if e.name != "" {
		if w, ok := b.values[e.name]; ok {
			return w == v && next(b)
		}
		b = b.clone()
		b.values[e.name] = v
	}
	if v.Def().Block() != b.Root.Block() {
		return false
	}
	return e.matchOp(b, v.Def(), next)
}

func (e *expr) matchHole(b *Bindings, v *ir.Value, next func(*Bindings) bool) bool {
	if v == nil && !e.optional {
		return false
	}
	switch e.want {
	case "const":
		if v != nil && v.Data() == nil {
			return false
		}
	case "scalar":
		if _, ok := scalar(v); !ok && v != nil {
			return false
		}
	}
	if w, ok := b.values[e.name]; ok {
		return (w == v || sameScalar(w, v)) && next(b)
	}
	b = b.clone()
	b.values[e.name] = v
	return next(b)
}

// sameScalar lets two constants of one element stand for each other: exporters
// repeat them.
func sameScalar(a, b *ir.Value) bool {
	x, ok1 := scalar(a)
	y, ok2 := scalar(b)
	return ok1 && ok2 && x == y && a.Type.Equal(b.Type)
}

func (e *expr) matchOp(b *Bindings, op *ir.Op, next func(*Bindings) bool) bool {
	if op.Name != e.op || slices.Contains(b.ops, op) {
		return false
	}
	b = b.clone()
	b.ops = append(b.ops, op)
	if e.name != "" {
		b.values[e.name] = op.Result(0)
	}
	if !e.matchAttrs(b, op) {
		return false
	}
	operands := op.Operands()
	if e.matchArgs(b, e.args, operands, next) {
		return true
	}
	if commutative[op.Name] && len(operands) == 2 && len(e.args) == 2 {
		return e.matchArgs(b, []*expr{e.args[1], e.args[0]}, operands, next) ||
			false
	}
	return false
}

func (e *expr) matchArgs(b *Bindings, args []*expr, operands []*ir.Value, next func(*Bindings) bool) bool {
	if len(args) == 0 {
		for _, v := range operands {
			if v != nil {
				return false
			}
		}
		return next(b)
	}
	if args[0].kind == exprRest {
		b = b.clone()
		b.rests[args[0].name] = operands
		return next(b)
	}
	var v *ir.Value
	rest := operands
	if len(operands) > 0 {
		v, rest = operands[0], operands[1:]
	}
	return args[0].matchValue(b, v, func(b *Bindings) bool { return e.matchArgs(b, args[1:], rest, next) })
}

// matchAttrs compares and binds attributes.
func (e *expr) matchAttrs(b *Bindings, op *ir.Op) bool {
	s := ops.SchemaOf(op.Name)
	value := func(name string) any {
		if v := op.Attrs.Get(name); v != nil {
			return v
		}
		if s != nil {
			if a := s.Attr(name); a != nil {
				return a.Default
			}
		}
		return nil
	}
	named := map[string]bool{}
	for _, a := range e.attrs {
		named[a.name] = true
		v := value(a.name)
		if a.variable == "" {
			if !sameAttr(v, a.value) {
				return false
			}
			continue
		}
		if old, ok := b.vars[a.variable]; ok && !reflect.DeepEqual(old, v) {
			return false
		}
		b.vars[a.variable] = v
	}
	var rest ir.Attrs
	for _, a := range op.Attrs {
		switch {
		case named[a.Name]:
		case e.rest != "":
			rest.Set(a.Name, a.Value)
		case s == nil || s.Attr(a.Name) == nil || !reflect.DeepEqual(s.Attr(a.Name).Default, a.Value):
			return false
		}
	}
	if e.rest != "" {
		b.attrs[e.rest] = rest
	}
	return true
}

func sameAttr(v, want any) bool {
	if f, ok := v.(float32); ok {
		switch w := want.(type) {
		case float32:
			return near(float64(f), float64(w))
		case int64:
			return float64(f) == float64(w)
		}
	}
	return reflect.DeepEqual(v, want)
}

// near allows for the digits that a rule or an exporter leaves out.
func near(a, b float64) bool {
	return a == b || math.Abs(a-b) <= 1e-5*math.Abs(b)
}

// scalar returns the value of a constant of one real element.
func scalar(v *ir.Value) (float64, bool) {
	d := v.Data()
	if d == nil || d.Len() != 1 || d.DType == tensor.String || d.DType.IsComplex() {
		return 0, false
	}
	t, err := d.Tensor()
	if err != nil {
		return 0, false
	}
	return ref.Float64s(t)[0], true
}

// list returns the elements of a one-dimensional integer constant.
func list(v *ir.Value) ([]int64, bool) {
	d := v.Data()
	if d == nil || len(d.Shape) != 1 || d.DType != tensor.Int64 {
		return nil, false
	}
	t, err := d.Tensor()
	if err != nil {
		return nil, false
	}
	return tensor.Of[int64](t), true
}

func (r *Rule) holds(b *Bindings) bool {
	for _, p := range r.Where {
		args := make([]Arg, len(p.args))
		for i, a := range p.args {
			switch {
			case a.hole != "":
				args[i].Value = b.values[a.hole]
			case a.variable != "":
				args[i].Lit = b.vars[a.variable]
			default:
				args[i].Lit = a.value
			}
		}
		if !predicates[p.name](b, args) {
			return false
		}
	}
	return true
}
