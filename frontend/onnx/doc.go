// Package onnx reads ONNX models into hone's IR and writes them back.
//
// Open maps a file and imports it: initializers become lazy constants that
// view the file, subgraphs become regions, functions of the model are inlined,
// operators of com.microsoft expand to definitions, and every op is upgraded
// to the newest opset, so that what follows sees one version of each. Export
// is the way back, to the lowest opset that expresses the model.
//
// Files are not trusted: sizes are checked before memory is taken, external
// data stays within the model's folder, and errors say which node, value or
// byte they are about. The package knows ONNX and the IR; it knows no passes
// and no targets.
package onnx
