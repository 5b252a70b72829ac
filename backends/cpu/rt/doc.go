// Package rt is the CPU backend's run time: the worker pool, memory outside Go's heap, the arguments of kernels, and the
// drivers that turn one operation into tiles of kernel calls. It knows nothing of the IR, of ONNX or of files, and imports
// nothing of the project, so that a generated package can carry a copy.
//
// A driver is a struct that describes an operation over raw memory. Its Work method checks it, decides the partition and
// returns a Work; everything that a run needs is made there, so that running allocates nothing. A Work reads the driver's
// pointers at bind time: bind again when memory moves. Strides are in elements, sizes of memory in bytes.
//
//	Gemm           matrix product: packed or plain B, batches, bias, residual, clamp, Post program
//	Conv           convolution over NCHWc16, or from NCHW (a network's first); bias, residual, clamp, Post
//	ConvPlanes     convolution of few output channels, from NCHW to NCHW; bias, residual, clamp, Post
//	Winograd       3×3 convolution of stride 1 with a quarter of the multiplications, for four times the weights
//	Depthwise      convolution with one filter a channel over NCHWc16; bias, clamp, Post
//	ConvTranspose  transposed convolution over NCHWc16; bias, residual, clamp
//	Pooling        maximum or mean of a window over NCHWc16
//	GlobalPooling  maximum or mean of whole channels of NCHWc16
//	Map            a Program of elementwise operators with broadcasting
//	Softmax        softmax or its logarithm over rows
//	Attention      scores, softmax and their product with the values, a block of queries at a time
//	Norm           layer and RMS normalization over rows
//	RowSum         sums of rows of tables by index, normalized: embeddings
//	Reduce         maximum, minimum, sum, mean, sum of squares over any one run of dims
//	Copy           strided copy: Slice, Concat, Expand, Transpose, reversal, nearest resize; any element of 1 to 8 bytes
//	Transpose      Copy by permutation
//	Resample       two neighbouring axes made anew: resizing, padding by what is there
//	Gather         rows by index
//	GatherND       parts by position
//	Scalars        elementwise operators on integers and truth values, in plain Go
//	Reorder        NCHW or NHWC to NCHWc16 and back
//	MoveLanes      lanes of NCHWc16 to others
//	ZeroPadLanes   zeros in the lanes past C of NCHWc16
//
// Weights are packed once by PackGemmB, PackConv, PackConvImage, PackConvTranspose, PackPlanes, PackWinograd,
// PackDepthwise and PackVector, the same for every tier.
//
// Kernels come in a Set, one for each ISA tier; GenericSet is the one in plain Go.
package rt
