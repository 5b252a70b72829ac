package ops

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSchemaOfConv(t *testing.T) {
	s, ok := SchemaAt("", "Conv", 12)
	require.True(t, ok)
	require.Equal(t, 11, s.Since)
	require.Equal(t, []Param{{Name: "X", Type: "T", Min: 1}, {Name: "W", Type: "T", Min: 1}, {Name: "B", Type: "T", Min: 1, Optional: true}}, s.Inputs)
	require.Equal(t, 2, s.MinInputs())
	require.Equal(t, int64(1), s.Attr("group").Default)
	require.Equal(t, "NOTSET", s.Attr("auto_pad").Default)
	require.Nil(t, s.Attr("pads").Default)
	require.Equal(t, []string{"f16", "f32", "f64"}, s.Types["T"])
	require.Equal(t, []int{1, 11, 22}, Versions("", "Conv"))
}

func TestSchemaForms(t *testing.T) {
	require.Equal(t, 28, NewestOpset(""))
	require.Equal(t, 5, NewestOpset("ai.onnx.ml"))
	require.Zero(t, NewestOpset("com.example"))

	_, ok := SchemaAt("", "Gelu", 19)
	require.False(t, ok, "Gelu came with opset 20")
	s, ok := Latest("", "Gelu")
	require.True(t, ok)
	require.True(t, s.Function)

	s, _ = Latest("", "Upsample")
	require.True(t, s.Deprecated)

	s, _ = Latest("", "Loop")
	require.Equal(t, Param{Name: "v_final_and_scan_outputs", Type: "V", Variadic: true, Min: 1, Heterogeneous: true}, s.Outputs[0])
	require.True(t, s.Attr("body").Required)
	require.Contains(t, s.Types["V"], "optional(seq(f32))")

	s, _ = Latest("ai.onnx.ml", "ZipMap")
	require.ElementsMatch(t, []string{"seq(map(string,f32))", "seq(map(i64,f32))"}, s.Types["T"])
}

// Every schema parses, and every name that a parameter has for its type is a
// variable or a type.
func TestEverySchemaParses(t *testing.T) {
	n := 0
	for k, entries := range schemaIndex().ops {
		for i, e := range entries {
			s := e.schema()
			require.Equal(t, k, opKey{s.Domain, s.Name})
			require.True(t, i == 0 || entries[i-1].since < e.since, "%s is sorted", s.Name)
			for _, p := range append(append([]Param{}, s.Inputs...), s.Outputs...) {
				if s.Types[p.Type] == nil {
					require.Contains(t, []string{"f32", "i64", "string"}, p.Type, "%s of %s", p.Name, s.Name)
				}
			}
			n++
		}
	}
	require.Equal(t, 659, n)
}

func TestSchemasAreFresh(t *testing.T) {
	cache := os.Getenv("HONE_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		require.NoError(t, err)
		cache = filepath.Join(home, ".cache", "hone")
	}
	python := filepath.Join(cache, "venv", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Skipf("no Python with onnx at %s: run make setup", python)
	}
	out, err := exec.Command(python, "gen/schemas.py").Output()
	require.NoError(t, err)
	require.True(t, string(out) == schemaText, "zschemas.txt is stale: go generate ./ir/ops")
}

func BenchmarkSchemaIndex(b *testing.B) {
	for b.Loop() {
		require.NotEmpty(b, indexSchemas().ops)
	}
}
