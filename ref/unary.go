package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/tensor"
)

// unary holds the functions of one real number, by ONNX's names.
var unary = map[string]func(float64) float64{
	"Abs":        math.Abs,
	"Acos":       math.Acos,
	"Acosh":      math.Acosh,
	"Asin":       math.Asin,
	"Asinh":      math.Asinh,
	"Atan":       math.Atan,
	"Atanh":      math.Atanh,
	"Ceil":       math.Ceil,
	"Cos":        math.Cos,
	"Cosh":       math.Cosh,
	"Erf":        math.Erf,
	"Exp":        math.Exp,
	"Floor":      math.Floor,
	"Log":        math.Log,
	"Neg":        func(x float64) float64 { return -x },
	"Reciprocal": func(x float64) float64 { return 1 / x },
	"Relu": func(x float64) float64 {
		if x < 0 {
			return 0
		}
		return x
	},
	"Round": math.RoundToEven,
	"Sign":  sign[float64],
	"Sin":   math.Sin,
	"Sinh":  math.Sinh,
	"Sqrt":  math.Sqrt,
	"Tan":   math.Tan,
	"Tanh":  math.Tanh,

	"Sigmoid":   sigmoid,
	"HardSwish": func(x float64) float64 { return x * min(max(x/6+0.5, 0), 1) },
	"Mish":      func(x float64) float64 { return x * math.Tanh(softplus(x)) },
	"Softplus":  softplus,
	"Softsign":  func(x float64) float64 { return x / (1 + math.Abs(x)) },
}

// Unary applies the named function to every element.
func Unary(name string, x *tensor.Tensor) (*tensor.Tensor, error) {
	if x.DType.IsInt() {
		return unaryInt(name, x)
	}
	f := unary[name]
	if f == nil || !x.DType.IsFloat() {
		return nil, fmt.Errorf("there is no %s of %s", name, x.DType)
	}
	return Map(x, f), nil
}

func unaryInt(name string, x *tensor.Tensor) (*tensor.Tensor, error) {
	switch x.DType {
	case tensor.Int8:
		return mapInt[int8](name, x)
	case tensor.Int16:
		return mapInt[int16](name, x)
	case tensor.Int32:
		return mapInt[int32](name, x)
	case tensor.Int64:
		return mapInt[int64](name, x)
	case tensor.Uint8:
		return mapInt[uint8](name, x)
	case tensor.Uint16:
		return mapInt[uint16](name, x)
	case tensor.Uint32:
		return mapInt[uint32](name, x)
	case tensor.Uint64:
		return mapInt[uint64](name, x)
	}
	return nil, fmt.Errorf("there is no %s of %s", name, x.DType)
}

func mapInt[T integer](name string, x *tensor.Tensor) (*tensor.Tensor, error) {
	var f func(T) T
	switch name {
	case "Abs":
		f = func(v T) T {
			if v < 0 {
				return -v
			}
			return v
		}
	case "Neg":
		f = func(v T) T { return -v }
	case "Sign":
		f = sign[T]
	case "Relu":
		f = func(v T) T { return max(v, 0) }
	case "BitwiseNot":
		f = func(v T) T { return ^v }
	default:
		return nil, fmt.Errorf("there is no %s of %s", name, x.DType)
	}
	y := tensor.New(x.DType, x.Shape...)
	out := tensor.Of[T](y)
	for i, v := range tensor.Of[T](x) {
		out[i] = f(v)
	}
	return y, nil
}

// integer is the set of Go's integers of fixed width.
type integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

func sign[T realNumber](x T) T {
	switch {
	case x > 0:
		return 1
	case x < 0:
		var one T = 1
		return -one
	}
	return x
}

func softplus(x float64) float64 {
	if x > 0 {
		return x + math.Log1p(math.Exp(-x))
	}
	return math.Log1p(math.Exp(x))
}

// Map applies f to every element of a floating point tensor and rounds once.
func Map(x *tensor.Tensor, f func(float64) float64) *tensor.Tensor {
	y := tensor.New(x.DType, x.Shape...)
	n := y.Len()
	const chunk = 1 << 14
	parallel((n+chunk-1)/chunk, func(c int) {
		lo, hi := c*chunk, min(n, (c+1)*chunk)
		switch x.DType {
		case tensor.Float32:
			in, out := tensor.Part[float32](x, lo, hi), tensor.Part[float32](y, lo, hi)
			for i, v := range in {
				out[i] = float32(f(float64(v)))
			}
		case tensor.Float64:
			in, out := tensor.Part[float64](x, lo, hi), tensor.Part[float64](y, lo, hi)
			for i, v := range in {
				out[i] = f(v)
			}
		case tensor.Float16:
			in, out := tensor.Part[uint16](x, lo, hi), tensor.Part[uint16](y, lo, hi)
			for i, v := range in {
				out[i] = float16.FromFloat64(f(float64(float16.ToFloat32(v))))
			}
		case tensor.BFloat16:
			in, out := tensor.Part[uint16](x, lo, hi), tensor.Part[uint16](y, lo, hi)
			for i, v := range in {
				out[i] = float16.BFloat16FromFloat64(f(float64(float16.BFloat16ToFloat32(v))))
			}
		default:
			panic(fmt.Sprintf("ref: Map of %s", x.DType))
		}
	})
	return y
}

// predicate returns a bool tensor that tells of each element whether f holds.
func predicate(x *tensor.Tensor, f func(float64) bool) (*tensor.Tensor, error) {
	v, err := reals(x)
	if err != nil {
		return nil, err
	}
	y := tensor.New(tensor.Bool, x.Shape...)
	for i, e := range v {
		if f(e) {
			y.Data[i] = 1
		}
	}
	return y, nil
}

// IsNaN tells which elements are not a number.
func IsNaN(x *tensor.Tensor) (*tensor.Tensor, error) {
	return predicate(x, func(v float64) bool { return v != v })
}

// IsInf tells which elements are infinities of the wanted signs.
func IsInf(x *tensor.Tensor, negative, positive bool) (*tensor.Tensor, error) {
	return predicate(x, func(v float64) bool {
		return positive && math.IsInf(v, 1) || negative && math.IsInf(v, -1)
	})
}

// Not negates truth values.
func Not(x *tensor.Tensor) (*tensor.Tensor, error) {
	if x.DType != tensor.Bool {
		return nil, fmt.Errorf("there is no Not of %s", x.DType)
	}
	y := tensor.New(tensor.Bool, x.Shape...)
	for i, v := range x.Data {
		if v == 0 {
			y.Data[i] = 1
		}
	}
	return y, nil
}
