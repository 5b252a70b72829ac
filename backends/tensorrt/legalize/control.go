package legalize

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "trt-loop",
		Help: "give a Loop that has no condition the constant true",
		Example: `func @main(%x: f32[2]) -> (y: f32[2]) {
  %0 = const i64[] [3]
  %1 = Loop(%0, _, %x) : f32[2] body (%i: i64[], %c: bool[], %s: f32[2]) {
    %2 = Relu(%s) : f32[2]
    yield(%c, %2)
  }
  return(%1)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return LoopCondition(), nil },
	})
}

// LoopCondition is the pass that gives every Loop a condition: TensorRT's
// parser looks for it where the body reads it, and fails where it is left out.
func LoopCondition() passes.Pass {
	return passes.Func("trt-loop", func(c *passes.Context, m *ir.Module) (bool, error) {
		return eachOp(m, func(op *ir.Op) (bool, error) {
			if op.Name != "Loop" || op.Operand(1) != nil {
				return false, nil
			}
			return c.Change("", op, func() error {
				op.SetOperand(1, ir.Before(op).Tensor(tensor.Scalar(tensor.Bool, true)))
				return nil
			})
		})
	})
}

// ifReason says which forms of If TensorRT does not take. One whose condition
// is a constant is gone by now.
func ifReason(op *ir.Op) string {
	shapes := fromShapes(op.Operand(0))
	if outer := decidedByData(op); shapes && outer != nil {
		return fmt.Sprintf("its condition comes from a shape that only a run tells, and TensorRT's builder fails on such an If inside another (%q): "+
			"fix the shapes (--input-shape) or the outer condition (--input-value)", strings.Join(outer.Loc, " "))
	}
	if shapes {
		return "" // TensorRT decides these when it builds, or when the shapes are bound
	}
	then, otherwise := op.Region("then_branch").Results(), op.Region("else_branch").Results()
	for i := range then {
		a, b := then[i].Type.Rank(), otherwise[i].Type.Rank()
		if a >= 0 && b >= 0 && a != b {
			return fmt.Sprintf("its branches give a tensor of %d dimensions and one of %d, and TensorRT wants one rank where data decide", a, b)
		}
	}
	return ""
}

// decidedByData is the nearest If around op whose condition comes from data.
func decidedByData(op *ir.Op) *ir.Op {
	for outer := op.Block().Parent(); outer != nil; outer = outer.Block().Parent() {
		if outer.Name == "If" && !fromShapes(outer.Operand(0)) {
			return outer
		}
	}
	return nil
}

// fromShapes reports whether a value comes from shapes and constants alone.
func fromShapes(v *ir.Value) bool {
	known := map[*ir.Value]bool{}
	var walk func(*ir.Value) bool
	walk = func(v *ir.Value) bool {
		if yes, ok := known[v]; ok {
			return yes
		}
		def := v.Def()
		yes := v.Data() != nil
		if !yes && def != nil && len(def.Regions) == 0 {
			yes = def.Name == "Shape" || def.Name == "Size" || def.NumOperands() > 0 &&
				!slices.ContainsFunc(def.Operands(), func(o *ir.Value) bool { return o != nil && !walk(o) })
		}
		known[v] = yes
		return yes
	}
	return walk(v)
}
