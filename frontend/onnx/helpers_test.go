package onnx

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/tensor"
)

// node makes a node: inputs, an arrow, outputs.
func node(op string, ins, outs []string, attrs ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: op, Name: op + "/" + outs[0], Input: ins, Output: outs, Attribute: attrs}
}

func s(names ...string) []string { return names }

// input declares a float input; dims are int64s or names.
func input(name string, dims ...any) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			n := int64(d)
			shape.Dim = append(shape.Dim, &onnxpb.DimensionProto{Value: &n})
		case string:
			shape.Dim = append(shape.Dim, &onnxpb.DimensionProto{Param: d})
		}
	}
	return &onnxpb.ValueInfoProto{Name: name, Type: &onnxpb.TypeProto{Tensor: &onnxpb.TensorTypeProto{ElemType: int32(tensor.Float32), Shape: shape}}}
}

func output(name string) *onnxpb.ValueInfoProto { return &onnxpb.ValueInfoProto{Name: name} }

// model makes a model of the newest opset around a graph.
func model(g *onnxpb.GraphProto) *onnxpb.ModelProto {
	return &onnxpb.ModelProto{IRVersion: 10, OpsetImport: []*onnxpb.OperatorSetIDProto{{Version: 21}}, Graph: g}
}

func bytesOf(t testing.TB, m *onnxpb.ModelProto) []byte {
	var b bytes.Buffer
	require.NoError(t, m.Encode(&b))
	return b.Bytes()
}

// floats makes a one-dimensional float tensor.
func floats(name string, vals ...float32) *onnxpb.TensorProto {
	x := tensor.Float32s(vals, len(vals))
	return &onnxpb.TensorProto{Name: name, DataType: 1, Dims: []int64{int64(len(vals))}, RawData: onnxpb.Blob{B: x.Data}}
}
