// Package quantize turns float32 layers into int8 ones: their weights alone,
// their activations as well from calibrated ranges (as Q/DQ pairs), or
// their activations by the range of each run.
//
// Scales follow ONNX: x = (q - zero) * scale, rounded half to even. Weights are
// symmetric with a scale a channel, activations asymmetric with one a tensor.
package quantize

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "quantize",
		Help: "store and compute layers with constant weights in int8",
		Options: []passes.Option{
			{Name: "mode", Default: "weights", Help: "weights, static (needs calibration) or dynamic"},
			{Name: "calibration", Help: "static: a folder of .npy inputs, or a file that lists them"},
			{Name: "observer", Default: "minmax", Help: "static: minmax, percentile or entropy"},
			{Name: "percentile", Default: "99.99", Help: "static: the share of a value that the percentile observer keeps, in percent"},
			{Name: "activations", Default: "uint8", Help: "static: uint8 or int8"},
			{Name: "exclude", Help: "layers to leave alone: names, | between them, * for any text"},
		},
		New: newPass,
	})
}

type pass struct {
	mode        string
	calibration string
	observer    string
	percentile  float64
	activations tensor.DType
	exclude     layers.Patterns
}

func newPass(o passes.Options) (passes.Pass, error) {
	for _, c := range []struct {
		name  string
		among []string
	}{
		{"mode", []string{"weights", "static", "dynamic"}},
		{"observer", []string{"minmax", "percentile", "entropy"}},
		{"activations", []string{"uint8", "int8"}},
	} {
		if !slices.Contains(c.among, o[c.name]) {
			return nil, fmt.Errorf("quantize: %s=%s: choose among %s", c.name, o[c.name], strings.Join(c.among, ", "))
		}
	}
	pct, err := strconv.ParseFloat(o["percentile"], 64)
	if err != nil || !(pct > 50 && pct <= 100) {
		return nil, fmt.Errorf("quantize: percentile=%s is not above 50 and at most 100", o["percentile"])
	}
	if o["mode"] == "static" && o["calibration"] == "" {
		return nil, fmt.Errorf("quantize: static quantization needs calibration data: name a folder of .npy inputs")
	}
	p := &pass{mode: o["mode"], calibration: o["calibration"], observer: o["observer"], percentile: pct / 100,
		activations: tensor.Uint8, exclude: layers.ParsePatterns(o["exclude"])}
	if o["activations"] == "int8" {
		p.activations = tensor.Int8
	}
	return p, nil
}

func (p *pass) Name() string { return "quantize" }

func (p *pass) Run(c *passes.Context, m *ir.Module) (bool, error) {
	if op := quantized(m); op != nil {
		return false, fmt.Errorf("the model is quantized already, at %s: start from the float model", ops.Describe(op))
	}
	found, err := layers.Find(m, p.exclude)
	if err != nil {
		return false, err
	}
	if len(found) == 0 {
		return false, fmt.Errorf("the model has no layer with constant float32 weights to quantize (Conv, ConvTranspose, Gemm, MatMul)")
	}
	switch p.mode {
	case "static":
		return p.static(c, m, found)
	case "dynamic":
		return p.dynamic(c, found)
	}
	return p.weightOnly(c, found)
}

// quantized returns the first op of a quantized model, nil for a float one.
func quantized(m *ir.Module) (first *ir.Op) {
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			switch op.Name {
			case "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger":
				first = op
			}
			return first == nil
		})
	}
	return first
}
