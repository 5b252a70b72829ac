package onnxpb

import "io"

// DecodeModel decodes a model. The result keeps views into b.
func DecodeModel(b []byte) (*ModelProto, error) {
	m := &ModelProto{}
	return m, unmarshal(m, b)
}

// Encode writes the model.
func (m *ModelProto) Encode(w io.Writer) error { return marshal(w, m) }

// Size returns the bytes that Encode will write.
func (m *ModelProto) Size() int {
	c := &codec{mode: sizing}
	m.fields(c)
	return c.size
}

// ModelProto is a whole model.
type ModelProto struct {
	IRVersion       int64
	ProducerName    string
	ProducerVersion string
	Domain          string
	ModelVersion    int64
	DocString       string
	Graph           *GraphProto
	OpsetImport     []*OperatorSetIDProto
	MetadataProps   []*StringStringEntryProto
	Functions       []*FunctionProto
	Unknown         Raw // training_info and configuration among them
}

func (m *ModelProto) fields(c *codec) {
	integer(c, 1, "ir_version", &m.IRVersion)
	str(c, 2, "producer_name", &m.ProducerName)
	str(c, 3, "producer_version", &m.ProducerVersion)
	str(c, 4, "domain", &m.Domain)
	integer(c, 5, "model_version", &m.ModelVersion)
	str(c, 6, "doc_string", &m.DocString)
	one(c, 7, "graph", &m.Graph)
	list(c, 8, "opset_import", &m.OpsetImport)
	list(c, 14, "metadata_props", &m.MetadataProps)
	list(c, 25, "functions", &m.Functions)
	rest(c, &m.Unknown)
}

// OperatorSetIDProto is one imported operator set.
type OperatorSetIDProto struct {
	Domain  string
	Version int64
	Unknown Raw
}

func (m *OperatorSetIDProto) fields(c *codec) {
	strIf(c, 1, "domain", &m.Domain, true)
	integer(c, 2, "version", &m.Version)
	rest(c, &m.Unknown)
}

// StringStringEntryProto is a key and its value.
type StringStringEntryProto struct {
	Key, Value string
	Unknown    Raw
}

func (m *StringStringEntryProto) fields(c *codec) {
	strIf(c, 1, "key", &m.Key, true)
	strIf(c, 2, "value", &m.Value, true)
	rest(c, &m.Unknown)
}

// GraphProto is the graph of a model, a branch or a loop's body.
type GraphProto struct {
	Node              []*NodeProto
	Name              string
	Initializer       []*TensorProto
	DocString         string
	Input             []*ValueInfoProto
	Output            []*ValueInfoProto
	ValueInfo         []*ValueInfoProto
	SparseInitializer []*SparseTensorProto
	MetadataProps     []*StringStringEntryProto
	Unknown           Raw // quantization_annotation among them
}

func (m *GraphProto) fields(c *codec) {
	list(c, 1, "node", &m.Node)
	str(c, 2, "name", &m.Name)
	list(c, 5, "initializer", &m.Initializer)
	str(c, 10, "doc_string", &m.DocString)
	list(c, 11, "input", &m.Input)
	list(c, 12, "output", &m.Output)
	list(c, 13, "value_info", &m.ValueInfo)
	list(c, 15, "sparse_initializer", &m.SparseInitializer)
	list(c, 16, "metadata_props", &m.MetadataProps)
	rest(c, &m.Unknown)
}

// NodeProto is one operation.
type NodeProto struct {
	Input, Output []string
	Name          string
	OpType        string
	Attribute     []*AttributeProto
	DocString     string
	Domain        string
	Overload      string
	MetadataProps []*StringStringEntryProto
	Unknown       Raw
}

func (m *NodeProto) fields(c *codec) {
	strs(c, 1, "input", &m.Input)
	strs(c, 2, "output", &m.Output)
	str(c, 3, "name", &m.Name)
	str(c, 4, "op_type", &m.OpType)
	list(c, 5, "attribute", &m.Attribute)
	str(c, 6, "doc_string", &m.DocString)
	str(c, 7, "domain", &m.Domain)
	str(c, 8, "overload", &m.Overload)
	list(c, 9, "metadata_props", &m.MetadataProps)
	rest(c, &m.Unknown)
}

// AttributeType says which field of an attribute holds its value.
type AttributeType int32

// The attribute types of ONNX.
const (
	AttrUndefined     AttributeType = 0
	AttrFloat         AttributeType = 1
	AttrInt           AttributeType = 2
	AttrString        AttributeType = 3
	AttrTensor        AttributeType = 4
	AttrGraph         AttributeType = 5
	AttrFloats        AttributeType = 6
	AttrInts          AttributeType = 7
	AttrStrings       AttributeType = 8
	AttrTensors       AttributeType = 9
	AttrGraphs        AttributeType = 10
	AttrSparseTensor  AttributeType = 11
	AttrSparseTensors AttributeType = 12
	AttrTypeProto     AttributeType = 13
	AttrTypeProtos    AttributeType = 14
)

// AttributeProto is a named parameter of a node. Where RefAttrName is set, it
// takes the value of that attribute of the function around it.
type AttributeProto struct {
	Name         string
	RefAttrName  string
	DocString    string
	Type         AttributeType
	F            float32
	I            int64
	S            string
	T            *TensorProto
	G            *GraphProto
	SparseTensor *SparseTensorProto
	TP           *TypeProto
	Floats       []float32
	Ints         []int64
	Strings      []string
	Lists        *AttributeLists
	Unknown      Raw
	seen         AttributeType // what a file of before types were written holds
}

// AttributeLists is the kinds of attributes that few nodes have.
type AttributeLists struct {
	Tensors       []*TensorProto
	Graphs        []*GraphProto
	SparseTensors []*SparseTensorProto
	TypeProtos    []*TypeProto
}

// valueFields maps the numbers of value fields to types.
var valueFields = map[num]AttributeType{
	2: AttrFloat, 3: AttrInt, 4: AttrString, 5: AttrTensor, 6: AttrGraph, 7: AttrFloats, 8: AttrInts, 9: AttrStrings,
	10: AttrTensors, 11: AttrGraphs, 14: AttrTypeProto, 15: AttrTypeProtos, 22: AttrSparseTensor, 23: AttrSparseTensors,
}

// Kind returns the type; where an old file gives none, the type of the field
// that it filled.
func (m *AttributeProto) Kind() AttributeType {
	if m.Type == AttrUndefined {
		return m.seen
	}
	return m.Type
}

func (m *AttributeProto) fields(c *codec) {
	if c.mode == decoding {
		if k, ok := valueFields[c.cur.num]; ok {
			m.seen = k
		}
	}
	strIf(c, 1, "name", &m.Name, true)
	float(c, 2, "f", &m.F, m.Type == AttrFloat && m.RefAttrName == "")
	integerIf(c, 3, "i", &m.I, m.Type == AttrInt && m.RefAttrName == "")
	strIf(c, 4, "s", &m.S, m.Type == AttrString && m.RefAttrName == "")
	one(c, 5, "t", &m.T)
	one(c, 6, "g", &m.G)
	floats(c, 7, "floats", &m.Floats)
	integers(c, 8, "ints", &m.Ints)
	strs(c, 9, "strings", &m.Strings)
	if n := c.cur.num; c.mode == decoding && m.Lists == nil && (n == 10 || n == 11 || n == 15 || n == 23) {
		m.Lists = &AttributeLists{}
	}
	if l := m.Lists; l != nil {
		list(c, 10, "tensors", &l.Tensors)
		list(c, 11, "graphs", &l.Graphs)
		list(c, 15, "type_protos", &l.TypeProtos)
		list(c, 23, "sparse_tensors", &l.SparseTensors)
	}
	str(c, 13, "doc_string", &m.DocString)
	one(c, 14, "tp", &m.TP)
	integer(c, 20, "type", &m.Type)
	str(c, 21, "ref_attr_name", &m.RefAttrName)
	one(c, 22, "sparse_tensor", &m.SparseTensor)
	rest(c, &m.Unknown)
}

// FunctionProto is an operator that the model defines itself.
type FunctionProto struct {
	Name           string
	Input, Output  []string
	Attribute      []string // required attributes
	AttributeProto []*AttributeProto
	Node           []*NodeProto
	DocString      string
	OpsetImport    []*OperatorSetIDProto
	Domain         string
	Overload       string
	ValueInfo      []*ValueInfoProto
	MetadataProps  []*StringStringEntryProto
	Unknown        Raw
}

func (m *FunctionProto) fields(c *codec) {
	str(c, 1, "name", &m.Name)
	strs(c, 4, "input", &m.Input)
	strs(c, 5, "output", &m.Output)
	strs(c, 6, "attribute", &m.Attribute)
	list(c, 7, "node", &m.Node)
	str(c, 8, "doc_string", &m.DocString)
	list(c, 9, "opset_import", &m.OpsetImport)
	str(c, 10, "domain", &m.Domain)
	list(c, 11, "attribute_proto", &m.AttributeProto)
	list(c, 12, "value_info", &m.ValueInfo)
	str(c, 13, "overload", &m.Overload)
	list(c, 14, "metadata_props", &m.MetadataProps)
	rest(c, &m.Unknown)
}
