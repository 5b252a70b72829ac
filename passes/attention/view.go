package attention

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// view tells which elements of a base a value has, where only ops stand
// between them that move elements or scale all of them: whether an exporter
// splits heads with a Reshape and a Transpose, cuts queries, keys and values
// out of one product, or goes by way of stacks of matrices, the view of a head
// is the same.
type view struct {
	dims  [][]atom // of the value: each runs over atoms, the first one outermost
	first []int64  // position in each dim of the base
	scale float64
}

// atom is a run of n positions of a dim of the base, step apart. A dim of
// repeated is the same elements n times.
type atom struct {
	dim  int
	step int64
	n    ir.Dim
}

const repeated = -1

// whole is the view of a base by itself.
func whole(dims []ir.Dim) *view {
	w := &view{first: make([]int64, len(dims)), scale: 1}
	for i, n := range dims {
		w.dims = append(w.dims, run(atom{i, 1, n}))
	}
	return w
}

// run leaves out the atom that does not move.
func run(a atom) []atom {
	if a.n.IsInt(1) {
		return nil
	}
	return []atom{a}
}

// moves are the ops that a view goes through, from their first operand to
// their result y. False where it can not be told, or is no view.
var moves = map[string]func(w *view, op *ir.Op, y *ir.Value) bool{
	"Reshape":   regroup,
	"Squeeze":   regroup,
	"Unsqueeze": regroup,
	"Flatten":   regroup,
	"Transpose": (*view).transpose,
	"Slice":     (*view).slice,
	"Split":     (*view).split,
	"Gather":    (*view).gather,
	"Expand":    (*view).expand,
	"Mul":       (*view).times,
	"Div":       (*view).times,
}

// moved returns the operand that the op computing v moves, or scales, if that
// may be; nil where it does more.
func moved(v *ir.Value, scale bool) *ir.Value {
	op := v.Def()
	if op == nil || moves[op.Name] == nil || !v.Type.IsTensor() || !v.Type.Ranked {
		return nil
	}
	x := op.Operand(0)
	if op.Name == "Mul" || op.Name == "Div" {
		if x, _ = scaled(op); x == nil || !scale {
			return nil
		}
	}
	if x == nil || !x.Type.IsTensor() || !x.Type.Ranked {
		return nil
	}
	return x
}

// scaled returns what an op multiplies with, or divides by, a constant.
func scaled(op *ir.Op) (x *ir.Value, by float64) {
	if s, ok := scalar(op.Operand(1)); ok && op.Name == "Div" && s != 0 {
		return op.Operand(0), 1 / s
	}
	for i := range op.NumOperands() {
		if s, ok := scalar(op.Operand(i)); ok && op.Name == "Mul" {
			return op.Operand(1 - i), s
		}
	}
	return nil, 0
}

func scalar(v *ir.Value) (float64, bool) {
	d := v.Data()
	if d == nil || d.Len() != 1 || !d.DType.IsFloat() {
		return 0, false
	}
	t, err := d.Tensor()
	if err != nil {
		return 0, false
	}
	return ref.Float64s(t)[0], true
}

// ints returns the elements of an int64 constant.
func ints(v *ir.Value) ([]int64, bool) {
	if v == nil || v.Data() == nil || v.Data().DType != tensor.Int64 || v.Data().Len() > 64 {
		return nil, false
	}
	t, err := v.Data().Tensor()
	if err != nil {
		return nil, false
	}
	return tensor.Of[int64](t), true
}

// viewOf returns v's view of a base of the given dims at the other end of the
// values between, which lead from behind the base to v.
func viewOf(base []ir.Dim, between []*ir.Value) *view {
	w := whole(base)
	for _, y := range between {
		if !moves[y.Def().Name](w, y.Def(), y) {
			return nil
		}
	}
	return w
}

// regroup reads the same elements in the same order, in other dims.
func regroup(w *view, _ *ir.Op, y *ir.Value) bool {
	rest := slices.Concat(w.dims...)
	w.dims = nil
	for _, d := range y.Type.Dims {
		var group []atom
		for n := ir.Const(1); !n.Equal(d); {
			if len(rest) == 0 {
				return false
			}
			a := rest[0]
			rest = rest[1:]
			if outer, inner := divided(a.n, n, d); inner > 1 {
				rest = slices.Concat([]atom{{a.dim, a.step, ir.Const(inner)}}, rest)
				a.step, a.n = a.step*inner, ir.Const(outer)
			}
			group, n = append(group, a), n.Mul(a.n)
		}
		w.dims = append(w.dims, group)
	}
	return len(rest) == 0
}

// divided splits size so that the outer part makes d of n; the inner one is 0
// where that needs no split, or there is none.
func divided(size, n, d ir.Dim) (outer, inner int64) {
	left := d.FloorDiv(n)
	outer, ok1 := left.Int()
	all, ok2 := size.Int()
	if !ok1 || !ok2 || outer < 1 || all%outer != 0 || !n.Mul(left).Equal(d) {
		return 0, 0
	}
	return outer, all / outer
}

func (w *view) transpose(op *ir.Op, y *ir.Value) bool {
	perm, _ := op.Attrs.Get("perm").([]int64)
	if perm == nil {
		slices.Reverse(w.dims)
		return true
	}
	dims := make([][]atom, len(perm))
	if len(perm) != len(w.dims) {
		return false
	}
	for i, p := range perm {
		if p < 0 || p >= int64(len(perm)) {
			return false
		}
		dims[i] = w.dims[p]
	}
	w.dims = dims
	return true
}

// cut keeps n positions of a dim, from one on.
func (w *view) cut(dim int, from int64, n ir.Dim) bool {
	if dim < 0 || dim >= len(w.dims) || len(w.dims[dim]) != 1 {
		return false
	}
	a := w.dims[dim][0]
	size, ok := a.n.Int()
	if k, known := n.Int(); !ok || !known || from < 0 || from+k > size || a.dim == repeated {
		return false
	}
	w.first[a.dim] += from * a.step
	w.dims[dim] = run(atom{a.dim, a.step, n})
	return true
}

// axis counts an axis from the front.
func (w *view) axis(a int64) int {
	if a < 0 {
		a += int64(len(w.dims))
	}
	return int(a)
}

// slice cuts along one axis.
func (w *view) slice(op *ir.Op, y *ir.Value) bool {
	starts, ok1 := ints(op.Operand(1))
	axes, ok2 := []int64{0}, true
	if op.Operand(3) != nil {
		axes, ok2 = ints(op.Operand(3))
	}
	steps, ok3 := []int64{1}, true
	if op.Operand(4) != nil {
		steps, ok3 = ints(op.Operand(4))
	}
	if !ok1 || !ok2 || !ok3 || len(starts) != 1 || len(axes) != 1 || !slices.Equal(steps, []int64{1}) {
		return false
	}
	dim, from := w.axis(axes[0]), starts[0]
	if dim < 0 || dim >= len(w.dims) {
		return false
	}
	if size, ok := op.Operand(0).Type.Dims[dim].Int(); from < 0 && ok {
		from += size
	}
	return w.cut(dim, from, y.Type.Dims[dim])
}

func (w *view) split(op *ir.Op, y *ir.Value) bool {
	a, _ := op.Attrs.Get("axis").(int64)
	dim, from := w.axis(a), int64(0)
	if dim < 0 || dim >= len(w.dims) {
		return false
	}
	for _, r := range op.Results()[:y.Index()] {
		if r.Type.Rank() != len(w.dims) {
			return false
		}
		n, ok := r.Type.Dims[dim].Int()
		if !ok {
			return false
		}
		from += n
	}
	return w.cut(dim, from, y.Type.Dims[dim])
}

// gather takes one position of a dim.
func (w *view) gather(op *ir.Op, y *ir.Value) bool {
	at, ok := ints(op.Operand(1))
	a, _ := op.Attrs.Get("axis").(int64)
	dim := w.axis(a)
	if !ok || len(at) != 1 || dim < 0 || dim >= len(w.dims) {
		return false
	}
	from := at[0]
	if size, ok := op.Operand(0).Type.Dims[dim].Int(); from < 0 && ok {
		from += size
	}
	if !w.cut(dim, from, ir.Const(1)) {
		return false
	}
	if y.Type.Rank() < len(w.dims) {
		w.dims = slices.Delete(w.dims, dim, dim+1)
	}
	return true
}

func (w *view) expand(op *ir.Op, y *ir.Value) bool {
	x, lead := op.Operand(0).Type.Dims, y.Type.Rank()-len(w.dims)
	if lead < 0 {
		return false
	}
	dims := make([][]atom, y.Type.Rank())
	for i, d := range y.Type.Dims {
		switch {
		case i >= lead && d.Equal(x[i-lead]):
			dims[i] = w.dims[i-lead]
		case i < lead || x[i-lead].IsInt(1):
			dims[i] = run(atom{repeated, 0, d})
		default:
			return false
		}
	}
	w.dims = dims
	return true
}

func (w *view) times(op *ir.Op, y *ir.Value) bool {
	_, by := scaled(op)
	w.scale *= by
	return y.Type.Rank() == len(w.dims) // the constant may have more dims
}

// joined returns the atoms of dims with those in one that follow each other in
// the base.
func joined(dims ...[]atom) []atom {
	var out []atom
	for _, a := range slices.Concat(dims...) {
		if n := len(out) - 1; n >= 0 && out[n].dim == a.dim && a.dim != repeated {
			if inner, ok := a.n.Int(); ok && out[n].step == a.step*inner {
				out[n] = atom{a.dim, a.step, out[n].n.Mul(a.n)}
				continue
			}
		}
		out = append(out, a)
	}
	return out
}
