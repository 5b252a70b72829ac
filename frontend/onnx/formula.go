package onnx

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// formula builds the ops of a definition, each with its types. Its methods fail
// as a whole: what goes wrong in one ends the attempt around it.
type formula struct {
	b      *ir.Builder
	shapes *ops.Shapes
}

// failed carries an error to attempt.
type failed struct{ err error }

// attempt calls f and returns the error at which it ended.
func (x *formula) attempt(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failed:
			err = r.err
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

func (x *formula) fail(format string, args ...any) { panic(failed{fmt.Errorf(format, args...)}) }

// op builds an op with one result.
func (x *formula) op(name string, operands []*ir.Value, attrs ...ir.Attr) *ir.Value {
	return x.opN(name, 1, operands, attrs...)[0]
}

// opN builds an op with n results.
func (x *formula) opN(name string, n int, operands []*ir.Value, attrs ...ir.Attr) []*ir.Value {
	if ops.Lookup(name) == nil {
		x.fail("its definition needs operator %s, which is not supported", name)
	}
	op := x.b.Op(name, operands, make([]ir.Type, n), attrs...)
	if err := x.shapes.Op(op); err != nil {
		panic(failed{err})
	}
	return op.Results()
}

// do builds an op without attributes.
func (x *formula) do(name string, operands ...*ir.Value) *ir.Value { return x.op(name, operands) }

func (x *formula) mul(a, b *ir.Value) *ir.Value { return x.do("Mul", a, b) }

// num builds a scalar constant of the element type of like.
func (x *formula) num(like *ir.Value, f float64) *ir.Value {
	if like.Type.DType == tensor.Float64 {
		return x.b.Tensor(tensor.Scalar(tensor.Float64, f))
	}
	return x.cast(x.b.Tensor(tensor.Scalar(tensor.Float32, float32(f))), like.Type.DType)
}

func (x *formula) ints(v ...int64) *ir.Value { return x.b.Int64s(v...) }

// cast converts v to an element type.
func (x *formula) cast(v *ir.Value, d tensor.DType) *ir.Value {
	if v.Type.DType == d {
		return v
	}
	return x.op("Cast", vals(v), at("to", int64(d)))
}

// vals and at make calls of op short.
func vals(v ...*ir.Value) []*ir.Value { return v }

func at(name string, v any) ir.Attr { return ir.Attr{Name: name, Value: v} }
