package ops

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// known returns the value of a small tensor that is the same in every run, nil
// where there is none: constants, static shapes, and what follows from them.
func (s *Shapes) known(v *ir.Value) *tensor.Tensor {
	if d := v.Data(); d != nil {
		if d.Len() > maxContents {
			return nil
		}
		t, err := d.Tensor()
		if err != nil {
			return nil
		}
		return t
	}
	if t := s.values[v]; t != nil {
		return t
	}
	shape, static := v.Type.StaticShape()
	elems := s.contents[v]
	if !static || elems == nil || product(shape) != len(elems) || v.Type.DType != tensor.Int64 && v.Type.DType != tensor.Int32 {
		return nil
	}
	t := tensor.New(v.Type.DType, shape...)
	for i, e := range elems {
		n, ok := e.Int()
		switch {
		case !ok || v.Type.DType == tensor.Int32 && n != int64(int32(n)):
			return nil
		case v.Type.DType == tensor.Int32:
			tensor.Of[int32](t)[i] = int32(n)
		default:
			tensor.Of[int64](t)[i] = n
		}
	}
	return t
}

// evaluate computes the results of an op on small known tensors, so that
// constant arithmetic on the way to a shape needs no folding first. What can
// not be computed stays unknown: a run will say why. Nothing is computed whose
// size is not known to be small: operands of a few bytes can ask for gigabytes.
func (s *Shapes) evaluate(op *ir.Op, impl *Impl) {
	if op.NumOperands() == 0 || impl.Eval == nil || impl.Traits != 0 || len(op.Regions) > 0 {
		return
	}
	for _, r := range op.Results() {
		if n, static := r.Type.NumElements().Int(); !static || !r.Type.Ranked || n > maxContents {
			return
		}
	}
	ins := make([]tensor.Value, op.NumOperands())
	for i, v := range op.Operands() {
		if v == nil {
			continue
		}
		t := s.known(v)
		if t == nil {
			return
		}
		ins[i] = t
	}
	outs, err := Eval(op, ins, nil)
	if err != nil {
		return
	}
	for i, v := range outs {
		t, ok := v.(*tensor.Tensor)
		if !ok || t.Len() > maxContents {
			continue
		}
		r := op.Result(i)
		s.values[r] = t
		if s.contents[r] == nil && t.Rank() <= 1 && (t.DType == tensor.Int64 || t.DType == tensor.Int32) {
			s.contents[r] = dimsOf(t)
		}
	}
}
