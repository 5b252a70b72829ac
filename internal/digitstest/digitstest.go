// Package digitstest judges compressing passes by the digits model: how many of
// the held-out images it still reads, here and in onnxruntime.
package digitstest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/passes"
	_ "github.com/hone-ml/hone/passes/all" // the pipelines -O0 to -O3
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/testdata/digits"
)

// Size is that of the exported module over the original file's.
func Size(t testing.TB, m *ir.Module) float64 {
	t.Helper()
	var file bytes.Buffer
	require.NoError(t, onnx.Export(&file, m, onnx.ExportOptions{}))
	return float64(file.Len()) / float64(len(digits.Model))
}

// Module reads the model.
func Module(t testing.TB) *ir.Module {
	t.Helper()
	m, err := onnx.Import(digits.Model, onnx.Options{})
	require.NoError(t, err)
	return m
}

// Optimize runs a pipeline, the module checked after each pass.
func Optimize(t testing.TB, m *ir.Module, pipeline string) error {
	t.Helper()
	p, err := passes.ParsePipeline(pipeline)
	require.NoError(t, err)
	c := passes.NewContext(context.Background())
	c.VerifyEach = true
	_, err = p.Run(c, m)
	return err
}

func read(t testing.TB, b []byte) *tensor.Tensor {
	t.Helper()
	x, err := npy.Read(bytes.NewReader(b))
	require.NoError(t, err)
	return x
}

// Logits are the answers of the interpreter for the held-out images.
func Logits(t testing.TB, m *ir.Module) *tensor.Tensor {
	t.Helper()
	outs, err := interp.New(m).Run(context.Background(), []tensor.Value{read(t, digits.Images)}, interp.Options{})
	require.NoError(t, err)
	return outs[0].(*tensor.Tensor)
}

// Accuracy is the share of held-out images that are read right, in percent.
func Accuracy(t testing.TB, logits *tensor.Tensor) float64 {
	t.Helper()
	y, labels, right := tensor.Of[float32](logits), tensor.Of[int64](read(t, digits.Labels)), 0
	for i, l := range labels {
		best := 0
		for j := range 10 {
			if y[i*10+j] > y[i*10+best] {
				best = j
			}
		}
		if int64(best) == l {
			right++
		}
	}
	return 100 * float64(right) / float64(len(labels))
}

// Onnxruntime checks the exported module with onnx.checker, and answers by onnxruntime.
func Onnxruntime(t testing.TB, m *ir.Module) *tensor.Tensor {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, onnx.WriteFile(context.Background(), filepath.Join(dir, "m.onnx"), m, onnx.ExportOptions{}))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.npy"), digits.Images, 0o644))
	script := `
import sys, numpy as np, onnx, onnxruntime as ort
d = sys.argv[1]
onnx.checker.check_model(onnx.load(d + "/m.onnx"), full_check=True)
s = ort.InferenceSession(d + "/m.onnx", providers=["CPUExecutionProvider"])
np.save(d + "/y.npy", s.run(None, {"image": np.load(d + "/x.npy")})[0])
`
	out, err := exec.Command(testenv.Python(t), "-c", script, dir).CombinedOutput()
	require.NoError(t, err, string(out))
	y, err := npy.ReadFile(filepath.Join(dir, "y.npy"))
	require.NoError(t, err)
	return y
}
