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
// pair is an original, its export and where the inputs are. It returns how many ran equal, and complaints.
func compare(t *testing.T, pairs [][3]string) (ok int, complaints []string) {
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
		case "fail", "note":
			complaints = append(complaints, verdict+" "+rest)
		}
	}
	return ok, complaints
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
			t.Logf("%s: %v", path, err)
			continue
		}
		pairs = append(pairs, [3]string{path, out, filepath.Dir(path)})
	}
	ok, complaints := compare(t, pairs)
	t.Logf("%d of %d exports run equal", ok, len(pairs))
	for _, c := range complaints {
		t.Log(c)
	}
}

// TestRealModelsExport does the same with real models.
func TestRealModelsExport(t *testing.T) {
	dir := t.TempDir()
	var pairs [][3]string
	for i, path := range modelFiles(t) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		if testing.Short() && info.Size() > 5<<20 {
			continue
		}
		out := filepath.Join(dir, fmt.Sprint(i, ".onnx"))
		require.NoError(t, exportFile(path, out), path)
		name := strings.TrimSuffix(filepath.Base(path), ".onnx")
		pairs = append(pairs, [3]string{path, out, filepath.Join(testenv.Cache(), "oracle", name)})
	}
	ok, complaints := compare(t, pairs)
	require.Empty(t, complaints)
	require.Equal(t, len(pairs), ok)
}
