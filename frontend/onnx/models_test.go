package onnx

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
)

// modelFiles lists the models at hand.
func modelFiles(t testing.TB) []string {
	files, err := filepath.Glob(filepath.Join(testenv.Cache(), "models", "*.onnx"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "run `make setup`")
	return files
}

func TestRealModelsImport(t *testing.T) {
	for _, path := range modelFiles(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m, err := Open(path, Options{})
			require.NoError(t, err)
			open := 0
			m.Main().Body.Walk(func(op *ir.Op) bool {
				for _, r := range op.Results() {
					if r.Type.IsTensor() && r.Type.Rank() < 0 {
						open++
					}
				}
				return true
			})
			t.Logf("%d ops, %d results of unknown rank", m.Main().Body.Len(), open)
		})
	}
}
