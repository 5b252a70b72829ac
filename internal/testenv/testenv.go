// Package testenv finds the models, reference answers and conformance tests that `make setup` prepares outside the
// repository. A test that needs one and does not find it fails with the command that makes it.
package testenv

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/tensor"
)

// Cache is the folder that holds everything: $HONE_CACHE, or ~/.cache/hone.
func Cache() string {
	if dir := os.Getenv("HONE_CACHE"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = os.TempDir()
	}
	return filepath.Join(home, ".cache", "hone")
}

// Full says whether the whole matrix is to be tested (`make verify-all`), the large models included.
func Full() bool { return os.Getenv("HONE_FULL") != "" }

// Python is the interpreter that has onnx, onnxruntime and numpy.
func Python(t testing.TB) string { return find(t, "venv", "bin", "python") }

// Conformance is the folder of ONNX's own backend tests: KIND/NAME/model.onnx and KIND/NAME/test_data_set_N/*.pb.
func Conformance(t testing.TB) string { return find(t, "conformance") }

// Model is the path of a model's ONNX file; scripts/models.json lists the names.
func Model(t testing.TB, name string) string { return find(t, "models", name+".onnx") }

func find(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{Cache()}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		target := "make setup"
		if Full() {
			target = "make setup-full"
		}
		t.Fatalf("%s is missing: run `%s`", path, target)
	}
	return path
}

// Oracle is what onnxruntime answers for one model.
type Oracle struct {
	Model      string
	Classifier bool // the last axis of the outputs holds class scores
	Tier       string
	Cases      []Case

	dir string
}

// Case is one set of inputs and the outputs that belong to them.
type Case struct {
	Shape           string // the shape of the first input, as the folder is called
	Inputs, Outputs []File
}

// File is one tensor of a case.
type File struct {
	Name, File, DType string
	Shape             []int
}

// Oracles returns the reference answers of the daily models, or with Full of all models, sorted by name.
func Oracles(t testing.TB) []Oracle {
	t.Helper()
	root := find(t, "oracle")
	manifests, err := filepath.Glob(filepath.Join(root, "[^.]*", "manifest.json"))
	require.NoError(t, err)
	sort.Strings(manifests)
	var oracles []Oracle
	for _, m := range manifests {
		if o := read(t, m); Full() || o.Tier == "daily" {
			oracles = append(oracles, o)
		}
	}
	require.NotEmpty(t, oracles, "%s holds no manifest: run `make setup`", root)
	return oracles
}

func read(t testing.TB, manifest string) Oracle {
	t.Helper()
	data, err := os.ReadFile(manifest)
	require.NoError(t, err)
	o := Oracle{dir: filepath.Dir(manifest)}
	require.NoError(t, json.Unmarshal(data, &o), manifest)
	return o
}

// Load reads a case's inputs and outputs, by name.
func (o Oracle) Load(t testing.TB, c Case) (inputs, outputs map[string]*tensor.Tensor) {
	t.Helper()
	return o.load(t, c.Shape, "in", c.Inputs), o.load(t, c.Shape, "out", c.Outputs)
}

func (o Oracle) load(t testing.TB, shape, side string, files []File) map[string]*tensor.Tensor {
	t.Helper()
	tensors := map[string]*tensor.Tensor{}
	for _, f := range files {
		v, err := npy.ReadFile(filepath.Join(o.dir, shape, side, f.File))
		require.NoError(t, err)
		tensors[f.Name] = v
	}
	return tensors
}
