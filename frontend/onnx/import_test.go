package onnx

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/ir"
)

func ints(name string, v ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: name, Type: onnxpb.AttrInts, Ints: v}
}

func integer(name string, v int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: name, Type: onnxpb.AttrInt, I: v}
}

func importOf(t testing.TB, m *onnxpb.ModelProto, opt Options) (*ir.Module, error) {
	return Import(bytesOf(t, m), opt)
}

// pool is a graph of one MaxPool.
func pool() *onnxpb.GraphProto {
	return &onnxpb.GraphProto{
		Name:  "g",
		Input: []*onnxpb.ValueInfoProto{input("x", "N", 3, "H", "H")}, Output: []*onnxpb.ValueInfoProto{output("y")},
		Node: []*onnxpb.NodeProto{node("MaxPool", s("x"), s("y"), ints("kernel_shape", 2, 2), ints("strides", 2, 2))},
	}
}

func TestImportKeepsNamesAndPlaces(t *testing.T) {
	p := model(pool())
	p.MetadataProps = []*onnxpb.StringStringEntryProto{{Key: "k", Value: "v"}}
	p.ProducerName = "test"
	m, err := importOf(t, p, Options{})
	require.NoError(t, err)
	f := m.Main()
	require.Equal(t, "x", f.Body.Args[0].Name)
	require.Equal(t, []string{"y"}, f.Outputs)
	require.Equal(t, "y", f.Results()[0].Origin.Name)
	require.Equal(t, []string{"MaxPool/y"}, f.Body.First().Loc)
	require.Equal(t, "f32[N,3,H/2,H/2]", f.Results()[0].Type.String())
	require.Equal(t, []ir.KeyValue{{Key: "k", Value: "v"}}, m.Meta)
	require.Equal(t, "test", m.Source.Producer)
}

func TestDimsFreeze(t *testing.T) {
	for _, c := range []struct {
		opt  Options
		want string
		err  string
	}{
		{Options{Dims: map[string]int64{"N": 1}}, "f32[1,3,H/2,H/2]", ""},
		{Options{InputShapes: map[string][]int64{"x": {2, 3, 8, 8}}}, "f32[2,3,4,4]", ""},
		{Options{InputShapes: map[string][]int64{"x": {-1, 3, 8, 6}}}, "f32[N,3,4,3]", ""},
		{Options{InputShapes: map[string][]int64{"x": {1, 4, 8, 8}}}, "", "dim 1 can not be 4"},
		{Options{InputShapes: map[string][]int64{"x": {1}}}, "", "a shape of 1 dims was asked for"},
		{Options{InputShapes: map[string][]int64{"z": {1}}}, "", `there is no input "z"; the inputs are "x"`},
		{Options{Dims: map[string]int64{"M": 1}}, "", `no input has a dim "M"; the symbolic dims are "H", "N"`},
		{Options{Dims: map[string]int64{"N": -1}}, "", "can not be -1"},
	} {
		m, err := importOf(t, model(pool()), c.opt)
		if c.err != "" {
			require.ErrorContains(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, m.Main().Results()[0].Type.String())
	}
}

func TestNodeNamesAreMadeUnique(t *testing.T) {
	g := pool()
	g.Node = append(g.Node, node("MaxPool", s("y"), s("z"), ints("kernel_shape", 1, 1)), node("MaxPool", s("z"), s("w"), ints("kernel_shape", 1, 1)))
	for _, n := range g.Node {
		n.Name = "pool"
	}
	m, err := importOf(t, model(g), Options{})
	require.NoError(t, err)
	var locs []string
	for op := range m.Main().Body.Ops() {
		locs = append(locs, op.Loc...)
	}
	require.Equal(t, []string{"pool", "pool_1", "pool_2"}, locs)
}

// TestDefectsOfGraphs lists what a graph may have wrong, and what is said.
func TestDefectsOfGraphs(t *testing.T) {
	mp := func(in, out string) *onnxpb.NodeProto {
		return node("MaxPool", s(in), s(out), ints("kernel_shape", 1, 1))
	}
	for _, c := range []struct {
		name string
		edit func(m *onnxpb.ModelProto)
		want string
	}{
		{"no graph", func(m *onnxpb.ModelProto) { m.Graph = nil }, "has no graph"},
		{"undefined input", func(m *onnxpb.ModelProto) { m.Graph.Node[0].Input[0] = "q" },
			`node "MaxPool/y" (MaxPool): input 0, "q", is not defined`},
		{"cycle", func(m *onnxpb.ModelProto) { m.Graph.Node = []*onnxpb.NodeProto{mp("b", "a"), mp("a", "b")} },
			`node "MaxPool/a" (MaxPool): input 0, "b", comes from node "MaxPool/b"`},
		{"defined twice", func(m *onnxpb.ModelProto) { m.Graph.Node = append(m.Graph.Node, mp("x", "y")) }, `value "y" is defined twice`},
		{"initializer twice", func(m *onnxpb.ModelProto) {
			m.Graph.Initializer = []*onnxpb.TensorProto{floats("w", 1), floats("w", 1)}
		}, `initializer 1: value "w" is defined twice`},
		{"broken initializer", func(m *onnxpb.ModelProto) {
			m.Graph.Initializer = []*onnxpb.TensorProto{{Name: "w", DataType: 1, Dims: []int64{1 << 62}}}
		}, `initializer 0, "w"`},
		{"no output", func(m *onnxpb.ModelProto) { m.Graph.Output[0].Name = "q" }, `output 0, "q", is not computed by any node`},
		{"unknown domain", func(m *onnxpb.ModelProto) { m.Graph.Node[0].Domain = "com.acme" }, `node "MaxPool/y" (MaxPool): operator MaxPool of domain "com.acme" is not known`},
		{"unknown operator", func(m *onnxpb.ModelProto) { m.Graph.Node[0].OpType = "MaxPoll" }, `there is no operator "MaxPoll"`},
		{"later operator", func(m *onnxpb.ModelProto) {
			m.Graph.Node[0].OpType = "GroupNormalization"
			m.OpsetImport[0].Version = 7
		}, "came with opset 18; the model has 7"},
		{"later opset", func(m *onnxpb.ModelProto) { m.OpsetImport[0].Version = 999 }, "opset 999"},
		{"few inputs", func(m *onnxpb.ModelProto) { m.Graph.Node[0].Input = nil }, "0 inputs, the operator takes 1 at least"},
		{"many outputs", func(m *onnxpb.ModelProto) { m.Graph.Node[0].Output = s("y", "i", "j") }, "3 results"},
		{"attribute twice", func(m *onnxpb.ModelProto) {
			m.Graph.Node[0].Attribute = append(m.Graph.Node[0].Attribute, ints("strides", 1, 1))
		}, `attribute "strides" is given twice`},
		{"attribute kind", func(m *onnxpb.ModelProto) { m.Graph.Node[0].Attribute[1] = integer("strides", 1) }, "attribute strides is of kind int, expected ints"},
		{"attribute without value", func(m *onnxpb.ModelProto) {
			m.Graph.Node[0].Attribute[1] = &onnxpb.AttributeProto{Name: "strides"}
		}, `attribute "strides": it has no value`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := model(pool())
			c.edit(m)
			_, err := importOf(t, m, Options{})
			require.ErrorContains(t, err, c.want)
		})
	}
}

// double is a function that pools twice, with the kernel's size as attribute.
func double() *onnxpb.FunctionProto {
	k := &onnxpb.AttributeProto{Name: "kernel_shape", RefAttrName: "k", Type: onnxpb.AttrInts}
	return &onnxpb.FunctionProto{
		Name: "Double", Domain: "my", Input: s("a"), Output: s("c"), Attribute: s("k"), OpsetImport: []*onnxpb.OperatorSetIDProto{{Version: 21}},
		Node: []*onnxpb.NodeProto{node("MaxPool", s("a"), s("b"), k), node("MaxPool", s("b"), s("c"), k)},
	}
}

func callDouble() *onnxpb.ModelProto {
	m := model(pool())
	m.Functions = []*onnxpb.FunctionProto{double()}
	m.Graph.Node[0] = node("Double", s("x"), s("y"), ints("k", 3, 3))
	m.Graph.Node[0].Domain = "my"
	return m
}

func TestFunctionsAreInlined(t *testing.T) {
	m, err := importOf(t, callDouble(), Options{})
	require.NoError(t, err)
	require.Equal(t, "f32[N,3,H-4,H-4]", m.Main().Results()[0].Type.String())
	require.Equal(t, "y", m.Main().Results()[0].Origin.Name)
	require.Equal(t, []string{"Double/y/MaxPool/b"}, m.Main().Body.First().Loc)
}

func TestDefectsOfFunctions(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(m *onnxpb.ModelProto)
		want string
	}{
		{"missing attribute", func(m *onnxpb.ModelProto) { m.Graph.Node[0].Attribute = nil }, `attribute "k" of function my.Double is missing`},
		{"many inputs", func(m *onnxpb.ModelProto) { m.Graph.Node[0].Input = s("x", "x") }, "function my.Double takes 1"},
		{"twice", func(m *onnxpb.ModelProto) { m.Functions = append(m.Functions, double()) }, "function my.Double is defined twice"},
		{"recursion", func(m *onnxpb.ModelProto) {
			m.Functions[0].Node[1] = &onnxpb.NodeProto{OpType: "Double", Domain: "my", Input: s("b"), Output: s("c"), Attribute: []*onnxpb.AttributeProto{ints("k", 1, 1)}}
		}, "function my.Double calls itself"},
		{"no output", func(m *onnxpb.ModelProto) { m.Functions[0].Output = s("q") }, `does not compute its output "q"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := callDouble()
			c.edit(m)
			_, err := importOf(t, m, Options{})
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestFunctionsCanNotExplode calls functions that double the work sixteen
// times over.
func TestFunctionsCanNotExplode(t *testing.T) {
	m := callDouble()
	name := "Double"
	for i := range 15 {
		f := &onnxpb.FunctionProto{Name: string(rune('A' + i)), Domain: "my", Input: s("a"), Output: s("c")}
		for j := range 4 {
			io := []string{"a", "b", "d", "e", "c"}
			n := node(name, s(io[j]), s(io[j+1]), ints("k", 1, 1))
			n.Domain = "my"
			f.Node = append(f.Node, n)
		}
		m.Functions = append(m.Functions, f)
		name = f.Name
	}
	m.Graph.Node[0].OpType = name
	_, err := importOf(t, m, Options{})
	require.ErrorContains(t, err, "expand to too many operations")
}

func FuzzImport(f *testing.F) {
	f.Add(bytesOf(f, model(pool())))
	f.Add(bytesOf(f, callDouble()))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Import(b, Options{})
		if err == nil {
			require.NoError(t, ir.Verify(m))
		}
	})
}
func TestOldOpsetsAreUpgraded(t *testing.T) {
	m := model(&onnxpb.GraphProto{
		Input: []*onnxpb.ValueInfoProto{input("x", 1, 1, 4, 4)}, Output: []*onnxpb.ValueInfoProto{output("y")},
		Node: []*onnxpb.NodeProto{node("Upsample", s("x"), s("y"), &onnxpb.AttributeProto{Name: "scales", Type: onnxpb.AttrFloats, Floats: []float32{1, 1, 2, 3}})},
	})
	m.OpsetImport[0].Version = 8
	mod, err := importOf(t, m, Options{})
	require.NoError(t, err)
	y := mod.Main().Results()[0]
	require.Equal(t, "Resize", y.Def().Name)
	require.Equal(t, "f32[1,1,8,12]", y.Type.String())
}

// mapped counts the mappings of files below dir; every one of them keeps its
// file's pages and its space on disk.
func mapped(t *testing.T, dir string) int {
	b, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return strings.Count(string(b), dir)
}

func TestCloseUnmaps(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what is mapped")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	w := &onnxpb.TensorProto{Name: "w", DataType: 1, Dims: []int64{2}, DataLocation: onnxpb.External,
		ExternalData: []*onnxpb.StringStringEntryProto{{Key: "location", Value: "w.bin"}}}
	good := &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{w}, Output: []*onnxpb.ValueInfoProto{output("y")},
		Node: []*onnxpb.NodeProto{node("Neg", s("w"), s("y"))}}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "w.bin"), make([]byte, 8), 0o600))
	require.NoError(t, os.WriteFile(path, bytesOf(t, model(good)), 0o600))

	m, err := Open(path, Options{})
	require.NoError(t, err)
	require.Equal(t, 2, mapped(t, dir), "the model and its data")
	require.NoError(t, m.Clone().Close())
	require.Equal(t, 2, mapped(t, dir), "a clone owns nothing")
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	require.Zero(t, mapped(t, dir))

	good.Node = append(good.Node, node("Neg", s("nowhere"), s("z")))
	require.NoError(t, os.WriteFile(path, bytesOf(t, model(good)), 0o600))
	_, err = Open(path, Options{})
	require.ErrorContains(t, err, "nowhere")
	require.Zero(t, mapped(t, dir), "a failed import leaves nothing mapped")
}

// Names, types and attributes are the module's own: a clone may be used after
// the model is closed, but for its constants.
func TestWhatIsNoConstantOutlivesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	p := model(&onnxpb.GraphProto{Name: "graph", Input: []*onnxpb.ValueInfoProto{input("x", "batch", 2)}, Output: []*onnxpb.ValueInfoProto{output("y")},
		Node: []*onnxpb.NodeProto{node("Transpose", s("x"), s("y"), ints("perm", 1, 0))}})
	p.ProducerName, p.DocString = "producer", "doc"
	p.MetadataProps = []*onnxpb.StringStringEntryProto{{Key: "key", Value: "value"}}
	p.Unknown = onnxpb.Raw{[]byte{0xa2, 0x01, 1, 'x'}} // field 20
	require.NoError(t, os.WriteFile(path, bytesOf(t, p), 0o600))
	m, err := Open(path, Options{})
	require.NoError(t, err)
	want, err := ir.Print(m)
	require.NoError(t, err)
	c := m.Clone()
	require.NoError(t, m.Close())
	got, err := ir.Print(c)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Contains(t, got, "unknown=")
}
