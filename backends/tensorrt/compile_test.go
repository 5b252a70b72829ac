package tensorrt

import (
	_ "embed"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/tensorrt/legalize"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

//go:embed testdata/compile.txt
var compileList string

// open imports a cached model with its inputs' shapes.
func open(t testing.TB, name string, shapes []string) *ir.Module {
	o := onnx.Options{InputShapes: map[string][]int64{}}
	for _, s := range shapes {
		r, err := ParseRange(s)
		require.NoError(t, err)
		o.InputShapes[r.Input] = r.Opt
	}
	m, err := onnx.Open(filepath.Join(testenv.Cache(), "models", name+".onnx"), o)
	require.NoError(t, err)
	return m
}

// optimize does to m what hone compile does ahead of a backend.
func optimize(t testing.TB, m *ir.Module) {
	p, err := passes.ParsePipeline("O2")
	require.NoError(t, err)
	_, err = p.Run(passes.NewContext(t.Context()), m)
	require.NoError(t, err)
}

// Every model, optimized, is built for two GPU families in every precision, from the IR, with its attention fused at FP16.
func TestCompileModels(t *testing.T) {
	needLibrary(t)
	for line := range strings.Lines(compileList) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		name := strings.TrimSuffix(fields[0], "!")
		fused, err := strconv.Atoi(fields[1])
		require.NoError(t, err)
		t.Run(name, func(t *testing.T) {
			st, err := os.Stat(filepath.Join(testenv.Cache(), "models", name+".onnx"))
			switch {
			case err != nil:
				t.Skipf("%s is skipped: the model is not in the cache (make setup, make setup-full)", t.Name())
			case st.Size() > 3<<20 && !testenv.Full() && name != "minilm_l6" && name != "resnet50" || testing.Short() && st.Size() > 1<<20:
				t.Skipf("%s is skipped: large models belong to the full round", t.Name())
			}
			m := open(t, name, fields[2:])
			optimize(t, m)
			size := map[string]int64{}
			for _, precision := range []string{"fp32", "fp16", "bf16"} {
				plan, rep, err := Compile(t.Context(), m, Options{SM: []int{86, 89}, Precision: precision})
				require.NoError(t, err, precision)
				p, err := ReadPlan(plan)
				require.NoError(t, err)
				require.Equal(t, []int{86, 89}, p.Capabilities)
				require.NotEmpty(t, rep.Table)
				size[precision] = rep.Bytes
				t.Logf("%s %s: %d bytes, weights %d, %d layers, attention fused in %d, parse %v, build %v, peak %d MB", name, precision,
					rep.Bytes, p.WeightBytes, len(p.Layers), p.AttentionKernels(), rep.Parse, rep.Build, rep.PeakRSS>>20)
				if precision == "fp16" {
					require.GreaterOrEqual(t, p.AttentionKernels(), fused, "layers whose attention is fused")
				}
			}
			if name == "resnet50" {
				require.LessOrEqual(t, float64(size["fp16"]), 0.55*float64(size["fp32"]))
			}
		})
	}
}

// A model is larger than one ONNX file can be: its weights go to the builder beside it.
func TestCompileOverTwoGigabytes(t *testing.T) {
	if !testenv.Full() {
		t.Skipf("%s is skipped: it takes 11 GB of memory, which belongs to the full round", t.Name())
	}
	needLibrary(t)
	const rows, width, tables = 1 << 17, 1 << 10, 5 // 512 MiB each
	m := ir.NewModule("large", ops.NewestOpset(""))
	i := m.Main().AddInput("i", ir.Static(tensor.Int64, 4))
	b := ir.AtEnd(m.Main().Body)
	var sum *ir.Value
	for k := range tables {
		table := b.Constant(ir.LazyData(tensor.Float32, []int{rows, width}, func() (*tensor.Tensor, error) {
			x := tensor.New(tensor.Float32, rows, width)
			for j := range tensor.Of[float32](x) {
				tensor.Of[float32](x)[j] = float32(j*(k+1)%8191) / 8192
			}
			return x, nil
		}))
		row := []ir.Type{ir.Static(tensor.Float32, 4, width)}
		v := b.Op("Gather", []*ir.Value{table, i}, row).Result(0)
		if sum != nil {
			v = b.Op("Add", []*ir.Value{sum, v}, row).Result(0)
		}
		sum = v
	}
	m.Main().Return([]string{"y"}, sum)
	out := filepath.Join(t.TempDir(), "large.plan")
	rep, err := CompileFile(t.Context(), m, out, Options{SM: []int{86}})
	require.NoError(t, err)
	require.Greater(t, rep.Bytes, int64(tables*rows*width*4))
	t.Logf("%d bytes, built in %v, peak %d MB", rep.Bytes, rep.Build, rep.PeakRSS>>20)
}

// What TensorRT refuses is refused before anything is built, with op, ONNX name and reason, and without its library.
func TestExplain(t *testing.T) {
	m := open(t, "tv_ssdlite", nil)
	table, err := Explain(t.Context(), m, Options{SM: []int{86}})
	var refused *legalize.RefusedError
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, `NonZero node "/NonZero": how many elements it gives depends on the data`)
	require.ErrorContains(t, err, "and 17 more of NonZero")
	require.Greater(t, len(table), len(refused.Rows))
	require.Contains(t, table.String(), "REFUSED")
	_, _, err = Compile(t.Context(), m, Options{SM: []int{86}, Library: "/nonexistent"})
	require.ErrorAs(t, err, &refused, "refused before the library is looked for")

	m = open(t, "hf_bert", []string{"input_ids=2x16", "attention_mask=2x16"})
	table, err = Explain(t.Context(), m, Options{SM: []int{86}, Precision: "fp16", Keep: "Softmax"})
	require.NoError(t, err)
	precision := map[string]string{}
	for _, r := range table {
		precision[r.Op] = r.Precision
	}
	require.Equal(t, "f16", precision["MatMul"])
	require.Equal(t, "f32", precision["Softmax"])
	require.Empty(t, table.Refused())
	_, err = Explain(t.Context(), m, Options{SM: []int{86}, Precision: "fp4"})
	require.ErrorContains(t, err, `precision "fp4" is not known`)
}
