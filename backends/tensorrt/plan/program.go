package plan

import (
	"bytes"
	"regexp"
	"strings"
)

// The engine's programs are text. Each has a header, descriptors of tensors and
// a main part, a step a line. Programs that the run time compiles into one
// kernel (runtime fusions) follow as programs of their own, for any accelerator.
var (
	programStart = []byte("header {\n")
	mainStart    = []byte("\nmain {\n")
	programEnd   = []byte("\n}\n")
	anyTarget    = []byte("accelerators={*}")

	step       = regexp.MustCompile(`^ *(\w+)=\{ name=("[^"]*"|\S+)`)
	layersPart = regexp.MustCompile(`\slayers="([^"]*)"`)
	onnxLayer  = regexp.MustCompile(`\[ONNX Layer: ([^\]]*)\]`)

	// kernelName finds a generated kernel; the variant "_com" that most have beside it is not counted.
	kernelName = regexp.MustCompile(`extern "C" __global__ void _*(\w+?)_0x[0-9a-f]{32}(?:_vec)?\(`)
)

// maxLayers is far above what real engines have.
const maxLayers = 1 << 20

// readLayers lists the steps of the engine's own programs.
func readLayers(engine []byte) []Layer {
	var out []Layer
	for rest := engine; ; {
		_, after, ok := bytes.Cut(rest, programStart)
		if !ok {
			return out
		}
		rest = after
		head, body, ok := bytes.Cut(after, mainStart)
		if !ok {
			return out
		}
		rest = body
		if bytes.Contains(head[:min(len(head), 4096)], anyTarget) {
			continue
		}
		body, rest, _ = bytes.Cut(body, programEnd)
		// Names of ONNX nodes in a step are parted by a control character, not by a line's end.
		for line := range bytes.Lines(body) {
			if l, ok := readStep(line); ok && len(out) < maxLayers {
				out = append(out, l)
			} else if len(out) > 0 {
				out[len(out)-1].Origin = append(out[len(out)-1].Origin, origins(line)...)
			}
		}
	}
}

func readStep(line []byte) (l Layer, ok bool) {
	m := step.FindSubmatch(line)
	if m == nil {
		return l, false
	}
	l = Layer{Kind: string(m[1]), Name: strings.TrimLeft(strings.Trim(string(m[2]), `"`), "_")}
	if p := layersPart.FindSubmatch(line); p != nil {
		l.Origin = origins(p[1])
	}
	return l, true
}

func origins(text []byte) []string {
	var out []string
	for _, o := range onnxLayer.FindAllSubmatch(text, -1) {
		out = append(out, string(o[1]))
	}
	return out
}

func (l Layer) isAttention() bool {
	return l.Kind == "function" && strings.HasPrefix(l.Name, "gemm_mha")
}

// readKernels counts the generated kernels by name, less the digest in it.
func readKernels(engine []byte) map[string]int {
	out := map[string]int{}
	for _, m := range kernelName.FindAllSubmatch(engine, -1) {
		out[string(m[1])]++
	}
	return out
}
