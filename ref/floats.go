package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/tensor"
)

// realNumber is the set of Go types whose values float64 can hold, save for the
// last bits of 64-bit integers.
type realNumber interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

// Float64s returns the elements of a tensor of real numbers. The memory of a
// float64 tensor is shared, so the result is for reading.
func Float64s(t *tensor.Tensor) []float64 {
	if t.DType == tensor.Float64 {
		return tensor.Of[float64](t)
	}
	v := make([]float64, t.Len())
	readFloat64s(v, t, 0)
	return v
}

// readFloat64s fills dst with the elements of t from the given index on.
func readFloat64s(dst []float64, t *tensor.Tensor, from int) {
	to := from + len(dst)
	switch t.DType {
	case tensor.Float64:
		copy(dst, tensor.Part[float64](t, from, to))
	case tensor.Float32:
		widen(dst, tensor.Part[float32](t, from, to))
	case tensor.Float16:
		for i, h := range tensor.Part[uint16](t, from, to) {
			dst[i] = float64(float16.ToFloat32(h))
		}
	case tensor.BFloat16:
		for i, h := range tensor.Part[uint16](t, from, to) {
			dst[i] = float64(float16.BFloat16ToFloat32(h))
		}
	case tensor.Int8, tensor.Int4, tensor.Int2:
		widen(dst, tensor.Part[int8](t, from, to))
	case tensor.Int16:
		widen(dst, tensor.Part[int16](t, from, to))
	case tensor.Int32:
		widen(dst, tensor.Part[int32](t, from, to))
	case tensor.Int64:
		widen(dst, tensor.Part[int64](t, from, to))
	case tensor.Uint8, tensor.Uint4, tensor.Uint2, tensor.Bool:
		widen(dst, tensor.Part[uint8](t, from, to))
	case tensor.Uint16:
		widen(dst, tensor.Part[uint16](t, from, to))
	case tensor.Uint32:
		widen(dst, tensor.Part[uint32](t, from, to))
	case tensor.Uint64:
		widen(dst, tensor.Part[uint64](t, from, to))
	default:
		v, err := reals(t)
		if err != nil {
			panic("ref: " + err.Error())
		}
		copy(dst, v[from:])
	}
}

func widen[T realNumber](dst []float64, src []T) {
	for i, v := range src {
		dst[i] = float64(v)
	}
}

// fromFloat64s makes a tensor of type d. Each element is rounded once, to
// nearest even; what an integer type can not hold becomes its nearest bound.
func fromFloat64s(d tensor.DType, v []float64, shape ...int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	if len(v) != t.Len() {
		panic(fmt.Sprintf("ref: %d values for shape %v", len(v), shape))
	}
	switch d {
	case tensor.Float64:
		copy(tensor.Of[float64](t), v)
	case tensor.Float32:
		out := tensor.Of[float32](t)
		for i, x := range v {
			out[i] = float32(x)
		}
	case tensor.Float16:
		out := tensor.Of[uint16](t)
		for i, x := range v {
			out[i] = float16.FromFloat64(x)
		}
	case tensor.BFloat16:
		out := tensor.Of[uint16](t)
		for i, x := range v {
			out[i] = float16.BFloat16FromFloat64(x)
		}
	case tensor.Int8:
		narrow(tensor.Of[int8](t), v, math.MinInt8, math.MaxInt8)
	case tensor.Int16:
		narrow(tensor.Of[int16](t), v, math.MinInt16, math.MaxInt16)
	case tensor.Int32:
		narrow(tensor.Of[int32](t), v, math.MinInt32, math.MaxInt32)
	case tensor.Int64:
		narrow(tensor.Of[int64](t), v, math.MinInt64, math.MaxInt64)
	case tensor.Uint8:
		narrow(tensor.Of[uint8](t), v, 0, math.MaxUint8)
	case tensor.Uint16:
		narrow(tensor.Of[uint16](t), v, 0, math.MaxUint16)
	case tensor.Uint32:
		narrow(tensor.Of[uint32](t), v, 0, math.MaxUint32)
	case tensor.Uint64:
		narrow(tensor.Of[uint64](t), v, 0, math.MaxUint64)
	default:
		panic(fmt.Sprintf("ref: %s elements are not real numbers", d))
	}
	return t
}

func narrow[T realNumber](dst []T, v []float64, lo, hi T) {
	for i, x := range v {
		switch x = math.RoundToEven(x); {
		case x >= float64(hi):
			dst[i] = hi
		case x <= float64(lo):
			dst[i] = lo
		default:
			dst[i] = T(x)
		}
	}
}

// computable reports an error for a type that is none to compute in: anything
// but the float types of 16 bits and more.
func computable(d tensor.DType) error {
	if !d.IsFloat() || isSmallFloat(d) {
		return fmt.Errorf("%s is no type to compute in", d)
	}
	return nil
}

// storable reports an error for a type that fromFloat64s does not make: anything
// but integers of 8 bits and more and the types to compute in.
func storable(d tensor.DType) error {
	if d.IsInt() && !d.IsSubByte() {
		return nil
	}
	return computable(d)
}

// product returns the product of the dims, 1 for none. The dims must be those
// of a tensor that exists, or be checked by tensor.NumElements.
func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// newFloats returns zeros for a tensor of a shape that comes from outside.
func newFloats(shape []int) ([]float64, error) {
	n, err := tensor.NumElements(shape)
	if err != nil {
		return nil, err
	}
	if n > maxFloats {
		return nil, fmt.Errorf("a result of shape %v has %d elements, more than %d", shape, n, maxFloats)
	}
	return make([]float64, n), nil
}

// maxFloats bounds the float64s that an operator computes at once: 2 GB of them.
const maxFloats = 1 << 28

// maxResult bounds what one reference operator allocates (2^31 elements), so that
// a small file can not ask for all memory.
const maxResult = 1 << 31
