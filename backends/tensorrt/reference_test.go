package tensorrt

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/tensorrt/legalize"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/testenv"
)

//go:embed testdata/models.txt
var modelList string

// listed is a model of testdata/models.txt that is installed.
type listed struct {
	name, path string
	size       int64
	ranges     []string
}

func (m listed) profile(t testing.TB) []Profile {
	var p Profile
	for _, text := range m.ranges {
		r, err := ParseRange(text)
		require.NoError(t, err)
		p = append(p, r)
	}
	return []Profile{p}
}

// listedModels lists the installed models of at most so many bytes; with none it skips the test.
func listedModels(t testing.TB, most int64) (out []listed) {
	cache, err := CacheDir()
	require.NoError(t, err)
	for line := range strings.Lines(modelList) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		m := listed{name: fields[0], ranges: fields[1:], path: filepath.Join(filepath.Dir(cache), "models", fields[0]+".onnx")}
		if st, err := os.Stat(m.path); err == nil && st.Size() <= most {
			m.size = st.Size()
			out = append(out, m)
		}
	}
	if len(out) == 0 {
		t.Skipf("%s is skipped: no models in %s", t.Name(), filepath.Join(filepath.Dir(cache), "models"))
	}
	return out
}

// reference is NVIDIA's own Python, where its bindings are installed.
type reference struct{ python, bindings, library string }

type referenceCost struct {
	Parse, Build float64 // seconds
	Peak         int64   // bytes
}

func needReference(t testing.TB) reference {
	cache, err := CacheDir()
	require.NoError(t, err)
	r := reference{"python3", filepath.Join(cache, "python"), filepath.Join(cache, LibraryVersion)}
	cmd := exec.Command(r.python, "-c", "import tensorrt_rtx_bindings")
	cmd.Env = r.env()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("%s is skipped: NVIDIA's Python bindings are not installed (make setup): %v %s", t.Name(), err, bytes.TrimSpace(out))
	}
	return r
}

func (r reference) env() []string {
	return append(os.Environ(), "PYTHONPATH="+r.bindings, "LD_LIBRARY_PATH="+r.library)
}

func (r reference) build(t testing.TB, model string, sm string, ranges []string) ([]byte, referenceCost) {
	out := filepath.Join(t.TempDir(), "reference.plan")
	cmd := exec.Command(r.python, append([]string{"testdata/reference.py", model, out, sm}, ranges...)...)
	cmd.Env = r.env()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	require.NoError(t, err, "%s", &stderr)
	var cost referenceCost
	require.NoError(t, json.Unmarshal(stdout, &cost))
	plan, err := os.ReadFile(out)
	require.NoError(t, err)
	return plan, cost
}

// Plans of fixed shapes are NVIDIA's own, byte for byte.
func TestSameAsReferenceFixed(t *testing.T) {
	needLibrary(t)
	r := needReference(t)
	for _, op := range []string{"Relu", "Softmax", "Sigmoid"} {
		for _, sm := range []string{"86", "89", "86,89"} {
			path := filepath.Join(t.TempDir(), op+".onnx")
			require.NoError(t, os.WriteFile(path, node(op, 4), 0o600))
			want, _ := r.build(t, path, sm, nil)
			o := Options{SM: must(ParseSM(sm))}
			got, _, err := Build(t.Context(), node(op, 4), o)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "%s for %s differs", op, sm)
		}
	}
}

// So is the plan of a real model that hone compiles, given the ONNX that hone would write.
func TestSameAsReferenceLegalized(t *testing.T) {
	needLibrary(t)
	r := needReference(t)
	for _, precision := range []string{"fp32", "fp16"} {
		m := open(t, "hf_bert", []string{"input_ids=2x16", "attention_mask=2x16"})
		got, _, err := Compile(t.Context(), m, Options{SM: []int{86}, Precision: precision})
		require.NoError(t, err)
		_, err = legalize.Run(t.Context(), m, legalize.Options{SM: []int{86}, Precision: precision})
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "m.onnx")
		require.NoError(t, onnx.WriteFile(t.Context(), path, m, onnx.ExportOptions{}))
		want, _ := r.build(t, path, "86", nil)
		require.True(t, bytes.Equal(want, got), "%s differs", precision)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Plans of open shapes are NVIDIA's own but for the numbers in generated
// names. What building them costs is BenchmarkBesideReference's business.
//
// For some models NVIDIA's own builds differ among themselves by more than
// names: sets that the builder keeps by address (constants, sizes that depend
// on the inputs) are listed in another order. Then ours has to be one of the
// plans that the bindings make in a few tries, but for names or for order.
func TestSameAsReference(t *testing.T) {
	needLibrary(t)
	r := needReference(t)
	most := int64(3 << 20) // the small models in the daily round, all in the whole matrix
	if testenv.Full() {
		most = 1 << 40
	}
	for _, m := range listedModels(t, most) {
		t.Run(m.name, func(t *testing.T) {
			want, cost := r.build(t, m.path, "86", m.ranges)
			out := filepath.Join(t.TempDir(), "m.plan")
			begin := time.Now()
			rep, err := BuildFile(t.Context(), m.path, out, Options{SM: []int{86}, Profiles: m.profile(t)})
			wall := time.Since(begin)
			require.NoError(t, err)
			got, err := os.ReadFile(out)
			require.NoError(t, err)
			level := sameness(t, want, got)
			tries := 1
			for ; level == "different" && tries < 5; tries++ {
				want, _ = r.build(t, m.path, "86", m.ranges)
				level = sameness(t, want, got)
			}
			t.Logf("%s: %d bytes, %s after %d tries; seconds %.2f (NVIDIA's Python %.2f), whole %.2f; peak MB %d (%d)",
				m.name, len(got), level, tries, (rep.Parse + rep.Build).Seconds(), cost.Parse+cost.Build, wall.Seconds(), rep.PeakRSS>>20, cost.Peak>>20)
			require.NotEqual(t, "different", level)
		})
	}
}

// BenchmarkBesideReference builds each model that takes NVIDIA's Python two
// seconds or more, by it and by hone in turn, and reports what hone takes over
// it: peak-ratio is of the least peak memory of the builder's process on
// either side, time-ratio of the least time in parser and builder. The goal is
// 1.1 for both.
func BenchmarkBesideReference(b *testing.B) {
	needLibrary(b)
	r := needReference(b)
	for _, m := range listedModels(b, 1<<40) {
		_, first := r.build(b, m.path, "86", m.ranges)
		if first.Build < 2 {
			continue
		}
		b.Run(m.name, func(b *testing.B) {
			theirs, peak := first.Parse+first.Build, first.Peak
			ours, least := math.Inf(1), int64(math.MaxInt64)
			for b.Loop() {
				rep, err := BuildFile(b.Context(), m.path, filepath.Join(b.TempDir(), "m.plan"), Options{SM: []int{86}, Profiles: m.profile(b)})
				require.NoError(b, err)
				ours, least = min(ours, (rep.Parse+rep.Build).Seconds()), min(least, rep.PeakRSS)
				_, again := r.build(b, m.path, "86", m.ranges)
				theirs, peak = min(theirs, again.Parse+again.Build), min(peak, again.Peak)
			}
			b.ReportMetric(ours/theirs, "time-ratio")
			b.ReportMetric(float64(least)/float64(peak), "peak-ratio")
		})
	}
}

// sameness says how much alike two plans are.
func sameness(t *testing.T, want, got []byte) string {
	switch {
	case bytes.Equal(want, got):
		return "identical"
	case bytes.Equal(normalized(want), normalized(got)):
		return "the same but for names"
	case len(want) == len(got) && bytes.Equal(weights(t, want), weights(t, got)) && maps.Equal(pieces(t, want), pieces(t, got)):
		return "the same but for names and order"
	}
	return "different"
}

func weights(t *testing.T, data []byte) []byte {
	p, err := ReadPlan(data)
	require.NoError(t, err)
	require.Equal(t, "WGHT", p.Sections[1].Tag)
	return data[p.Sections[1].Offset:]
}

// pieces are what the engine section of a plan is made of, in no order: cut at
// line ends, quotes, zeros and tags, less the numbers that the builder gives as it
// goes: in names, of blocks, of sizes that depend on the inputs.
func pieces(t *testing.T, data []byte) map[string]int {
	p, err := ReadPlan(data)
	require.NoError(t, err)
	require.Equal(t, "ENGN", p.Sections[0].Tag)
	var text strings.Builder // a rune a byte, for regexp
	for _, b := range data[p.Sections[0].Offset:][:p.Sections[0].Size] {
		text.WriteRune(rune(b))
	}
	s := text.String()
	for _, n := range numbers {
		s = n.expr.ReplaceAllString(s, n.with)
	}
	out := map[string]int{}
	for _, piece := range cuts.Split(s, -1) {
		out[piece]++
	}
	return out
}

var (
	numbers = []struct {
		expr *regexp.Regexp
		with string
	}{
		{regexp.MustCompile(`(mye|hvar\^|\bbb|_)\d+`), "$1"},
		{regexp.MustCompile(`(?s)(2\x80\x01\x00\x02\x80\x01\x00.\x06\x80\x01\x00).{4}`), "$1"}, // an operand of a size
		{regexp.MustCompile(`(?s)\xff{8}(\t\x80\x01\x00).{8}`), "$1"},                          // the tensor that a size is of
		{regexp.MustCompile(`[\x80-\xff]\xff{3}(\xff{4})?`), "-"},                              // a size by its number, below zero
	}
	cuts = regexp.MustCompile(`(?s)\n|"|\x00{3,}|.\x80\x01\x00|[\x80-\xff]\x7f`) // tags, and the ends of records
)
