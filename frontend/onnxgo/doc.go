// Package onnxgo lets programs written on github.com/owulveryck/onnx-go run
// on hone: a [Graph] is a backend for onnx.NewModel, so that changing one
// import is enough.
//
//	graph := onnxgo.New() // was: gorgonnx.NewGraph()
//	model := onnx.NewModel(graph)
//	err := model.UnmarshalBinary(b)
//	err = model.SetInput(0, x)
//	err = graph.Run()
//	outputs, err := model.GetOutputTensors()
//
// onnx-go's decoder drops what it has no place for: opset imports, domains,
// node names, symbolic dims. It refuses subgraphs, float16 and external data,
// and panics on some damaged files. A Graph makes up for what it can: it
// finds an opset that all operators fit, takes shapes from the inputs that
// are set, and gives SetInput the inputs in the model's order, which onnx-go
// takes for node ids. [Graph.Unmarshal] in the place of model.UnmarshalBinary
// reads the same bytes with hone's own decoder, which loses nothing.
//
// The package knows onnx-go, package onnx, the interpreter and package hone;
// nothing but programs on onnx-go should import it.
package onnxgo
