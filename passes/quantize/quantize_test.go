package quantize_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/digitstest"
	"github.com/hone-ml/hone/internal/npy"
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
