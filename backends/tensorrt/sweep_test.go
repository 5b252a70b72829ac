package tensorrt

import (
	_ "embed"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
)

//go:embed testdata/surprises.txt
var surprises string

// What TensorRT refuses, hone refuses before the build: of ONNX's own tests, one for each operator and set of input
// types, all are either built or refused by the table. The exceptions are listed, each with TensorRT's words.
func TestRefusalsAreKnown(t *testing.T) {
	if !testenv.Full() {
		t.Skipf("%s is skipped: it builds some 250 plans, which belongs to the full round", t.Name())
	}
	needLibrary(t)
	models, err := filepath.Glob(filepath.Join(testenv.Conformance(t), "node", "*", "model.onnx"))
	require.NoError(t, err)
	seen := map[string]bool{}
	var built, refused int
	for _, path := range models {
		name := filepath.Base(filepath.Dir(path))
		m, err := onnx.Open(path, onnx.Options{})
		if err != nil || strings.Contains(name, "_expanded") {
			continue
		}
		key := signature(m)
		if seen[key] {
			continue
		}
		seen[key] = true
		o := Options{SM: []int{86}}
		if _, err := Explain(t.Context(), m, o); err != nil {
			refused++
			continue
		}
		_, _, err = Compile(t.Context(), m, o)
		switch {
		case err == nil:
			built++
		case strings.Contains(err.Error(), "need a profile"):
			// shapes come with the inputs' values here: the error says what to give
		case !slices.ContainsFunc(strings.Split(surprises, "\n"), func(l string) bool { return strings.HasPrefix(l, name+" ") }):
			t.Errorf("%s passes the table and is refused by TensorRT: %v", name, err)
		}
	}
	t.Logf("%d built, %d refused before the build", built, refused)
	require.Greater(t, built, 150)
}

// signature is a model's operators and the types of its inputs.
func signature(m *ir.Module) string {
	var parts []string
	m.Main().Body.Walk(func(op *ir.Op) bool {
		if op.Name != ir.ConstantName && op.Name != ir.YieldName {
			parts = append(parts, op.Name)
		}
		return true
	})
	for _, a := range m.Main().Body.Args {
		parts = append(parts, a.Type.DType.String())
	}
	return strings.Join(parts, " ")
}
