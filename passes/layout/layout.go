// Package layout moves Transposes towards the outputs, through the ops that
// work element by element, until they meet the ones that undo them. Graphs
// that were born in another layout (channels last) lose most of them so.
package layout

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "sink-transposes",
		Help: "move Transposes behind elementwise ops, reductions, Concat, Softmax, Resize, Slice, quantization and products with weights, where they may cancel",
		Example: `func @main(%x: f32[N,3,4]) -> (y: f32[N,4,3]) {
  %0 = Transpose(%x) {perm=[0, 2, 1]} : f32[N,4,3]
  %1 = Relu(%0) : f32[N,4,3]
  return(%1)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return passes.EachNestedOp("sink-transposes", visit), nil },
	})
}

// elementwise ops compute each element of their result from the elements at
// the same place, operands broadcast.
var elementwise = map[string]bool{
	"Abs": true, "Add": true, "And": true, "Cast": true, "Ceil": true, "Celu": true, "Clip": true, "Cos": true, "Div": true, "Elu": true,
	"Equal": true, "Erf": true, "Exp": true, "Floor": true, "Gelu": true, "Greater": true, "GreaterOrEqual": true, "HardSigmoid": true,
	"HardSwish": true, "IsInf": true, "IsNaN": true, "LeakyRelu": true, "Less": true, "LessOrEqual": true, "Log": true, "Max": true, "Mean": true,
	"Min": true, "Mish": true, "Mod": true, "Mul": true, "Neg": true, "Not": true, "Or": true, "PRelu": true, "Pow": true, "Reciprocal": true,
	"Relu": true, "Round": true, "Selu": true, "Sigmoid": true, "Sign": true, "Sin": true, "Softplus": true, "Softsign": true, "Sqrt": true,
	"Sub": true, "Sum": true, "Swish": true, "Tanh": true, "ThresholdedRelu": true, "Where": true, "Xor": true,
}

// byAxis ops have an axis attribute and work along it.
var byAxis = map[string]bool{
	"ArgMax": true, "ArgMin": true, "Concat": true, "DequantizeLinear": true, "LogSoftmax": true, "QuantizeLinear": true, "Softmax": true,
	"Split": true,
}

// ownAxis is the axis of byAxis ops that have another than the last by default.
var ownAxis = map[string]int64{"ArgMax": 0, "ArgMin": 0, "DequantizeLinear": 1, "QuantizeLinear": 1, "Split": 0}

// reductions take their axes as a constant second operand.
var reductions = map[string]bool{
	"ReduceL1": true, "ReduceL2": true, "ReduceLogSum": true, "ReduceLogSumExp": true, "ReduceMax": true, "ReduceMean": true, "ReduceMin": true,
	"ReduceProd": true, "ReduceSum": true, "ReduceSumSquare": true,
}

func visit(c *passes.Context, op *ir.Op) (bool, error) {
	if op.Name == "Transpose" {
		if perm(op.Operand(0)) != nil {
			return compose(c, op)
		}
		return padFirst(c, op)
	}
	if op.Name == "MatMul" {
		return product(c, op)
	}
	if sinks(op) {
		return sink(c, op)
	}
	return false, nil
}

// sinks reports whether a Transpose may move behind op.
func sinks(op *ir.Op) bool {
	return elementwise[op.Name] || byAxis[op.Name] || reductions[op.Name] || resizing[op.Name] != nil
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
	if p == nil || !op.Operand(0).Type.IsTensor() || !op.Result(0).Type.Ranked {
		return false, nil
	}
	operands := make([]func(*passes.Rewriter) *ir.Value, op.NumOperands())
	for i, v := range op.Operands() {
		if operands[i] = operand(op, i, v, p); operands[i] == nil {
			return false, nil
		}
	}
	attrs := slices.Clone(op.Attrs)
	if byAxis[op.Name] && !oneScale(op) {
		a, ok := axisOf(op, len(p))
		if !ok {
			return false, nil
		}
		attrs.Set("axis", p[a])
	}
	q, ok := behind(op, p)
	if !ok || op.NumResults() > 1 && !branches(op, p) {
		return false, nil
	}
	return c.Apply("sink", op, nil, func(r *passes.Rewriter) []*ir.Value {
		vals := make([]*ir.Value, len(operands))
		for i, f := range operands {
			vals[i] = f(r)
		}
		r.Loc = op.Loc
		sunk, err := ops.BuildN(r.Builder, op.Name, op.NumResults(), vals, attrs...)
		if err != nil {
			r.Fail(err)
			return nil
		}
		results := slices.Clone(sunk.Results())
		if slices.IsSorted(q) {
			return results
		}
		r.Loc = passes.JoinLocs(transposes...)
		for i, y := range results {
			if name := op.Result(i).Origin.Name; name != "" {
				y.Origin = ir.Origin{Name: name, Relation: ir.Permuted}
			}
			results[i] = r.Op("Transpose", []*ir.Value{y}, ir.Attr{Name: "perm", Value: q})
		}
		return results
	})
}

// branches reports whether every reader of the results of an op, a Split, is a
// Transpose or will have one move behind: there will be more of them.
func branches(op *ir.Op, p []int64) bool {
	f := foresight{p: p, seen: map[*ir.Op]bool{op: true}, of: op}
	for _, v := range op.Results() {
		for _, u := range v.Uses() {
			if !(u.Op.Name == "Transpose" || u.Op.Block() == op.Block() && f.moves(u.Op)) {
				return false
			}
		}
	}
	return true
}

// oneScale reports whether op quantizes or restores all of a tensor alike.
func oneScale(op *ir.Op) bool {
	return (op.Name == "QuantizeLinear" || op.Name == "DequantizeLinear") && op.Operand(1).Type.Rank() == 0
}

// axisOf returns the axis that a byAxis op works along.
func axisOf(op *ir.Op, rank int) (int64, bool) {
	a, ok := op.Attrs.Get("axis").(int64)
	if !ok {
		if a, ok = ownAxis[op.Name]; !ok {
			a = -1
		}
	}
	if a < 0 {
		a += int64(rank)
	}
	return a, a >= 0 && a < int64(rank) && !op.Attrs.Has("block_size")
}

// behind returns the permutation that stands behind op where p stood before it:
// p itself, or p without the axes that op reduces away.
func behind(op *ir.Op, p []int64) ([]int64, bool) {
	var gone []int64
	switch {
	case op.Name == "ArgMax" || op.Name == "ArgMin":
		a, _ := axisOf(op, len(p))
		gone = []int64{a}
	case reductions[op.Name] && op.Operand(1) != nil:
		gone, _ = ints(op.Operand(1))
	case reductions[op.Name]:
		return p, op.Attrs.Get("keepdims") != int64(0)
	}
	if op.Attrs.Get("keepdims") != int64(0) {
		gone = nil
	}
	var kept []int64
	for i, n := range p {
		if !slices.Contains(gone, int64(i)) && !slices.Contains(gone, int64(i-len(p))) {
			kept = append(kept, n)
		}
	}
	order := slices.Sorted(slices.Values(kept))
	for i, n := range kept {
		kept[i] = int64(slices.Index(order, n))
	}
	return kept, op.Result(0).Type.Rank() == len(kept)
}

// pays reports whether every reader of a Transpose is one itself or will have it
// move behind, so that none is computed twice.
func pays(v *ir.Value) bool {
	if v.NumUses() == 1 {
		return true
	}
	f := foresight{p: perm(v), seen: map[*ir.Op]bool{}}
	for _, u := range v.Uses() {
		if !(u.Op.Name == "Transpose" || u.Op.Block() == v.Block() && f.moves(u.Op)) {
			return false
		}
	}
	return true
}

// foresight tells which ops the transpose p will have moved behind.
type foresight struct {
	p    []int64
	of   *ir.Op          // nil, or a Split, whose results it will have moved behind
	seen map[*ir.Op]bool // and how it went; while it is not known, badly
}

// mostForeseen bounds the ops that one Transpose looks at.
const mostForeseen = 64

// moves reports whether op reads values behind p, and nothing that can not be had
// before it.
func (f foresight) moves(op *ir.Op) bool {
	if known, ok := f.seen[op]; ok {
		return known
	}
	f.seen[op] = false
	if len(f.seen) > mostForeseen || !sinks(op) || op.NumResults() != 1 {
		return false
	}
	any := false
	for i, v := range op.Operands() {
		switch q := perm(v); {
		case q != nil && slices.Equal(q, f.p), v != nil && v.Def() != nil && v.Def() == f.of:
			any = true
		case q != nil:
			return false
		case operand(op, i, v, f.p) != nil:
		case v.Def() != nil && v.Def().Block() == op.Block() && f.moves(v.Def()) && v.Type.Rank() == len(f.p):
			any = true
		default:
			return false
		}
	}
	f.seen[op] = any
	return any
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
	switch {
	case reductions[op.Name]:
		return axes(v, p)
	case resizing[op.Name] != nil:
		return resizing[op.Name](op, i, v, p)
	case op.Name == "Split": // the sizes along its axis
		return as(v)
	case op.Name == "QuantizeLinear" || op.Name == "DequantizeLinear": // scale and zero point
		if v.Type.Rank() < 0 || v.Type.Rank() > 1 {
			return nil
		}
		return as(v)
	case byAxis[op.Name]:
		return nil
	}
	if v.Type.IsTensor() && v.Type.Ranked && (v.Type.Rank() == 0 || v.Type.Rank() == 1 && v.Type.Dims[0].IsInt(1)) {
		return as(v)
	}
	if spread(v, p) {
		return func(r *passes.Rewriter) *ir.Value {
			return r.Op("Transpose", []*ir.Value{v}, ir.Attr{Name: "perm", Value: inverse(p)})
		}
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
	back := make([]int, len(p))
	for j, n := range inverse(p) {
		back[j] = int(n)
	}
	moved, err := ref.Transpose(t, back)
	if err != nil {
		return nil
	}
	return func(r *passes.Rewriter) *ir.Value { return r.Tensor(moved) }
}

// as reads a value as it is.
func as(v *ir.Value) func(*passes.Rewriter) *ir.Value {
	return func(*passes.Rewriter) *ir.Value { return v }
}

func inverse(p []int64) []int64 {
	q := make([]int64, len(p))
	for i, n := range p {
		q[n] = int64(i)
	}
	return q
}

// spread reports whether v, which broadcasts, was only just given its shape, and
// has its dims other than 1 in the same order before the transpose p: then it
// is reshaped otherwise.
func spread(v *ir.Value, p []int64) bool {
	if v.Def() == nil || v.Def().Name != "Reshape" && v.Def().Name != "Unsqueeze" || v.Type.Rank() != len(p) {
		return false
	}
	var order []int64
	for i, d := range v.Type.Dims {
		if !d.IsInt(1) {
			order = append(order, p[i])
		}
	}
	return len(order) < len(p) && slices.IsSorted(order)
}

// axes reads constant axes as those before the transpose p.
func axes(v *ir.Value, p []int64) func(*passes.Rewriter) *ir.Value {
	list, ok := ints(v)
	if !ok || len(list) == 0 {
		return nil
	}
	for i, a := range list {
		if a < 0 {
			a += int64(len(p))
		}
		if a < 0 || a >= int64(len(p)) {
			return nil
		}
		list[i] = p[a]
	}
	return func(r *passes.Rewriter) *ir.Value { return r.Int64s(list...) }
}

// resizing ops have operands that speak of the dims of the first one; for such
// an operand i, which is v, it says how it reads before the transpose p.
var resizing = map[string]func(op *ir.Op, i int, v *ir.Value, p []int64) func(*passes.Rewriter) *ir.Value{
	"Slice": func(op *ir.Op, i int, v *ir.Value, p []int64) func(*passes.Rewriter) *ir.Value {
		switch {
		case i == 3:
			return axes(v, p)
		case op.Operand(3) == nil:
			return nil
		}
		return as(v)
	},
	"Tile": func(_ *ir.Op, _ int, v *ir.Value, p []int64) func(*passes.Rewriter) *ir.Value { return perAxis(v, p) },
	"Resize": func(op *ir.Op, i int, v *ir.Value, p []int64) func(*passes.Rewriter) *ir.Value {
		if i == 1 || op.Attrs.Has("axes") { // a region
			return nil
		}
		return perAxis(v, p)
	},
}

// perAxis reads a constant of one number a dim as that before the transpose p.
func perAxis(v *ir.Value, p []int64) func(*passes.Rewriter) *ir.Value {
	d := v.Data()
	if d == nil || len(d.Shape) != 1 || d.Shape[0] != len(p) {
		return nil
	}
	t, err := d.Tensor()
	if err != nil {
		return nil
	}
	moved, err := ref.Gather(t, tensor.Int64s(inverse(p)), 0)
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
