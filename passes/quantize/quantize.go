// Package quantize turns float32 layers into ones of few bits: their weights
// alone (INT8, FP8, or INT4 in blocks), their activations as well from
// calibrated ranges (INT8 or FP8, as Q/DQ pairs), or their activations by the
// range of each run.
//
// Scales follow ONNX: x = (q - zero) * scale, rounded half to even. Weights are
// symmetric with a scale a channel, activations asymmetric with one a tensor,
// or symmetric for targets that know no other.
package quantize

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
)

func init() {
	passes.Register(passes.Spec{
		Name: "quantize",
		Help: "store and compute layers with constant weights in int8, fp8 or int4",
		Options: []passes.Option{
			{Name: "mode", Default: "weights", Type: passes.OneOf("weights", "static", "dynamic"), Help: "weights, static (needs calibration) or dynamic"},
			{Name: "calibration", Help: "static, and int4 to round with less loss: a folder of .npy inputs, or a file that lists them"},
			{Name: "observer", Default: "minmax", Type: passes.OneOf("minmax", "percentile", "entropy"), Help: "static: minmax, percentile or entropy"},
			{Name: "percentile", Default: "99.99", Help: "static: the share of a value that the percentile observer keeps, in percent"},
			{Name: "activations", Default: "uint8", Type: passes.OneOf("uint8", "int8", "fp8"), Help: "static: uint8, int8 or fp8 (E4M3; its weights too)"},
			{Name: "symmetric", Default: "false", Type: passes.Bool, Help: "static: zero points of zero, and biases in float32, as TensorRT wants them"},
			{Name: "weights", Default: "int8", Type: passes.OneOf("int8", "fp8", "int4"), Help: "weights: int8, fp8 or int4"},
			{Name: "block", Default: "128", Type: passes.Int(16, 1<<20), Help: "int4: how many numbers share a scale; 32 where a matrix has no whole number of such blocks"},
			{Name: "exclude", Help: "layers to leave alone: names, | between them, * for any text"},
		},
		Example: `func @main(%x: f32[N,4]) -> (y: f32[N,4]) {
  %0 = const f32[4,4] [1.0, -2.0, 3.0, 4.0, 5.0, 6.0, -7.0, 8.0, 9.0, 10.0, 11.0, -12.0, 13.0, 14.0, 15.0, 16.0]
  %1 = MatMul(%x, %0) : f32[N,4]
  return(%1)
}
`,
		New: newPass,
	})
}

// Settings are the options of the pass, for programs.
type Settings struct {
	Mode        string
	Calibration string
	Batches     []calibrate.Batch // instead of Calibration
	Observer    string
	Percentile  float64
	Activations string
	Symmetric   bool
	Weights     string
	Block       int
	Exclude     layers.Patterns
	Skip        func(*ir.Op) bool // more layers to leave alone
}

type pass struct{ Settings }

// New returns the pass for settings as the options have them.
func New(s Settings) passes.Pass { return &pass{s} }

func newPass(o passes.Options) (passes.Pass, error) {
	if o.Bool("symmetric") && o["activations"] == "uint8" {
		return nil, fmt.Errorf("quantize: symmetric activations are int8 or fp8: uint8 has no numbers below zero")
	}
	pct, err := strconv.ParseFloat(o["percentile"], 64)
	if err != nil || !(pct > 50 && pct <= 100) {
		return nil, fmt.Errorf("quantize: percentile=%s is not above 50 and at most 100", o["percentile"])
	}
	if o["mode"] == "static" && o["calibration"] == "" {
		return nil, fmt.Errorf("quantize: static quantization needs calibration data: name a folder of .npy inputs")
	}
	return New(Settings{Mode: o["mode"], Calibration: o["calibration"], Observer: o["observer"], Percentile: pct / 100, Activations: o["activations"],
		Symmetric: o.Bool("symmetric"), Weights: o["weights"], Block: o.Int("block"), Exclude: layers.ParsePatterns(o["exclude"])}), nil
}

func (p *pass) Name() string { return "quantize" }

func (p *pass) Run(c *passes.Context, m *ir.Module) (bool, error) {
	found, err := layers.Find(m, p.Exclude)
	if err != nil {
		return false, err
	}
	found = slices.DeleteFunc(found, func(l layers.Layer) bool { return p.Skip != nil && p.Skip(l.Op) })
	switch p.Mode {
	case "static":
		return p.static(c, m, found)
	case "dynamic":
		return p.dynamic(c, found)
	}
	return p.weightOnly(c, m, found)
}
