package onnx

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// The quantized operators of onnxruntime. Sums of products are integers and
// exact; whatever else works on the numbers that the integers stand for.
func init() {
	define(map[string]func(*foreignNode){
		"QuantizeLinear":           func(x *foreignNode) { x.set(0, x.op("QuantizeLinear", x.in, x.keepAttrs("axis", "block_size")...)) },
		"DequantizeLinear":         func(x *foreignNode) { x.set(0, x.op("DequantizeLinear", x.in, x.keepAttrs("axis", "block_size")...)) },
		"QLinearAdd":               func(x *foreignNode) { qBinary(x, "Add") },
		"QLinearMul":               func(x *foreignNode) { qBinary(x, "Mul") },
		"QLinearConcat":            qConcat,
		"QLinearGlobalAveragePool": qGlobalAveragePool,
		"QLinearAveragePool": func(x *foreignNode) {
			attrs := x.keepAttrs("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")
			qUnary(x, func(v *ir.Value) *ir.Value {
				return x.channelsFirst(v, func(v *ir.Value) *ir.Value { return x.op("AveragePool", vals(v), attrs...) })
			})
		},
		"QLinearLeakyRelu": func(x *foreignNode) {
			qUnary(x, func(v *ir.Value) *ir.Value { return x.op("LeakyRelu", vals(v), x.keepAttrs("alpha")...) })
		},
		"QLinearSigmoid": func(x *foreignNode) {
			qUnary(x, func(v *ir.Value) *ir.Value { return x.op("Sigmoid", vals(v)) })
		},
		"QLinearSoftmax": func(x *foreignNode) {
			qUnary(x, func(v *ir.Value) *ir.Value { return x.op("Softmax", vals(v), at("axis", x.int("axis", -1))) })
		},
		"QLinearWhere": func(x *foreignNode) {
			a, b := x.dequantize(x.need(1), x.need(2), x.arg(3)), x.dequantize(x.need(4), x.need(5), x.arg(6))
			x.set(0, x.requantize(x.op("Where", vals(x.need(0), a, b)), 7, x.need(1).Type.DType))
		},
		"QGemm":                 qGemm,
		"DynamicQuantizeMatMul": dynamicQuantizeMatMul,
		"MatMulIntegerToFloat": func(x *foreignNode) {
			y := x.matMulInteger(x.need(0), x.need(1), x.arg(4), x.arg(5), x.need(2), x.need(3))
			x.set(0, x.biased(y, x.arg(6)))
		},
		"NhwcMaxPool": func(x *foreignNode) {
			attrs := x.keepAttrs("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")
			x.set(0, x.channelsLast(x.need(0), func(v *ir.Value) *ir.Value { return x.op("MaxPool", vals(v), attrs...) }))
		},
		"MatMulNBits": matMulNBits,
	})
}

// dequantize and quantize take a value, a scale and a zero point, in that
// order; the last may be nil.
func (x *foreignNode) dequantize(q ...*ir.Value) *ir.Value { return x.op("DequantizeLinear", trim(q)) }

func (x *foreignNode) quantize(q ...*ir.Value) *ir.Value { return x.op("QuantizeLinear", trim(q)) }

func trim(q []*ir.Value) []*ir.Value {
	for len(q) > 0 && q[len(q)-1] == nil {
		q = q[:len(q)-1]
	}
	return q
}

func qBinary(x *foreignNode, op string) {
	a := x.dequantize(x.need(0), x.need(1), x.arg(2))
	b := x.dequantize(x.need(3), x.need(4), x.arg(5))
	x.set(0, x.requantize(x.op(op, vals(a, b)), 6, x.need(0).Type.DType))
}

// requantize quantizes v by the scale at operand i and the zero point behind
// it; where that is absent, to the type of the inputs.
func (x *foreignNode) requantize(v *ir.Value, i int, d tensor.DType) *ir.Value {
	zero := x.arg(i + 1)
	if zero == nil {
		zero = x.b.Tensor(tensor.New(d))
	}
	return x.quantize(v, x.need(i), zero)
}

func qUnary(x *foreignNode, f func(*ir.Value) *ir.Value) {
	v := x.dequantize(x.need(0), x.need(1), x.arg(2))
	x.set(0, x.requantize(f(v), 3, x.need(0).Type.DType))
}

// qConcat takes the result's scale and zero point, then three operands for
// each input.
func qConcat(x *foreignNode) {
	if len(x.in) < 5 || len(x.in)%3 != 2 {
		x.fail("%d inputs, it takes 2 and 3 for each part", len(x.in))
	}
	var parts []*ir.Value
	for i := 2; i < len(x.in); i += 3 {
		parts = append(parts, x.dequantize(x.need(i), x.need(i+1), x.arg(i+2)))
	}
	x.set(0, x.requantize(x.op("Concat", parts, at("axis", x.int("axis", 0))), 0, x.need(2).Type.DType))
}

func qGlobalAveragePool(x *foreignNode) {
	qUnary(x, func(v *ir.Value) *ir.Value {
		return x.channelsFirst(v, func(v *ir.Value) *ir.Value { return x.op("GlobalAveragePool", vals(v)) })
	})
}

// channelsFirst calls f on v as [N,C,...], whichever way the node has it.
func (x *foreignNode) channelsFirst(v *ir.Value, f func(*ir.Value) *ir.Value) *ir.Value {
	if x.int("channels_last", 0) == 0 {
		return f(v)
	}
	return x.channelsLast(v, f)
}

// channelsLast calls f on v, which is [N,...,C], as [N,C,...].
func (x *foreignNode) channelsLast(v *ir.Value, f func(*ir.Value) *ir.Value) *ir.Value {
	r := x.rank(v)
	there, back := []int64{0, int64(r - 1)}, []int64{0}
	for i := 1; i < r-1; i++ {
		there = append(there, int64(i))
		back = append(back, int64(i+1))
	}
	y := f(x.op("Transpose", vals(v), at("perm", there)))
	return x.op("Transpose", vals(y), at("perm", append(back, 1)))
}

// matMulInteger is the exact product of integers times the scales.
func (x *foreignNode) matMulInteger(a, b, aZero, bZero, aScale, bScale *ir.Value) *ir.Value {
	y := x.op("MatMulInteger", trim(vals(a, b, aZero, bZero)))
	scale := x.op("Mul", vals(aScale, bScale))
	return x.op("Mul", vals(x.cast(y, scale.Type.DType), scale))
}

// qGemm is alpha·(A′×B′)·scales + C, C being integers of the product's scale;
// quantized if there is a scale for the result.
func qGemm(x *foreignNode) {
	side := func(v *ir.Value, trans string) *ir.Value {
		if x.int(trans, 0) == 0 {
			return v
		}
		return x.op("Transpose", vals(v), at("perm", []int64{1, 0}))
	}
	a, b := side(x.need(0), "transA"), side(x.need(3), "transB")
	y := x.op("MatMulInteger", trim(vals(a, b, x.arg(2), x.arg(5))))
	y = x.biased(y, x.arg(6))
	scale := x.op("Mul", vals(x.need(1), x.need(4)))
	if alpha := x.float("alpha", 1); alpha != 1 {
		scale = x.op("Mul", vals(scale, x.num(scale, float64(alpha))))
	}
	y = x.op("Mul", vals(x.cast(y, tensor.Float32), scale))
	if x.arg(7) != nil {
		y = x.requantize(y, 7, x.need(0).Type.DType)
	}
	x.set(0, y)
}

func dynamicQuantizeMatMul(x *foreignNode) {
	q := x.opN("DynamicQuantizeLinear", 3, vals(x.need(0)))
	y := x.matMulInteger(q[0], x.need(1), q[2], x.arg(3), q[1], x.need(2))
	x.set(0, x.biased(y, x.arg(4)))
}

// matMulNBits multiplies with a matrix of few bits a weight: N rows of K
// weights in blocks, each with its scale and zero point.
func matMulNBits(x *foreignNode) {
	k, n, bits, block := x.int("K", 0), x.int("N", 0), x.int("bits", 4), x.int("block_size", 0)
	d, ok := map[int64]tensor.DType{2: tensor.Uint2, 4: tensor.Uint4, 8: tensor.Uint8}[bits]
	if !ok || k <= 0 || n <= 0 || block < 16 || block > 1<<20 || k > 1<<31 || n > 1<<31 || x.arg(4) != nil {
		x.fail("K=%d, N=%d, bits=%d, block_size=%d, or a g_idx is not supported", k, n, bits, block)
	}
	blocks := (k + block - 1) / block
	weights := x.packed(x.need(1), d, int(n), int(blocks*block))
	scales := x.op("Reshape", vals(x.need(2), x.ints(n, blocks)))
	var w *ir.Value
	zeros := x.arg(3)
	switch {
	case zeros != nil && zeros.Type.DType.IsFloat(): // numbers, not integers: subtracted after conversion
		f := x.op("Reshape", vals(x.cast(weights, scales.Type.DType), x.ints(n, blocks, block)))
		f = x.op("Sub", vals(f, x.op("Reshape", vals(zeros, x.ints(n, blocks, 1)))))
		f = x.op("Mul", vals(f, x.op("Unsqueeze", vals(scales, x.ints(2)))))
		w = x.op("Reshape", vals(f, x.ints(n, blocks*block)))
	default:
		var z *ir.Value
		if zeros != nil {
			z = x.packed(zeros, d, int(n), int(blocks))
		} else {
			z = x.middle(d, int(n), int(blocks), 1<<(bits-1))
		}
		w = x.op("DequantizeLinear", vals(weights, scales, z), at("axis", int64(1)), at("block_size", block))
	}
	if blocks*block != k {
		w = x.op("Slice", vals(w, x.ints(0), x.ints(k), x.ints(1)))
	}
	y := x.op("MatMul", vals(x.need(0), x.op("Transpose", vals(w), at("perm", []int64{1, 0}))))
	x.set(0, x.biased(y, x.arg(5)))
}

// packed reads constant bytes as rows of narrow integers; every row starts at
// a byte of its own.
func (x *foreignNode) packed(v *ir.Value, d tensor.DType, rows, cols int) *ir.Value {
	src := v.Data()
	if src == nil || src.DType != tensor.Uint8 {
		x.fail("packed weights must be a constant of bytes, they are %s", v.Type)
	}
	stride := d.WireSize(cols)
	if src.Len() != rows*stride {
		x.fail("packed weights have %d bytes, %d rows of %d take %d", src.Len(), rows, cols, rows*stride)
	}
	return x.b.Constant(ir.LazyData(d, []int{rows, cols}, func() (*tensor.Tensor, error) {
		t, err := src.Tensor()
		if err != nil {
			return nil, err
		}
		per := 8 / d.Bits()
		wide, err := tensor.FromWire(d, []int{rows, stride * per}, t.Data)
		if err != nil || stride*per == cols {
			return wide, err
		}
		out := tensor.New(d, rows, cols)
		for r := range rows {
			copy(out.Data[r*cols:(r+1)*cols], wide.Data[r*stride*per:])
		}
		return out, nil
	}))
}

// middle is a constant of the zero point that absent zero points mean.
func (x *foreignNode) middle(d tensor.DType, rows, cols int, v byte) *ir.Value {
	return x.b.Constant(ir.LazyData(d, []int{rows, cols}, func() (*tensor.Tensor, error) {
		t := tensor.New(d, rows, cols)
		for i := range t.Data {
			t.Data[i] = v
		}
		return t, nil
	}))
}
