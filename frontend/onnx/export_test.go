package onnx

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/testenv"
)

// compare lets onnx.checker and onnxruntime judge exported models; each
// pair is an original, its export and where the inputs are. It returns how many ran equal, what
// failed, and whose opset had to rise.
func compare(t *testing.T, pairs [][3]string) (ok int, failed, raised []string) {
	var in bytes.Buffer
	for _, p := range pairs {
		fmt.Fprintln(&in, p[0], p[1], p[2])
	}
	cmd := exec.Command(testenv.Python(t), "testdata/compare.py")
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		switch verdict, rest, _ := strings.Cut(strings.TrimSpace(line), " "); verdict {
		case "ok":
			ok++
		case "fail":
			failed = append(failed, rest)
		case "raised":
			raised = append(raised, rest)
		case "skip":
			t.Log(verdict, rest)
		}
	}
	return ok, failed, raised
}

func exportFile(path, out string) error {
	m, err := Open(path, Options{})
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	return WriteFile(context.Background(), out, m, ExportOptions{})
}

// TestConformanceModelsExport imports every conformance test and exports it
// again: the result passes onnx.checker and runs as the original does.
func TestConformanceModelsExport(t *testing.T) {
	models, err := filepath.Glob(filepath.Join(testenv.Conformance(t), "*", "*", "model.onnx"))
	require.NoError(t, err)
	dir := t.TempDir()
	var pairs [][3]string
	for i, path := range models {
		if testing.Short() && i%10 != 0 {
			continue
		}
		out := filepath.Join(dir, fmt.Sprint(i, ".onnx"))
		if err := exportFile(path, out); err != nil {
			require.Contains(t, path, "test_loop16_seq_none", "%v", err)
			continue
		}
		pairs = append(pairs, [3]string{path, out, filepath.Dir(path)})
	}
	ok, failed, raised := compare(t, pairs)
	t.Logf("%d of %d exports run equal", ok, len(pairs))
	require.Empty(t, failed)
	require.Less(t, len(raised), 20, "opsets rise for want of an older form only: %v", raised)
	require.Greater(t, ok, len(pairs)*8/10)
}

// TestRealModelsExport does the same with real models.
func TestRealModelsExport(t *testing.T) {
	dir := t.TempDir()
	var pairs [][3]string
	for i, path := range modelFiles(t) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		if testing.Short() && info.Size() > 5<<20 || !testenv.Full() && info.Size() > 30<<20 {
			continue
		}
		out := filepath.Join(dir, fmt.Sprint(i, ".onnx"))
		require.NoError(t, exportFile(path, out), path)
		name := strings.TrimSuffix(filepath.Base(path), ".onnx")
		pairs = append(pairs, [3]string{path, out, filepath.Join(testenv.Cache(), "oracle", name)})
	}
	ok, failed, _ := compare(t, pairs)
	require.Empty(t, failed)
	require.Equal(t, len(pairs), ok)
}

// TestForeignOperators imports every operator of com.microsoft that has a
// definition here, and lets onnxruntime run that definition beside its own.
func TestForeignOperators(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.Command(testenv.Python(t), "testdata/foreign.py", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	models, err := filepath.Glob(filepath.Join(dir, "*", "model.onnx"))
	require.NoError(t, err)
	var pairs [][3]string
	for _, path := range models {
		out := filepath.Join(filepath.Dir(path), "out.onnx")
		require.NoError(t, exportFile(path, out), path)
		pairs = append(pairs, [3]string{path, out, filepath.Dir(path)})
	}
	ok, failed, _ := compare(t, pairs)
	require.Empty(t, failed)
	require.Equal(t, len(pairs), ok)
}
