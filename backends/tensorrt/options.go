package tensorrt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/backends/tensorrt/internal/nvinfer"
	"github.com/hone-ml/hone/passes/precision"
)

// Options says how to build a plan. The zero value needs at least SM.
type Options struct {
	SM       []int     // compute capabilities to build for, as 86 and 89
	Profiles []Profile // optimization profiles; needed where an input has open dimensions

	Library     string   // folder of the TensorRT libraries; empty to look where Find does
	Flags       []string // builder flags by NVIDIA's names without the k: SPARSE_WEIGHTS, STRICT_NANS, ...
	Workspace   int64    // limit of the workspace memory pool in bytes; 0 for the library's own
	Threads     int      // builder threads; 0 for the library's own, which is 1
	TimingCache string   // file of kernel timings to start from and to update; empty for one in CacheDir. TensorRT for RTX times nothing
	Dir         string   // folder that weights kept beside the model (external data) are read from

	Progress func(Progress)                    // called as phases of the build begin, advance and end
	Log      func(severity string, msg string) // called for the library's warnings and errors; all of its messages with Verbose
	Verbose  bool

	// For Compile and Explain, which legalize; Build takes the ONNX as it is.
	Precision string           // fp32 (or empty; TF32 where the GPU has it), fp16, bf16; int8, fp8 or int4 for the layers with constant weights, or as int8+fp16
	Keep      string           // ops to keep in float32: names of ONNX nodes or operators, | between them, * for any text
	Calibrate string           // calibration data, as calibrate.Load reads it; int8 and fp8 need it, int4 rounds with less loss, fp16 and bf16 measure with it
	Choice    precision.Choice // more ops to keep in float32 by measure
	Accuracy  bool             // measure what the precision costs, on the interpreter
	Note      func(string)     // called with what the passes have to tell

	spend       bool   // the module is not needed any more once the builder has it
	stop, crash string // phases to cancel and to fault in, for tests
}

// Profile is one optimization profile: a range for every input that has open dimensions.
type Profile = nvinfer.Profile

// Range is the smallest, usual and largest shape of one input.
type Range = nvinfer.Range

// Progress is where a build is.
type Progress struct {
	Phase, Parent string  // the parent is the phase that this one is a step of
	Step, Steps   int     // done, and how many the phase has
	Ended         bool    // the phase
	Done          float64 // part of the whole build, 0 to 1
}

// ParseRange reads a range as the command line has it: x=1x3x224x224..8x3x224x224..32x3x224x224.
// One shape instead of three stands for all of them.
func ParseRange(text string) (Range, error) {
	bad := func(format string, args ...any) (Range, error) {
		return Range{}, fmt.Errorf("profile %q: %s; want NAME=MIN..OPT..MAX with shapes as 1x3x224x224", text, fmt.Sprintf(format, args...))
	}
	// A name may hold '=' but no shape does.
	cut := strings.LastIndexByte(text, '=')
	if cut <= 0 {
		return bad("no input name")
	}
	parts := strings.Split(text[cut+1:], "..")
	if len(parts) == 1 {
		parts = []string{parts[0], parts[0], parts[0]}
	}
	if len(parts) != 3 {
		return bad("%d shapes", len(parts))
	}
	var s [3][]int64
	for i, p := range parts {
		for d := range strings.SplitSeq(p, "x") {
			n, err := strconv.ParseInt(d, 10, 64)
			if err != nil || n < 0 {
				return bad("%q is not a shape", p)
			}
			s[i] = append(s[i], n)
		}
	}
	if len(s[0]) != len(s[1]) || len(s[1]) != len(s[2]) {
		return bad("shapes of different rank")
	}
	if len(s[0]) > 8 {
		return bad("more than 8 dimensions")
	}
	for i := range s[0] {
		if !slices.IsSorted([]int64{s[0][i], s[1][i], s[2][i]}) {
			return bad("dimension %d is not in the order min, opt, max", i)
		}
	}
	return Range{Input: text[:cut], Min: s[0], Opt: s[1], Max: s[2]}, nil
}

// ParseSM reads a list of compute capabilities: 86,89 or 8.6,sm_89.
func ParseSM(text string) ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(text, ",") {
		digits := strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(part), "sm_"), ".", "")
		n, err := strconv.Atoi(digits)
		if err != nil || n < 50 || n > 999 {
			return nil, fmt.Errorf("%q is not a compute capability; write 86 or 8.6", part)
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, nil
}
