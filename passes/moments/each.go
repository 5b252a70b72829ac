package moments

import (
	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/tensor"
)

// Each calls change for the layers in program order. With batches, a layer
// comes with the moments of the inputs that the layers before it, changed
// already, give it; without them, and where they say nothing, with nil.
func Each(c *passes.Context, m *ir.Module, found []layers.Layer, batches []calibrate.Batch, change func(l layers.Layer, mo *Moments) error) error {
	left := map[*ir.Op]bool{}
	for _, l := range found {
		left[l.Op] = true
	}
	measure := func(op *ir.Op, value func(batch int, v *ir.Value) *tensor.Tensor) error {
		l, ok := layers.Of(op)
		if !ok || !left[op] {
			return nil
		}
		delete(left, op)
		mo := New(l, len(batches))
		if mo != nil {
			for i := range batches {
				mo.Add(value(i, op.Operand(0)))
			}
			if !mo.tell() {
				c.Note("%s: the calibration data says nothing of its input", ops.Describe(op))
				mo = nil
			}
		}
		return change(l, mo)
	}
	if len(batches) > 0 {
		if err := calibrate.Walk(c, m, batches, measure, c.Progress); err != nil {
			return err
		}
	}
	for _, l := range found {
		if left[l.Op] {
			if err := change(l, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// tell reports whether there were inputs other than zero.
func (m *Moments) tell() bool {
	for _, b := range m.blocks {
		if !(b.damping() > 0) {
			return false
		}
	}
	return true
}
