package onnx

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// Export writes no opset below floorOpset, unless the source is older: before
// it, axes and indices could not be negative and much did not broadcast, which
// schemas do not tell. Below oldestOpset nobody's engine runs models today.
const (
	floorOpset  = 11
	oldestOpset = 7
)

// needs tells of forms that came with an opset though its schema does not
// show them; 0 where the op has none.
var needs = map[string]func(op *ir.Op) int{
	"Mod": func(op *ir.Op) int {
		if v := op.Operand(0); v != nil && v.Type.DType.IsFloat() && attrInt(op, "fmod", 0) == 0 {
			return 28
		}
		return 0
	},
	"Dropout": func(op *ir.Op) int {
		if op.NumResults() > 1 && op.Result(1).NumUses() > 0 {
			return 12 // the mask of a model that does not train was false before
		}
		return 0
	},
}

// tooLow says that an op can not be expressed below a version of its domain.
type tooLow struct {
	domain string
	need   int
	op     string
	why    string
}

func (e *tooLow) Error() string {
	return fmt.Sprintf("%s needs opset %d of domain %q: %s", e.op, e.need, e.domain, e.why)
}

// nativeOpset is where ops are still written as they are: Gelu, Attention and
// the normalizations came by then. Swish came later, and runtimes that fuse
// Sigmoid and Mul themselves compute those faster.
const nativeOpset = 23

// lowest returns a copy of m in forms of the lowest opsets that express it,
// and those opsets by domain. opt.Opset fixes that of the standard domain if
// it is not 0.
func lowest(m *ir.Module, opt ExportOptions) (*ir.Module, map[string]int, error) {
	opset := opt.Opset
	source := ops.NewestOpset("")
	for _, o := range m.Source.Opsets {
		if o.Domain == "" && o.Version > 0 {
			source = int(min(o.Version, int64(source)))
		}
	}
	targets := map[string]int{"": max(min(floorOpset, source), oldestOpset)}
	if opset > 0 {
		targets[""], source = opset, opset
	} else if opt.Native {
		source = max(source, nativeOpset)
	}
	for {
		c := m.Clone()
		l := &lowering{targets: targets, source: source}
		err := l.inline(c)
		if err == nil {
			for _, f := range c.Funcs {
				if err = l.block(f.Body); err != nil {
					break
				}
			}
		}
		var low *tooLow
		switch {
		case err == nil:
			return c, targets, nil
		case !errors.As(err, &low) || low.need <= targets[low.domain] || low.domain == "" && opset > 0:
			return nil, nil, err
		}
		targets[low.domain] = low.need
	}
}

// lowering brings the ops of a module to older opsets.
type lowering struct {
	targets map[string]int
	source  int // the standard opset above which definitions are preferred
}

// inline replaces fused ops by their regions.
func (l *lowering) inline(m *ir.Module) error {
	for _, f := range m.Funcs {
		var fused []*ir.Op
		f.Body.Walk(func(op *ir.Op) bool {
			if op.Name == ops.FusedName {
				fused = append(fused, op)
			}
			return true
		})
		for _, op := range slices.Backward(fused) { // inner ones first
			inlineRegion(op, op.Region(ops.FusedRegion))
		}
	}
	return nil
}

func inlineRegion(op *ir.Op, r *ir.Block) {
	b := ir.Before(op)
	vals := map[*ir.Value]*ir.Value{}
	for i, a := range r.Args {
		vals[a] = op.Operand(i)
	}
	for x := range r.Ops() {
		if x.Name == ir.YieldName {
			continue
		}
		c := b.Clone(x, vals)
		c.Loc = x.Loc
	}
	for i, v := range r.Results() {
		w := vals[v]
		if w == nil {
			w = v // defined outside
		}
		if w.Origin.Name == "" {
			w.Origin = op.Result(i).Origin
		}
		op.Result(i).ReplaceAllUsesWith(w)
	}
	op.Erase()
}

func (l *lowering) block(b *ir.Block) error {
	for op := b.First(); op != nil; {
		next := op.Next()
		if err := l.op(op, 0); err != nil {
			return err
		}
		op = next
	}
	return nil
}

// op brings one op to its target. What a step inserts is in the newest form
// and follows suit; depth counts such steps.
func (l *lowering) op(op *ir.Op, depth int) error {
	if op.Name == ir.YieldName || op.Name == ir.ConstantName { // constants become initializers
		return nil
	}
	if depth > 8 {
		return fmt.Errorf("%s: its definition does not end", ops.Describe(op))
	}
	for _, r := range op.Regions {
		if err := l.block(r); err != nil {
			return err
		}
	}
	domain, name, ok := ops.ONNXName(op.Name)
	if !ok {
		if define := definitions[op.Name]; define != nil {
			return l.rewrite(op, define, depth)
		}
		return fmt.Errorf("%s has no form in ONNX", ops.Describe(op))
	}
	target := max(l.targets[domain], 1)
	l.targets[domain] = target
	if f := needs[op.Name]; f != nil && f(op) > target {
		return l.refuse(op, domain, f(op), "there is no older form", depth)
	}
	at := ops.NewestOpset(domain)
	for at > target {
		v, down := lastChange(op.Name, target, at)
		if v == 0 {
			break
		}
		if down == nil {
			return l.refuse(op, domain, v, "there is no older form", depth)
		}
		before := op.Prev()
		blk, next := op.Block(), op.Next()
		if err := down.Do(ir.Before(op), op); err != nil {
			return l.refuse(op, domain, v, err.Error(), depth)
		}
		if err := l.inserted(blk, before, op, next, depth); err != nil {
			return err
		}
		if op.Block() == nil {
			return nil
		}
		if _, name, _ = ops.ONNXName(op.Name); name == "" {
			return fmt.Errorf("%s has no form in ONNX", ops.Describe(op))
		}
		at = v - 1
	}
	versions := ops.Versions(domain, name)
	schema, ok := ops.SchemaAt(domain, name, target)
	if !ok {
		if len(versions) == 0 {
			return fmt.Errorf("%s: ONNX has no such operator", ops.Describe(op))
		}
		return l.refuse(op, domain, versions[0], "it came with that opset", depth)
	}
	if err := fit(op, schema); err != nil {
		i := slices.IndexFunc(versions, func(v int) bool { return v > target })
		if i < 0 {
			return fmt.Errorf("%s: %w", ops.Describe(op), err)
		}
		return l.refuse(op, domain, versions[i], err.Error(), depth)
	}
	return nil
}

// inserted lowers the ops between before and next, other than op itself.
func (l *lowering) inserted(b *ir.Block, before, op, next *ir.Op, depth int) error {
	x := b.First()
	if before != nil {
		x = before.Next()
	}
	for x != nil && x != next {
		after := x.Next()
		if x != op {
			if err := l.op(x, depth+1); err != nil {
				return err
			}
		}
		x = after
	}
	return nil
}

// refuse asks for a higher opset, or writes the op's definition where that is
// above the source's.
func (l *lowering) refuse(op *ir.Op, domain string, need int, why string, depth int) error {
	if define := definitions[op.Name]; define != nil && need > l.source {
		return l.rewrite(op, define, depth)
	}
	return &tooLow{domain, need, ops.Describe(op), why}
}

func (l *lowering) rewrite(op *ir.Op, define func(d *definition), depth int) error {
	b, before, next := op.Block(), op.Prev(), op.Next()
	d := &definition{formula: formula{ir.Before(op), ops.NewShapes(op.Module())}, rewritten: op}
	if err := d.run(define); err != nil {
		return fmt.Errorf("%s: %w", ops.Describe(op), err)
	}
	return l.inserted(b, before, nil, next, depth)
}

// lastChange returns the last opset in (target, at] that changed the form of
// an op, and the way back, if there is one.
func lastChange(name string, target, at int) (int, *ops.Downgrade) {
	impl := ops.Lookup(name)
	if impl == nil {
		return 0, nil
	}
	v := 0
	for _, u := range impl.Upgrades {
		if u.To > target && u.To <= at {
			v = max(v, u.To)
		}
	}
	var down *ops.Downgrade
	for i, d := range impl.Downgrades {
		if d.From > target && d.From <= at && d.From >= v {
			v, down = d.From, &impl.Downgrades[i]
		}
	}
	return v, down
}

// fit checks that an op says under an older schema what it says under the
// newest: attributes of which that schema knows nothing must have their
// default, and defaults that were others are spelled out.
func fit(op *ir.Op, s *ops.Schema) error {
	if s.Deprecated {
		return fmt.Errorf("it is deprecated")
	}
	for n := op.NumOperands(); n > 0 && op.Operand(n-1) == nil; n-- {
		op.SetOperands(op.Operands()[:n-1]...)
	}
	if n := len(s.Inputs); op.NumOperands() > n && (n == 0 || !s.Inputs[n-1].Variadic) {
		return fmt.Errorf("it takes %d inputs, not %d", n, op.NumOperands())
	}
	if n := s.MinInputs(); op.NumOperands() < n {
		return fmt.Errorf("it takes %d inputs, not %d", n, op.NumOperands())
	}
	if n := len(s.Outputs); op.NumResults() > n && (n == 0 || !s.Outputs[n-1].Variadic) {
		for i := n; i < op.NumResults(); i++ {
			if op.Result(i).NumUses() > 0 {
				return fmt.Errorf("it gives %d outputs, not %d", n, op.NumResults())
			}
		}
		op.TrimResults(n)
	}
	if err := fitAttrs(op, s); err != nil {
		return err
	}
	for i, v := range op.Operands() {
		if v != nil {
			if err := fitType(s, s.Inputs, i, v); err != nil {
				return fmt.Errorf("input %d: %w", i, err)
			}
		}
	}
	for i, v := range op.Results() {
		if err := fitType(s, s.Outputs, i, v); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
	}
	return nil
}

func fitAttrs(op *ir.Op, s *ops.Schema) error {
	newest := ops.SchemaOf(op.Name)
	for _, a := range slices.Clone(op.Attrs) {
		if s.Attr(a.Name) != nil {
			continue
		}
		if n := newest.Attr(a.Name); n == nil || n.Default != nil && reflect.DeepEqual(n.Default, a.Value) {
			op.Attrs.Delete(a.Name) // not of any schema, or the default
			continue
		}
		return fmt.Errorf("attribute %s is not known", a.Name)
	}
	for _, old := range s.Attrs {
		if op.Attrs.Has(old.Name) || old.Kind == "graph" {
			continue
		}
		n := newest.Attr(old.Name)
		switch {
		case n != nil && n.Default != nil && !reflect.DeepEqual(n.Default, old.Default):
			op.Attrs.Set(old.Name, n.Default)
		case old.Required:
			return fmt.Errorf("attribute %s is required", old.Name)
		}
	}
	return nil
}

func fitType(s *ops.Schema, params []ops.Param, i int, v *ir.Value) error {
	if len(params) == 0 {
		return nil
	}
	p := params[min(i, len(params)-1)]
	if key := ops.TypeKey(v.Type); key != "" && !slices.Contains(s.Allowed(p), key) {
		return fmt.Errorf("%s may not be %s", p.Name, key)
	}
	return nil
}
