// Package ptx writes pointwise GPU kernels as PTX text: no nvcc, no CUDA needed
// to make them. A Kernel is a short list of typed instructions over elements;
// it becomes one PTX module with a vectorised entry and one for what is left.
//
// Every instruction is made of PTX operations that IEEE 754 rounds exactly
// (add, mul, fma, div, sqrt), never of approximations of the hardware: one
// result on every GPU, and the same from Kernel.Run, which computes the
// very same operations on the CPU. So error bounds are measured without a GPU,
// and Op.Bound states them. The text itself is run too, by internal/ptxtest.
//
// The text is PTX 7.0 for sm_80: drivers and ptxas take it for that and every
// later architecture. Assemble runs NVIDIA's ptxas on it; package cuda
// of backends/tensorrt launches it where there is a GPU. The package knows nothing of the IR.
package ptx
