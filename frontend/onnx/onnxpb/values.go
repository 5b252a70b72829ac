package onnxpb

import (
	"bytes"
)

// ValueInfoProto names a value and its type.
type ValueInfoProto struct {
	Name          string
	Type          *TypeProto
	DocString     string
	MetadataProps []*StringStringEntryProto
	Unknown       Raw
}

func (m *ValueInfoProto) fields(c *codec) {
	str(c, 1, "name", &m.Name)
	one(c, 2, "type", &m.Type)
	str(c, 3, "doc_string", &m.DocString)
	list(c, 4, "metadata_props", &m.MetadataProps)
	rest(c, &m.Unknown)
}

// TypeProto is a type: one of its pointers is set. An opaque type is Unknown.
type TypeProto struct {
	Tensor       *TensorTypeProto
	Sequence     *ElemTypeProto
	Map          *MapTypeProto
	Optional     *ElemTypeProto
	SparseTensor *TensorTypeProto
	Denotation   string
	Unknown      Raw
}

func (m *TypeProto) fields(c *codec) {
	one(c, 1, "tensor_type", &m.Tensor)
	one(c, 4, "sequence_type", &m.Sequence)
	one(c, 5, "map_type", &m.Map)
	str(c, 6, "denotation", &m.Denotation)
	one(c, 8, "sparse_tensor_type", &m.SparseTensor)
	one(c, 9, "optional_type", &m.Optional)
	rest(c, &m.Unknown)
}

// TensorTypeProto is the type of a dense or sparse tensor; a nil Shape is one
// of unknown rank.
type TensorTypeProto struct {
	ElemType int32
	Shape    *TensorShapeProto
	Unknown  Raw
}

func (m *TensorTypeProto) fields(c *codec) {
	integer(c, 1, "elem_type", &m.ElemType)
	one(c, 2, "shape", &m.Shape)
	rest(c, &m.Unknown)
}

// ElemTypeProto is the type of a sequence or an optional.
type ElemTypeProto struct {
	ElemType *TypeProto
	Unknown  Raw
}

func (m *ElemTypeProto) fields(c *codec) {
	one(c, 1, "elem_type", &m.ElemType)
	rest(c, &m.Unknown)
}

// MapTypeProto is the type of a dictionary.
type MapTypeProto struct {
	KeyType   int32
	ValueType *TypeProto
	Unknown   Raw
}

func (m *MapTypeProto) fields(c *codec) {
	integer(c, 1, "key_type", &m.KeyType)
	one(c, 2, "value_type", &m.ValueType)
	rest(c, &m.Unknown)
}

// TensorShapeProto is a shape.
type TensorShapeProto struct {
	Dim     []*DimensionProto
	Unknown Raw
}

func (m *TensorShapeProto) fields(c *codec) {
	list(c, 1, "dim", &m.Dim)
	rest(c, &m.Unknown)
}

// DimensionProto is a size, a name for one, or neither.
type DimensionProto struct {
	Value      *int64
	Param      string
	Denotation string
	Unknown    Raw
}

func (m *DimensionProto) fields(c *codec) {
	optInteger(c, 1, "dim_value", &m.Value)
	str(c, 2, "dim_param", &m.Param)
	str(c, 3, "denotation", &m.Denotation)
	rest(c, &m.Unknown)
}

// TensorProto is a tensor's data. The element lists stay encoded; package
// onnx reads them.
type TensorProto struct {
	Dims          []int64
	DataType      int32
	FloatData     Raw
	Int32Data     Raw
	StringData    Raw
	Int64Data     Raw
	Name          string
	RawData       Blob
	DoubleData    Raw
	Uint64Data    Raw
	DocString     string
	ExternalData  []*StringStringEntryProto
	DataLocation  int32 // External where the data lies in another file
	MetadataProps []*StringStringEntryProto
	Unknown       Raw // segment among them
}

// External is the data location of a tensor outside the model's file.
const External = 1

func (m *TensorProto) fields(c *codec) {
	integers(c, 1, "dims", &m.Dims)
	integer(c, 2, "data_type", &m.DataType)
	keep(c, 4, &m.FloatData)
	keep(c, 5, &m.Int32Data)
	keep(c, 6, &m.StringData)
	keep(c, 7, &m.Int64Data)
	str(c, 8, "name", &m.Name)
	blob(c, 9, "raw_data", &m.RawData)
	keep(c, 10, &m.DoubleData)
	keep(c, 11, &m.Uint64Data)
	str(c, 12, "doc_string", &m.DocString)
	list(c, 13, "external_data", &m.ExternalData)
	integer(c, 14, "data_location", &m.DataLocation)
	list(c, 16, "metadata_props", &m.MetadataProps)
	rest(c, &m.Unknown)
}

// DecodeTensor decodes a tensor; it keeps views into b.
func DecodeTensor(b []byte) (*TensorProto, error) {
	m := &TensorProto{}
	return m, unmarshal(m, b)
}

// Marshal returns the encoded tensor.
func (m *TensorProto) Marshal() ([]byte, error) { return marshalBytes(m) }

// SetStrings makes the tensor hold the given strings.
func (m *TensorProto) SetStrings(vals []string) {
	c := &codec{mode: sizing}
	strs(c, 6, "string_data", &vals)
	c.mode, c.buf = writing, make([]byte, 0, c.size)
	strs(c, 6, "string_data", &vals)
	m.StringData = Raw{c.buf}
}

// SparseTensorProto is a tensor of which all elements but the given ones are
// zero. Indices is [nnz], into the flattened tensor, or [nnz, rank].
type SparseTensorProto struct {
	Values  *TensorProto
	Indices *TensorProto
	Dims    []int64
	Unknown Raw
}

func (m *SparseTensorProto) fields(c *codec) {
	one(c, 1, "values", &m.Values)
	one(c, 2, "indices", &m.Indices)
	integers(c, 3, "dims", &m.Dims)
	rest(c, &m.Unknown)
}

// SequenceProto is the value of a sequence (onnx-data.proto). ElemType is one
// of the Elem constants.
type SequenceProto struct {
	Name     string
	ElemType int32
	Tensors  []*TensorProto
	Sparse   []*SparseTensorProto
	Seqs     []*SequenceProto
	Maps     []*MapProto
	Optional []*OptionalProto
	Unknown  Raw
}

// What a SequenceProto or an OptionalProto holds.
const (
	ElemUndefined = 0
	ElemTensor    = 1
	ElemSparse    = 2
	ElemSequence  = 3
	ElemMap       = 4
	ElemOptional  = 5
)

func (m *SequenceProto) fields(c *codec) {
	str(c, 1, "name", &m.Name)
	integer(c, 2, "elem_type", &m.ElemType)
	list(c, 3, "tensor_values", &m.Tensors)
	list(c, 4, "sparse_tensor_values", &m.Sparse)
	list(c, 5, "sequence_values", &m.Seqs)
	list(c, 6, "map_values", &m.Maps)
	list(c, 7, "optional_values", &m.Optional)
	rest(c, &m.Unknown)
}

// DecodeSequence decodes a sequence; it keeps views into b.
func DecodeSequence(b []byte) (*SequenceProto, error) {
	m := &SequenceProto{}
	return m, unmarshal(m, b)
}

// Marshal returns the encoded sequence.
func (m *SequenceProto) Marshal() ([]byte, error) { return marshalBytes(m) }

// MapProto is the value of a dictionary.
type MapProto struct {
	Name       string
	KeyType    int32
	Keys       []int64
	StringKeys []string
	Values     *SequenceProto
	Unknown    Raw
}

func (m *MapProto) fields(c *codec) {
	str(c, 1, "name", &m.Name)
	integer(c, 2, "key_type", &m.KeyType)
	integers(c, 3, "keys", &m.Keys)
	strs(c, 4, "string_keys", &m.StringKeys)
	one(c, 5, "values", &m.Values)
	rest(c, &m.Unknown)
}

// DecodeMap decodes a dictionary; it keeps views into b.
func DecodeMap(b []byte) (*MapProto, error) {
	m := &MapProto{}
	return m, unmarshal(m, b)
}

// OptionalProto is a value or nothing.
type OptionalProto struct {
	Name     string
	ElemType int32
	Tensor   *TensorProto
	Sparse   *SparseTensorProto
	Seq      *SequenceProto
	Map      *MapProto
	Optional *OptionalProto
	Unknown  Raw
}

func (m *OptionalProto) fields(c *codec) {
	str(c, 1, "name", &m.Name)
	integer(c, 2, "elem_type", &m.ElemType)
	one(c, 3, "tensor_value", &m.Tensor)
	one(c, 4, "sparse_tensor_value", &m.Sparse)
	one(c, 5, "sequence_value", &m.Seq)
	one(c, 6, "map_value", &m.Map)
	one(c, 7, "optional_value", &m.Optional)
	rest(c, &m.Unknown)
}

// DecodeOptional decodes an optional; it keeps views into b.
func DecodeOptional(b []byte) (*OptionalProto, error) {
	m := &OptionalProto{}
	return m, unmarshal(m, b)
}

// Marshal returns the encoded optional.
func (m *OptionalProto) Marshal() ([]byte, error) { return marshalBytes(m) }

func marshalBytes(m message) ([]byte, error) {
	var b bytes.Buffer
	err := marshal(&b, m)
	return b.Bytes(), err
}
