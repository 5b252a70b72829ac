package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// ConvInteger computes ONNX's ConvInteger: the exact convolution of x - xZero
// and w - wZero, as int32. xZero is a scalar, wZero a scalar or [M]; both may be nil.
func ConvInteger(x, w, xZero, wZero *tensor.Tensor, win Window, group int) (*tensor.Tensor, error) {
	c, y, err := integerConv(x, w, xZero, wZero, nil, win, group)
	if err != nil {
		return nil, err
	}
	out := tensor.New(tensor.Int32, c.shape()...)
	for i, v := range y {
		tensor.Of[int32](out)[i] = int32(int64(v))
	}
	return out, nil
}

// integerConv convolves exactly: every product and sum of 8-bit values fits
// float64's 53 bits.
func integerConv(x, w, xZero, wZero, b *tensor.Tensor, win Window, group int) (*conv, []float64, error) {
	c, err := newConv(x.Shape, w.Shape, win, group)
	if err != nil {
		return nil, nil, err
	}
	xs, err := centred(x, xZero, 1)
	if err != nil {
		return nil, nil, err
	}
	ws, err := centred(w, wZero, c.m)
	if err != nil {
		return nil, nil, err
	}
	var bias []float64
	if b != nil {
		if bias = Float64s(b); len(bias) != c.m {
			return nil, nil, fmt.Errorf("the bias is %s, the filter has %d output channels", b, c.m)
		}
	}
	y, err := c.run(xs, ws, bias)
	return c, y, err
}

// centred returns t minus its zero point: one, or one for each of n slices of
// t's first dim.
func centred(t, zero *tensor.Tensor, n int) ([]float64, error) {
	v := make([]float64, t.Len())
	readFloat64s(v, t, 0)
	if zero == nil {
		return v, nil
	}
	z := Float64s(zero)
	if len(z) != 1 && len(z) != n {
		return nil, fmt.Errorf("zero point %s must have 1 or %d elements", zero, n)
	}
	if len(v) == 0 {
		return v, nil
	}
	slice := len(v) / len(z)
	for i := range v {
		v[i] -= z[i/slice]
	}
	return v, nil
}

// Quant is a tensor's quantization: real = (q - Zero) * Scale.
type Quant struct{ Scale, Zero *tensor.Tensor }

// QLinearConv computes ONNX's QLinearConv: an exact integer convolution plus the
// int32 bias b, times xq.Scale*wq.Scale/yq.Scale in float32, rounded half to
// even. w may be quantized by output channel.
func QLinearConv(x, w, b *tensor.Tensor, xq, wq, yq Quant, win Window, group int) (*tensor.Tensor, error) {
	c, acc, err := integerConv(x, w, xq.Zero, wq.Zero, b, win, group)
	if err != nil {
		return nil, err
	}
	if xq.Scale.Len() != 1 || yq.Scale.Len() != 1 || yq.Zero.Len() != 1 || (wq.Scale.Len() != 1 && wq.Scale.Len() != c.m) {
		return nil, fmt.Errorf("scales of input (%s) and output (%s) must be scalars, of the filter (%s) a scalar or [%d]", xq.Scale, yq.Scale, wq.Scale, c.m)
	}
	xs, ys := float32(Float64s(xq.Scale)[0]), float32(Float64s(yq.Scale)[0])
	zero, scales := Float64s(yq.Zero)[0], Float64s(wq.Scale)
	for i, v := range acc {
		scale := xs * float32(scales[i/c.outs%c.m%len(scales)]) / ys
		acc[i] = math.RoundToEven(float64(float32(v)*scale)) + zero
	}
	return fromFloat64s(yq.Zero.DType, acc, c.shape()...), nil
}
