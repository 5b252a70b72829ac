package ops

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
)

// The parts that downgrades are made of.

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
