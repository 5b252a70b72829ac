package all_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// BenchmarkO3 runs -O3 over bert_base, and over transformers of 12 and of 120
// layers, whose times tell whether the passes are linear.
func BenchmarkO3(b *testing.B) {
	b.Run("bert_base", func(b *testing.B) {
		m, err := onnx.Open(testenv.Model(b, "bert_base"), onnx.Options{})
		require.NoError(b, err)
		optimize(b, m)
	})
	for _, layers := range []int{12, 120} {
		b.Run(fmt.Sprint(layers, "layers"), func(b *testing.B) { optimize(b, transformer(b, layers)) })
	}
}

func optimize(b *testing.B, m *ir.Module) {
	p, err := passes.ParsePipeline("O3")
	require.NoError(b, err)
	for b.Loop() {
		b.StopTimer()
		c := m.Clone()
		b.StartTimer()
		x := passes.NewContext(b.Context())
		x.VerifyEach = false // as a user runs it
		_, err := p.Run(x, c)
		require.NoError(b, err)
	}
}

// O3 finds every attention, norm and GELU of a transformer, however deep.
func TestO3OfADeepTransformer(t *testing.T) {
	m := transformer(t, 120)
	p, err := passes.ParsePipeline("O3")
	require.NoError(t, err)
	_, err = p.Run(passes.NewContext(t.Context()), m)
	require.NoError(t, err)
	count := map[string]int{}
	for op := range m.Main().Body.Ops() {
		count[op.Name]++
	}
	delete(count, ir.ConstantName)
	require.Equal(t, map[string]int{
		"Attention": 120, "LayerNormalization": 240, "Gelu": 120, "Split": 120, "MatMul": 480, "Add": 720, ir.YieldName: 1,
	}, count)
}

// transformer builds an encoder of [N,S,16] as exporters write it: norms, GELU
// and attention in their parts.
func transformer(t testing.TB, layers int) *ir.Module {
	const width, heads = 16, 2
	m := ir.NewModule("transformer", ops.NewestOpset(""))
	x := m.Main().AddInput("x", ir.TensorOf(tensor.Float32, ir.Sym("N"), ir.Sym("S"), ir.Const(width)))
	b := ir.AtEnd(m.Main().Body)
	rng := rand.New(rand.NewPCG(1, 1))
	op := func(name string, operands []*ir.Value, attrs ...ir.Attr) *ir.Value {
		o, err := ops.Build(b, name, operands, attrs...)
		require.NoError(t, err)
		return o.Result(0)
	}
	two := func(name string, x, y *ir.Value) *ir.Value { return op(name, []*ir.Value{x, y}) }
	number := func(f float32) *ir.Value { return b.Tensor(tensor.Scalar(tensor.Float32, f)) }
	weights := func(shape ...int) *ir.Value {
		w := tensor.New(tensor.Float32, shape...)
		for i := range tensor.Of[float32](w) {
			tensor.Of[float32](w)[i] = float32(rng.NormFloat64())
		}
		return b.Tensor(w)
	}
	linear := func(x *ir.Value, in, out int) *ir.Value {
		return two("Add", two("MatMul", x, weights(in, out)), weights(out))
	}
	split := func(x *ir.Value, perm ...int64) *ir.Value {
		return op("Transpose", []*ir.Value{two("Reshape", x, b.Int64s(0, 0, heads, width/heads))}, ir.Attr{Name: "perm", Value: perm})
	}
	attention := func(x *ir.Value) *ir.Value {
		q, k, v := linear(x, width, width), linear(x, width, width), linear(x, width, width)
		s := two("Div", two("MatMul", split(q, 0, 2, 1, 3), split(k, 0, 2, 3, 1)), number(2.828427))
		y := two("MatMul", op("Softmax", []*ir.Value{s}, ir.Attr{Name: "axis", Value: int64(-1)}), split(v, 0, 2, 1, 3))
		y = op("Transpose", []*ir.Value{y}, ir.Attr{Name: "perm", Value: []int64{0, 2, 1, 3}})
		return linear(two("Reshape", y, b.Int64s(0, 0, width)), width, width)
	}
	gelu := func(x *ir.Value) *ir.Value {
		e := two("Add", op("Erf", []*ir.Value{two("Div", x, number(1.4142135))}), number(1))
		return two("Mul", two("Mul", x, e), number(0.5))
	}
	norm := func(x *ir.Value) *ir.Value {
		d := two("Sub", x, two("ReduceMean", x, b.Int64s(-1)))
		v := two("ReduceMean", two("Pow", d, number(2)), b.Int64s(-1))
		d = two("Div", d, op("Sqrt", []*ir.Value{two("Add", v, number(1e-5))}))
		return two("Add", two("Mul", d, weights(width)), weights(width))
	}
	for range layers {
		x = norm(two("Add", x, attention(x)))
		x = norm(two("Add", x, linear(gelu(linear(x, width, 4*width)), 4*width, width)))
	}
	m.Main().Return([]string{"y"}, x)
	require.NoError(t, ops.Verify(m))
	return m
}
