package ref

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// Granularity says how the elements of scales and zero points belong to those
// of the tensor: one for all, one a position along Axis, or one for each Block
// positions along it.
type Granularity struct{ Axis, Block int }

// placement returns, for an element's offset in x, that of its scale.
func (g Granularity) placement(x, scale *tensor.Tensor) (func(i int) int, error) {
	if scale.Len() == 1 {
		return func(int) int { return 0 }, nil
	}
	axis, err := axisOf(g.Axis, x.Rank())
	if err != nil {
		return nil, err
	}
	n, inner := x.Shape[axis], product(x.Shape[axis+1:])
	if scale.Rank() == 1 && g.Block == 0 {
		if scale.Len() != n {
			return nil, fmt.Errorf("scale is %s for axis %d of %s", scale, axis, x)
		}
		return func(i int) int { return i / inner % n }, nil
	}
	block := g.Block
	if scale.Rank() == x.Rank() && block == 0 && scale.Shape[axis] > 0 {
		block = (n + scale.Shape[axis] - 1) / scale.Shape[axis]
	}
	want := append([]int{}, x.Shape...)
	want[axis] = (n + max(block, 1) - 1) / max(block, 1)
	if block < 1 || sameShape("scale", scale, want) != nil {
		return nil, fmt.Errorf("scale is %s, %s in blocks of %d along axis %d takes shape %v", scale, x, block, axis, want)
	}
	blocks := want[axis]
	return func(i int) int { return (i/inner/n*blocks+i/inner%n/block)*inner + i%inner }, nil
}

// quantization is a tensor with the scales and zero points of its elements: element i
// has those at at(i).
type quantization struct {
	in, scale, zero []float64
	at              func(i int) int
}

// of reads the operands of a quantization; zero may be nil.
func (g Granularity) of(x, scale, zero *tensor.Tensor) (*quantization, error) {
	at, err := g.placement(x, scale)
	if err != nil {
		return nil, err
	}
	a := &quantization{at: at, zero: make([]float64, scale.Len())}
	if a.in, err = reals(x); err != nil {
		return nil, err
	}
	if a.scale, err = reals(scale); err != nil {
		return nil, err
	}
	if zero == nil {
		return a, nil
	}
	if zero.Len() != scale.Len() {
		return nil, fmt.Errorf("zero point is %s, scale %s, want equal shapes", zero, scale)
	}
	a.zero, err = reals(zero)
	return a, err
}

// Quantize computes ONNX's QuantizeLinear: x/scale in the given precision
// (Undefined: the scale's own), to integers rounded half to even plus the zero
// point, saturated; zero may be nil.
func Quantize(x, scale, zero *tensor.Tensor, g Granularity, to, precision tensor.DType, saturate bool) (*tensor.Tensor, error) {
	a, err := g.of(x, scale, zero)
	if err != nil {
		return nil, err
	}
	if precision == tensor.Undefined {
		precision = scale.DType
	}
	round := precisionOf(precision)
	v := make([]float64, len(a.in))
	for i, e := range a.in {
		j := a.at(i)
		q := round(round(e) / round(a.scale[j]))
		if to.IsInt() {
			q = math.RoundToEven(q)
		}
		v[i] = q + a.zero[j]
	}
	return fromReals(to, v, CastOptions{Saturate: saturate}, x.Shape...), nil
}

// precisionOf rounds to a floating point type; types without arithmetic of
// their own count as float32.
func precisionOf(d tensor.DType) func(float64) float64 {
	switch d {
	case tensor.Float16, tensor.BFloat16, tensor.Float64:
		return rounder(d)
	}
	return func(v float64) float64 { return float64(float32(v)) }
}

// Dequantize computes ONNX's DequantizeLinear, (x-zero)*scale; zero may be nil.
func Dequantize(x, scale, zero *tensor.Tensor, g Granularity, to tensor.DType) (*tensor.Tensor, error) {
	a, err := g.of(x, scale, zero)
	if err != nil {
		return nil, err
	}
	v := make([]float64, len(a.in))
	for i, e := range a.in {
		j := a.at(i)
		v[i] = (e - a.zero[j]) * a.scale[j]
	}
	return fromReals(to, v, CastOptions{Saturate: true}, x.Shape...), nil
}

// DynamicQuantize quantizes a float32 tensor to uint8 over the range of its
// elements, zero included.
func DynamicQuantize(x *tensor.Tensor) (y, scale, zero *tensor.Tensor, err error) {
	if x.DType != tensor.Float32 {
		return nil, nil, nil, fmt.Errorf("x is %s, want f32", x)
	}
	var lo, hi float32
	for _, v := range tensor.Of[float32](x) {
		lo, hi = min(lo, v), max(hi, v)
	}
	s := float32(1) / 255
	if hi > lo {
		s = (hi - lo) / 255
	}
	z := math.RoundToEven(float64(min(max(-lo/s, 0), 255)))
	scale = tensor.Scalar(tensor.Float32, s)
	zero = tensor.Scalar(tensor.Uint8, uint8(z))
	y, err = Quantize(x, scale, zero, Granularity{}, tensor.Uint8, tensor.Undefined, true)
	return y, scale, zero, err
}

// MatMulInteger returns the exact product of a - aZero and b - bZero as
// int32. Zero points are scalars, vectors (of rows of a, of columns of b) or
// broadcast; they may be nil.
func MatMulInteger(a, b, aZero, bZero *tensor.Tensor) (*tensor.Tensor, error) {
	c, err := integerMatMul(a, b, aZero, bZero)
	if err != nil {
		return nil, err
	}
	return castFloats(tensor.Of[float64](c), tensor.Int32, CastOptions{}, c.Shape), nil
}

// integerMatMul multiplies exactly: products of 8-bit values and their sums
// fit float64.
func integerMatMul(a, b, aZero, bZero *tensor.Tensor) (*tensor.Tensor, error) {
	x, err := minusZero(a, perRow(aZero, a))
	if err != nil {
		return nil, err
	}
	y, err := minusZero(b, bZero)
	if err != nil {
		return nil, err
	}
	return MatMul(x, y)
}

// perRow lets a vector that belongs to the rows of matrices broadcast so.
func perRow(v, matrix *tensor.Tensor) *tensor.Tensor {
	if v == nil || v.Rank() != 1 || v.Len() == 1 || matrix.Rank() < 2 {
		return v
	}
	return v.Reshaped(v.Len(), 1)
}

func minusZero(t, zero *tensor.Tensor) (*tensor.Tensor, error) {
	v, err := reals(t)
	if err != nil {
		return nil, err
	}
	out := tensor.New(tensor.Float64, t.Shape...)
	if zero == nil {
		copy(tensor.Of[float64](out), v)
		return out, nil
	}
	z, err := reals(zero)
	if err != nil {
		return nil, err
	}
	shape, err := broadcastShape(t.Shape, zero.Shape)
	if err != nil {
		return nil, err
	}
	if zero.Len() != 1 && sameShape("zero point", t, shape) != nil {
		return nil, fmt.Errorf("zero point %s does not broadcast to %s", zero, t)
	}
	zShape := zero.Shape
	if zero.Len() == 1 {
		zShape = nil
	}
	zip(tensor.Of[float64](out), t.Shape, v, t.Shape, z, zShape, func(p, q float64) float64 { return p - q })
	return out, nil
}

// QLinearMatMul is a quantized matrix product: exact integers, times the
// scales in float32, rounded half to even, plus the zero point.
func QLinearMatMul(a, b *tensor.Tensor, aq, bq, yq Quant) (*tensor.Tensor, error) {
	c, err := integerMatMul(a, b, aq.Zero, bq.Zero)
	if err != nil {
		return nil, err
	}
	v := tensor.Of[float64](c)
	factors := []struct {
		t *tensor.Tensor
		f func(p, q float64) float64
	}{
		{perRow(aq.Scale, c), binary["Mul"]},
		{bq.Scale, binary["Mul"]},
		{perRow(yq.Scale, c), binary["Div"]},
	}
	scale := make([]float64, len(v))
	for i := range scale {
		scale[i] = 1
	}
	for _, f := range factors {
		s, err := reals(f.t)
		if err != nil {
			return nil, err
		}
		if err := broadcastsTo(f.t, c.Shape); err != nil {
			return nil, err
		}
		zip(scale, c.Shape, scale, c.Shape, s, trimOnes(f.t.Shape, len(c.Shape)), func(p, q float64) float64 { return float64(float32(f.f(p, q))) })
	}
	to := yq.Zero.DType
	for i := range v {
		v[i] *= scale[i]
		if to.IsInt() {
			v[i] = math.RoundToEven(v[i])
		}
	}
	zero := perRow(yq.Zero, c)
	if err := broadcastsTo(zero, c.Shape); err != nil {
		return nil, err
	}
	z, err := reals(zero)
	if err != nil {
		return nil, err
	}
	zip(v, c.Shape, v, c.Shape, z, trimOnes(zero.Shape, len(c.Shape)), binary["Add"])
	return fromReals(to, v, CastOptions{Saturate: true}, c.Shape...), nil
}

func broadcastsTo(t *tensor.Tensor, shape []int) error {
	out, err := broadcastShape(trimOnes(t.Shape, len(shape)), shape)
	if err != nil {
		return err
	}
	if !slices.Equal(out, shape) {
		return fmt.Errorf("%s does not broadcast to %v", t, shape)
	}
	return nil
}

// trimOnes drops leading dims of 1 beyond the given rank.
func trimOnes(shape []int, rank int) []int {
	for len(shape) > rank && shape[0] == 1 {
		shape = shape[1:]
	}
	return shape
}
