// Package ref is the reference arithmetic of the ONNX operators: pure functions
// on tensors, obvious and correct before anything else, and the judge of every
// kernel. It knows nothing of the IR, of graphs or of back ends. Integers are
// computed in their own width; floating point is computed in float64 (or float32)
// and rounded once to the element type.
package ref
