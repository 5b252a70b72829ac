package conform_test

import (
	"context"
	_ "embed"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/conform"
	"github.com/hone-ml/hone/internal/testenv"
)

//go:embed failures.txt
var failures string

// known returns the names of the tests that fail, from failures.txt.
func known(t *testing.T) map[string]bool {
	names := map[string]bool{}
	for _, line := range strings.Split(failures, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		name, reason, _ := strings.Cut(line, " ")
		require.NotEmpty(t, strings.TrimSpace(reason), "%s needs a reason", name)
		names[name] = true
	}
	return names
}

// ONNX's own backend tests pass on the interpreter, on the interpreter behind
// all passes of -O3, and compiled, but for exactly those that failures.txt
// lists: a test that begins to pass has to be taken off the list.
func TestONNXBackendTests(t *testing.T) {
	root := testenv.Conformance(t)
	fails := known(t)
	for _, c := range []struct {
		kind  string
		count int
	}{{"node", 1884}, {"simple", 23}, {"pytorch-operator", 35}, {"pytorch-converted", 82}} {
		tests, err := conform.Find(filepath.Join(root, c.kind))
		require.NoError(t, err)
		require.Len(t, tests, c.count)
		for _, e := range []struct{ engine, pipeline string }{{"interp", ""}, {"interp", "O3"}, {"cpu", ""}} {
			t.Run(c.kind+"/"+e.engine+e.pipeline, func(t *testing.T) {
				passed := 0
				for _, dir := range tests {
					r := conform.Run(context.Background(), dir, conform.EngineOf(e.engine, e.pipeline))
					switch {
					case r.Err == nil && fails[r.Name]:
						t.Errorf("%s passes: take it off failures.txt", r.Name)
					case r.Err == nil:
						passed++
					case !fails[r.Name]:
						t.Errorf("%s: %v", r.Name, r.Err)
					}
				}
				t.Logf("%d of %d pass", passed, len(tests))
			})
		}
	}
}
