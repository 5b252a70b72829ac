package cpu

import (
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// parts write reductions that no kernel computes as ones that some do, and
// elementwise ops that are fused with what is around.
var parts = map[string]func(r *passes.Rewriter, op *ir.Op, x *ir.Value) *ir.Value{
	"ReduceL1": func(r *passes.Rewriter, op *ir.Op, x *ir.Value) *ir.Value {
		return reduced(r, "ReduceSum", op, r.Op("Abs", []*ir.Value{x}))
	},
	"ReduceL2": func(r *passes.Rewriter, op *ir.Op, x *ir.Value) *ir.Value {
		return r.Op("Sqrt", []*ir.Value{reduced(r, "ReduceSumSquare", op, x)})
	},
	"ReduceLogSum": func(r *passes.Rewriter, op *ir.Op, x *ir.Value) *ir.Value {
		return r.Op("Log", []*ir.Value{reduced(r, "ReduceSum", op, x)})
	},
	"ReduceLogSumExp": func(r *passes.Rewriter, op *ir.Op, x *ir.Value) *ir.Value {
		axes := op.Operands()[1:]
		most := float32(math.MaxFloat32) // where the largest is infinite, so is the result
		m := r.Op("ReduceMax", append([]*ir.Value{x}, axes...))
		m = r.Op("Clip", []*ir.Value{m, r.Tensor(tensor.Scalar(tensor.Float32, -most)), r.Tensor(tensor.Scalar(tensor.Float32, most))})
		e := r.Op("Exp", []*ir.Value{r.Op("Sub", []*ir.Value{x, m})})
		y := r.Op("Add", []*ir.Value{r.Op("Log", []*ir.Value{r.Op("ReduceSum", append([]*ir.Value{e}, axes...))}), m})
		if op.Attrs.Get("keepdims") == int64(0) {
			y = r.Op("Squeeze", append([]*ir.Value{y}, axes...))
		}
		return y
	},
	"Softmax": func(r *passes.Rewriter, op *ir.Op, x *ir.Value) *ir.Value {
		_, e, sum := exponentials(r, op, x)
		return r.Op("Div", []*ir.Value{e, sum})
	},
	"LogSoftmax": func(r *passes.Rewriter, op *ir.Op, x *ir.Value) *ir.Value {
		d, _, sum := exponentials(r, op, x)
		return r.Op("Sub", []*ir.Value{d, r.Op("Log", []*ir.Value{sum})})
	},
}

// reduced is a reduction in the form of op's.
func reduced(r *passes.Rewriter, name string, op *ir.Op, x *ir.Value) *ir.Value {
	return r.Op(name, append([]*ir.Value{x}, op.Operands()[1:]...), op.Attrs...)
}

// exponentials are x less its maximum along the axis of a Softmax, e to that
// power, and the sum of those.
func exponentials(r *passes.Rewriter, op *ir.Op, x *ir.Value) (d, e, sum *ir.Value) {
	axis := []*ir.Value{r.Int64s(int64(axisAttr(op, -1, x.Type.Rank())))}
	d = r.Op("Sub", []*ir.Value{x, r.Op("ReduceMax", append([]*ir.Value{x}, axis...))})
	e = r.Op("Exp", []*ir.Value{d})
	return d, e, r.Op("ReduceSum", append([]*ir.Value{e}, axis...))
}

// expandReduction writes an op in parts; a Softmax along the last axis has a
// kernel of its own.
func expandReduction(c *passes.Context, op *ir.Op) (bool, error) {
	part := parts[op.Name]
	x := op.Operand(0)
	if n, _ := op.Attrs.Get("noop_with_empty_axes").(int64); part == nil || n != 0 || !isF32(x) || x.Type.Rank() < 1 {
		return false, nil
	}
	if op.Name == "Softmax" || op.Name == "LogSoftmax" {
		if a := axisAttr(op, -1, x.Type.Rank()); a < 0 || a >= x.Type.Rank()-1 {
			return false, nil
		}
	}
	return c.Apply("", op, nil, func(r *passes.Rewriter) []*ir.Value { return []*ir.Value{part(r, op, x)} })
}
