package cpu_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

var update = flag.Bool("update", false, "write what modules become into the golden files")

// Each file of testdata holds a module and what it becomes at the cpu level:
// which forms convolutions take, and in which layouts values lie.
func TestGoldenLayouts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			require.NoError(t, err)
			require.Len(t, ar.Files, 2, "want before.ir and after.ir")
			require.NotEmpty(t, strings.TrimSpace(string(ar.Comment)), "say what the case is about")
			m, err := ir.Parse(string(ar.Files[0].Data), ir.ParseOptions{})
			require.NoError(t, err)
			require.NoError(t, ops.Verify(m))
			got, err := ir.Print(lower(t, m))
			require.NoError(t, err)
			if *update {
				ar.Files[1].Data = []byte(got)
				require.NoError(t, os.WriteFile(file, txtar.Format(ar), 0o644))
			}
			require.Equal(t, string(ar.Files[1].Data), got)
		})
	}
}
