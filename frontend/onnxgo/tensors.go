package onnxgo

import (
	"fmt"
	"reflect"

	gorgonia "gorgonia.org/tensor"

	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// elements copies between slices of Go and the memory of a tensor.
type elements struct {
	dtype tensor.DType
	take  func(data any, shape []int) *tensor.Tensor
	give  func(t *tensor.Tensor) any
}

func number[T tensor.Number](d tensor.DType) elements {
	return elements{
		dtype: d,
		take:  func(data any, shape []int) *tensor.Tensor { return tensor.From(d, data.([]T), shape...) },
		give:  func(t *tensor.Tensor) any { return append(make([]T, 0, t.Len()), tensor.Of[T](t)...) },
	}
}

// known maps the element types that both sides know, by their Go type.
var known = map[reflect.Type]elements{
	reflect.TypeFor[float32]():    number[float32](tensor.Float32),
	reflect.TypeFor[float64]():    number[float64](tensor.Float64),
	reflect.TypeFor[int8]():       number[int8](tensor.Int8),
	reflect.TypeFor[int16]():      number[int16](tensor.Int16),
	reflect.TypeFor[int32]():      number[int32](tensor.Int32),
	reflect.TypeFor[int64]():      number[int64](tensor.Int64),
	reflect.TypeFor[uint8]():      number[uint8](tensor.Uint8),
	reflect.TypeFor[uint16]():     number[uint16](tensor.Uint16),
	reflect.TypeFor[uint32]():     number[uint32](tensor.Uint32),
	reflect.TypeFor[uint64]():     number[uint64](tensor.Uint64),
	reflect.TypeFor[bool]():       number[bool](tensor.Bool),
	reflect.TypeFor[complex64]():  number[complex64](tensor.Complex64),
	reflect.TypeFor[complex128](): number[complex128](tensor.Complex128),
	reflect.TypeFor[string](): {
		dtype: tensor.String,
		take:  func(data any, shape []int) *tensor.Tensor { return tensor.StringsOf(data.([]string), shape...) },
		give:  func(t *tensor.Tensor) any { return append(make([]string, 0, t.Len()), t.Strings...) },
	},
}

var byDType = func() map[tensor.DType]elements {
	m := map[tensor.DType]elements{}
	for _, e := range known {
		m[e.dtype] = e
	}
	return m
}()

// guard turns a panic into an error.
func guard(what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: %v", what, p)
	}
}

// FromGorgonia copies a tensor of gorgonia's into one of hone's. Views,
// transposed and sparse tensors become dense and row-major. Go's int counts
// as int64.
func FromGorgonia(t gorgonia.Tensor) (out *tensor.Tensor, err error) {
	defer guard("tensor", &err)
	if sparse, ok := t.(*gorgonia.CS); ok {
		t = sparse.Dense()
	}
	if t == nil || reflect.ValueOf(t).IsNil() {
		return nil, fmt.Errorf("there is no tensor")
	}
	e, ok := known[t.Dtype().Type]
	if !ok && t.Dtype() != gorgonia.Int {
		return nil, fmt.Errorf("ONNX has no element type %s", t.Dtype())
	}
	shape := append([]int{}, t.Shape()...)
	n, err := tensor.NumElements(shape)
	if err != nil {
		return nil, err
	}
	data, err := rowMajor(t, shape, n)
	if err != nil {
		return nil, err
	}
	if ints, ok := data.([]int); ok {
		e = known[reflect.TypeFor[int64]()]
		wide := make([]int64, len(ints))
		for i, v := range ints {
			wide[i] = int64(v)
		}
		data = wide
	}
	return e.take(data, shape), nil
}

// rowMajor returns the elements as a slice of the tensor's Go type.
func rowMajor(t gorgonia.Tensor, shape []int, n int) (any, error) {
	if n == 0 {
		return reflect.MakeSlice(reflect.SliceOf(t.Dtype().Type), 0, 0).Interface(), nil
	}
	data := reflect.ValueOf(t.Data())
	if data.Kind() != reflect.Slice { // a scalar, and whatever has the shape [1]
		one := reflect.MakeSlice(reflect.SliceOf(t.Dtype().Type), 1, 1)
		one.Index(0).Set(data)
		return one.Interface(), nil
	}
	if d, ok := t.(*gorgonia.Dense); ok && !d.RequiresIterator() && !d.DataOrder().IsColMajor() {
		if data.Len() != n {
			return nil, fmt.Errorf("%d elements for the shape %v", data.Len(), shape)
		}
		return data.Interface(), nil
	}
	out := reflect.MakeSlice(reflect.SliceOf(t.Dtype().Type), n, n)
	at := make([]int, len(shape))
	for i := range n {
		v, err := t.At(at...)
		if err != nil {
			return nil, err
		}
		out.Index(i).Set(reflect.ValueOf(v))
		for k := len(at) - 1; k >= 0; k-- {
			if at[k]++; at[k] < shape[k] {
				break
			}
			at[k] = 0
		}
	}
	return out.Interface(), nil
}

// ToGorgonia copies a tensor of hone's into one of gorgonia's. Element types
// that gorgonia lacks (float16, bfloat16 and what is narrower than 8 bits or a
// float of 8) become the next wider ones that it has.
func ToGorgonia(t *tensor.Tensor) (out gorgonia.Tensor, err error) {
	defer guard("tensor", &err)
	if t == nil {
		return nil, fmt.Errorf("there is no tensor")
	}
	e, ok := byDType[t.DType]
	if !ok {
		if e, ok = byDType[widened(t.DType)]; !ok {
			return nil, fmt.Errorf("gorgonia has no element type %s", t.DType)
		}
		if t, err = ref.Cast(t, e.dtype, ref.CastOptions{}); err != nil {
			return nil, err
		}
	}
	data := e.give(t)
	if len(t.Shape) == 0 {
		return gorgonia.New(gorgonia.FromScalar(reflect.ValueOf(data).Index(0).Interface())), nil
	}
	return gorgonia.New(gorgonia.WithShape(t.Shape...), gorgonia.WithBacking(data)), nil
}

// widened is the element type that stands for one that gorgonia lacks.
func widened(d tensor.DType) tensor.DType {
	switch {
	case d.IsFloat():
		return tensor.Float32
	case d.IsSigned():
		return tensor.Int8
	case d.IsUnsigned():
		return tensor.Uint8
	}
	return tensor.Undefined
}
