package onnxgo

import (
	"fmt"
	"maps"
	"slices"

	gorgonia "gorgonia.org/tensor"

	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// build writes the collected graph down as the model that onnx-go read it
// from, with an opset again, and imports that. ins holds the tensors that the
// inputs are set to; their shapes become the model's.
func (g *Graph) build(inputs []*value, ins []tensor.Value, outputs []*value) (*ir.Module, error) {
	p := &onnxpb.ModelProto{IRVersion: 3, ProducerName: "onnx-go", Graph: &onnxpb.GraphProto{}}
	opsets := g.opsets()
	for _, domain := range slices.Sorted(maps.Keys(opsets)) {
		p.OpsetImport = append(p.OpsetImport, &onnxpb.OperatorSetIDProto{Domain: domain, Version: int64(opsets[domain])})
	}
	isInput := map[*value]bool{}
	for i, v := range inputs {
		isInput[v] = true
		p.Graph.Input = append(p.Graph.Input, &onnxpb.ValueInfoProto{Name: v.name, Type: typeProto(ins[i].(*tensor.Tensor))})
	}
	for _, n := range g.nodes {
		v := n.value
		if v.tensor == nil || v.maker >= 0 || isInput[v] || g.nodes[v.nodes[0]] != n {
			continue
		}
		t, err := tensorProto(v.name, v.tensor)
		if err != nil {
			return nil, fmt.Errorf("initializer %q: %w", v.name, err)
		}
		p.Graph.Initializer = append(p.Graph.Initializer, t)
	}
	for i := range g.ops {
		n, err := nodeProto(&g.ops[i])
		if err != nil {
			return nil, fmt.Errorf("operator %s of %q: %w", g.ops[i].Name, g.ops[i].outs[0].name, err)
		}
		p.Graph.Node = append(p.Graph.Node, n)
	}
	for _, v := range outputs {
		p.Graph.Output = append(p.Graph.Output, &onnxpb.ValueInfoProto{Name: v.name})
	}
	return onnx.ImportProto(p, onnx.Options{})
}

func typeProto(t *tensor.Tensor) *onnxpb.TypeProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range t.Shape {
		n := int64(d)
		shape.Dim = append(shape.Dim, &onnxpb.DimensionProto{Value: &n})
	}
	return &onnxpb.TypeProto{Tensor: &onnxpb.TensorTypeProto{ElemType: int32(t.DType), Shape: shape}}
}

func tensorProto(name string, g gorgonia.Tensor) (*onnxpb.TensorProto, error) {
	t, err := FromGorgonia(g)
	if err != nil {
		return nil, err
	}
	p := &onnxpb.TensorProto{Name: name, DataType: int32(t.DType)}
	for _, d := range t.Shape {
		p.Dims = append(p.Dims, int64(d))
	}
	if t.DType == tensor.String {
		p.SetStrings(t.Strings)
	} else {
		p.RawData.B = append([]byte{}, t.Wire()...)
	}
	return p, nil
}

func nodeProto(op *operation) (*onnxpb.NodeProto, error) {
	domain, _ := domainOf(op.Name)
	n := &onnxpb.NodeProto{OpType: op.Name, Domain: domain, Input: names(op.ins), Output: names(op.outs)}
	for _, name := range slices.Sorted(maps.Keys(op.Attributes)) {
		a := &onnxpb.AttributeProto{Name: name}
		switch v := op.Attributes[name].(type) {
		case int64:
			a.Type, a.I = onnxpb.AttrInt, v
		case float32:
			a.Type, a.F = onnxpb.AttrFloat, v
		case string:
			a.Type, a.S = onnxpb.AttrString, v
		case []int64:
			a.Type, a.Ints = onnxpb.AttrInts, v
		case []float32:
			a.Type, a.Floats = onnxpb.AttrFloats, v
		case []string:
			a.Type, a.Strings = onnxpb.AttrStrings, v
		case gorgonia.Tensor:
			t, err := tensorProto("", v)
			if err != nil {
				return nil, fmt.Errorf("attribute %q: %w", name, err)
			}
			a.Type, a.T = onnxpb.AttrTensor, t
		default:
			return nil, fmt.Errorf("attribute %q: onnx-go lost its value (it is a %T)", name, v)
		}
		n.Attribute = append(n.Attribute, a)
	}
	return n, nil
}
