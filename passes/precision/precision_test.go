package precision_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/internal/digitstest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

const calibration = "../../testdata/digits/calibration_images.npy"

func TestDigitsInHalf(t *testing.T) {
	want := digitstest.Logits(t, digitstest.Module(t))
	for _, c := range []struct {
		options string
		snr     float64
		theirs  bool // onnxruntime has kernels for it
	}{
		{"precision=fp16", 50, true},
		{"precision=fp16,calibration=" + calibration, 50, true},
		{"precision=fp16,exclude=Gemm|relu_8", 50, true},
		{"precision=fp16,scope=weights", 55, true},
		{"precision=bf16,scope=weights", 40, true},
		{"precision=bf16", 30, false},
	} {
		m := digitstest.Module(t)
		require.NoError(t, digitstest.Optimize(t, m, "O2,precision{"+c.options+"},dce"), c.options)
		require.NoError(t, ops.InferModule(m), c.options)
		require.Equal(t, tensor.Float32, m.Main().Results()[0].Type.DType)
		d, err := compare.Tensors(digitstest.Logits(t, m), want)
		require.NoError(t, err)
		size := digitstest.Size(t, m)
		t.Logf("%s: SNR %.1f dB, top-1 %.2f, size %.3f", c.options, d.SNR, 100*d.Top1, size)
		require.GreaterOrEqual(t, d.SNR, c.snr, c.options)
		require.LessOrEqual(t, size, 0.55, c.options)
		if c.theirs {
			d, err := compare.Tensors(digitstest.Onnxruntime(t, m), want)
			require.NoError(t, err)
			require.GreaterOrEqual(t, d.SNR, c.snr, c.options)
		}
	}
}

// Ops with values beyond the type stay float32, and say so.
func TestOverflowStaysFloat(t *testing.T) {
	m := ir.NewModule("big", ops.NewestOpset(""))
	x := m.Main().AddInput("image", ir.Static(tensor.Float32, 2))
	b := ir.AtEnd(m.Main().Body)
	mul, err := ops.Build(b, "Mul", []*ir.Value{x, b.Tensor(tensor.Float32s([]float32{1e6}, 1))})
	require.NoError(t, err)
	relu, err := ops.Build(b, "Relu", []*ir.Value{x})
	require.NoError(t, err)
	m.Main().Return([]string{"y", "z"}, mul.Result(0), relu.Result(0))
	p, err := passes.ParsePipeline("precision,dce")
	require.NoError(t, err)
	c := passes.NewContext(t.Context())
	_, err = p.Run(c, m)
	require.NoError(t, err)
	require.Len(t, c.Notes, 1)
	require.Contains(t, c.Notes[0], "stays float32")
	require.Equal(t, tensor.Float32, mul.Result(0).Type.DType)
	require.Equal(t, tensor.Float16, relu.Result(0).Type.DType)
	require.NoError(t, ir.Verify(m))
}

func TestRefusals(t *testing.T) {
	for _, o := range []string{"precision=fp8", "scope=some"} {
		_, err := passes.ParsePipeline("precision{" + o + "}")
		require.ErrorContains(t, err, "choose", o)
	}
}
