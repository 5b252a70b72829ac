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
// # Precisions
//
// Options.Precision (hone compile --precision) is a float type, or a format of
// few bits for the layers that have constant weights (Conv, ConvTranspose,
// Gemm, MatMul), alone or with the float type of all else: int8+fp16.
//
//	fp32   from 7.5, where it has no matrix products; TF32 where the GPU has it
//	fp16   from 7.5   casts inserted; what loses its range by nature stays in float32
//	bf16   from 8.0   the same, with the range of float32
//	int8   from 7.5   Q/DQ pairs, zero points of zero, from calibration data (--calibrate); int8+fp16 on 7.5
//	fp8    from 8.9   the same in E4M3
//	int4   from 8.0   weights of matrices alone, a scale for 128 numbers, or 32; with calibration data (--calibrate) 23 dB on minilm_l6, without 12
//
// These are compute capabilities; all library versions with a slot table take
// all of them. What a capability lacks is refused before the build.
//
// Ops stay in float32 where Options.Keep (--keep) matches their ONNX name or
// operator, and by measure: with calibration data, those that overflow;
// with Options.Choice (--keep-worst, --keep-under), also those that lose most by
// themselves, see package passes/precision. --explain says which, and why.
//
// Report.Accuracy is what a precision costs: the signal-to-noise ratio of the
// model as it is handed to TensorRT, both run by the reference interpreter. It
// rounds where TensorRT has to and accumulates in float32; what a GPU does
// beyond that (TF32, order of sums) it does not know.
//
// # Plans and GPUs
//
// ReadPlan reads a plan without any library. Run runs one on the first GPU, in a
// child process as well: the library's run time reads the plan, memory and times
// are package cuda's. Without a GPU the library refuses at that point, so what
// comes behind it is tested where there is one (go test -run GPU). The package knows nothing of how
// kernels of hone's own are written (codegen/ptx).
package tensorrt
