// Package poolasmean is a pass for a runtime that has no pooling over a whole
// picture: it writes such pools as means. A rule could do the plain case; the
// pass also finds the average pool whose window happens to be the picture.
package poolasmean

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

const name = "pool-as-mean"

func init() {
	passes.Register(passes.Spec{
		Name:    name,
		Help:    "write average pools over whole pictures as means",
		Options: []passes.Option{{Name: "global-only", Default: "false", Type: passes.Bool, Help: "leave AveragePool alone"}},
		New: func(o passes.Options) (passes.Pass, error) {
			return passes.Func(name, func(c *passes.Context, m *ir.Module) (bool, error) {
				return run(c, m, o.Bool("global-only"))
			}), nil
		},
	})
}

// run asks the context for every change: that is how changes are counted,
// bisected and shown.
func run(c *passes.Context, m *ir.Module, globalOnly bool) (changed bool, err error) {
	for op := range m.Main().Body.Ops() {
		if !wholePicture(op) || globalOnly && op.Name != "GlobalAveragePool" {
			continue
		}
		did, err := c.Apply(op.Name, op, nil, func(r *passes.Rewriter) []*ir.Value {
			var axes []int64
			for i := 2; i < op.Operand(0).Type.Rank(); i++ {
				axes = append(axes, int64(i))
			}
			return []*ir.Value{r.Op("ReduceMean", []*ir.Value{op.Operand(0), r.Int64s(axes...)})}
		})
		if err != nil {
			return changed, err
		}
		changed = changed || did
	}
	return changed, nil
}

// wholePicture tells whether each channel of the op's result is the mean of
// that channel.
func wholePicture(op *ir.Op) bool {
	if op.Name != "GlobalAveragePool" && op.Name != "AveragePool" || op.Operand(0).Type.Rank() < 3 {
		return false
	}
	if op.Name == "GlobalAveragePool" {
		return true
	}
	window, _ := op.Attrs.Get("kernel_shape").([]int64)
	for i, size := range op.Operand(0).Type.Dims[2:] {
		if !size.IsInt(window[i]) {
			return false
		}
	}
	pads, _ := op.Attrs.Get("pads").([]int64)
	return !op.Attrs.Has("auto_pad") && !slices.ContainsFunc(pads, func(p int64) bool { return p != 0 })
}
