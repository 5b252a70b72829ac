// Package tensor holds element types and dense values: what flows along the
// edges of a model when it runs. It knows nothing of the IR or of operators;
// ir, ref and the run time all stand on it.
package tensor

import (
	"fmt"
	"math"
	"unsafe"
)

// Value is what an operator takes or gives: a *Tensor, a *Sequence, an
// *Optional or a *Map. A nil Value is an absent optional input or output.
type Value interface{ isValue() }

// Tensor is a dense, row-major array. Data holds little-endian elements of
// DType.Size() bytes each (sub-byte types one element a byte: signed ones
// sign-extended); Strings holds the elements of a string tensor instead.
// A Tensor's memory may be shared: operators never write to their inputs.
type Tensor struct {
	DType   DType
	Shape   []int
	Data    []byte
	Strings []string
}

// Sequence is an ordered list of values of one type. Elem is the element type
// of its tensors, kept so that an empty sequence still has one.
type Sequence struct {
	Elem  DType
	Items []Value
}

// Optional holds a value or nothing (Elem == nil). Type is the element type
// of the tensor that it may hold.
type Optional struct {
	Type DType
	Elem Value
}

// Map is a dictionary of the ai.onnx.ml domain; Keys are int64s or strings
// (one of the two slices is set), Values[i] belongs to key i.
type Map struct {
	IntKeys    []int64
	StringKeys []string
	Values     *Tensor
}

func (*Tensor) isValue()   {}
func (*Sequence) isValue() {}
func (*Optional) isValue() {}
func (*Map) isValue()      {}

// MaxElements bounds a tensor's element count, so that products of hostile
// sizes can not overflow on the way to an allocation.
const MaxElements = math.MaxInt64 / 64

// NumElements returns the product of the dims, 1 for a scalar. It returns an
// error where a dim is negative or the product passes MaxElements.
func NumElements(shape []int) (int, error) {
	n, zero := 1, false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, fmt.Errorf("negative dim in shape %v", shape)
		case d == 0:
			zero = true
		case n > MaxElements/d:
			return 0, fmt.Errorf("shape %v has too many elements", shape)
		default:
			n *= d
		}
	}
	if zero {
		return 0, nil
	}
	return n, nil
}

// MaxBytes bounds the memory of one tensor that New makes.
const MaxBytes = 1 << 34

// New returns a zeroed tensor. It panics where the shape is not a valid one
// or takes more than MaxBytes: check sizes that come from outside with
// NumElements first, or call where a panic becomes an error.
func New(d DType, shape ...int) *Tensor {
	n, err := NumElements(shape)
	if err != nil {
		panic("tensor.New: " + err.Error())
	}
	if int64(n) > MaxBytes/int64(max(d.Size(), 1)) {
		panic(fmt.Sprintf("tensor.New: %s%v takes more than %d bytes", d, shape, int64(MaxBytes)))
	}
	t := &Tensor{DType: d, Shape: append([]int{}, shape...)}
	if d == String {
		t.Strings = make([]string, n)
		return t
	}
	// Allocated as words, so that every element type is aligned.
	words := make([]uint64, (n*d.Size()+7)/8)
	t.Data = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n*d.Size())
	return t
}

// Number is the set of Go types that a tensor's memory can be viewed as.
// Floats of 16 bits and fewer are viewed as their bits.
type Number interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint8 | ~uint16 | ~uint32 | ~uint64 | ~bool | ~complex64 | ~complex128
}

// Of views the tensor's memory as a slice of T. Bytes of a mapped file may lie
// at an address that no T can have: they are copied, so what New did not make
// is for reading. It panics where T's width is not the element type's: that is
// a mistake of the caller, never of the data.
func Of[T Number](t *Tensor) []T {
	var z T
	if int(unsafe.Sizeof(z)) != t.DType.Size() {
		panic(fmt.Sprintf("tensor.Of[%T] on a %s tensor", z, t.DType))
	}
	n := len(t.Data) / int(unsafe.Sizeof(z))
	if n == 0 {
		return nil
	}
	p := unsafe.Pointer(unsafe.SliceData(t.Data))
	if uintptr(p)%unsafe.Alignof(z) != 0 {
		c := make([]T, n)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(c))), len(t.Data)), t.Data)
		return c
	}
	return unsafe.Slice((*T)(p), n)
}

// Part is Of for the elements from lo to hi. Loops that read a tensor bit by
// bit call it: Of may have to copy, and then copies the whole tensor each time.
func Part[T Number](t *Tensor, lo, hi int) []T {
	size := t.DType.Size()
	return Of[T](&Tensor{DType: t.DType, Data: t.Data[lo*size : hi*size]})
}

// From makes a tensor of the given type and shape from vals, which are copied.
func From[T Number](d DType, vals []T, shape ...int) *Tensor {
	t := New(d, shape...)
	if t.Len() != len(vals) {
		panic(fmt.Sprintf("tensor.From: %d values for shape %v", len(vals), shape))
	}
	copy(Of[T](t), vals)
	return t
}

// Float32s makes a float32 tensor from vals, which are copied; without a shape it
// is a scalar.
func Float32s(vals []float32, shape ...int) *Tensor { return From(Float32, vals, shape...) }

// Int64s makes an int64 tensor; without a shape it is one-dimensional.
func Int64s(vals []int64, shape ...int) *Tensor {
	if shape == nil {
		shape = []int{len(vals)}
	}
	return From(Int64, vals, shape...)
}

// StringsOf makes a string tensor from vals, which are copied.
func StringsOf(vals []string, shape ...int) *Tensor {
	t := New(String, shape...)
	if t.Len() != len(vals) {
		panic(fmt.Sprintf("tensor.StringsOf: %d values for shape %v", len(vals), shape))
	}
	copy(t.Strings, vals)
	return t
}

// Scalar makes a zero-dimensional tensor.
func Scalar[T Number](d DType, v T) *Tensor { return From(d, []T{v}) }

// Len returns the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Rank returns the number of dims.
func (t *Tensor) Rank() int { return len(t.Shape) }

// Reshaped returns a tensor of another shape that shares t's memory. The
// element counts must be equal.
func (t *Tensor) Reshaped(shape ...int) *Tensor {
	c := *t
	c.Shape = append([]int{}, shape...)
	if c.Len() != t.Len() {
		panic(fmt.Sprintf("tensor: reshape %v to %v", t.Shape, shape))
	}
	return &c
}

// Clone returns a copy that shares nothing with t.
func (t *Tensor) Clone() *Tensor {
	c := New(t.DType, t.Shape...)
	copy(c.Data, t.Data)
	copy(c.Strings, t.Strings)
	return c
}

// String describes the tensor as IR text writes a type: f32[1,3,224,224].
func (t *Tensor) String() string {
	s := t.DType.String() + "["
	for i, d := range t.Shape {
		if i > 0 {
			s += ","
		}
		s += fmt.Sprint(d)
	}
	return s + "]"
}
