// Package rt is the CPU backend's run time: the worker pool, memory outside Go's heap, the arguments of kernels, and the
// drivers that turn one operation into tiles of kernel calls. It knows nothing of the IR, of ONNX or of files, and imports
// nothing of the project, so that a generated package can carry a copy.
//
// A driver is a struct that describes an operation over raw memory. Its Work method checks it, decides the partition and
// returns a Work; everything that a run needs is made there, so that running allocates nothing. A Work reads the driver's
// pointers at bind time: bind again when memory moves. Strides are in elements, sizes of memory in bytes.
//
//	Gemm    matrix product with packed or plain B, batches, bias, residual, clamp, Post program
//	Map     a Program of elementwise operators with broadcasting
//
// Kernels come in a Set, one for each ISA tier; GenericSet is the one in plain Go.
package rt
