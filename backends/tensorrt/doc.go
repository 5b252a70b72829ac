// Package tensorrt builds TensorRT engine plans from Go: no cgo, no Python, no
// GPU needed. NVIDIA's own builder does the work: its libraries, installed by
// the user, are loaded at run time in a child process, so that a fault in them
// is an error here.
//
// The child is this same program, started again. A program that builds plans
// therefore calls [ChildMain] first thing in main (and in TestMain):
//
//	func main() {
//		tensorrt.ChildMain()
//		...
//	}
//
// What TensorRT for RTX is: a builder that writes plans for compute
// capabilities 7.5, 8.0, 8.6, 8.9 and 12.x on any machine; the plan is made
// final for the GPU by its run time. Networks are strongly typed: the types in
// the ONNX model decide the precision, so mixed precision is a matter of casts
// in the model, not of a flag.
//
// ReadPlan reads a plan without any library. The package knows nothing of how
// kernels of hone's own are written (codegen/ptx).
package tensorrt
