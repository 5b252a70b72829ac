package legalize

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// TensorRT takes QuantizeLinear and DequantizeLinear of int8 with zero points
// of zero, and no other quantized arithmetic. This pass writes QLinearConv,
// QLinearMatMul, ConvInteger, MatMulInteger and DynamicQuantizeLinear with
// those two, and wherever a tensor is uint8 or has another zero point, as the
// float arithmetic that defines them, on carriers: float32 tensors that hold
// the same integers.
type quantized struct {
	*passes.Context
	carriers map[*ir.Value]*ir.Value
}

func init() {
	passes.Register(passes.Spec{
		Name: "trt-quantized",
		Help: "write quantized operators as Q/DQ pairs, or as float arithmetic where zero points are not zero",
		Example: `func @main(%x: u8[N,2]) -> (y: i32[N,2]) {
  %0 = const u8[2,2] [1, 2, 3, 4]
  %1 = MatMulInteger(%x, %0) : i32[N,2]
  return(%1)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return Quantized(), nil },
	})
}

// Quantized is the pass that rewrites quantized operators.
func Quantized() passes.Pass {
	return passes.Func("trt-quantized", func(c *passes.Context, m *ir.Module) (bool, error) {
		q := &quantized{c, map[*ir.Value]*ir.Value{}}
		return eachOp(m, q.visit)
	})
}

func (q *quantized) visit(op *ir.Op) (bool, error) {
	if rewrite := q.rewriteOf(op); rewrite != nil {
		return q.Apply("", op, nil, rewrite)
	}
	return false, nil
}

// carried are the ops that move elements and know no arithmetic: they work on
// carriers as they are.
var carried = []string{
	"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Gather", "Expand", "Tile", "MaxPool", "Concat", "DepthToSpace", "SpaceToDepth",
}

func (q *quantized) rewriteOf(op *ir.Op) func(*passes.Rewriter) []*ir.Value {
	one := func(f func(x *rewriting) *ir.Value) func(*passes.Rewriter) []*ir.Value {
		return func(r *passes.Rewriter) []*ir.Value { return []*ir.Value{f(&rewriting{r, q, op})} }
	}
	switch op.Name {
	case "QLinearConv":
		return one((*rewriting).qlinearConv)
	case "QLinearMatMul":
		return one((*rewriting).qlinearMatMul)
	case "ConvInteger":
		return one(func(x *rewriting) *ir.Value { return x.integer("Conv", 1) })
	case "MatMulInteger":
		return one(func(x *rewriting) *ir.Value { return x.integer("MatMul", -1) })
	case "DynamicQuantizeLinear":
		return func(r *passes.Rewriter) []*ir.Value { return (&rewriting{r, q, op}).dynamicQuantize() }
	case "QuantizeLinear":
		if !taken(op.Result(0).Type.DType, op.Operand(2)) && isF32(op.Operand(0)) && op.Attrs.Get("block_size") == nil {
			return one(func(x *rewriting) *ir.Value {
				return x.quantize(op.Operand(0), op.Operand(1), op.Operand(2), op.Result(0).Type.DType, attrInt(op, "axis", 1))
			})
		}
	case "DequantizeLinear":
		if !taken(op.Operand(0).Type.DType, op.Operand(2)) && isF32(op.Result(0)) && narrowInt(op.Operand(0).Type.DType) && op.Attrs.Get("block_size") == nil {
			return one(func(x *rewriting) *ir.Value {
				return x.dequantize(op.Operand(0), op.Operand(1), op.Operand(2), attrInt(op, "axis", 1))
			})
		}
	default:
		if slices.Contains(carried, op.Name) && op.NumResults() >= 1 && q.carriers[op.Operand(0)] != nil {
			return one((*rewriting).move)
		}
	}
	return nil
}

func narrowInt(d tensor.DType) bool {
	return d == tensor.Uint8 || d == tensor.Int8 || d == tensor.Int16 || d == tensor.Uint16 || d == tensor.Int32
}

// taken reports whether TensorRT takes Q/DQ of such a type and zero point.
func taken(d tensor.DType, zero *ir.Value) bool {
	switch d {
	case tensor.Int8:
		return zero == nil || allZero(zero)
	case tensor.Uint8, tensor.Int16, tensor.Uint16, tensor.Int32:
		return false
	}
	return true // FP8 and INT4 are the builder's to judge
}

func allZero(v *ir.Value) bool {
	d := v.Data()
	if d == nil {
		return false
	}
	t, err := d.Tensor()
	return err == nil && !slices.ContainsFunc(ref.Float64s(t), func(f float64) bool { return f != 0 })
}

// rewriting is one application.
type rewriting struct {
	*passes.Rewriter
	q  *quantized
	op *ir.Op
}

func (x *rewriting) f32(v float32) *ir.Value { return x.Tensor(tensor.Scalar(tensor.Float32, v)) }

func (x *rewriting) cast(v *ir.Value, to tensor.DType) *ir.Value {
	return x.Op("Cast", []*ir.Value{v}, ir.Attr{Name: "to", Value: int64(to)})
}

// carrier is a tensor of integers as float32: the carrier itself, a constant of its own, or a cast.
func (x *rewriting) carrier(v *ir.Value) *ir.Value {
	if c := x.q.carriers[v]; c != nil {
		return c
	}
	if d := v.Data(); d != nil {
		return x.Constant(float32Data(d))
	}
	return x.cast(v, tensor.Float32)
}

// integers gives a carrier its place as a tensor of integers, for what reads it as one.
func (x *rewriting) integers(carrier *ir.Value, d tensor.DType) *ir.Value {
	v := x.cast(carrier, d)
	x.q.carriers[v] = carrier
	return v
}

// along shapes a vector so that it broadcasts along an axis of a tensor of some rank.
func (x *rewriting) along(v *ir.Value, axis int64, rank int) *ir.Value {
	if v.Type.DType != tensor.Float32 {
		v = x.cast(v, tensor.Float32) // scales may be of half precision
	}
	if v.Type.Rank() != 1 || rank < 0 || v.Type.Dims[0].IsInt(1) {
		return v
	}
	if axis < 0 {
		axis += int64(rank)
	}
	shape := slices.Repeat([]int64{1}, rank)
	shape[axis] = -1
	return x.Op("Reshape", []*ir.Value{v, x.Int64s(shape...)})
}

// quantize is QuantizeLinear, of TensorRT's where it takes it.
func (x *rewriting) quantize(v, scale, zero *ir.Value, d tensor.DType, axis int64) *ir.Value {
	if taken(d, zero) {
		operands := []*ir.Value{v, scale}
		if zero != nil {
			operands = append(operands, zero)
		}
		return x.Op("QuantizeLinear", operands, ir.Attr{Name: "axis", Value: axis})
	}
	lo, hi := float32(0), float32(255)
	if d == tensor.Int8 {
		lo, hi = -128, 127
	}
	rank := v.Type.Rank()
	c := x.Op("Round", []*ir.Value{x.Op("Div", []*ir.Value{v, x.along(scale, axis, rank)})})
	if zero != nil && !allZero(zero) {
		c = x.Op("Add", []*ir.Value{c, x.along(x.carrier(zero), axis, rank)})
	}
	return x.integers(x.Op("Clip", []*ir.Value{c, x.f32(lo), x.f32(hi)}), d)
}

// dequantize is DequantizeLinear, TensorRT's where it takes it.
func (x *rewriting) dequantize(v, scale, zero *ir.Value, axis int64) *ir.Value {
	if taken(v.Type.DType, zero) && x.q.carriers[v] == nil {
		operands := []*ir.Value{v, scale}
		if zero != nil {
			operands = append(operands, zero)
		}
		return x.Op("DequantizeLinear", operands, ir.Attr{Name: "axis", Value: axis})
	}
	return x.Op("Mul", []*ir.Value{x.centred(v, zero, axis), x.along(scale, axis, v.Type.Rank())})
}

// centred is integers less their zero point, as float32.
func (x *rewriting) centred(v, zero *ir.Value, axis int64) *ir.Value {
	c := x.carrier(v)
	if zero != nil && !allZero(zero) {
		c = x.Op("Sub", []*ir.Value{c, x.along(x.carrier(zero), axis, v.Type.Rank())})
	}
	return c
}

func (x *rewriting) in(i int) *ir.Value { return x.op.Operand(i) }

// qlinearConv: x, scale, zero; w, scale, zero; y's scale, zero; an int32 bias of scale x*w.
func (x *rewriting) qlinearConv() *ir.Value {
	operands := []*ir.Value{x.dequantize(x.in(0), x.in(1), x.in(2), 1), x.dequantize(x.in(3), x.in(4), x.in(5), 0)}
	if bias := x.in(8); bias != nil {
		scale := x.Op("Mul", []*ir.Value{x.in(1), x.in(4)})
		operands = append(operands, x.Op("Mul", []*ir.Value{x.carrier(bias), scale}))
	}
	y := x.Op("Conv", operands, x.op.Attrs...)
	return x.quantize(y, x.in(6), x.in(7), x.op.Result(0).Type.DType, 1)
}

func (x *rewriting) qlinearMatMul() *ir.Value {
	a := x.dequantize(x.in(0), x.in(1), x.in(2), -2)
	b := x.dequantize(x.in(3), x.in(4), x.in(5), -1)
	return x.quantize(x.Op("MatMul", []*ir.Value{a, b}), x.in(6), x.in(7), x.op.Result(0).Type.DType, -1)
}

// integer is ConvInteger and MatMulInteger: exact in float32 while sums stay below 2^24.
func (x *rewriting) integer(name string, axis int64) *ir.Value {
	first, second := int64(-2), int64(-1)
	if name == "Conv" {
		first, second = axis, 0
	}
	a, b := x.centred(x.in(0), x.in(2), first), x.centred(x.in(1), x.in(3), second)
	return x.integers(x.Op(name, []*ir.Value{a, b}, x.op.Attrs...), tensor.Int32)
}

// dynamicQuantize: scale (max - min) / 255 with 0 in the range, zero point round(-min / scale).
func (x *rewriting) dynamicQuantize() []*ir.Value {
	v, keep := x.in(0), ir.Attr{Name: "keepdims", Value: int64(0)}
	zero := x.f32(0)
	hi := x.Op("Max", []*ir.Value{x.Op("ReduceMax", []*ir.Value{v}, keep), zero})
	lo := x.Op("Min", []*ir.Value{x.Op("ReduceMin", []*ir.Value{v}, keep), zero})
	scale := x.Op("Div", []*ir.Value{x.Op("Sub", []*ir.Value{hi, lo}), x.f32(255)})
	point := x.Op("Round", []*ir.Value{x.Op("Clip", []*ir.Value{x.Op("Div", []*ir.Value{x.Op("Neg", []*ir.Value{lo}), scale}), zero, x.f32(255)})})
	c := x.Op("Add", []*ir.Value{x.Op("Round", []*ir.Value{x.Op("Div", []*ir.Value{v, scale})}), point})
	c = x.Op("Clip", []*ir.Value{c, zero, x.f32(255)})
	return []*ir.Value{x.integers(c, tensor.Uint8), scale, x.integers(point, tensor.Uint8)}
}

// move is an op that moves elements, on the carriers of its operands.
func (x *rewriting) move() *ir.Value {
	operands := slices.Clone(x.op.Operands())
	d := operands[0].Type.DType
	for i, v := range operands {
		if v != nil && v.Type.DType == d && (i == 0 || x.op.Name == "Concat") {
			operands[i] = x.carrier(v)
		}
	}
	if x.op.NumResults() != 1 {
		x.Fail(fmt.Errorf("%s of %s with %d results has no float form", x.op.Name, d, x.op.NumResults()))
		return nil
	}
	return x.integers(x.Op(x.op.Name, operands, x.op.Attrs...), d)
}
