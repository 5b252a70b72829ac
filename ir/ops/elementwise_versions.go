package ops

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Older forms of elementwise operators, and what other families need of them.

// alignSecond rewrites the broadcast of opset 6 and older: the second operand
// belongs to the first one's dims from axis on, its last ones without an axis.
func alignSecond(b *ir.Builder, op *ir.Op) error {
	axis, given := op.Attrs.Get("axis").(int64)
	on, _ := op.Attrs.Get("broadcast").(int64)
	op.Attrs.Delete("axis")
	op.Attrs.Delete("broadcast")
	if !given || on == 0 {
		return nil
	}
	x, y := op.Operand(0).Type.Rank(), op.Operand(1).Type.Rank()
	if x < 0 || y < 0 {
		return fmt.Errorf("broadcast along axis %d of operands whose ranks are not known", axis)
	}
	if axis < 0 {
		axis += int64(x)
	}
	return trailingDims(b, op, 1, x-int(axis)-y)
}

// trailingDims appends n dims of 1 to operand i.
func trailingDims(b *ir.Builder, op *ir.Op, i, n int) error {
	if n <= 0 {
		return nil
	}
	axes := make([]int64, n)
	for k := range axes {
		axes[k] = int64(-n + k)
	}
	u, err := Build(b, "Unsqueeze", []*ir.Value{op.Operand(i), b.Int64s(axes...)})
	if err != nil {
		return err
	}
	op.SetOperand(i, u.Result(0))
	return nil
}

// slopeByChannel: before opset 7 a slope of one dim belongs to the channels.
func slopeByChannel(b *ir.Builder, op *ir.Op) error {
	x, s := op.Operand(0).Type, op.Operand(1).Type
	if s.Rank() != 1 || s.Dims[0].IsInt(1) {
		return nil
	}
	if x.Rank() < 0 {
		return fmt.Errorf("a slope by channel for an input whose rank is not known")
	}
	return trailingDims(b, op, 1, x.Rank()-2)
}

// clipBounds turns the attributes min and max into operands.
func clipBounds(b *ir.Builder, op *ir.Op) error {
	d := knownDType(op.Operand(0).Type)
	if d == tensor.Undefined {
		d = tensor.Float32
	}
	operands := []*ir.Value{op.Operand(0), nil, nil}
	for i, n := range []string{"min", "max"} {
		v, ok := op.Attrs.Get(n).(float32)
		op.Attrs.Delete(n)
		if !ok {
			continue
		}
		t, err := ref.Cast(tensor.Scalar(tensor.Float32, v), d, ref.CastOptions{Saturate: true})
		if err != nil {
			return err
		}
		operands[i+1] = b.Tensor(t)
	}
	for operands[len(operands)-1] == nil {
		operands = operands[:len(operands)-1]
	}
	op.SetOperands(operands...)
	return nil
}

// boundsToAttrs is the inverse of clipBounds.
func boundsToAttrs(_ *ir.Builder, op *ir.Op) error {
	for i, n := range []string{"min", "max"} {
		v := op.Operand(i + 1)
		if v == nil {
			continue
		}
		t, err := constantOf(v)
		if err != nil || !t.DType.IsFloat() || t.Len() != 1 {
			return fmt.Errorf("a %s that is no constant float has no older form", n)
		}
		op.Attrs.Set(n, float32(ref.Float64s(t)[0]))
	}
	op.SetOperands(op.Operand(0))
	return nil
}
