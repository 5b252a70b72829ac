package nvinfer

// Family is a line of TensorRT libraries: the file names of the builder and
// of its ONNX parser.
type Family struct {
	Name, Core, Parser string
}

// Families lists what is looked for, in order of preference. TensorRT for RTX
// builds for other machines' GPUs and without one; full TensorRT builds for
// the GPU of the machine it runs on.
var Families = []Family{
	{"TensorRT for RTX", "libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"},
	{"TensorRT", "libnvinfer.so.11", "libnvonnxparser.so.11"},
}

// NotFound begins the reason of a job that found no library.
const NotFound = "no TensorRT library"
