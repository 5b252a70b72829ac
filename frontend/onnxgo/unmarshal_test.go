package onnxgo

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"testing"

	"github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend/testbackend"
	"github.com/stretchr/testify/require"
	gorgonia "gorgonia.org/tensor"

	honnx "github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// answers reports whether a model, decoded by Unmarshal, gives what a test
// expects, up to a relative 1e-5.
func answers(tc *testbackend.TestCase, opts ...Option) error {
	g := New(opts...)
	model := onnx.NewModel(g)
	if err := g.Unmarshal(model, tc.ModelB); err != nil {
		return err
	}
	for i, x := range tc.Input {
		if err := model.SetInput(i, x); err != nil {
			return err
		}
	}
	if err := g.Run(); err != nil {
		return err
	}
	outs, err := model.GetOutputTensors()
	if err != nil {
		return err
	}
	if len(outs) != len(tc.ExpectedOutput) {
		return fmt.Errorf("%d outputs, not %d", len(outs), len(tc.ExpectedOutput))
	}
	for i, want := range tc.ExpectedOutput {
		if fmt.Sprint(want.Shape()) != fmt.Sprint(outs[i].Shape()) {
			return fmt.Errorf("output %d has the shape %v, not %v", i, outs[i].Shape(), want.Shape())
		}
		w, h := floats(want), floats(outs[i])
		for k := range w {
			if d := math.Abs(w[k] - h[k]); !(d <= 1e-4+1e-5*math.Abs(w[k])) && !(math.IsNaN(w[k]) && math.IsNaN(h[k])) {
				return fmt.Errorf("output %d: element %d is %v, not %v", i, k, h[k], w[k])
			}
		}
	}
	return nil
}

func floats(t gorgonia.Tensor) []float64 {
	v := reflect.ValueOf(t.Data())
	if v.Kind() != reflect.Slice {
		return []float64{v.Convert(reflect.TypeFor[float64]()).Float()}
	}
	out := make([]float64, v.Len())
	for i := range out {
		out[i] = v.Index(i).Convert(reflect.TypeFor[float64]()).Float()
	}
	return out
}

// By hone's decoder the same tests pass, the one with a subgraph too.
func TestUnmarshalAnswersAsExpected(t *testing.T) {
	wrong := map[string]string{ // testdata/failures.txt has the reasons
		"TestResizeNearest":           "element 1 is 2, not 3",
		"TestResizeDownsampleNearest": "element 1 is 2, not 3",
		"TestSize":                    "has the shape (), not (1)",
		"TestSizeExample":             "has the shape (), not (1)",
	}
	for name, opts := range map[string][]Option{"interp": nil, "cpu": {Compiled()}} {
		for _, construct := range testbackend.GetAllRegisteredTests() {
			tc := construct()
			err := answers(tc, opts...)
			if said, known := wrong[tc.Title]; known {
				require.ErrorContains(t, err, said, "%s on %s", tc.Title, name)
			} else {
				require.NoError(t, err, "%s on %s", tc.Title, name)
			}
		}
	}
}

// modelOf encodes a model of the given opset.
func modelOf(t *testing.T, opset int64, g *onnxpb.GraphProto) []byte {
	p := &onnxpb.ModelProto{IRVersion: 7, Graph: g, OpsetImport: []*onnxpb.OperatorSetIDProto{{Version: opset}}}
	var b bytesBuffer
	require.NoError(t, p.Encode(&b))
	return b
}

type bytesBuffer []byte

func (b *bytesBuffer) Write(p []byte) (int, error) { *b = append(*b, p...); return len(p), nil }

// info declares a value; a negative dim is one that has a name.
func info(name string, d tensor.DType, shape ...int) *onnxpb.ValueInfoProto {
	s := &onnxpb.TensorShapeProto{}
	for i, n := range shape {
		dim := &onnxpb.DimensionProto{}
		if size := int64(n); n < 0 {
			dim.Param = fmt.Sprint("N", i)
		} else {
			dim.Value = &size
		}
		s.Dim = append(s.Dim, dim)
	}
	return &onnxpb.ValueInfoProto{Name: name, Type: &onnxpb.TypeProto{Tensor: &onnxpb.TensorTypeProto{ElemType: int32(d), Shape: s}}}
}

func node(op string, ins []string, outs ...string) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: op, Input: ins, Output: outs}
}

func infos(v ...*onnxpb.ValueInfoProto) []*onnxpb.ValueInfoProto { return v }

// What onnx-go's decoder has no place for.
func TestUnmarshalLosesNothing(t *testing.T) {
	half := modelOf(t, 13, &onnxpb.GraphProto{
		Name: "half", Input: infos(info("x", tensor.Float16, -1)), Output: infos(info("y", tensor.Float16, -1)),
		Node: []*onnxpb.NodeProto{node("Add", []string{"x", "x"}, "y")},
	})
	g := New()
	model := onnx.NewModel(g)
	require.Error(t, model.UnmarshalBinary(half), "onnx-go knows float16 now")

	require.NoError(t, g.Unmarshal(model, half))
	require.Equal(t, []string{"x"}, g.Inputs())
	require.NoError(t, model.SetInput(0, gorgonia.New(gorgonia.WithBacking([]float32{1, 2.5, 0.1}))))
	require.NoError(t, g.Run())
	outs, err := model.GetOutputTensors()
	require.NoError(t, err)
	require.Equal(t, []float32{2, 5, 0.19995117}, outs[0].Data(), "float16 goes in and out as float32")
	require.Equal(t, outs[0], g.Value("y"))
}

// Files that make onnx-go panic are refused.
func TestUnmarshalRefusesWhatMakesOnnxGoPanic(t *testing.T) {
	short := &onnxpb.TensorProto{Name: "w", DataType: int32(tensor.Float32), Dims: []int64{3}}
	short.RawData.B = make([]byte, 4)
	b := modelOf(t, 9, &onnxpb.GraphProto{
		Name: "short", Input: infos(info("x", tensor.Float32, 3)), Output: infos(info("y", tensor.Float32, 3)),
		Initializer: []*onnxpb.TensorProto{short}, Node: []*onnxpb.NodeProto{node("Add", []string{"x", "w"}, "y")},
	})
	g := New()
	model := onnx.NewModel(g)
	require.Panics(t, func() { _ = model.UnmarshalBinary(b) }, "onnx-go checks sizes now")
	require.ErrorContains(t, g.Unmarshal(model, b), `"w": raw data has 4 bytes`)
	for n := range b {
		require.NotPanics(t, func() { _ = g.Unmarshal(model, b[:n]) })
	}
}

// Where onnx-go can decode a model, what it drops is found again: both
// decoders lead to the same answers.
func TestBothDecodersAgree(t *testing.T) {
	for _, name := range []string{"rnn_mix", "tf_attn1d", "tv_mobilenet_v3_small"} {
		b, err := os.ReadFile(testenv.Model(t, name))
		require.NoError(t, err)
		m, err := honnx.Import(b, honnx.Options{})
		require.NoError(t, err)
		run := func(g *Graph, decode func(*onnx.Model) error) []float64 {
			model := onnx.NewModel(g)
			require.NoError(t, decode(model), name)
			for i, a := range m.Main().Body.Args {
				require.NoError(t, model.SetInput(i, ramp(t, a.Type)))
			}
			require.NoError(t, g.Run(), name)
			outs, err := model.GetOutputTensors()
			require.NoError(t, err)
			var all []float64
			for _, x := range outs {
				all = append(all, floats(x)...)
			}
			require.NoError(t, g.Close())
			return all
		}
		g := New()
		want := run(g, func(model *onnx.Model) error { return g.Unmarshal(model, b) })
		g = New()
		require.Equal(t, want, run(g, func(model *onnx.Model) error { return model.UnmarshalBinary(b) }), name)
		g = New(Compiled())
		compiled := run(g, func(model *onnx.Model) error { return model.UnmarshalBinary(b) })
		require.InDeltaSlice(t, want, compiled, 1e-5, name)
	}
}

// ramp returns an input with small values that differ; symbolic dims are 4.
func ramp(t *testing.T, typ ir.Type) gorgonia.Tensor {
	shape, n := []int{}, 1
	for _, d := range typ.Dims {
		size, known := d.Int()
		if !known {
			size = 4
		}
		shape, n = append(shape, int(size)), n*int(size)
	}
	require.Equal(t, tensor.Float32, typ.DType)
	vals := make([]float32, n)
	for i := range vals {
		vals[i] = float32(i%17) / 17
	}
	return gorgonia.New(gorgonia.WithShape(shape...), gorgonia.WithBacking(vals))
}
