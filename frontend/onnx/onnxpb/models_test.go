package onnxpb

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/testenv"
)

// TestConformanceModelsRoundTrip decodes and encodes ONNX's own test models:
// what Python's protobuf wrote comes back but for empty fields that it spells
// out, and a second round changes nothing.
func TestConformanceModelsRoundTrip(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Conformance(t), "*", "*", "model.onnx"))
	require.NoError(t, err)
	for _, path := range files {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		m, err := DecodeModel(b)
		require.NoError(t, err, path)
		out := encode(t, m)
		require.Greater(t, len(out), len(b)-len(b)/8-64, path)
		again, err := DecodeModel(out)
		require.NoError(t, err, path)
		require.Equal(t, out, encode(t, again), path)
	}
}
