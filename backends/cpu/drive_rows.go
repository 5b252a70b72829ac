package cpu

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// axisAttr reads an axis and counts negative ones from the end.
func axisAttr(op *ir.Op, def int64, rank int) int {
	a, ok := op.Attrs.Get("axis").(int64)
	if !ok {
		a = def
	}
	if a < 0 {
		a += int64(rank)
	}
	return int(a)
}

func bindSoftmax(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	s := b.shape(x)
	if !isF32(x) || len(s) == 0 || axisAttr(op, -1, len(s)) != len(s)-1 {
		return nil, fmt.Errorf("softmax has kernels along the last axis of f32 only")
	}
	n := s[len(s)-1]
	return one((&rt.Softmax{Set: b.kernels, Rows: product(s[:len(s)-1]), N: n, Log: op.Name == "LogSoftmax", X: b.ptr(x), Y: b.ptr(y)}).Work())
}

func bindNorm(b *binder, op *ir.Op) ([]rt.Work, error) {
	x := op.Operand(0)
	s := b.shape(x)
	axis := axisAttr(op, -1, len(s))
	if !isF32(x) || axis < 0 || axis >= len(s) {
		return nil, fmt.Errorf("normalization has kernels for f32 only")
	}
	o, err := b.norm(op, op.Operand, product(s[axis:]))
	if err != nil {
		return nil, err
	}
	o.Set, o.Rows, o.X, o.Y = b.kernels, product(s[:axis]), b.ptr(x), b.ptr(op.Result(0))
	return one(o.Work())
}

// norm is a normalization of rows of n elements; operand gives op's operands
// as they are outside of a fused op.
func (b *binder) norm(op *ir.Op, operand func(int) *ir.Value, n int) (*rt.Norm, error) {
	for _, r := range op.Results()[1:] {
		if r.NumUses() > 0 {
			return nil, fmt.Errorf("mean and deviation are read")
		}
	}
	o := &rt.Norm{N: n, RMS: op.Name == "RMSNormalization", Epsilon: attrFloat(op, "epsilon", 1e-5)}
	for i, dst := range []*unsafe.Pointer{&o.Scale, &o.Bias} {
		v := operand(1 + i)
		if v == nil {
			continue
		}
		if !isF32(v) || product(b.shape(v)) != n {
			return nil, fmt.Errorf("scale and bias do not have one value an element of a row")
		}
		*dst = b.ptr(v)
	}
	return o, nil
}

// isLookup reports whether op copies whole rows out of a table.
func isLookup(op *ir.Op) bool {
	if op.Name != "Gather" || axisAttr(op, 0, 2) != 0 {
		return false
	}
	x, index := op.Operand(0).Type, op.Operand(1).Type
	return isF32(op.Operand(0)) && x.Rank() == 2 && index.Rank() >= 0 && (index.DType == tensor.Int64 || index.DType == tensor.Int32)
}

// addsRows reports whether op adds tensors whose rows are as long as its own.
func addsRows(op *ir.Op) bool {
	if op.Name != "Add" || !isF32(op.Result(0)) {
		return false
	}
	d := op.Result(0).Type.Dims
	for _, v := range op.Operands() {
		if r := v.Type.Rank(); r < 1 || len(d) == 0 || !v.Type.Dims[r-1].Equal(d[len(d)-1]) {
			return false
		}
	}
	return true
}

// worksOnRows reports whether op normalizes rows.
func worksOnRows(op *ir.Op) bool {
	if op.Name != "LayerNormalization" && op.Name != "RMSNormalization" || !isF32(op.Result(0)) {
		return false
	}
	r := op.Operand(0).Type.Rank()
	return r > 0 && axisAttr(op, -1, r) == r-1
}

// rowSum binds a fused op that adds up rows that it looks up, and then
// normalizes them.
func (b *binder) rowSum(fused *ir.Op) ([]rt.Work, error) {
	outer := func(v *ir.Value) *ir.Value {
		if v != nil && v.IsArg() {
			return fused.Operand(v.Index())
		}
		return v
	}
	yp := b.places[fused.Result(0)]
	last := len(yp.shape) - 1
	o := rt.RowSum{Set: b.kernels, Dims: yp.shape[:last], N: yp.shape[last], Y: b.ptr(fused.Result(0))}
	sum := fused.Region(ops.FusedRegion).Results()[0]
	if op := sum.Def(); worksOnRows(op) {
		var err error
		if o.Norm, err = b.norm(op, func(i int) *ir.Value { return outer(op.Operand(i)) }, o.N); err != nil {
			return nil, err
		}
		sum = op.Operand(0)
	}
	for sum != nil {
		term := sum
		sum = nil
		if op := term.Def(); op != nil && op.Name == "Add" {
			i := 0 // the operand that is no sum itself
			if d := op.Operand(0).Def(); d != nil && d.Name == "Add" {
				i = 1
			}
			term, sum = op.Operand(i), op.Operand(1-i)
		}
		t, err := b.rowTerm(term, outer, o.Dims, o.N)
		if err != nil {
			return nil, err
		}
		o.Terms = append(o.Terms, t)
	}
	slices.Reverse(o.Terms) // the innermost sum comes first
	return one(o.Work())
}

// rowTerm is a term of rows of n elements in the given dims: rows of a table,
// or a tensor that broadcasts.
func (b *binder) rowTerm(v *ir.Value, outer func(*ir.Value) *ir.Value, dims []int, n int) (t rt.RowTerm, err error) {
	x := outer(v)
	var index *ir.Value
	if op := v.Def(); op != nil && op.Name == "Gather" {
		x, index = outer(op.Operand(0)), outer(op.Operand(1))
	}
	p := b.places[x]
	if p == nil || p.layout != ir.Plain || p.strides != nil || len(p.shape) == 0 || p.shape[len(p.shape)-1] != n {
		return t, fmt.Errorf("a term has no rows of %d", n)
	}
	t.X, t.Rows = b.ptr(x), product(p.shape[:len(p.shape)-1])
	at := p.shape[:len(p.shape)-1]
	if index != nil {
		at = b.shape(index)
		t.Index, t.Index32 = b.ptr(index), index.Type.DType == tensor.Int32
	}
	t.Strides = broadcastStrides(at, dims)
	return t, nil
}

// reductions maps the ops that reduce to the drivers' operators.
var reductions = map[string]struct {
	op   rt.ReduceOp
	mean bool
}{
	"ReduceMax":       {rt.ReduceMax, false},
	"ReduceMin":       {rt.ReduceMin, false},
	"ReduceSum":       {rt.ReduceSum, false},
	"ReduceMean":      {rt.ReduceSum, true},
	"ReduceSumSquare": {rt.ReduceSumSq, false},
}

func bindReduce(b *binder, op *ir.Op) ([]rt.Work, error) {
	x, y := op.Operand(0), op.Result(0)
	s := b.shape(x)
	if !isF32(x) || b.places[x].layout != ir.Plain {
		return nil, fmt.Errorf("reductions have kernels for f32 only")
	}
	first, end := 0, len(s)
	if a := op.Operand(1); a != nil {
		axes, ok := b.ints(a)
		if !ok {
			return nil, fmt.Errorf("axes are computed")
		}
		if len(axes) > 0 {
			if first, end, ok = axisRun(axes, len(s)); !ok {
				return nil, fmt.Errorf("axes %v are not neighbours", axes)
			}
		}
	}
	if n, _ := op.Attrs.Get("noop_with_empty_axes").(int64); n != 0 && first == 0 && end == len(s) {
		return nil, fmt.Errorf("empty axes")
	}
	r := reductions[op.Name]
	o := rt.Reduce{
		Set: b.kernels, Op: r.op, Mean: r.mean, Outer: product(s[:first]), R: product(s[first:end]), Inner: product(s[end:]),
		X: b.ptr(x), Y: b.ptr(y),
	}
	if o.R < 1 {
		return nil, fmt.Errorf("nothing to reduce")
	}
	return one(o.Work())
}

// axisRun returns the range of dims that axes name, if they are neighbours.
func axisRun(axes []int, rank int) (first, end int, ok bool) {
	seen := make([]bool, rank)
	first, end = rank, 0
	for _, a := range axes {
		if a < 0 {
			a += rank
		}
		if a < 0 || a >= rank || seen[a] {
			return 0, 0, false
		}
		seen[a] = true
		first, end = min(first, a), max(end, a+1)
	}
	return first, end, end-first == len(axes)
}
