// Package nvinfer speaks to NVIDIA's TensorRT libraries: it loads them at run
// time, calls their C++ virtual methods through tables of slot numbers, one
// table a library version, and turns an ONNX model into an engine plan.
//
// It runs only in a child process, because a fault in a foreign library takes
// the whole process with it; package tensorrt starts that child and is the
// only importer. It knows nothing of hone's IR: ONNX bytes go in, a plan comes
// out, and what happens on the way is told as events.
//
// Slot tables (zslots_*.go) are written by scripts/tensorrt_slots.py from the
// headers of each version. A version without a table is refused, and every
// table is tried on harmless properties before a network is built with it.
package nvinfer
