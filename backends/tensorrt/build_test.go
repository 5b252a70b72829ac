package tensorrt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/tensorrt/plan"
)

// The test binary is what a build starts again, so it has to be the child when told to.
func TestMain(m *testing.M) {
	ChildMain()
	os.Exit(m.Run())
}

// needLibrary skips a test, by name, where there is no TensorRT to build with.
func needLibrary(t testing.TB) {
	t.Helper()
	if _, err := Find(t.Context()); err != nil {
		t.Skipf("%s is skipped: it builds a real plan: %v", t.Name(), err)
	}
}

// field and number write the few bits of protobuf that an ONNX model needs.
func field(n int, b []byte) []byte {
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n<<3|2)), uint64(len(b))), b...)
}

func number(n int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n<<3)), v)
}

func value(name string, shape ...int64) []byte {
	var dims []byte
	for _, d := range shape {
		if d < 0 {
			dims = append(dims, field(1, field(2, []byte("N")))...)
		} else {
			dims = append(dims, field(1, number(1, uint64(d)))...)
		}
	}
	tensor := append(number(1, 1), field(2, dims)...)
	return append(field(1, []byte(name)), field(2, field(1, tensor))...)
}

// oneNode is a model of one node, x -> y of shape [N 8].
func oneNode(op string) []byte { return node(op, -1) }

// node is a model of one node, x -> y of shape [rows 8].
func node(op string, rows int64) []byte {
	node := bytes.Join([][]byte{field(1, []byte("x")), field(2, []byte("y")), field(3, []byte("the_node")), field(4, []byte(op))}, nil)
	graph := bytes.Join([][]byte{field(1, node), field(2, []byte("g")), field(11, value("x", rows, 8)), field(12, value("y", rows, 8))}, nil)
	return bytes.Join([][]byte{number(1, 8), field(7, graph), field(8, number(2, 17))}, nil)
}

func options() Options {
	return Options{SM: []int{86, 89}, Profiles: []Profile{{{Input: "x", Min: []int64{1, 8}, Opt: []int64{4, 8}, Max: []int64{16, 8}}}}}
}

func TestBuild(t *testing.T) {
	needLibrary(t)
	var phases []string
	o := options()
	o.Progress = func(p Progress) {
		if p.Step == 0 {
			phases = append(phases, p.Phase)
		}
	}
	data, rep, err := Build(t.Context(), oneNode("Relu"), o)
	require.NoError(t, err)
	require.Equal(t, int64(len(data)), rep.Bytes)
	require.Contains(t, rep.Library, "TensorRT")
	require.Positive(t, rep.PeakRSS)
	require.NotEmpty(t, phases)

	p, err := ReadPlan(data)
	require.NoError(t, err)
	require.Equal(t, []int{86, 89}, p.Capabilities)
	require.Len(t, p.Bindings, 2)
	require.Equal(t, "x", p.Bindings[0].Name)
	require.True(t, p.Bindings[0].Input)
	require.Equal(t, "y", p.Bindings[1].Name)
	require.Equal(t, []int64{-1, 8}, p.Bindings[1].Shape)
	require.True(t, slices.ContainsFunc(p.Layers, func(l plan.Layer) bool { return slices.Contains(l.Origin, "the_node") }), "%v", p)
	require.Len(t, p.Profiles, 1)
	want := o.Profiles[0][0]
	require.Equal(t, want.Min, p.Profiles[0][0].Min)
	require.Equal(t, want.Max, p.Profiles[0][0].Max)
}

func TestTwoProfiles(t *testing.T) {
	needLibrary(t)
	o := options()
	o.Profiles = append(o.Profiles, Profile{{Input: "x", Min: []int64{32, 8}, Opt: []int64{32, 8}, Max: []int64{64, 8}}})
	data, _, err := Build(t.Context(), oneNode("Relu"), o)
	require.NoError(t, err)
	p, err := ReadPlan(data)
	require.NoError(t, err)
	require.Len(t, p.Bindings, 2)
	require.Len(t, p.Profiles, 2)
	require.Equal(t, []int64{64, 8}, p.Profiles[1][0].Max)
}

// Two builds hold the same but for the numbers in generated names.
func TestBuildTwice(t *testing.T) {
	needLibrary(t)
	var plans [2][]byte
	for i := range plans {
		plan, _, err := Build(t.Context(), oneNode("Relu"), options())
		require.NoError(t, err)
		plans[i] = normalized(plan)
	}
	require.True(t, bytes.Equal(plans[0], plans[1]), "two builds differ")
}

var generatedName = regexp.MustCompile(`_mye\d+`)

func normalized(plan []byte) []byte { return generatedName.ReplaceAll(plan, []byte("_mye")) }

func TestBuildFile(t *testing.T) {
	needLibrary(t)
	dir := t.TempDir()
	model, plan := filepath.Join(dir, "m.onnx"), filepath.Join(dir, "m.plan")
	require.NoError(t, os.WriteFile(model, oneNode("Relu"), 0o600))
	rep, err := BuildFile(t.Context(), model, plan, options())
	require.NoError(t, err)
	st, err := os.Stat(plan)
	require.NoError(t, err)
	require.Equal(t, rep.Bytes, st.Size())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "only the model and the plan")
}

// Every failure is one clear error, and leaves no file.
func TestRefusals(t *testing.T) {
	needLibrary(t)
	for _, c := range []struct {
		name, op, want string
		change         func(*Options)
		is             error
	}{
		{"unsupported operator", "DynamicQuantizeLinear", `DynamicQuantizeLinear node "the_node": TensorRT has no such operator`, nil, nil},
		{"no profile", "Relu", "inputs with open dimensions need a profile (--profile NAME=MIN..OPT..MAX) or a fixed shape (--input-shape): x [?,8]", func(o *Options) { o.Profiles = nil }, nil},
		{"profile of no input", "Relu", "the model's inputs are x", func(o *Options) { o.Profiles[0][0].Input = "z" }, nil},
		{"profile against a fixed dimension", "Relu", "dimension 1 is 9, the input has [?,8]", func(o *Options) { o.Profiles[0][0].Max = []int64{1, 9} }, nil},
		{"profile of another rank", "Relu", "has 1 dimensions, the input [?,8] has 2", func(o *Options) { o.Profiles[0][0].Min = []int64{1} }, nil},
		{"GPU it cannot build for", "Relu", "not 90", func(o *Options) { o.SM = []int{90} }, nil},
		{"no GPU named", "Relu", "no compute capability named", func(o *Options) { o.SM = nil }, nil},
		{"unknown flag", "Relu", "no builder flag FAST", func(o *Options) { o.Flags = []string{"FAST"} }, nil},
		{"cancelled by the monitor", "Relu", "canceled by user", func(o *Options) { o.stop = "Building" }, nil},
		{"fault in the library", "Relu", "SIGSEGV", func(o *Options) { o.crash = "Building" }, nil},
		{"library missing", "Relu", "looked in /nonexistent", func(o *Options) { o.Library = "/nonexistent" }, ErrNoLibrary},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			model := filepath.Join(t.TempDir(), "m.onnx")
			require.NoError(t, os.WriteFile(model, oneNode(c.op), 0o600))
			o := options()
			if c.change != nil {
				c.change(&o)
			}
			_, err := BuildFile(t.Context(), model, filepath.Join(dir, "m.plan"), o)
			require.ErrorContains(t, err, c.want)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, entries, "a failed build left a file")
		})
	}
}

func TestCorruptedModel(t *testing.T) {
	needLibrary(t)
	good := oneNode("Relu")
	for name, model := range map[string][]byte{
		"empty": nil, "text": []byte("this is no model"), "cut short": good[:len(good)/2], "zeros": make([]byte, 1000),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Build(t.Context(), model, options())
			require.Error(t, err)
			var died *DiedError
			require.False(t, errors.As(err, &died), "%v", err)
			t.Log(err)
		})
	}
}

// Timings are kept from build to build, in a file that is asked for. TensorRT for RTX has none to keep, and writes an empty cache.
func TestTimingCache(t *testing.T) {
	needLibrary(t)
	o := options()
	o.TimingCache = filepath.Join(t.TempDir(), "timings")
	for range 2 {
		_, _, err := Build(t.Context(), oneNode("Relu"), o)
		require.NoError(t, err)
		require.FileExists(t, o.TimingCache)
	}
	require.NoError(t, os.WriteFile(o.TimingCache, []byte("not timings"), 0o600))
	_, rep, err := Build(t.Context(), oneNode("Relu"), o)
	require.NoError(t, err)
	kept, err := os.ReadFile(o.TimingCache)
	require.NoError(t, err)
	require.NotEqual(t, "not timings", string(kept), "%v", rep.Warnings)
}

func TestCancel(t *testing.T) {
	needLibrary(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := options()
	o.Progress = func(Progress) { cancel() }
	begin := time.Now()
	_, _, err := Build(ctx, oneNode("Relu"), o)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(begin), 5*time.Second)
}

func TestParseRange(t *testing.T) {
	r, err := ParseRange("a=b=1x3..8x3..32x3")
	require.NoError(t, err)
	require.Equal(t, Range{Input: "a=b", Min: []int64{1, 3}, Opt: []int64{8, 3}, Max: []int64{32, 3}}, r)
	r, err = ParseRange("x=4x5")
	require.NoError(t, err)
	require.Equal(t, Range{Input: "x", Min: []int64{4, 5}, Opt: []int64{4, 5}, Max: []int64{4, 5}}, r)
	for in, want := range map[string]string{
		"":                    "no input name",
		"=1..2..3":            "no input name",
		"x=1..2":              "2 shapes",
		"x=a..b..c":           `"a" is not a shape`,
		"x=1x2..1x2..1":       "different rank",
		"x=2..1..3":           "dimension 0 is not in the order",
		"x=-1..1..1":          `"-1" is not a shape`,
		"x=1x1x1x1x1x1x1x1x1": "more than 8",
	} {
		_, err := ParseRange(in)
		require.ErrorContains(t, err, want, in)
	}
}

func TestParseSM(t *testing.T) {
	sm, err := ParseSM("86, 8.9,sm_120,86")
	require.NoError(t, err)
	require.Equal(t, []int{86, 89, 120}, sm)
	for _, bad := range []string{"", "x", "86,,89", "7"} {
		_, err := ParseSM(bad)
		require.Error(t, err, bad)
	}
}
