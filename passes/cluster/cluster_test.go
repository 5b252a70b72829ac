package cluster_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/digitstest"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/tensor"
)

const calibration = "../../testdata/digits/calibration_images.npy"

// Sixteen values a layer are enough for the digits, and half a byte a weight
// for sixteen values.
func TestDigitsStayRight(t *testing.T) {
	base := digitstest.Accuracy(t, digitstest.Logits(t, digitstest.Module(t)))
	for _, c := range []struct {
		options string
		size    float64
	}{{"bits=4", 0.3}, {"bits=4,storage=uint4", 0.2}, {"bits=3,storage=uint4,calibration=" + calibration, 0.2}} {
		m := digitstest.Module(t)
		require.NoError(t, digitstest.Optimize(t, m, "O2,cluster{"+c.options+"},dce"))
		size := digitstest.Size(t, m)
		here, there := digitstest.Accuracy(t, digitstest.Logits(t, m)), digitstest.Accuracy(t, digitstest.Onnxruntime(t, m))
		t.Logf("%s: accuracy %.2f -> %.2f, onnxruntime %.2f, size %.3f", c.options, base, here, there, size)
		require.LessOrEqual(t, size, c.size)
		require.LessOrEqual(t, base-here, 0.5)
		require.LessOrEqual(t, base-there, 0.5)
	}
}

// A codebook holds no more values than its bits can count, and folding it
// back gives channels of that many values.
func TestWeightsShareValues(t *testing.T) {
	m := digitstest.Module(t)
	require.NoError(t, digitstest.Optimize(t, m, "O2,cluster{bits=2},fold-constants{decode=true,max-growth=1000000},dce"))
	seen := 0
	for op := range m.Main().Body.Ops() {
		if op.Name != "Conv" {
			continue
		}
		w, err := op.Operand(1).Data().Tensor()
		require.NoError(t, err)
		values := make([]map[float32]bool, w.Shape[0])
		layers.Channels(w.Shape, 0, func(i, ch int) {
			if values[ch] == nil {
				values[ch] = map[float32]bool{}
			}
			values[ch][tensor.Of[float32](w)[i]] = true
		})
		for _, v := range values {
			require.LessOrEqual(t, len(v), 4)
		}
		seen++
	}
	require.Equal(t, 4, seen)
}

func TestRefusals(t *testing.T) {
	for _, o := range []string{"bits=9", "bits=0", "bits=x", "storage=uint4,bits=5", "storage=int2"} {
		_, err := passes.ParsePipeline("cluster{" + o + "}")
		require.ErrorContains(t, err, "choose", o)
	}
}
