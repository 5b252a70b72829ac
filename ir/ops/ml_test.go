package ops

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// mlCase is one op and what ONNX Runtime answers; testdata/ml.py writes them.
type mlCase struct {
	Op, Title string
	Opset     int
	Attrs     map[string]struct {
		Kind string
		V    []string
		T    *mlValue
	}
	In, Out []mlValue
}

// mlValue is a tensor (elements as text), a map or a sequence of maps.
type mlValue struct {
	Type   string
	Shape  []int
	S      []string
	Map    *mlValue
	Values *mlValue
	Seq    []mlValue
}

func parsed[T any](t *testing.T, list []string, f func(string) (T, error)) []T {
	out := make([]T, len(list))
	for i, s := range list {
		v, err := f(s)
		require.NoError(t, err)
		out[i] = v
	}
	return out
}

func parse32(s string) (float32, error) {
	v, err := strconv.ParseFloat(s, 32)
	return float32(v), err
}

func parse64(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

func parseInt(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }

func (v mlValue) value(t *testing.T) tensor.Value {
	switch {
	case v.Seq != nil:
		s := &tensor.Sequence{Elem: tensor.Float32}
		for _, x := range v.Seq {
			s.Items = append(s.Items, x.value(t))
		}
		return s
	case v.Map != nil:
		m := &tensor.Map{Values: v.Values.tensor(t)}
		if keys := v.Map.tensor(t); keys.DType == tensor.String {
			m.StringKeys = keys.Strings
		} else {
			m.IntKeys = tensor.Of[int64](keys)
		}
		return m
	}
	return v.tensor(t)
}

func (v mlValue) tensor(t *testing.T) *tensor.Tensor {
	switch v.Type {
	case "string":
		return tensor.StringsOf(v.S, v.Shape...)
	case "i64":
		return tensor.Int64s(parsed(t, v.S, parseInt), v.Shape...)
	case "f64":
		return tensor.From(tensor.Float64, parsed(t, v.S, parse64), v.Shape...)
	}
	require.Equal(t, "f32", v.Type)
	return tensor.Float32s(parsed(t, v.S, parse32), v.Shape...)
}

func typeOf(v tensor.Value) ir.Type {
	if m, ok := v.(*tensor.Map); ok {
		key := tensor.Int64
		if m.IntKeys == nil {
			key = tensor.String
		}
		return ir.MapOf(key, ir.TensorOf(m.Values.DType))
	}
	x := v.(*tensor.Tensor)
	return ir.Static(x.DType, x.Shape...)
}

// build makes the op in a module of its own, upgraded, inferred and verified.
func (c mlCase) build(t *testing.T, ins []tensor.Value) *ir.Op {
	m := ir.NewModule("t", 28)
	var args []*ir.Value
	for i, v := range ins {
		args = append(args, m.Main().AddInput(strconv.Itoa(i), typeOf(v)))
	}
	op := ir.AtEnd(m.Main().Body).Op("ml."+c.Op, args, make([]ir.Type, len(c.Out)))
	for name, a := range c.Attrs {
		var v any
		switch a.Kind {
		case "int":
			v = parsed(t, a.V, parseInt)[0]
		case "ints":
			v = parsed(t, a.V, parseInt)
		case "float":
			v = parsed(t, a.V, parse32)[0]
		case "floats":
			v = parsed(t, a.V, parse32)
		case "string":
			v = a.V[0]
		case "strings":
			v = a.V
		default:
			v = ir.NewData(a.T.tensor(t))
		}
		op.Attrs.Set(name, v)
	}
	m.Main().Return(make([]string, len(c.Out)), op.Results()...)
	for _, u := range Lookup(op.Name).Upgrades {
		if c.Opset < u.To {
			require.NoError(t, u.Do(ir.Before(op), op))
		}
	}
	require.NoError(t, InferModule(m))
	require.NoError(t, Verify(m))
	return op
}

func requireSame(t *testing.T, want, got tensor.Value) {
	switch w := want.(type) {
	case *tensor.Sequence:
		g := got.(*tensor.Sequence)
		require.Len(t, g.Items, len(w.Items))
		for i := range w.Items {
			requireSame(t, w.Items[i], g.Items[i])
		}
	case *tensor.Map:
		g := got.(*tensor.Map)
		require.Equal(t, w.IntKeys, g.IntKeys)
		require.Equal(t, w.StringKeys, g.StringKeys)
		requireSame(t, w.Values, g.Values)
	case *tensor.Tensor:
		g := got.(*tensor.Tensor)
		require.Equal(t, w.String(), g.String())
		if !w.DType.IsFloat() {
			require.Equal(t, w, g)
			return
		}
		a, b := ref.Float64s(w), ref.Float64s(g)
		for i := range a {
			if math.IsNaN(a[i]) {
				require.True(t, math.IsNaN(b[i]), "%v", b)
			} else {
				require.InDelta(t, a[i], b[i], 5e-5*max(1, math.Abs(a[i])), "want %v, got %v", a, b)
			}
		}
	}
}

func TestMachineLearningOpsAnswerAsONNXRuntime(t *testing.T) {
	b, err := os.ReadFile("testdata/zml.json")
	require.NoError(t, err)
	var cases []mlCase
	require.NoError(t, json.Unmarshal(b, &cases))
	require.Greater(t, len(cases), 100)
	for _, c := range cases {
		t.Run(c.Op+" "+c.Title, func(t *testing.T) {
			var ins []tensor.Value
			for _, v := range c.In {
				ins = append(ins, v.value(t))
			}
			op := c.build(t, ins)
			outs, err := Eval(op, ins, &Env{})
			require.NoError(t, err)
			for i, w := range c.Out {
				requireSame(t, w.value(t), outs[i])
				if x, ok := outs[i].(*tensor.Tensor); ok {
					inferred := op.Result(i).Type
					require.Equal(t, x.DType, inferred.DType)
					require.Equal(t, x.Rank(), inferred.Rank())
					for d, n := range x.Shape {
						if k, ok := inferred.Dims[d].Int(); ok {
							require.Equal(t, int64(n), k, "inferred %s, computed %s", inferred, x)
						}
					}
				}
			}
		})
	}
}
