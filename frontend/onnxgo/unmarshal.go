package onnxgo

import (
	"fmt"

	"github.com/owulveryck/onnx-go"

	honnx "github.com/hone-ml/hone/frontend/onnx"
)

// Unmarshal decodes b into the model whose backend this graph is, as
// model.UnmarshalBinary(b) does, by hone's own decoder. That keeps opsets,
// domains, node names and symbolic dims, takes subgraphs, functions and every
// element type, and answers damaged files with an error. What the graph held
// before is dropped. b must not change while the graph is in use.
//
// Afterwards the model's SetInput, GetInputTensors and GetOutputTensors work
// as always; its GetNodeByName knows nothing, [Graph.Value] takes its place.
// Values of element types that gorgonia lacks go in and out in a wider type:
// float16 as float32.
func (g *Graph) Unmarshal(model *onnx.Model, b []byte) (err error) {
	defer guard("hone", &err)
	m, err := honnx.Import(b, honnx.Options{})
	if err != nil {
		return err
	}
	f := m.Main()
	for _, a := range f.Body.Args {
		if !a.Type.IsTensor() {
			return fmt.Errorf("input %q is %s: onnx-go knows tensors only", a.Name, a.Type)
		}
	}
	g.reset()
	add := func(name string) (*value, int64) {
		n := g.NewNode().(*Node)
		n.SetName(name)
		g.AddNode(n)
		return n.value, n.id
	}
	model.Input, model.Output = nil, nil
	inputs := []*value{}
	for _, a := range f.Body.Args {
		v, id := add(a.Name)
		v.typ = a.Type
		inputs = append(inputs, v)
		model.Input = append(model.Input, id)
	}
	var outputs []*value
	for _, name := range f.Outputs {
		v, id := add(name)
		if !v.isInput(inputs) {
			v.maker = 0
		}
		outputs = append(outputs, v)
		model.Output = append(model.Output, id)
	}
	g.module, g.inputs, g.outputs = m, inputs, outputs
	return nil
}
