package prune_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/digitstest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

const calibration = "../../testdata/digits/calibration_images.npy"

func weights(t *testing.T, m *ir.Module) (all [][]float32, shapes [][]int) {
	for op := range m.Main().Body.Ops() {
		if op.Name == "Conv" || op.Name == "Gemm" {
			w, err := op.Operand(1).Data().Tensor()
			require.NoError(t, err)
			all, shapes = append(all, tensor.Of[float32](w)), append(shapes, w.Shape)
		}
	}
	return all, shapes
}

func TestDigitsStayRight(t *testing.T) {
	base := digitstest.Accuracy(t, digitstest.Logits(t, digitstest.Module(t)))
	for _, c := range []struct {
		pipeline string
		drop     float64
	}{
		{"O2,prune{method=2:4,calibration=" + calibration + "},dce", 1},
		{"O2,prune{method=global,amount=0.5,calibration=" + calibration + "},dce", 1},
		{"O2,prune{method=layer,amount=0.4,calibration=" + calibration + "},dce", 1},
		{"O2,prune{method=channels,amount=0.4,calibration=" + calibration + "},O2", 2},
		{"O2,prune{method=global,amount=0.2},dce", 1},
		{"O2,prune{method=layer,amount=0.2},dce", 1},
	} {
		m := digitstest.Module(t)
		require.NoError(t, digitstest.Optimize(t, m, c.pipeline))
		here, there := digitstest.Accuracy(t, digitstest.Logits(t, m)), digitstest.Accuracy(t, digitstest.Onnxruntime(t, m))
		t.Logf("%s: accuracy %.2f -> %.2f, onnxruntime %.2f", c.pipeline, base, here, there)
		require.LessOrEqual(t, base-here, c.drop, c.pipeline)
		require.LessOrEqual(t, base-there, c.drop, c.pipeline)
	}
}

func TestTwoOfFourAlongTheInputs(t *testing.T) {
	m := digitstest.Module(t)
	require.NoError(t, digitstest.Optimize(t, m, "O2,prune{method=2:4,calibration="+calibration+"},dce"))
	all, shapes := weights(t, m)
	checked := 0
	for i, w := range all {
		s := shapes[i]
		if s[1]%4 != 0 {
			continue
		}
		inner := len(w) / s[0] / s[1]
		for base := 0; base < len(w); base += 4 * inner {
			for j := range inner {
				zeros := 0
				for k := range 4 {
					if w[base+k*inner+j] == 0 {
						zeros++
					}
				}
				require.GreaterOrEqual(t, zeros, 2)
			}
		}
		checked++
	}
	require.Equal(t, 4, checked)
}

func TestShareOfZeros(t *testing.T) {
	for _, method := range []string{"global", "layer"} {
		m := digitstest.Module(t)
		require.NoError(t, digitstest.Optimize(t, m, "O2,prune{amount=0.6,method="+method+"},dce"))
		all, _ := weights(t, m)
		zero, n := 0, 0
		for _, w := range all {
			for _, x := range w {
				n++
				if x == 0 {
					zero++
				}
			}
		}
		require.InDelta(t, 0.6, float64(zero)/float64(n), 0.01, method)
	}
}

// Channels that are cut leave smaller tensors, the residual's two sides alike.
func TestChannelsShrink(t *testing.T) {
	for _, importance := range []string{"l1", "batchnorm"} {
		m := digitstest.Module(t)
		require.NoError(t, digitstest.Optimize(t, m, "O1,prune{method=channels,amount=0.4,importance="+importance+"},O2"))
		_, s := weights(t, m)
		require.Len(t, s, 5)
		require.Equal(t, 1, s[0][1], "the image keeps its channel")
		require.Equal(t, 10, s[4][0], "the classes stay")
		require.Equal(t, s[1][0], s[2][0], "the residual ties two layers")
		macs := func(s [][]int) int { // 64 pixels before the pooling, 16 behind it
			n := 0
			for i, px := range []int{64, 64, 16, 16} {
				n += px * s[i][0] * s[i][1] * 9
			}
			return n
		}
		_, whole := weights(t, digitstest.Module(t))
		left := float64(macs(s)) / float64(macs(whole))
		require.InDelta(t, 0.6, left, 0.03, fmt.Sprint(s))
		there := digitstest.Onnxruntime(t, m)
		require.InDeltaSlice(t, tensor.Of[float32](there), tensor.Of[float32](digitstest.Logits(t, m)), 1e-3)
		t.Logf("%s: shapes %v, accuracy %.2f, size %.3f", importance, s, digitstest.Accuracy(t, there), digitstest.Size(t, m))
	}
}

func TestRefusals(t *testing.T) {
	for _, o := range []string{"method=all", "amount=0", "amount=1.5", "importance=taste"} {
		_, err := passes.ParsePipeline("prune{" + o + "}")
		require.ErrorContains(t, err, "choose", o)
	}
}
