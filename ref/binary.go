package ref

import (
	"cmp"
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// binary holds the arithmetic of two real numbers, by ONNX's names.
var binary = map[string]func(a, b float64) float64{
	"Add": func(a, b float64) float64 { return a + b },
	"Sub": func(a, b float64) float64 { return a - b },
	"Mul": func(a, b float64) float64 { return a * b },
	"Div": func(a, b float64) float64 { return a / b },
	"Pow": math.Pow,
	"Max": larger,
	"Min": smaller,
	"Mod": floorMod,
	// FMod is Mod with fmod=1: the result has the sign of a.
	"FMod": math.Mod,
}

// larger and smaller let a NaN through, also beside an infinity.
func larger(a, b float64) float64 {
	if a != a || b != b {
		return math.NaN()
	}
	return max(a, b)
}

func smaller(a, b float64) float64 {
	if a != a || b != b {
		return math.NaN()
	}
	return min(a, b)
}

// floorMod returns a - floor(a/b)*b, which has the sign of b.
func floorMod(a, b float64) float64 {
	m := math.Mod(a, b)
	switch {
	case m == 0:
		return math.Copysign(0, b)
	case (m < 0) != (b < 0):
		return m + b
	}
	return m
}

// Binary applies arithmetic of two operands of one element type, with
// broadcasting. Integers wrap around; their division rounds to zero.
func Binary(name string, a, b *tensor.Tensor) (*tensor.Tensor, error) {
	if a.DType != b.DType {
		return nil, fmt.Errorf("operands are %s and %s, want one element type", a, b)
	}
	shape, err := broadcastShape(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	switch a.DType {
	case tensor.Int8:
		return zipInt[int8](name, a, b, shape)
	case tensor.Int16:
		return zipInt[int16](name, a, b, shape)
	case tensor.Int32:
		return zipInt[int32](name, a, b, shape)
	case tensor.Int64:
		return zipInt[int64](name, a, b, shape)
	case tensor.Uint8:
		return zipInt[uint8](name, a, b, shape)
	case tensor.Uint16:
		return zipInt[uint16](name, a, b, shape)
	case tensor.Uint32:
		return zipInt[uint32](name, a, b, shape)
	case tensor.Uint64:
		return zipInt[uint64](name, a, b, shape)
	}
	f := binary[name]
	if f == nil || !a.DType.IsFloat() {
		return nil, fmt.Errorf("there is no %s of %s", name, a.DType)
	}
	return zipReal(a, b, shape, f)
}

// zipReal computes f on real numbers; the result has a's element type.
func zipReal(a, b *tensor.Tensor, shape []int, f func(a, b float64) float64) (*tensor.Tensor, error) {
	y, err := newResult(a.DType, shape...)
	if err != nil {
		return nil, err
	}
	if a.DType == tensor.Float32 && b.DType == tensor.Float32 {
		zip(tensor.Of[float32](y), shape, tensor.Of[float32](a), a.Shape, tensor.Of[float32](b), b.Shape,
			func(p, q float32) float32 { return float32(f(float64(p), float64(q))) })
		return y, nil
	}
	v, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	zip(v, shape, Float64s(a), a.Shape, Float64s(b), b.Shape, f)
	return fromFloat64s(a.DType, v, shape...), nil
}

func zipInt[T integer](name string, a, b *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	f := intArithmetic[T](name)
	if f == nil {
		return nil, fmt.Errorf("there is no %s of %s", name, a.DType)
	}
	y, err := newResult(a.DType, shape...)
	if err != nil {
		return nil, err
	}
	if name == "Div" || name == "Mod" || name == "FMod" {
		for _, v := range tensor.Of[T](b) {
			if v == 0 {
				return nil, fmt.Errorf("%s by zero in %s", name, b)
			}
		}
	}
	zip(tensor.Of[T](y), shape, tensor.Of[T](a), a.Shape, tensor.Of[T](b), b.Shape, f)
	return y, nil
}

func intArithmetic[T integer](name string) func(a, b T) T {
	switch name {
	case "Add":
		return func(a, b T) T { return a + b }
	case "Sub":
		return func(a, b T) T { return a - b }
	case "Mul":
		return func(a, b T) T { return a * b }
	case "Div":
		return func(a, b T) T { return a / b }
	case "Max":
		return func(a, b T) T { return max(a, b) }
	case "Min":
		return func(a, b T) T { return min(a, b) }
	case "FMod":
		return func(a, b T) T { return a % b }
	case "Mod":
		return func(a, b T) T {
			m := a % b
			if m != 0 && (m < 0) != (b < 0) {
				m += b
			}
			return m
		}
	case "Pow":
		return intPow[T]
	case "BitwiseAnd":
		return func(a, b T) T { return a & b }
	case "BitwiseOr":
		return func(a, b T) T { return a | b }
	case "BitwiseXor":
		return func(a, b T) T { return a ^ b }
	case "LeftShift":
		return func(a, b T) T { return a << shiftCount(b) }
	case "RightShift":
		return func(a, b T) T { return a >> shiftCount(b) }
	}
	return nil
}

// shiftCount maps the counts that ONNX calls out of range to one that leaves
// nothing but the sign.
func shiftCount[T integer](b T) uint64 {
	if b < 0 {
		return 64
	}
	return uint64(b)
}

// intPow wraps around; a negative exponent gives the truncated fraction.
func intPow[T integer](a, b T) T {
	if b < 0 {
		switch {
		case a == 1:
			return 1
		case a+1 == 0: // -1
			if b%2 == 0 {
				return 1
			}
			return a
		}
		return 0
	}
	var r T = 1
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			r *= a
		}
		a *= a
	}
	return r
}

// Pow raises a to the power b. The result has a's element type, whatever b's.
func Pow(a, b *tensor.Tensor) (*tensor.Tensor, error) {
	shape, err := broadcastShape(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	if a.DType.IsInt() && b.DType.IsInt() {
		if a.DType == b.DType {
			return Binary("Pow", a, b)
		}
		wide := make([]*tensor.Tensor, 2)
		for i, t := range []*tensor.Tensor{a, b} {
			if wide[i], err = Cast(t, tensor.Int64, CastOptions{}); err != nil {
				return nil, err
			}
		}
		y, err := Binary("Pow", wide[0], wide[1])
		if err != nil {
			return nil, err
		}
		return Cast(y, a.DType, CastOptions{})
	}
	if !a.DType.IsInt() {
		return zipReal(a, b, shape, math.Pow)
	}
	v, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	zip(v, shape, Float64s(a), a.Shape, Float64s(b), b.Shape, func(p, q float64) float64 { return math.Trunc(math.Pow(p, q)) })
	return fromFloat64s(a.DType, v, shape...), nil
}

// Compare applies Equal, Less, LessOrEqual, Greater or GreaterOrEqual to two
// operands of one element type. The result is bool.
func Compare(name string, a, b *tensor.Tensor) (*tensor.Tensor, error) {
	if a.DType != b.DType {
		return nil, fmt.Errorf("operands are %s and %s, want one element type", a, b)
	}
	switch {
	case a.DType == tensor.String:
		return zipCompare(name, a, a.Strings, b, b.Strings)
	case a.DType == tensor.Int64:
		return zipCompare(name, a, tensor.Of[int64](a), b, tensor.Of[int64](b))
	case a.DType == tensor.Uint64:
		return zipCompare(name, a, tensor.Of[uint64](a), b, tensor.Of[uint64](b))
	case a.DType == tensor.Float32:
		return zipCompare(name, a, tensor.Of[float32](a), b, tensor.Of[float32](b))
	}
	p, err := reals(a)
	if err != nil {
		return nil, err
	}
	q, err := reals(b)
	if err != nil {
		return nil, err
	}
	return zipCompare(name, a, p, b, q)
}

func zipCompare[T cmp.Ordered](name string, a *tensor.Tensor, p []T, b *tensor.Tensor, q []T) (*tensor.Tensor, error) {
	var f func(x, y T) bool
	switch name {
	case "Equal":
		f = func(x, y T) bool { return x == y }
	case "Less":
		f = func(x, y T) bool { return x < y }
	case "LessOrEqual":
		f = func(x, y T) bool { return x <= y }
	case "Greater":
		f = func(x, y T) bool { return x > y }
	case "GreaterOrEqual":
		f = func(x, y T) bool { return x >= y }
	default:
		return nil, fmt.Errorf("there is no comparison %s", name)
	}
	return zipBool(a, p, b, q, f)
}

func zipBool[T any](a *tensor.Tensor, p []T, b *tensor.Tensor, q []T, f func(x, y T) bool) (*tensor.Tensor, error) {
	shape, err := broadcastShape(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	y, err := newResult(tensor.Bool, shape...)
	if err != nil {
		return nil, err
	}
	zip(tensor.Of[bool](y), shape, p, a.Shape, q, b.Shape, f)
	return y, nil
}

// Logical applies And, Or or Xor to truth values.
func Logical(name string, a, b *tensor.Tensor) (*tensor.Tensor, error) {
	if a.DType != tensor.Bool || b.DType != tensor.Bool {
		return nil, fmt.Errorf("operands are %s and %s, want bool", a, b)
	}
	var f func(x, y byte) bool
	switch name {
	case "And":
		f = func(x, y byte) bool { return x != 0 && y != 0 }
	case "Or":
		f = func(x, y byte) bool { return x != 0 || y != 0 }
	case "Xor":
		f = func(x, y byte) bool { return (x != 0) != (y != 0) }
	default:
		return nil, fmt.Errorf("there is no logical %s", name)
	}
	return zipBool(a, a.Data, b, b.Data, f)
}

// BitShift shifts a by b bits; right shifts keep the sign.
func BitShift(a, b *tensor.Tensor, direction string) (*tensor.Tensor, error) {
	switch direction {
	case "LEFT":
		return Binary("LeftShift", a, b)
	case "RIGHT":
		return Binary("RightShift", a, b)
	}
	return nil, fmt.Errorf("direction is %q, want LEFT or RIGHT", direction)
}

// Variadic applies Sum, Mean, Max or Min to any number of operands.
func Variadic(name string, xs ...*tensor.Tensor) (*tensor.Tensor, error) {
	if len(xs) == 0 {
		return nil, fmt.Errorf("%s needs an operand", name)
	}
	if xs[0].DType.IsInt() || name == "Max" || name == "Min" {
		if name == "Sum" {
			name = "Add"
		}
		y := xs[0]
		var err error
		for _, x := range xs[1:] {
			if y, err = Binary(name, y, x); err != nil {
				return nil, err
			}
		}
		return y, nil
	}
	if name != "Sum" && name != "Mean" {
		return nil, fmt.Errorf("there is no variadic %s", name)
	}
	shapes := make([][]int, len(xs))
	for i, x := range xs {
		shapes[i] = x.Shape
		if x.DType != xs[0].DType || !x.DType.IsFloat() {
			return nil, fmt.Errorf("operand %d is %s, want %s", i, x, xs[0].DType)
		}
	}
	shape, err := broadcastShape(shapes...)
	if err != nil {
		return nil, err
	}
	sum, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	for _, x := range xs {
		zip(sum, shape, sum, shape, Float64s(x), x.Shape, binary["Add"])
	}
	if name == "Mean" {
		for i := range sum {
			sum[i] /= float64(len(xs))
		}
	}
	return fromFloat64s(xs[0].DType, sum, shape...), nil
}

// Where takes elements of a where cond is true, of b elsewhere.
func Where(cond, a, b *tensor.Tensor) (*tensor.Tensor, error) {
	if cond.DType != tensor.Bool || a.DType != b.DType {
		return nil, fmt.Errorf("operands are %s, %s and %s, want bool and twice the same type", cond, a, b)
	}
	shape, err := broadcastShape(cond.Shape, a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	y, err := Expand(b, shape)
	if err != nil {
		return nil, err
	}
	if y == b {
		y = b.Clone()
	}
	mask, err := Expand(cond, shape)
	if err != nil {
		return nil, err
	}
	if a, err = Expand(a, shape); err != nil {
		return nil, err
	}
	if a.DType == tensor.String {
		choose(y.Strings, a.Strings, mask.Data, 1)
	} else {
		choose(y.Data, a.Data, mask.Data, a.DType.Size())
	}
	return y, nil
}

func choose[T any](dst, src []T, mask []byte, size int) {
	for i, m := range mask {
		if m != 0 {
			copy(dst[i*size:(i+1)*size], src[i*size:(i+1)*size])
		}
	}
}

// Clip bounds every element; lo and hi are scalars or nil.
func Clip(x, lo, hi *tensor.Tensor) (*tensor.Tensor, error) {
	var err error
	for _, b := range []struct {
		name  string
		bound *tensor.Tensor
	}{{"Max", lo}, {"Min", hi}} {
		if b.bound == nil {
			continue
		}
		if b.bound.Len() != 1 {
			return nil, fmt.Errorf("a bound is %s, want a scalar", b.bound)
		}
		if x, err = Binary(b.name, x, b.bound.Reshaped()); err != nil {
			return nil, err
		}
	}
	return x, nil
}
