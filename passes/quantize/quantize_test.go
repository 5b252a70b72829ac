package quantize_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/internal/digitstest"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

const calibration = "../../testdata/digits/calibration_images.npy"

// Each mode keeps the accuracy, on the interpreter and in onnxruntime.
func TestDigitsStayRight(t *testing.T) {
	base := digitstest.Accuracy(t, digitstest.Logits(t, digitstest.Module(t)))
	require.Greater(t, base, 99.0)
	for _, c := range []struct {
		name, options string
		drop          float64
	}{
		{"weights", "mode=weights", 0.2},
		{"static minmax", "mode=static,calibration=" + calibration, 0.5},
		{"static percentile", "mode=static,observer=percentile,calibration=" + calibration, 0.5},
		{"static entropy", "mode=static,observer=entropy,calibration=" + calibration, 0.5},
		{"static int8", "mode=static,activations=int8,calibration=" + calibration, 0.5},
		{"static symmetric", "mode=static,activations=int8,symmetric,calibration=" + calibration, 0.5},
		{"fp8 weights", "mode=weights,weights=fp8", 0.5},
		{"dynamic", "mode=dynamic", 0.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := digitstest.Module(t)
			require.NoError(t, digitstest.Optimize(t, m, "O2,quantize{"+c.options+"},dce"))
			size := digitstest.Size(t, m)
			require.LessOrEqual(t, size, 0.3)
			got := digitstest.Accuracy(t, digitstest.Logits(t, m))
			theirs := digitstest.Accuracy(t, digitstest.Onnxruntime(t, m))
			t.Logf("accuracy %.2f -> %.2f, onnxruntime %.2f, size %.3f", base, got, theirs, size)
			require.LessOrEqual(t, base-got, c.drop)
			require.LessOrEqual(t, base-theirs, c.drop)
		})
	}
}

// FP8 and INT4 keep the accuracy on the interpreter; onnxruntime's CPU has no kernels for all of them.
func TestDigitsInFewerBits(t *testing.T) {
	want := digitstest.Logits(t, digitstest.Module(t))
	for _, c := range []struct {
		options   string
		drop, snr float64
	}{
		{"mode=static,activations=fp8,calibration=" + calibration, 0.5, 20},
		{"mode=static,activations=int8,symmetric,calibration=" + calibration, 0.5, 25},
		{"mode=weights,weights=fp8", 0.5, 20},
		{"mode=weights,weights=int4,block=32", 0.5, 25},
		{"mode=weights,weights=int4,block=32,calibration=" + calibration, 0.5, 33},
	} {
		m := digitstest.Module(t)
		require.NoError(t, digitstest.Optimize(t, m, "O2,quantize{"+c.options+"},dce"))
		got := digitstest.Logits(t, m)
		d, err := compare.Tensors(got, want)
		require.NoError(t, err)
		t.Logf("%s: accuracy %.2f, SNR %.1f dB, size %.3f", c.options, digitstest.Accuracy(t, got), d.SNR, digitstest.Size(t, m))
		require.LessOrEqual(t, digitstest.Accuracy(t, want)-digitstest.Accuracy(t, got), c.drop, c.options)
		require.GreaterOrEqual(t, d.SNR, c.snr, c.options)
	}
}

// Zero points are zero and biases float where a target wants that.
func TestSymmetric(t *testing.T) {
	for _, activations := range []string{"int8", "fp8"} {
		m := digitstest.Module(t)
		require.NoError(t, digitstest.Optimize(t, m, "O2,quantize{mode=static,symmetric,activations="+activations+",calibration="+calibration+"},dce"))
		pairs := 0
		m.Main().Body.Walk(func(op *ir.Op) bool {
			if op.Name == "QuantizeLinear" || op.Name == "DequantizeLinear" {
				pairs++
				zero, err := op.Operand(2).Data().Tensor()
				require.NoError(t, err)
				for _, b := range zero.Data {
					require.Zero(t, b)
				}
			}
			return true
		})
		require.Greater(t, pairs, 10)
	}
	_, err := passes.ParsePipeline("quantize{mode=static,symmetric,calibration=x}")
	require.ErrorContains(t, err, "int8 or fp8")
}

func TestExcludedLayersStayFloat(t *testing.T) {
	m := digitstest.Module(t)
	require.NoError(t, digitstest.Optimize(t, m, "O2,quantize{exclude=logits|batchnormalization_7}"))
	require.ErrorContains(t, digitstest.Optimize(t, digitstest.Module(t), "O2,quantize{exclude=nothing}"), `"nothing" matches no layer`)
	for op := range m.Main().Body.Ops() {
		if op.Name == "Gemm" {
			require.NotNil(t, op.Operand(1).Data(), "the weights of an excluded layer")
		}
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, x *tensor.Tensor) string {
		var b bytes.Buffer
		require.NoError(t, npy.Write(&b, x))
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
		return path
	}
	image := func() *tensor.Tensor { return tensor.New(tensor.Float32, 1, 1, 8, 8) }
	bad := image()
	tensor.Of[float32](bad)[5] = float32(math.NaN())
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o755))
	broken := filepath.Join(dir, "broken.npy")
	require.NoError(t, os.WriteFile(broken, []byte("no array"), 0o644))
	for _, c := range []struct{ path, says string }{
		{filepath.Join(dir, "nowhere"), "no such file"},
		{filepath.Join(dir, "empty"), "holds no .npy files"},
		{broken, "broken.npy"},
		{write("nan.npy", bad), "element 5 is NaN"},
		{write("wide.npy", tensor.New(tensor.Float32, 1, 1, 9, 9)), "the model takes"},
		{write("ints.npy", tensor.New(tensor.Int64, 1, 1, 8, 8)), "the model takes"},
		{write("none.npy", tensor.New(tensor.Float32, 0, 1, 8, 8)), "no elements"},
	} {
		require.ErrorContains(t, digitstest.Optimize(t, digitstest.Module(t), "O2,quantize{mode=static,calibration="+c.path+"}"), c.says)
	}
	_, err := passes.ParsePipeline("quantize{mode=static}")
	require.ErrorContains(t, err, "needs calibration data")
	m := digitstest.Module(t)
	require.NoError(t, digitstest.Optimize(t, m, "O2,quantize"))
	require.ErrorContains(t, digitstest.Optimize(t, m, "quantize"), "quantized already")
}
