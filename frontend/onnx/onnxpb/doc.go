// Package onnxpb is the wire format of ONNX models: the messages of onnx.proto
// (ONNX 1.23, IR version 14) as plain structs, decoded from and encoded to
// protocol buffers by hand.
//
// Decoding does not copy tensor data: it is a view into the given bytes, which
// is usually a mapped file, so that a model of gigabytes costs the memory of its
// graph alone. Strings are copies, since names outlive the file. Element lists of tensors (float_data and its
// like) stay encoded until they are asked for. Fields that this package does
// not know are kept and written back. What a model means is not known here.
package onnxpb
