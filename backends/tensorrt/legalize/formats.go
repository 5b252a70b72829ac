package legalize

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/passes/precision"
	"github.com/hone-ml/hone/passes/quantize"
	"github.com/hone-ml/hone/tensor"
)

// A Format is what a plan computes in: a float type, and fewer bits for the
// layers that have constant weights, where it names some.
type Format struct {
	Float  tensor.DType
	Layers string // "", "int8", "fp8" or "int4"
}

// formats are the names of formats with the least compute capability that the
// builder takes them for: it was asked, for each of 75, 80, 86, 89 and 120.
var formats = map[string]struct {
	float  tensor.DType // none: of layers
	sm     int
	data   bool // wants calibration data
	advice string
}{
	"fp32": {float: tensor.Float32, sm: 75},
	"fp16": {float: tensor.Float16, sm: 75},
	"bf16": {float: tensor.BFloat16, sm: 80, advice: "fp16"},
	"int8": {sm: 75, data: true},
	"fp8":  {sm: 89, data: true, advice: "int8 or int8+fp16"},
	"int4": {sm: 80, advice: "int8+fp16"},
}

// ParseFormat reads a format: a float type, or int8, fp8 or int4 for the
// layers, alone (all else in fp32) or with the float type of all else, as
// int8+fp16. It refuses what a compute capability lacks.
func ParseFormat(text string, sm []int) (Format, error) {
	out := Format{Float: tensor.Float32}
	floats := 0
	for name := range strings.SplitSeq(text, "+") {
		if name == "" && text == "" {
			name = "fp32"
		}
		f, ok := formats[name]
		switch {
		case !ok:
			return out, fmt.Errorf("precision %q is not known to TensorRT's backend: fp32, fp16, bf16, or int8, fp8, int4 for layers with constant weights, alone or with a float for all else as int8+fp16", text)
		case f.float != tensor.Undefined:
			out.Float = f.float
			floats++
		case out.Layers != "":
			return out, fmt.Errorf("precision %q names two formats for the layers: one of %s and %s", text, out.Layers, name)
		default:
			out.Layers = name
		}
		for _, s := range sm {
			if s < f.sm {
				return out, fmt.Errorf("precision %s needs compute capability %d.%d at least, and %d.%d is asked for: build a plan of its own for that, with %s",
					name, f.sm/10, f.sm%10, s/10, s%10, f.advice)
			}
		}
	}
	if floats > 1 {
		return out, fmt.Errorf("precision %q names two float types", text)
	}
	if out.Layers != "" && out.Float == tensor.Float32 && slices.Contains(sm, 75) {
		return out, fmt.Errorf("precision %s leaves float32 matrix products, which compute capability 7.5 does not support: %s+fp16", text, out.Layers)
	}
	return out, nil
}

// layersPass is the pass that writes the layers in few bits, nil where the format has none.
func (f Format) layersPass(o Options, keep layers.Patterns) (passes.Pass, error) {
	s := quantize.Settings{Batches: o.Batches, Observer: "minmax", Activations: f.Layers, Symmetric: true, Weights: f.Layers, Block: 128,
		Skip: func(op *ir.Op) bool { return depthwise(op) || keep.MatchOp(op) }}
	switch {
	case f.Layers == "":
		return nil, nil
	case !formats[f.Layers].data:
		s.Mode = "weights"
	case o.Batches == nil:
		return nil, fmt.Errorf("precision %s needs calibration data: a folder of .npy inputs, --calibrate DIR", f.Layers)
	default:
		s.Mode = "static"
	}
	return quantize.New(s), nil
}

// depthwise reports whether op is a convolution of each channel by itself. In
// few bits TensorRT takes those as dense ones over 128 channels: the plan of
// mobilenet_v2 then has 11.2 MB of weights, not 3.7.
func depthwise(op *ir.Op) bool {
	if op.Name != "Conv" || attrInt(op, "group", 1) == 1 || op.Operand(1).Type.Rank() < 2 {
		return false
	}
	n, ok := op.Operand(1).Type.Dims[1].Int()
	return ok && n == 1
}

// measured returns the ops that stay in float32 by measure, with the reasons.
func (p *narrowing) measured(m *ir.Module) (map[*ir.Op]string, error) {
	if p.batches == nil && p.choice == (precision.Choice{}) {
		return map[*ir.Op]string{}, nil
	}
	batches := p.batches
	var err error
	if batches == nil {
		batches, err = calibrate.Seeded(m.Main().Body.Args, precision.SeededBatches, nil)
	} else {
		batches, err = calibrate.As(batches, m.Main().Body.Args)
	}
	if err != nil {
		return nil, err
	}
	r, err := precision.Measure(p.Context, m, batches, p.to, func(op *ir.Op) bool { return op.Name != "DequantizeLinear" && p.takes(op) })
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(r.String()) {
		p.Note("%s", strings.TrimSuffix(line, "\n"))
	}
	return r.Keep(p.choice), nil
}
