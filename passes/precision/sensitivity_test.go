package precision_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/internal/digitstest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/precision"
	"github.com/hone-ml/hone/tensor"
)

const sensitive = `module @m opset=28
func @main(%x: f32[4]) -> (y: f32[4]) {
  %c = const f32[] [300.0]
  %m = const f32[] [-3.4e38]
  %tiny = const f32[] [1.0e-9]
  %a = Mul(%x, %c) : f32[4] loc("scale")
  %b = Mul(%a, %a) : f32[4] loc("square")
  %d = Sqrt(%b) : f32[4] loc("root")
  %e = Mul(%d, %tiny) : f32[4] loc("tiny")
  %f = Min(%e, %m) : f32[4] loc("mask")
  %g = Max(%f, %x) : f32[4] loc("unmask")
  return(%g)
}`

func report(t *testing.T, m *ir.Module, to tensor.DType) map[string]*precision.Layer {
	x := tensor.From(tensor.Float32, []float32{1, -1.5, 2.001, 0.25}, 4)
	r, err := precision.Measure(t.Context(), m, []calibrate.Batch{{x}, {x}}, to, func(*ir.Op) bool { return true })
	require.NoError(t, err)
	out := map[string]*precision.Layer{}
	for _, l := range r {
		if len(l.Op.Loc) > 0 {
			out[l.Op.Loc[0]] = l
		}
	}
	return out
}

// A report names what overflows, what becomes zero and what is only rounded; the stand-ins of infinity are no overflow.
func TestMeasure(t *testing.T) {
	m, err := ir.Parse(sensitive, ir.ParseOptions{})
	require.NoError(t, err)
	r := report(t, m, tensor.Float16)
	require.InDelta(t, 600.3, r["scale"].Max, 0.01)
	require.EqualValues(t, 8, r["scale"].Count, "two batches")
	require.Zero(t, r["scale"].Overflow)
	require.Greater(t, r["scale"].SNR, 60.0)
	require.EqualValues(t, 3*2, r["square"].Overflow, "300 squared is beyond 65504, 75 squared is not")
	require.True(t, math.IsInf(r["square"].SNR, -1))
	require.EqualValues(t, 3*2, r["root"].Overflow, "its operands overflow")
	require.EqualValues(t, 4*2, r["tiny"].Underflow)
	require.LessOrEqual(t, r["tiny"].SNR, 0.0)
	require.Zero(t, r["mask"].Overflow)
	require.Zero(t, r["unmask"].Overflow)

	for name, l := range report(t, m, tensor.BFloat16) {
		require.Zero(t, l.Overflow, name)
		require.Zero(t, l.Underflow, name)
		require.Greater(t, l.SNR, 40.0, name)
	}
}

// Layers that overflow stay in float32, and so do those that a choice names; a constant beyond the type keeps "mask" there in any case.
func TestChoices(t *testing.T) {
	for options, want := range map[string][]string{
		"keep-worst=1":   {"mask", "root", "square"},
		"keep-worst=3":   {"mask", "root", "square", "tiny"},
		"keep-under=50":  {"mask", "root", "square", "tiny"},
		"keep-under=200": {"mask", "root", "scale", "square", "tiny", "unmask"},
	} {
		m, err := ir.Parse(sensitive, ir.ParseOptions{})
		require.NoError(t, err)
		p, err := passes.ParsePipeline("precision{" + options + "},dce")
		require.NoError(t, err)
		c := passes.NewContext(t.Context())
		c.VerifyEach = true
		_, err = p.Run(c, m)
		require.NoError(t, err)
		var kept []string
		for op := range m.Main().Body.Ops() {
			if op.Name != "Cast" && op.Name != ir.ConstantName && len(op.Loc) > 0 && op.Result(0).Type.DType == tensor.Float32 {
				kept = append(kept, op.Loc[0])
			}
		}
		slices.Sort(kept)
		require.Equal(t, want, kept, options)
		require.Contains(t, c.Notes[0], "6 layers measured: 2 overflow")
	}
}

// What is kept by measure brings a model nearer to float32.
func TestKeepingTheWorstHelps(t *testing.T) {
	snr := func(options string) float64 {
		m := digitstest.Module(t)
		require.NoError(t, digitstest.Optimize(t, m, "O2,precision{precision=bf16,"+options+"},dce"))
		d, err := compare.Tensors(digitstest.Logits(t, m), digitstest.Logits(t, digitstest.Module(t)))
		require.NoError(t, err)
		return d.SNR
	}
	all, most := snr("keep-worst=0"), snr("keep-worst=8")
	t.Logf("%.1f dB, %.1f with the worst eight in float32", all, most)
	require.Greater(t, most, all)
}
