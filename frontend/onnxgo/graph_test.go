package onnxgo

import (
	"context"
	"testing"

	"github.com/owulveryck/onnx-go"
	"github.com/stretchr/testify/require"
	gorgonia "gorgonia.org/tensor"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/tensor"
)

func f32s(vals ...float32) gorgonia.Tensor {
	return gorgonia.New(gorgonia.WithShape(len(vals)), gorgonia.WithBacking(vals))
}

func constant(name string, vals ...float32) *onnxpb.TensorProto {
	x := tensor.Float32s(vals, len(vals))
	p := &onnxpb.TensorProto{Name: name, DataType: int32(tensor.Float32), Dims: []int64{int64(len(vals))}}
	p.RawData.B = x.Data
	return p
}

// affine is y = x*w + x2, s = -y. Weights are declared among the inputs, as
// old exporters do; zeros stands among the initializers only.
func affine(t *testing.T) []byte {
	f := tensor.Float32
	return modelOf(t, 9, &onnxpb.GraphProto{
		Name:  "affine",
		Input: infos(info("w", f, 2), info("x", f, -1), info("x2", f, 2)), Output: infos(info("s", f, 2)),
		ValueInfo:   infos(info("x", f, 2), info("y", f, 2)),
		Initializer: []*onnxpb.TensorProto{constant("w", 2, 3), constant("zeros", 0, 0)},
		Node: []*onnxpb.NodeProto{
			node("Mul", []string{"x", "w"}, "p"), node("Add", []string{"p", "x2"}, "q"), node("Add", []string{"q", "zeros"}, "y"),
			node("Neg", []string{"y"}, "s"),
		},
	})
}

func decoded(t *testing.T, b []byte, opts ...Option) (*Graph, *onnx.Model) {
	g := New(opts...)
	model := onnx.NewModel(g)
	require.NoError(t, model.UnmarshalBinary(b))
	return g, model
}

// onnx-go takes the position of an input for a node's id.
func TestSetInputCountsInputsNotConstants(t *testing.T) {
	for _, opts := range [][]Option{nil, {Compiled()}} {
		g, model := decoded(t, affine(t), opts...)
		require.Equal(t, []string{"x", "x2"}, g.Inputs())
		require.NoError(t, model.SetInput(0, f32s(1, 10)))
		require.NoError(t, model.SetInput(1, f32s(5, 7)))
		require.NoError(t, g.Run())
		outs, err := model.GetOutputTensors()
		require.NoError(t, err)
		require.Equal(t, []float32{-7, -37}, outs[0].Data())

		require.Equal(t, []float32{7, 37}, g.Value("y").Data(), "a value within the model")
		require.NoError(t, model.SetInput(0, f32s(0, 0)))
		require.NoError(t, g.Run())
		require.Equal(t, []float32{5, 7}, g.Value("y").Data())
		require.NoError(t, g.Close())
	}
}

func TestAWeightCanBeReplaced(t *testing.T) {
	g, model := decoded(t, affine(t))
	require.NoError(t, model.SetInput(0, f32s(1, 1)))
	require.NoError(t, model.SetInput(1, f32s(0, 0)))
	require.NoError(t, g.Run())
	require.Equal(t, []float32{-2, -3}, g.Value("s").Data())
	w, ok := model.GetNodeByName("w")
	require.True(t, ok)
	require.NoError(t, w.(*Node).SetTensor(f32s(8, 9)))
	require.NoError(t, g.Run())
	require.Equal(t, []float32{-8, -9}, g.Value("s").Data())
}

func TestMistakesAreErrors(t *testing.T) {
	g, model := decoded(t, affine(t))
	require.ErrorContains(t, g.Run(), `input 0, "x", is not set`)
	require.Error(t, model.SetInput(-1, f32s(1)))
	require.Error(t, model.SetInput(2, f32s(1)))
	require.Error(t, model.SetInput(0, nil))
	require.Error(t, model.SetInput(0, (*gorgonia.Dense)(nil)))
	y, _ := model.GetNodeByName("y")
	require.ErrorContains(t, y.(*Node).SetTensor(f32s(1)), `"y" is computed by the model`)

	require.NoError(t, model.SetInput(0, f32s(1, 2, 3)))
	require.NoError(t, model.SetInput(1, f32s(1, 2)))
	require.Error(t, g.Run(), "shapes that do not broadcast")
	require.NoError(t, model.SetInput(0, gorgonia.New(gorgonia.WithBacking([]float64{0.1, 2}))))
	require.ErrorContains(t, g.Run(), "the model takes f32[*], which does not hold its elements")
	require.NoError(t, model.SetInput(0, gorgonia.New(gorgonia.WithBacking([]float64{0.5, 2}))))
	require.NoError(t, g.Run())

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, g.RunContext(ctx), context.Canceled)
}

func TestGraphsBuiltByHand(t *testing.T) {
	require.ErrorContains(t, New().Run(), "the graph is empty")
	for what, misuse := range map[string]func(g *Graph){
		"a nil node":     func(g *Graph) { g.AddNode(nil) },
		"a foreign node": func(g *Graph) { g.AddNode(New().NewNode()) },
		"a node twice":   func(g *Graph) { n := g.NewNode(); g.AddNode(n); g.AddNode(n) },
		"a nil edge":     func(g *Graph) { g.SetWeightedEdge(nil) },
		"a loose edge":   func(g *Graph) { g.SetWeightedEdge(g.NewWeightedEdge(g.NewNode(), g.NewNode(), 0)) },
	} {
		g := New()
		require.NotPanics(t, func() { misuse(g) }, what)
		require.Error(t, g.Run(), what)
	}
	g := New()
	require.Error(t, g.ApplyOperation(onnx.Operation{Name: "Add"}, nil))
	err := g.ApplyOperation(onnx.Operation{Name: "Frobnicate"}, g.NewNode())
	require.IsType(t, &onnx.ErrNotImplemented{}, err)
}

// The opset that the decoder drops is told from the forms of the operators.
func TestOpsetIsFoundAgain(t *testing.T) {
	f := tensor.Float32
	scalar := func(name string, v float32) *onnxpb.TensorProto {
		p := constant(name, v)
		p.Dims = nil
		return p
	}
	for _, c := range []struct {
		what string
		node *onnxpb.NodeProto
		want int
	}{
		{"nothing tells", node("Relu", []string{"x"}, "y"), 9},
		{"bounds are inputs", node("Clip", []string{"x", "lo", "hi"}, "y"), 11},
		{"axes are an input", node("Unsqueeze", []string{"x", "axes"}, "y"), 13},
		{"a later operator", node("HardSwish", []string{"x"}, "y"), 14},
		{"consumed_inputs went with 6", &onnxpb.NodeProto{OpType: "Relu", Input: []string{"x"}, Output: []string{"y"},
			Attribute: []*onnxpb.AttributeProto{{Name: "consumed_inputs", Type: onnxpb.AttrInts, Ints: []int64{0}}}}, 5},
	} {
		axes := &onnxpb.TensorProto{Name: "axes", DataType: int32(tensor.Int64), Dims: []int64{1}}
		axes.RawData.B = make([]byte, 8)
		b := modelOf(t, 13, &onnxpb.GraphProto{
			Name: "g", Input: infos(info("x", f, 2)), Output: infos(info("y", f)),
			Initializer: []*onnxpb.TensorProto{scalar("lo", -1), scalar("hi", 1), axes}, Node: []*onnxpb.NodeProto{c.node},
		})
		g, _ := decoded(t, b)
		require.Equal(t, c.want, g.opsets()[""], c.what)
		g, _ = decoded(t, b, Opset(13))
		require.Equal(t, 13, g.opsets()[""], c.what)
	}
}

func TestTensorsCross(t *testing.T) {
	for _, data := range []any{
		[]float32{1, 2, 3, 4, 5, 6}, []float64{1, 2, 3, 4, 5, 6}, []int8{-1, 2, 3, 4, 5, 6}, []int16{-1, 2, 3, 4, 5, 6},
		[]int32{-1, 2, 3, 4, 5, 6}, []int64{-1, 2, 3, 4, 5, 6}, []uint8{255, 2, 3, 4, 5, 6}, []uint16{1, 2, 3, 4, 5, 6},
		[]uint32{1, 2, 3, 4, 5, 6}, []uint64{1, 2, 3, 4, 5, 6}, []bool{true, false, true, true, false, false},
		[]complex64{1i, 2, 3, 4, 5, 6}, []complex128{1i, 2, 3, 4, 5, 6}, []string{"a", "", "c", "d", "e", "f"},
	} {
		x, err := FromGorgonia(gorgonia.New(gorgonia.WithShape(2, 3), gorgonia.WithBacking(data)))
		require.NoError(t, err, "%T", data)
		require.Equal(t, []int{2, 3}, x.Shape)
		back, err := ToGorgonia(x)
		require.NoError(t, err, "%T", data)
		require.Equal(t, data, back.Data())
		require.Equal(t, gorgonia.Shape{2, 3}, back.Shape())
	}

	scalar, err := FromGorgonia(gorgonia.New(gorgonia.FromScalar(int64(7))))
	require.NoError(t, err)
	require.Empty(t, scalar.Shape)
	back, err := ToGorgonia(scalar)
	require.NoError(t, err)
	require.Equal(t, int64(7), back.Data())

	ints, err := FromGorgonia(gorgonia.New(gorgonia.WithBacking([]int{4, 5})))
	require.NoError(t, err)
	require.Equal(t, []int64{4, 5}, tensor.Of[int64](ints))

	_, err = FromGorgonia(nil)
	require.Error(t, err)
	_, err = FromGorgonia(gorgonia.New(gorgonia.WithBacking([]uintptr{1})))
	require.ErrorContains(t, err, "no element type")
}

// span is the slice from, to of gorgonia's.
type span [2]int

func (s span) Start() int { return s[0] }
func (s span) End() int   { return s[1] }
func (s span) Step() int  { return 1 }

func TestViewsAndTransposedTensorsBecomeRowMajor(t *testing.T) {
	matrix := func() *gorgonia.Dense {
		return gorgonia.New(gorgonia.WithShape(2, 3), gorgonia.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	}
	lazy := matrix()
	require.NoError(t, lazy.T())
	column, err := matrix().Slice(nil, span{1, 3})
	require.NoError(t, err)
	row, err := matrix().Slice(span{1, 2})
	require.NoError(t, err)
	colMajor := gorgonia.New(gorgonia.WithShape(2, 3), gorgonia.AsFortran([]float32{1, 2, 3, 4, 5, 6}))
	for _, c := range []struct {
		in    gorgonia.Tensor
		shape []int
		want  []float32
	}{
		{lazy, []int{3, 2}, []float32{1, 4, 2, 5, 3, 6}},
		{column, []int{2, 2}, []float32{2, 3, 5, 6}},
		{row, []int{3}, []float32{4, 5, 6}},
		{colMajor, []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}},
	} {
		x, err := FromGorgonia(c.in)
		require.NoError(t, err)
		require.Equal(t, c.shape, x.Shape)
		require.Equal(t, c.want, tensor.Of[float32](x))
	}
}
