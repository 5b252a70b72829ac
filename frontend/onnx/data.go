package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// dataOf turns a tensor of a model into a constant whose elements are read
// when they are needed. That they are there, as many as the shape says, is
// checked at once. ext finds data outside the file; it may be nil.
func dataOf(t *onnxpb.TensorProto, ext *external) (*ir.Data, error) {
	d, err := dtypeOf(t.DataType)
	if err != nil {
		return nil, err
	}
	shape, n, err := shapeOf(t.Dims)
	if err != nil {
		return nil, err
	}
	if d != tensor.String && int64(n) > tensor.MaxBytes/int64(d.Size()) {
		return nil, fmt.Errorf("%s%v takes more than %d bytes", d, shape, int64(tensor.MaxBytes))
	}
	switch {
	case t.DataLocation == onnxpb.External:
		b, err := ext.bytes(t, d, n)
		if err != nil {
			return nil, err
		}
		return rawData(d, shape, b)
	case t.RawData.IsSet():
		if d == tensor.String {
			return nil, fmt.Errorf("strings can not be raw data")
		}
		if want := d.WireSize(n); want != len(t.RawData.B) {
			return nil, fmt.Errorf("raw data has %d bytes, %s%v takes %d", len(t.RawData.B), d, shape, want)
		}
		return rawData(d, shape, t.RawData.B)
	}
	return typedData(t, d, shape, n)
}

func rawData(d tensor.DType, shape []int, b []byte) (*ir.Data, error) {
	if !d.IsSubByte() {
		x, err := tensor.FromWire(d, shape, b)
		if err != nil {
			return nil, err
		}
		return ir.NewData(x), nil // a view
	}
	return ir.LazyData(d, shape, func() (*tensor.Tensor, error) { return tensor.FromWire(d, shape, b) }), nil
}

// dtypeOf checks an element type of a file.
func dtypeOf(n int32) (tensor.DType, error) {
	if n <= 0 || n > math.MaxUint8 || !tensor.DType(n).Valid() {
		return 0, fmt.Errorf("there is no element type %d", n)
	}
	return tensor.DType(n), nil
}

// shapeOf checks the dims of a file and returns them with their product.
func shapeOf(dims []int64) ([]int, int, error) {
	shape := make([]int, len(dims))
	for i, d := range dims {
		if d < 0 || d > math.MaxInt {
			return nil, 0, fmt.Errorf("dim %d is %d", i, d)
		}
		shape[i] = int(d)
	}
	n, err := tensor.NumElements(shape)
	return shape, n, err
}

// list is where the elements of a type lie if they are not raw: which field,
// and how many entries an element takes (or elements an entry, if negative).
type typedList struct {
	name    string
	field   func(*onnxpb.TensorProto) onnxpb.Raw
	width   int // bytes an entry in the packed form, 0 for varints
	entries int
}

var (
	floatList  = typedList{"float_data", func(t *onnxpb.TensorProto) onnxpb.Raw { return t.FloatData }, 4, 1}
	doubleList = typedList{"double_data", func(t *onnxpb.TensorProto) onnxpb.Raw { return t.DoubleData }, 8, 1}
	int32List  = typedList{"int32_data", func(t *onnxpb.TensorProto) onnxpb.Raw { return t.Int32Data }, 0, 1}
	int64List  = typedList{"int64_data", func(t *onnxpb.TensorProto) onnxpb.Raw { return t.Int64Data }, 0, 1}
	uint64List = typedList{"uint64_data", func(t *onnxpb.TensorProto) onnxpb.Raw { return t.Uint64Data }, 0, 1}
	stringList = typedList{"string_data", func(t *onnxpb.TensorProto) onnxpb.Raw { return t.StringData }, 0, 1}
)

func listOf(d tensor.DType) typedList {
	switch d {
	case tensor.Float32:
		return floatList
	case tensor.Float64:
		return doubleList
	case tensor.Complex64:
		l := floatList
		l.entries = 2
		return l
	case tensor.Complex128:
		l := doubleList
		l.entries = 2
		return l
	case tensor.Int64:
		return int64List
	case tensor.Uint32, tensor.Uint64:
		return uint64List
	case tensor.String:
		return stringList
	}
	return int32List
}

// typedData is the constant of a tensor with an element list.
func typedData(t *onnxpb.TensorProto, d tensor.DType, shape []int, n int) (*ir.Data, error) {
	l := listOf(d)
	raw := l.field(t)
	want := n * l.entries
	if sharesEntries(d) {
		want = d.WireSize(n)
	}
	have, err := l.count(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.name, err)
	}
	if have != want {
		return nil, fmt.Errorf("%s has %d entries, %s%v takes %d", l.name, have, d, shape, want)
	}
	return ir.LazyData(d, shape, sync.OnceValues(func() (*tensor.Tensor, error) { return l.read(raw, d, shape) })), nil
}

// sharesEntries reports whether an entry of int32_data is a byte of several
// elements: of 2 and 4 bits, but not of 6.
func sharesEntries(d tensor.DType) bool { return d.IsSubByte() && 8%d.Bits() == 0 }

// count returns the number of entries, and checks that they can be read.
func (l typedList) count(raw onnxpb.Raw) (int, error) {
	n := 0
	err := l.each(raw, func(uint64) { n++ }, func([]byte) { n++ })
	return n, err
}

// each calls num for every number of the list, str for every string.
func (l typedList) each(raw onnxpb.Raw, num func(uint64), str func([]byte)) error {
	return raw.Each(func(u uint64, b []byte) error {
		switch {
		case l.name == stringList.name:
			if b == nil {
				return fmt.Errorf("a number among strings")
			}
			str(b)
		case b == nil:
			num(u)
		case l.width > 0:
			if len(b)%l.width != 0 {
				return fmt.Errorf("%d bytes are no multiple of %d", len(b), l.width)
			}
			for ; len(b) > 0; b = b[l.width:] {
				if l.width == 4 {
					num(uint64(binary.LittleEndian.Uint32(b)))
				} else {
					num(binary.LittleEndian.Uint64(b))
				}
			}
		default:
			for len(b) > 0 {
				v, k := protowire.ConsumeVarint(b)
				if k < 0 {
					return fmt.Errorf("broken number %d bytes before the end", len(b))
				}
				num(v)
				b = b[k:]
			}
		}
		return nil
	})
}

// read decodes a list that count has checked.
func (l typedList) read(raw onnxpb.Raw, d tensor.DType, shape []int) (*tensor.Tensor, error) {
	if d == tensor.String {
		t := tensor.New(d, shape...)
		i := 0
		err := l.each(raw, nil, func(b []byte) { t.Strings[i] = string(b); i++ })
		return t, err
	}
	if sharesEntries(d) {
		var b []byte
		if err := l.each(raw, func(u uint64) { b = append(b, byte(u)) }, nil); err != nil {
			return nil, err
		}
		return tensor.FromWire(d, shape, b)
	}
	t := tensor.New(d, shape...)
	size := d.Size() / l.entries
	at := t.Data
	err := l.each(raw, func(u uint64) {
		for k := range size {
			at[k] = byte(u >> (8 * k))
		}
		at = at[size:]
	}, nil)
	return t, err
}

// maxDense bounds the bytes of a dense tensor that a sparse one of few
// elements may become.
const maxDense = 32 << 20

// sparseData is the constant of a sparse tensor, made dense when it is needed.
func sparseData(s *onnxpb.SparseTensorProto, ext *external) (*ir.Data, error) {
	if s.Values == nil || s.Indices == nil {
		return nil, fmt.Errorf("sparse tensor without values or indices")
	}
	values, err := dataOf(s.Values, ext)
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	indices, err := dataOf(s.Indices, ext)
	if err != nil {
		return nil, fmt.Errorf("indices: %w", err)
	}
	shape, n, err := shapeOf(s.Dims)
	if err != nil {
		return nil, err
	}
	nnz := values.Len()
	size := int64(max(values.DType.Size(), 16))
	if int64(n) > maxDense/size && int64(n) > 1000*int64(nnz) {
		return nil, fmt.Errorf("sparse tensor %s%v holds %d elements only: refused to make it dense", values.DType, shape, nnz)
	}
	if len(values.Shape) != 1 || indices.DType != tensor.Int64 {
		return nil, fmt.Errorf("sparse tensor with values %s and indices %s", values.Type(), indices.Type())
	}
	rank := len(shape)
	flat := len(indices.Shape) == 1 && indices.Shape[0] == nnz
	if !flat && !(len(indices.Shape) == 2 && indices.Shape[0] == nnz && indices.Shape[1] == rank) {
		return nil, fmt.Errorf("sparse tensor of shape %v with %d values and indices of shape %v", shape, nnz, indices.Shape)
	}
	return ir.LazyData(values.DType, shape, sync.OnceValues(func() (*tensor.Tensor, error) {
		return densify(values, indices, shape, flat)
	})), nil
}

func densify(values, indices *ir.Data, shape []int, flat bool) (*tensor.Tensor, error) {
	v, err := values.Tensor()
	if err != nil {
		return nil, err
	}
	x, err := indices.Tensor()
	if err != nil {
		return nil, err
	}
	out := tensor.New(values.DType, shape...)
	idx := tensor.Of[int64](x)
	size := values.DType.Size()
	for i := range values.Len() {
		at := int64(0)
		if flat {
			at = idx[i]
		} else {
			for k, d := range shape {
				j := idx[i*len(shape)+k]
				if j < 0 || j >= int64(d) {
					return nil, fmt.Errorf("sparse index %d of value %d is outside dim %d of %v", j, i, k, shape)
				}
				at = at*int64(d) + j
			}
		}
		if at < 0 || at >= int64(out.Len()) {
			return nil, fmt.Errorf("sparse index %d of value %d is outside %v", at, i, shape)
		}
		if out.DType == tensor.String {
			out.Strings[at] = v.Strings[i]
		} else {
			copy(out.Data[int(at)*size:], v.Data[i*size:(i+1)*size])
		}
	}
	return out, nil
}

// protoOf is the inverse of dataOf: the elements are read when the tensor is
// written.
func protoOf(name string, d *ir.Data) (*onnxpb.TensorProto, error) {
	t := &onnxpb.TensorProto{Name: name, DataType: int32(d.DType), Dims: make([]int64, len(d.Shape))}
	for i, n := range d.Shape {
		t.Dims[i] = int64(n)
	}
	if d.DType == tensor.String {
		x, err := d.Tensor()
		if err != nil {
			return nil, err
		}
		t.SetStrings(x.Strings)
		return t, nil
	}
	t.RawData = onnxpb.Blob{Size: d.DType.WireSize(d.Len()), Load: d.Wire}
	return t, nil
}
