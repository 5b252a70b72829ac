package hone_test

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/passes"
)

// opCounts is a row of docs/opcounts.md; -1 is a peer that refuses the model.
type opCounts struct {
	model                                             string
	before, exported, basic, onnxsim, fused, extended int
}

func readOpCounts(t *testing.T) []opCounts {
	text, err := os.ReadFile("docs/opcounts.md")
	require.NoError(t, err)
	var rows []opCounts
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 9 || strings.Contains(line, "--") || strings.Contains(line, "model") {
			continue
		}
		r := opCounts{model: strings.TrimSpace(cells[1])}
		for i, n := range []*int{&r.before, &r.exported, &r.basic, &r.onnxsim, &r.fused, &r.extended} {
			*n = -1
			if c := strings.TrimSpace(cells[2+i]); c != "–" {
				*n, err = strconv.Atoi(c)
				require.NoError(t, err, line)
			}
		}
		rows = append(rows, r)
	}
	require.NotEmpty(t, rows)
	return rows
}

// No model keeps more ops than a peer leaves of it.
func TestNoModelKeepsMoreOpsThanItsPeers(t *testing.T) {
	for _, r := range readOpCounts(t) {
		t.Run(r.model, func(t *testing.T) {
			for _, peer := range []int{r.basic, r.onnxsim} {
				require.True(t, peer < 0 || r.exported <= peer, "%+v", r)
			}
			require.True(t, r.extended < 0 || r.fused <= r.extended, "%+v", r)
		})
	}
}

// The table of the ops that are left says what hone does today: of the models up to 4 MB, of all with HONE_FULL.
func TestOpCountsAreTheTables(t *testing.T) {
	for _, r := range readOpCounts(t) {
		path := testenv.Model(t, r.model)
		info, err := os.Stat(path)
		require.NoError(t, err)
		if info.Size() > 4<<20 && !testenv.Full() {
			t.Logf("%s is left to the full round", r.model)
			continue
		}
		t.Run(r.model, func(t *testing.T) {
			model, err := hone.Open(path)
			require.NoError(t, err)
			defer model.Close()
			compiled, err := hone.Compile(t.Context(), model, hone.CompileOptions{Pipeline: "O3"})
			require.NoError(t, err)
			require.Equal(t, r.fused, compiled.Stats.OpsFused, "fused: scripts/opcounts.py writes the table anew")
			require.NoError(t, model.Optimize(passes.NewContext(context.Background()), "O2"))
			var b bytes.Buffer
			require.NoError(t, onnx.Export(&b, model.Module(), onnx.ExportOptions{Native: true}))
			p, err := onnxpb.DecodeModel(b.Bytes())
			require.NoError(t, err)
			require.Equal(t, r.exported, nodes(p.Graph), "exported: scripts/opcounts.py writes the table anew")
		})
	}
}

// nodes counts what computes something in a graph and its subgraphs.
func nodes(g *onnxpb.GraphProto) int {
	n := 0
	for _, node := range g.Node {
		if node.OpType != "Constant" {
			n++
		}
		for _, a := range node.Attribute {
			if a.G != nil {
				n += nodes(a.G)
			}
		}
	}
	return n
}
