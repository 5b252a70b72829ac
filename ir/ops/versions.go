package ops

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// The parts that upgrades and downgrades are made of.

// without drops an attribute that an older opset does not know. Only its
// default may be dropped: nil stands for a list of ones.
func without(name string, standard any) func(*ir.Builder, *ir.Op) error {
	return func(_ *ir.Builder, op *ir.Op) error {
		v := op.Attrs.Get(name)
		ones, list := v.([]int64)
		switch {
		case v == nil:
			return nil
		case list && standard == nil:
			if slices.ContainsFunc(ones, func(n int64) bool { return n != 1 }) {
				return fmt.Errorf("%s=%v has no older form", name, v)
			}
		case list || v != standard:
			return fmt.Errorf("%s=%v has no older form", name, v)
		}
		op.Attrs.Delete(name)
		return nil
	}
}

// each does several steps.
func each(steps ...func(*ir.Builder, *ir.Op) error) func(*ir.Builder, *ir.Op) error {
	return func(b *ir.Builder, op *ir.Op) error {
		for _, s := range steps {
			if err := s(b, op); err != nil {
				return err
			}
		}
		return nil
	}
}

// oneResult refuses an op whose further results are read.
func oneResult(_ *ir.Builder, op *ir.Op) error {
	for i := 1; i < op.NumResults(); i++ {
		if op.Result(i).NumUses() > 0 {
			return fmt.Errorf("result %d has no older form", i)
		}
	}
	op.TrimResults(1)
	return nil
}

// setAttr states what an older opset must be told.
func setAttr(name string, value any) func(*ir.Builder, *ir.Op) error {
	return func(_ *ir.Builder, op *ir.Op) error {
		op.Attrs.Set(name, value)
		return nil
	}
}

// dropAttrs removes attributes that newer opsets do without.
func dropAttrs(names ...string) func(*ir.Builder, *ir.Op) error {
	return func(_ *ir.Builder, op *ir.Op) error {
		for _, n := range names {
			op.Attrs.Delete(n)
		}
		return nil
	}
}

// operandFromInts turns an attribute of older opsets into operand i.
func operandFromInts(name string, i int) func(*ir.Builder, *ir.Op) error {
	return func(b *ir.Builder, op *ir.Op) error {
		v, ok := op.Attrs.Get(name).([]int64)
		op.Attrs.Delete(name)
		if !ok {
			return nil
		}
		setOperand(op, i, b.Int64s(v...))
		return nil
	}
}

// setOperand sets operand i, whether the op has had so many or not.
func setOperand(op *ir.Op, i int, v *ir.Value) {
	for op.NumOperands() <= i {
		op.AddOperand(nil)
	}
	op.SetOperand(i, v)
}

// intsFromOperand is the inverse of operandFromInts.
func intsFromOperand(name string, i int) func(*ir.Builder, *ir.Op) error {
	return func(_ *ir.Builder, op *ir.Op) error {
		if op.Operand(i) == nil {
			return nil
		}
		t, err := constantOf(op.Operand(i))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		v := make([]int64, 0, t.Len())
		for _, n := range intsIn(t) {
			v = append(v, int64(n))
		}
		op.Attrs.Set(name, v)
		op.SetOperands(op.Operands()[:i]...)
		return nil
	}
}

// given states an older default.
func given(name string, standard any) func(*ir.Builder, *ir.Op) error {
	return func(_ *ir.Builder, op *ir.Op) error {
		if !op.Attrs.Has(name) {
			op.Attrs.Set(name, standard)
		}
		return nil
	}
}

// constantOf returns the tensor that a constant holds.
func constantOf(v *ir.Value) (*tensor.Tensor, error) {
	d := v.Data()
	if d == nil {
		return nil, fmt.Errorf("%s is no constant", v.Type)
	}
	return d.Tensor()
}

// renamed gives the op another name.
func renamed(name string) func(*ir.Builder, *ir.Op) error {
	return func(_ *ir.Builder, op *ir.Op) error {
		op.Name = name
		return nil
	}
}

// restoreShape lets everyone who reads op's result read it in x's shape.
func restoreShape(op *ir.Op, x *ir.Value) error {
	after := ir.After(op)
	shape, err := Build(after, "Shape", []*ir.Value{x})
	if err != nil {
		return err
	}
	y := op.Result(0)
	back, err := Build(after, "Reshape", []*ir.Value{y, shape.Result(0)})
	if err != nil {
		return err
	}
	y.ReplaceAllUsesWith(back.Result(0))
	back.SetOperand(0, y)
	return nil
}
