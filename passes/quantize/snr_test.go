package quantize_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/digitstest"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/tensor"
)

func noise(seed uint64) *tensor.Tensor {
	x, r := tensor.New(tensor.Float32, 1, 3, 224, 224), rand.New(rand.NewPCG(seed, 1))
	for i := range tensor.Of[float32](x) {
		tensor.Of[float32](x)[i] = float32(r.NormFloat64())
	}
	return x
}

// Static int8 is as near to float32 as onnxruntime's own tool brings it, for
// eight seeded batches of calibration and four others.
func TestStaticInt8OfRealModels(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole models on the interpreter, for a minute")
	}
	dir := t.TempDir()
	for i := range 8 {
		var b bytes.Buffer
		require.NoError(t, npy.Write(&b, noise(uint64(100+i))))
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.npy", i)), b.Bytes(), 0o644))
	}
	for _, c := range []struct {
		model string
		snr   float64 // of onnxruntime's static quantization, dB
	}{{"mobilenet_v2", 34.4}, {"resnet50", 34.3}} {
		m, err := onnx.Open(testenv.Model(t, c.model), onnx.Options{})
		require.NoError(t, err)
		small := m.Clone()
		require.NoError(t, digitstest.Optimize(t, small, "O2,quantize{mode=static,calibration="+dir+"},dce"))
		answer := func(m *ir.Module, seed uint64) []float32 {
			outs, err := interp.New(m).Run(t.Context(), []tensor.Value{noise(seed)}, interp.Options{})
			require.NoError(t, err)
			return tensor.Of[float32](outs[0].(*tensor.Tensor))
		}
		var signal, off float64
		for i := range uint64(4) {
			want, got := answer(m, 200+i), answer(small, 200+i)
			for j, x := range want {
				signal += float64(x) * float64(x)
				off += float64(x-got[j]) * float64(x-got[j])
			}
		}
		snr := 10 * math.Log10(signal/off)
		t.Logf("%s: %.2f dB", c.model, snr)
		require.GreaterOrEqual(t, snr, c.snr, c.model)
	}
}
