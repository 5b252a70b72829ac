// Package layout moves Transposes towards the outputs, through the ops that
// work element by element, until they meet the ones that undo them. Graphs
// that were born in another layout (channels last) lose most of them so.
package layout

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "sink-transposes",
		Help: "move Transposes behind elementwise ops, Concat, Softmax and reductions, where they may cancel",
		Example: `func @main(%x: f32[N,3,4]) -> (y: f32[N,4,3]) {
  %0 = Transpose(%x) {perm=[0, 2, 1]} : f32[N,4,3]
  %1 = Relu(%0) : f32[N,4,3]
  return(%1)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return passes.EachBlock("sink-transposes", block), nil },
	})
}

// elementwise ops compute each element of their result from the elements at
// the same place, operands broadcast.
var elementwise = map[string]bool{
	"Abs": true, "Add": true, "Ceil": true, "Celu": true, "Clip": true, "Div": true, "Elu": true, "Erf": true, "Exp": true,
	"Floor": true, "Gelu": true, "HardSigmoid": true, "HardSwish": true, "LeakyRelu": true, "Log": true, "Max": true, "Min": true,
	"Mish": true, "Mul": true, "Neg": true, "Pow": true, "Reciprocal": true, "Relu": true, "Round": true, "Selu": true,
	"Sigmoid": true, "Softplus": true, "Softsign": true, "Sqrt": true, "Sub": true, "Swish": true, "Tanh": true, "ThresholdedRelu": true,
}

// byAxis ops have an axis attribute and work along it.
var byAxis = map[string]bool{"Concat": true, "Softmax": true, "LogSoftmax": true}

// reductions take their axes as a constant second operand.
var reductions = map[string]bool{"ReduceMean": true, "ReduceSum": true, "ReduceMax": true, "ReduceMin": true}

func block(c *passes.Context, b *ir.Block) (changed bool, err error) {
	for op := range b.Ops() {
		for _, r := range op.Regions {
			ch, err := block(c, r)
			if changed = changed || ch; err != nil {
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

func visit(c *passes.Context, op *ir.Op) (bool, error) {
	if op.NumResults() != 1 {
		return false, nil
	}
	if op.Name == "Transpose" {
		if perm(op.Operand(0)) != nil {
			return compose(c, op)
		}
		return padFirst(c, op)
	}
	switch {
	case elementwise[op.Name], byAxis[op.Name], reductions[op.Name]:
		return sink(c, op)
	}
	return false, nil
}

// perm returns the permutation of a Transpose, nil for any other value.
func perm(v *ir.Value) []int64 {
	if v == nil || v.Def() == nil || v.Def().Name != "Transpose" {
		return nil
	}
	p, _ := v.Def().Attrs.Get("perm").([]int64)
	return p
}

// sink replaces op(Transpose(x), ...) by Transpose(op(x, ...)).
func sink(c *passes.Context, op *ir.Op) (bool, error) {
	var p []int64
	var transposes []*ir.Op
	for _, v := range op.Operands() {
		if q := perm(v); q != nil {
			if p != nil && !slices.Equal(p, q) || !pays(v) || v.Block() != op.Block() {
				return false, nil
			}
			p = q
			transposes = append(transposes, v.Def())
		}
	}
	if p == nil || op.Result(0).Type.Rank() != len(p) {
		return false, nil
	}
	operands := make([]func(*passes.Rewriter) *ir.Value, op.NumOperands())
	for i, v := range op.Operands() {
		if operands[i] = operand(op, i, v, p); operands[i] == nil {
			return false, nil
		}
	}
	attrs := slices.Clone(op.Attrs)
	if byAxis[op.Name] {
		a, ok := attrs.Get("axis").(int64)
		if !ok {
			a = -1
		}
		if a < 0 {
			a += int64(len(p))
		}
		if a < 0 || a >= int64(len(p)) {
			return false, nil
		}
		attrs.Set("axis", p[a])
	}
	if keep, ok := attrs.Get("keepdims").(int64); ok && keep == 0 && reductions[op.Name] {
		return false, nil
	}
	return c.Apply("sink", op, nil, func(r *passes.Rewriter) []*ir.Value {
		vals := make([]*ir.Value, len(operands))
		for i, f := range operands {
			vals[i] = f(r)
		}
		r.Loc = op.Loc
		y := r.Op(op.Name, vals, attrs...)
		if y != nil && op.Result(0).Origin.Name != "" {
			y.Origin = ir.Origin{Name: op.Result(0).Origin.Name, Relation: ir.Permuted}
		}
		r.Loc = passes.JoinLocs(transposes...)
		return []*ir.Value{r.Op("Transpose", []*ir.Value{y}, ir.Attr{Name: "perm", Value: p})}
	})
}

// pays reports whether every reader of a Transpose can do without it, or is
// one itself, so that none is computed twice.
func pays(v *ir.Value) bool {
	if v.NumUses() == 1 {
		return true
	}
	for _, u := range v.Uses() {
		if !(u.Op.Name == "Transpose" || elementwise[u.Op.Name] || byAxis[u.Op.Name]) {
			return false
		}
	}
	return true
}

// operand says how the i-th operand reads before the transpose p: nil where it
// cannot be had without another Transpose.
func operand(op *ir.Op, i int, v *ir.Value, p []int64) func(*passes.Rewriter) *ir.Value {
	if v == nil {
		return func(*passes.Rewriter) *ir.Value { return nil }
	}
	if perm(v) != nil {
		return func(*passes.Rewriter) *ir.Value { return v.Def().Operand(0) }
	}
	if reductions[op.Name] && i == 1 {
		axes, ok := ints(v)
		if !ok || len(axes) == 0 {
			return nil
		}
		for j, a := range axes {
			if a < 0 {
				a += int64(len(p))
			}
			if a < 0 || a >= int64(len(p)) {
				return nil
			}
			axes[j] = p[a]
		}
		return func(r *passes.Rewriter) *ir.Value { return r.Int64s(axes...) }
	}
	if byAxis[op.Name] {
		return nil
	}
	if v.Type.IsTensor() && v.Type.Ranked && (v.Type.Rank() == 0 || v.Type.Rank() == 1 && v.Type.Dims[0].IsInt(1)) {
		return func(*passes.Rewriter) *ir.Value { return v }
	}
	d := v.Data()
	if d == nil || len(d.Shape) > len(p) || d.Len() > 1<<20 || d.DType == tensor.String {
		return nil
	}
	t, err := d.Tensor()
	if err != nil {
		return nil
	}
	shape := make([]int, len(p)-len(t.Shape), len(p))
	for j := range shape {
		shape[j] = 1
	}
	t = &tensor.Tensor{DType: t.DType, Shape: append(shape, t.Shape...), Data: t.Data}
	inverse := make([]int, len(p))
	for j, n := range p {
		inverse[n] = j
	}
	moved, err := ref.Transpose(t, inverse)
	if err != nil {
		return nil
	}
	return func(r *passes.Rewriter) *ir.Value { return r.Tensor(moved) }
}

// compose replaces a Transpose of a Transpose by one.
func compose(c *passes.Context, op *ir.Op) (bool, error) {
	inner := op.Operand(0).Def()
	p, q := perm(op.Operand(0)), perm(op.Result(0))
	if len(p) != len(q) || inner.Block() != op.Block() {
		return false, nil
	}
	both := make([]int64, len(q))
	for i, n := range q {
		both[i] = p[n]
	}
	return c.Apply("compose", op, []*ir.Op{inner}, func(r *passes.Rewriter) []*ir.Value {
		return []*ir.Value{r.Op("Transpose", []*ir.Value{inner.Operand(0)}, ir.Attr{Name: "perm", Value: both})}
	})
}

// padFirst replaces Transpose(Pad(x)) by Pad(Transpose(x)): the Pad is then
// next to the Conv that can take it over.
func padFirst(c *passes.Context, op *ir.Op) (bool, error) {
	p := perm(op.Result(0))
	if p == nil || op.Operand(0) == nil || op.Operand(0).Def() == nil {
		return false, nil
	}
	pad := op.Operand(0).Def()
	if pad.Name != "Pad" || pad.Result(0).NumUses() != 1 || pad.Operand(3) != nil || pad.Block() != op.Block() {
		return false, nil
	}
	pads, ok := ints(pad.Operand(1))
	if !ok || len(pads) != 2*len(p) {
		return false, nil
	}
	moved := make([]int64, len(pads))
	for i, n := range p {
		moved[i], moved[len(p)+i] = pads[n], pads[len(p)+int(n)]
	}
	return c.Apply("pad-first", op, nil, func(r *passes.Rewriter) []*ir.Value {
		x := r.Op("Transpose", []*ir.Value{pad.Operand(0)}, ir.Attr{Name: "perm", Value: p})
		r.Loc = pad.Loc
		operands := append([]*ir.Value{x, r.Int64s(moved...)}, pad.Operands()[2:]...)
		return []*ir.Value{r.Op("Pad", operands, pad.Attrs...)}
	})
}

// ints returns a copy of the elements of an int64 constant.
func ints(v *ir.Value) ([]int64, bool) {
	if v == nil || v.Data() == nil || v.Data().DType != tensor.Int64 {
		return nil, false
	}
	t, err := v.Data().Tensor()
	if err != nil {
		return nil, false
	}
	return slices.Clone(tensor.Of[int64](t)), true
}
