package cpu

import (
	"fmt"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// elems are the element types that scalar operators run on.
var elems = map[tensor.DType]rt.Elem{
	tensor.Bool: rt.Bool, tensor.Uint8: rt.Uint8, tensor.Int32: rt.Int32, tensor.Int64: rt.Int64, tensor.Float32: rt.Float32,
}

// isScalars reports whether plain Go runs op, one element after another: an
// elementwise op on integers or truth values.
func isScalars(op *ir.Op) bool {
	if op.NumResults() != 1 || op.NumOperands() == 0 || op.NumOperands() > 3 {
		return false
	}
	for _, v := range op.Operands() {
		if v == nil || !v.Type.IsTensor() {
			return false
		}
	}
	from, known := elems[op.Operand(op.NumOperands()-1).Type.DType]
	to, known2 := elems[op.Result(0).Type.DType]
	return known && known2 && rt.HasScalar(op.Name, from, to) && op.NumOperands() == arity(op.Name)
}

// arity is the number of operands with which an op is a scalar operator.
func arity(name string) int {
	switch name {
	case "Not", "IsNaN", "Sin", "Cos", "Cast", "Neg", "Abs":
		return 1
	case "Where":
		return 3
	}
	return 2
}

func bindScalars(b *binder, op *ir.Op) ([]rt.Work, error) {
	y := b.places[op.Result(0)]
	s := rt.Scalars{Op: op.Name, Dims: y.shape, To: elems[y.dtype], Out: rt.Operand{Ptr: b.ptr(op.Result(0)), Strides: rt.Dense(y.shape)}}
	for i, v := range op.Operands() {
		p := b.places[v]
		if p.strides != nil || len(p.shape) > len(y.shape) {
			return nil, fmt.Errorf("operand %d is not dense", i)
		}
		for j, d := range p.shape {
			if n := y.shape[len(y.shape)-len(p.shape)+j]; d != 1 && d != n {
				return nil, fmt.Errorf("operand %d of shape %v does not broadcast to %v", i, p.shape, y.shape)
			}
		}
		s.Elem = append(s.Elem, elems[p.dtype])
		s.In = append(s.In, rt.Operand{Ptr: b.ptr(v), Strides: broadcastStrides(p.shape, y.shape)})
	}
	return one(s.Work())
}
