package hone_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// compressions are what the compressing passes promise for the digits model:
// how many of the pictures that training did not see it may read wrong more
// than before, in percent points, and the most that its files may take, the
// original's size being 1.
var compressions = []struct {
	name, pipeline string
	drop           float64
	onnx, bundle   float64 // 0: not bounded
}{
	{"static int8", "O2,quantize{mode=static,calibration=DATA},dce", 0.5, 0.3, 0},
	{"int8 weights", "O2,quantize{mode=weights},dce", 0.2, 0.3, 0.3},
	{"4-bit clusters", "O2,cluster{bits=4,storage=uint4,calibration=DATA},dce", 0.5, 0.2, 0.2},
	{"2:4", "O2,prune{method=2:4,calibration=DATA},dce", 1, 0, 0},
	{"channels by error", "O2,prune{method=channels,amount=0.4,calibration=DATA},O2", 2, 0.65, 0},
	{"channels by weights", "O2,prune{method=channels,amount=0.4,importance=l1,calibration=DATA},O2", 2, 0.65, 0},
	{"channels by batch norm", "O1,prune{method=channels,amount=0.4,importance=batchnorm,calibration=DATA},O2", 2, 0.65, 0},
}

// digitsFolds are the folders to judge by: the model of the repository, or with
// the whole matrix five models, each tested on a fifth of all pictures that it
// was not trained on.
func digitsFolds(t *testing.T) []string {
	if !testenv.Full() {
		t.Log("one model of the digits; the cross-validation over five runs with HONE_FULL")
		return []string{"testdata/digits"}
	}
	folds, err := filepath.Glob(filepath.Join(testenv.Cache(), "digits", "fold_*"))
	require.NoError(t, err)
	require.Len(t, folds, 5, "make them with scripts/train_digits.py --folds 5")
	return folds
}

// Compressed digits models answer on kernels, from the bundle that is written.
func TestCompressedDigitsStayRightAndSmall(t *testing.T) {
	folds := digitsFolds(t)
	base, of := 0, 0
	for _, dir := range folds {
		model, err := hone.Open(filepath.Join(dir, "digits.onnx"))
		require.NoError(t, err)
		right, n, _ := digitsRight(t, model, dir)
		base, of = base+right, of+n
	}
	for _, c := range compressions {
		t.Run(c.name, func(t *testing.T) {
			right, file, bundle := 0, 0.0, 0.0
			for _, dir := range folds {
				model, err := hone.Open(filepath.Join(dir, "digits.onnx"))
				require.NoError(t, err)
				require.NoError(t, model.Optimize(passes.NewContext(t.Context()), withData(c.pipeline, filepath.Join(dir, "calibration_images.npy"))))
				path := filepath.Join(t.TempDir(), "small.onnx")
				require.NoError(t, onnx.WriteFile(t.Context(), path, model.Module(), onnx.ExportOptions{}))
				small, err := hone.Open(path)
				require.NoError(t, err)
				r, _, size := digitsRight(t, small, dir)
				right += r
				file = max(file, float64(small.Bytes())/float64(model.Bytes()))
				bundle = max(bundle, float64(size)/float64(model.Bytes()))
			}
			drop := 100 * float64(base-right) / float64(of)
			t.Logf("%d of %d pictures right, %d before: %.2f points lost; size %.3f, bundle %.3f", right, of, base, drop, file, bundle)
			require.LessOrEqual(t, drop, c.drop, "points of accuracy lost")
			require.LessOrEqual(t, file, orAny(c.onnx), "size of the ONNX file")
			require.LessOrEqual(t, bundle, orAny(c.bundle), "size of the bundle")
		})
	}
}

func withData(pipeline, path string) string { return strings.ReplaceAll(pipeline, "DATA", path) }

func orAny(bound float64) float64 {
	if bound == 0 {
		return math.Inf(1)
	}
	return bound
}

// digitsRight compiles a model, and counts the pictures of a folder that its
// bundle reads right. The size is the bundle's.
func digitsRight(t *testing.T, m *hone.Model, dir string) (right, of int, size int64) {
	t.Helper()
	compiled, err := hone.Compile(t.Context(), m, hone.CompileOptions{})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "digits.hone")
	require.NoError(t, compiled.WriteFile(t.Context(), path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	session, err := hone.Load(path, hone.SessionOptions{Check: true})
	require.NoError(t, err)
	defer session.Close()
	images, err := npy.ReadFile(filepath.Join(dir, "test_images.npy"))
	require.NoError(t, err)
	labels, err := npy.ReadFile(filepath.Join(dir, "test_labels.npy"))
	require.NoError(t, err)
	outs, err := session.Run(t.Context(), map[string]*tensor.Tensor{"image": images})
	require.NoError(t, err)
	logits := tensor.Of[float32](outs["logits"])
	for i, label := range tensor.Of[int64](labels) {
		row := logits[10*i : 10*i+10]
		if slices.Index(row, slices.Max(row)) == int(label) {
			right++
		}
	}
	return right, labels.Len(), info.Size()
}
