package cpu

import (
	"fmt"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
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
	x, y := op.Operand(0), op.Result(0)
	s := b.shape(x)
	axis := axisAttr(op, -1, len(s))
	if !isF32(x) || axis < 0 || axis >= len(s) {
		return nil, fmt.Errorf("normalization has kernels for f32 only")
	}
	for _, r := range op.Results()[1:] {
		if r.NumUses() > 0 {
			return nil, fmt.Errorf("mean and deviation are read")
		}
	}
	o := rt.Norm{
		Set: b.kernels, Rows: product(s[:axis]), N: product(s[axis:]), RMS: op.Name == "RMSNormalization",
		Epsilon: attrFloat(op, "epsilon", 1e-5), X: b.ptr(x), Y: b.ptr(y),
	}
	for i, dst := range []*struct{ v *ir.Value }{{op.Operand(1)}, {op.Operand(2)}} {
		if dst.v == nil {
			continue
		}
		if !isF32(dst.v) || product(b.shape(dst.v)) != o.N {
			return nil, fmt.Errorf("scale and bias do not have one value an element of a row")
		}
		if i == 0 {
			o.Scale = b.ptr(dst.v)
		} else {
			o.Bias = b.ptr(dst.v)
		}
	}
	return one(o.Work())
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
