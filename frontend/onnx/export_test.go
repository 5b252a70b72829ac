package onnx

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// compare lets onnx.checker and onnxruntime judge exported models; each
// pair is an original, its export and where the inputs are. It returns how many ran equal, what
// failed, and whose opset had to rise.
func compare(t *testing.T, pairs [][3]string) (ok int, failed, raised []string) {
	var in bytes.Buffer
	for _, p := range pairs {
		fmt.Fprintln(&in, p[0], p[1], p[2])
	}
	cmd := exec.Command(testenv.Python(t), "testdata/compare.py")
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		switch verdict, rest, _ := strings.Cut(strings.TrimSpace(line), " "); verdict {
		case "ok":
			ok++
		case "fail":
			failed = append(failed, rest)
		case "raised":
			raised = append(raised, rest)
		case "skip":
			t.Log(verdict, rest)
		}
	}
	return ok, failed, raised
}

func exportFile(path, out string) error {
	m, err := Open(path, Options{})
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	return WriteFile(context.Background(), out, m, ExportOptions{})
}

// TestConformanceModelsExport imports every conformance test and exports it
// again: the result passes onnx.checker and runs as the original does.
func TestConformanceModelsExport(t *testing.T) {
	models, err := filepath.Glob(filepath.Join(testenv.Conformance(t), "*", "*", "model.onnx"))
	require.NoError(t, err)
	dir := t.TempDir()
	var pairs [][3]string
	for i, path := range models {
		if testing.Short() && i%10 != 0 {
			continue
		}
		out := filepath.Join(dir, fmt.Sprint(i, ".onnx"))
		if err := exportFile(path, out); err != nil {
			require.Contains(t, path, "test_loop16_seq_none", "%v", err)
			continue
		}
		pairs = append(pairs, [3]string{path, out, filepath.Dir(path)})
	}
	ok, failed, raised := compare(t, pairs)
	t.Logf("%d of %d exports run equal", ok, len(pairs))
	require.Empty(t, failed)
	require.Less(t, len(raised), 20, "opsets rise for want of an older form only: %v", raised)
	require.Greater(t, ok, len(pairs)*8/10)
}

// TestRealModelsExport does the same with real models.
func TestRealModelsExport(t *testing.T) {
	dir := t.TempDir()
	var pairs [][3]string
	for i, path := range modelFiles(t) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		if testing.Short() && info.Size() > 5<<20 || !testenv.Full() && info.Size() > 30<<20 {
			continue
		}
		out := filepath.Join(dir, fmt.Sprint(i, ".onnx"))
		require.NoError(t, exportFile(path, out), path)
		name := strings.TrimSuffix(filepath.Base(path), ".onnx")
		pairs = append(pairs, [3]string{path, out, filepath.Join(testenv.Cache(), "oracle", name)})
	}
	ok, failed, _ := compare(t, pairs)
	require.Empty(t, failed)
	require.Equal(t, len(pairs), ok)
}

// TestForeignOperators imports every operator of com.microsoft that has a
// definition here, and lets onnxruntime run that definition beside its own.
func TestForeignOperators(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.Command(testenv.Python(t), "testdata/foreign.py", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	models, err := filepath.Glob(filepath.Join(dir, "*", "model.onnx"))
	require.NoError(t, err)
	var pairs [][3]string
	for _, path := range models {
		out := filepath.Join(filepath.Dir(path), "out.onnx")
		require.NoError(t, exportFile(path, out), path)
		pairs = append(pairs, [3]string{path, out, filepath.Dir(path)})
	}
	ok, failed, _ := compare(t, pairs)
	require.Empty(t, failed)
	require.Equal(t, len(pairs), ok)
}

func TestExportKeepsWhatItDoesNotKnow(t *testing.T) {
	p := model(pool())
	p.ProducerName, p.ModelVersion, p.DocString = "test", 3, "doc"
	p.MetadataProps = []*onnxpb.StringStringEntryProto{{Key: "k", Value: "v"}}
	p.Unknown = onnxpb.Raw{{0xa2, 0x38, 1, 'x'}} // field 900
	m, err := importOf(t, p, Options{})
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, Export(&b, m, ExportOptions{}))
	back, err := onnxpb.DecodeModel(b.Bytes())
	require.NoError(t, err)
	require.Equal(t, p.Unknown, back.Unknown)
	require.Equal(t, p.MetadataProps, back.MetadataProps)
	require.Equal(t, []any{"test", int64(3), "doc"}, []any{back.ProducerName, back.ModelVersion, back.DocString})
	require.Equal(t, "N", back.Graph.Input[0].Type.Tensor.Shape.Dim[0].Param)
	require.EqualValues(t, 11, back.OpsetImport[0].Version)
	require.EqualValues(t, 6, back.IRVersion)

	require.NoError(t, Export(&b, m, ExportOptions{Opset: 20}))
	require.ErrorContains(t, Export(&b, m, ExportOptions{Opset: 99}), "opset 99 is not known")
}

// TestExportLeavesOutWhatMayBeAbsent: a result that nobody reads, unless it is one
// of a list whose length says something.
func TestExportLeavesOutWhatMayBeAbsent(t *testing.T) {
	m, err := ir.Parse(`module @m opset=18
func @main(%x: f32[1,6,4,4]) -> (y: f32[1,2,4,4], z: f32[1,6,3,3]) {
  %0 = const i64[3] [1, 2, 3]
  %1:3 = Split(%x, %0) {axis=1} : f32[1,1,4,4], f32[1,2,4,4], f32[1,3,4,4]
  %2:2 = MaxPool(%x) {kernel_shape=[2,2]} : f32[1,6,3,3], i64[1,6,3,3]
  return(%1#1, %2#0)
}
`, ir.ParseOptions{})
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, Export(&b, m, ExportOptions{}))
	back, err := onnxpb.DecodeModel(b.Bytes())
	require.NoError(t, err)
	require.Len(t, back.Graph.Node[0].Output, 3)
	require.NotContains(t, back.Graph.Node[0].Output, "")
	require.Len(t, back.Graph.Node[1].Output, 1)
}

// TestExternalDataIsWrittenAndRead exports a model with its constants beside
// it, and imports that.
func TestExternalDataIsWrittenAndRead(t *testing.T) {
	w := make([]float32, 1000)
	for i := range w {
		w[i] = float32(i)
	}
	g := &onnxpb.GraphProto{
		Input: []*onnxpb.ValueInfoProto{input("x", 1000)}, Output: []*onnxpb.ValueInfoProto{output("y")},
		Initializer: []*onnxpb.TensorProto{floats("w", w...), floats("small", 1)},
		Node:        []*onnxpb.NodeProto{node("Add", s("x", "w"), s("t")), node("Add", s("t", "small"), s("y"))},
	}
	m, err := importOf(t, model(g), Options{})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "model.onnx")
	require.NoError(t, WriteFile(context.Background(), path, m, ExportOptions{External: 1000}))
	data, err := os.ReadFile(path + ".data")
	require.NoError(t, err)
	require.Len(t, data, 4000)
	back, err := Open(path, Options{})
	require.NoError(t, err)
	found := 0
	for op := range back.Main().Body.Ops() {
		if d := op.Result(0).Data(); d != nil && d.Len() == 1000 {
			x, err := d.Tensor()
			require.NoError(t, err)
			require.Equal(t, w, tensor.Of[float32](x))
			found++
		}
	}
	require.Equal(t, 1, found)
	ok, failed, _ := compare(t, [][3]string{{path, path, "-"}})
	require.Empty(t, failed)
	require.Equal(t, 1, ok)
}

// TestSplitExport writes a model and its constants apart. Those of subgraphs stay inside.
func TestSplitExport(t *testing.T) {
	large := func(name string) *onnxpb.TensorProto { return floats(name, slices.Repeat([]float32{1, 2}, 150)...) }
	branch := func(name string) *onnxpb.GraphProto {
		return &onnxpb.GraphProto{Name: name, Initializer: []*onnxpb.TensorProto{large(name + "_w")},
			Node: []*onnxpb.NodeProto{node("Mul", s("x", name+"_w"), s(name+"_y"))}, Output: []*onnxpb.ValueInfoProto{output(name + "_y")}}
	}
	choice := node("If", s("c"), s("r"))
	choice.Attribute = []*onnxpb.AttributeProto{
		{Name: "then_branch", Type: onnxpb.AttrGraph, G: branch("a")}, {Name: "else_branch", Type: onnxpb.AttrGraph, G: branch("b")}}
	cond := input("c")
	cond.Type.Tensor.ElemType = int32(tensor.Bool)
	m, err := importOf(t, model(&onnxpb.GraphProto{
		Input: []*onnxpb.ValueInfoProto{input("x", 300), cond}, Output: []*onnxpb.ValueInfoProto{output("y")},
		Initializer: []*onnxpb.TensorProto{large("w"), large("v"), floats("small", 1)},
		Node:        []*onnxpb.NodeProto{choice, node("Add", s("r", "w"), s("t")), node("Add", s("t", "v"), s("u")), node("Add", s("u", "small"), s("y"))},
	}), Options{})
	require.NoError(t, err)
	var p, data bytes.Buffer
	moved, err := ExportSplit(&p, &data, "beside", m, ExportOptions{})
	require.NoError(t, err)
	require.Equal(t, []Moved{{"w", 0, 1200}, {"v", 1216, 1200}}, moved)
	require.Equal(t, 2416, data.Len())
	back, err := onnxpb.DecodeModel(p.Bytes())
	require.NoError(t, err)
	for _, i := range back.Graph.Initializer {
		require.Equal(t, i.Name != "small", i.DataLocation == onnxpb.External, i.Name)
	}
	for _, a := range back.Graph.Node[0].Attribute {
		require.True(t, a.G.Initializer[0].RawData.IsSet(), "a constant of a subgraph left it")
	}
}

// TestFusedRegionsAreInlined exports a module of the fused level.
func TestFusedRegionsAreInlined(t *testing.T) {
	m := ir.NewModule("g", ops.NewestOpset(""))
	x := m.Main().AddInput("x", ir.Static(tensor.Float32, 4))
	b := ir.AtEnd(m.Main().Body)
	op := b.Op("hone.Fused", []*ir.Value{x}, []ir.Type{x.Type})
	r := op.AddRegion(ops.FusedRegion)
	a := r.AddArg("a", x.Type)
	in := ir.AtEnd(r)
	gelu := in.Op("Gelu", []*ir.Value{a}, []ir.Type{x.Type})
	in.Op(ir.YieldName, []*ir.Value{gelu.Result(0)}, nil)
	m.Main().Return([]string{"y", "z"}, op.Result(0), x)
	m.Level = ir.Fused

	m.Source.Opsets = []ir.Opset{{Version: 17}} // Gelu came with 20
	var buf bytes.Buffer
	require.NoError(t, Export(&buf, m, ExportOptions{}))
	p, err := onnxpb.DecodeModel(buf.Bytes())
	require.NoError(t, err)
	var names []string
	for _, n := range p.Graph.Node {
		names = append(names, n.OpType)
	}
	require.Equal(t, []string{"Mul", "Mul", "Erf", "Add", "Mul", "Identity"}, names)
	require.Equal(t, "y", p.Graph.Output[0].Name)
	require.Equal(t, "z", p.Graph.Output[1].Name)
	require.LessOrEqual(t, p.OpsetImport[0].Version, int64(17))

	m.Level = ir.CPU
	require.ErrorContains(t, Export(&buf, m, ExportOptions{}), "before lowering")
}
