package legalize

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func parse(t *testing.T, body string) *ir.Module {
	m, err := ir.Parse("module @m opset=28\n"+body, ir.ParseOptions{})
	require.NoError(t, err)
	return m
}

func run(t *testing.T, m *ir.Module, ins ...tensor.Value) [][]float64 {
	outs, err := interp.New(m).Run(t.Context(), ins, interp.Options{})
	require.NoError(t, err)
	var all [][]float64
	for _, o := range outs {
		all = append(all, ref.Float64s(o.(*tensor.Tensor)))
	}
	return all
}

func names(m *ir.Module) map[string]int {
	count := map[string]int{}
	m.Main().Body.Walk(func(op *ir.Op) bool { count[op.Name]++; return true })
	return count
}

func normal(seed uint64, shape ...int) *tensor.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0))
	x := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Of[float32](x) {
		tensor.Of[float32](x)[i] = float32(rng.NormFloat64())
	}
	return x
}

// Quantized operators, rewritten, compute exactly what they did.
func TestQuantizedKeepsTheMeaning(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		gone []string // operators that TensorRT lacks
		kept string   // an operator that it has and that has to stay
	}{
		"asymmetric uint8 pair": {`func @main(%x: f32[2,8]) -> (y: f32[2,8]) {
  %s = const f32[] [0.05]
  %z = const u8[] [120]
  %q = QuantizeLinear(%x, %s, %z) {} : u8[2,8]
  %r = Reshape(%q, %shape) : u8[2,8]
  %y = DequantizeLinear(%r, %s, %z) : f32[2,8]
  return(%y)
}`, []string{"QuantizeLinear", "DequantizeLinear"}, "Clip"},
		"symmetric int8 pair stays": {`func @main(%x: f32[2,8]) -> (y: f32[2,8]) {
  %s = const f32[] [0.05]
  %z = const i8[] [0]
  %q = QuantizeLinear(%x, %s, %z) : i8[2,8]
  %y = DequantizeLinear(%q, %s, %z) : f32[2,8]
  return(%y)
}`, nil, "QuantizeLinear"},
		"MatMulInteger after DynamicQuantizeLinear": {`func @main(%x: f32[2,4]) -> (y: f32[2,3]) {
  %w = const u8[4,3] [1, 2, 3, 250, 5, 6, 7, 128, 9, 10, 11, 12]
  %wz = const u8[] [128]
  %q:3 = DynamicQuantizeLinear(%x) : u8[2,4], f32[], u8[]
  %i = MatMulInteger(%q#0, %w, %q#2, %wz) : i32[2,3]
  %f = Cast(%i) {to=1} : f32[2,3]
  %y = Mul(%f, %q#1) : f32[2,3]
  return(%y)
}`, []string{"DynamicQuantizeLinear", "MatMulInteger"}, "MatMul"},
		"QLinearMatMul": {`func @main(%x: f32[2,4]) -> (y: f32[2,3]) {
  %s = const f32[] [0.02]
  %z = const u8[] [130]
  %w = const u8[4,3] [1, 2, 3, 250, 5, 6, 7, 128, 9, 10, 11, 12]
  %ws = const f32[] [0.01]
  %wz = const u8[] [127]
  %ys = const f32[] [0.03]
  %q = QuantizeLinear(%x, %s, %z) : u8[2,4]
  %p = QLinearMatMul(%q, %s, %z, %w, %ws, %wz, %ys, %z) : u8[2,3]
  %y = DequantizeLinear(%p, %ys, %z) : f32[2,3]
  return(%y)
}`, []string{"QLinearMatMul", "QuantizeLinear"}, "MatMul"},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.body
			if name == "asymmetric uint8 pair" {
				text = "func @main(%x: f32[2,8]) -> (y: f32[2,8]) {\n  %shape = const i64[2] [2, -1]" + text[len("func @main(%x: f32[2,8]) -> (y: f32[2,8]) {"):]
			}
			m := parse(t, text)
			in, _ := m.Main().Body.Args[0].Type.StaticShape()
			x := normal(1, in...)
			before := run(t, m, x)
			p, err := passes.ParsePipeline("trt-quantized,dce")
			require.NoError(t, err)
			ctx := passes.NewContext(t.Context())
			ctx.VerifyEach = true
			_, err = p.Run(ctx, m)
			require.NoError(t, err)
			require.Equal(t, before, run(t, m, x))
			count := names(m)
			for _, op := range c.gone {
				require.Zero(t, count[op], op)
			}
			require.Positive(t, count[c.kept], "%s is gone", c.kept)
		})
	}
}

// TensorRT has kernels for some sizes of Attention only, and makes of its parts
// what it can.
func TestAttentionComesApart(t *testing.T) {
	m := parse(t, `func @main(%x: f32[1,4,8]) -> (y: f32[1,4,8]) {
  %y = Attention(%x, %x, %x) {q_num_heads=2, kv_num_heads=2} : f32[1,4,8]
  return(%y)
}`)
	_, err := Run(t.Context(), m, Options{SM: []int{86}, Precision: "fp32"})
	require.NoError(t, err)
	require.Zero(t, names(m)["Attention"])
	require.Equal(t, 2, names(m)["MatMul"])
}

func TestTypesNarrowsDoubles(t *testing.T) {
	m := parse(t, `func @main(%x: f64[2]) -> (y: f64[2]) {
  %c = const f64[2] [0.1, 3.0]
  %y = Add(%x, %c) : f64[2]
  return(%y)
}`)
	_, err := Types().Run(passes.NewContext(t.Context()), m)
	require.NoError(t, err)
	require.NoError(t, ir.Verify(m))
	require.Equal(t, [][]float64{{float64(float32(0.1) + 1), 4}}, run(t, m, tensor.From(tensor.Float32, []float32{1, 1}, 2)))
}

func TestPrecision(t *testing.T) {
	body := `func @main(%x: f32[4,8], %i: i64[4,8]) -> (y: f32[4,8]) {
  %w = const f32[8,8] [` + list(64) + `] loc("w")
  %m = const f32[] [-3.4e38] loc("mask")
  %a = MatMul(%x, %w) : f32[4,8] loc("first")
  %b = Exp(%a) : f32[4,8] loc("wide")
  %c = MatMul(%b, %w) : f32[4,8] loc("second")
  %f = Cast(%i) {to=1} : f32[4,8] loc("cast")
  %g = Mul(%f, %m) : f32[4,8] loc("positions")
  %d = Max(%c, %m) : f32[4,8] loc("third")
  %e = Add(%d, %g) : f32[4,8] loc("last")
  return(%e)
}`
	for _, to := range []tensor.DType{tensor.Float16, tensor.BFloat16} {
		m := parse(t, body)
		x, i := normal(2, 4, 8), tensor.New(tensor.Int64, 4, 8)
		before := run(t, m, x, i)
		list := passes.NewPipeline(Precision(to, Options{Keep: "sec*"}, map[string]bool{"third": true}, nil), must(passes.ParsePipeline("dce")))
		ctx := passes.NewContext(t.Context())
		ctx.VerifyEach = true
		_, err := list.Run(ctx, m)
		require.NoError(t, err)
		after := run(t, m, x, i)
		for k := range before[0] {
			require.InEpsilon(t, before[0][k], after[0][k], 0.05)
			require.False(t, math.IsInf(after[0][k], 0))
		}
		types := map[string]tensor.DType{}
		m.Main().Body.Walk(func(op *ir.Op) bool {
			if op.Name != "Cast" && op.Name != ir.ConstantName && op.NumResults() > 0 {
				types[op.Loc[0]] = op.Result(0).Type.DType
			}
			return true
		})
		want := map[string]tensor.DType{"first": to, "wide": tensor.Float32, "second": tensor.Float32, "third": tensor.Float32, "last": to, "positions": tensor.Float32}
		if to == tensor.BFloat16 {
			want["positions"] = to // reaches as far as float32
		}
		require.Equal(t, want, types)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func list(n int) string {
	s := "0.5"
	for i := 1; i < n; i++ {
		s += []string{", 0.25", ", -0.125", ", 0.0625"}[i%3]
	}
	return s
}

// An If is taken where its condition comes from data and its branches are alike, or where it comes from shapes.
func TestReasonsOfIf(t *testing.T) {
	branches := func(cond, then, otherwise string) string {
		return `%y = If(` + cond + `) : f32[*] loc("choice") then_branch {
` + then + `
  } else_branch {
` + otherwise + `
  }
`
	}
	neg, squeeze := "    %a = Neg(%x) : f32[1,N]\n    yield(%a)", "    %b = Squeeze(%x, %axis) : f32[N]\n    yield(%b)"
	fromShape := "  %s = Shape(%x) : i64[2]\n  %n = Gather(%s, %one) {axis=0} : i64[]\n  %k = Equal(%n, %one) : bool[]\n"
	inner := strings.NewReplacer("choice", "inner", "%y", "%z", "%b", "%d").Replace(branches("%k", neg, squeeze)) + "    yield(%z)"
	for name, c := range map[string]struct{ body, want string }{
		"data, branches alike":    {branches("%c", neg, strings.ReplaceAll(neg, "%a", "%d")), ""},
		"data, ranks differ":      {branches("%c", neg, squeeze), `If node "choice": its branches give a tensor of 2 dimensions and one of 1`},
		"shape, ranks differ":     {fromShape + branches("%k", neg, squeeze), ""},
		"shape inside data":       {fromShape + branches("%c", inner, squeeze), `If node "inner": its condition comes from a shape that only a run tells, and TensorRT's builder fails on such an If inside another ("choice")`},
		"shape inside shape":      {fromShape + branches("%k", inner, squeeze), ""},
		"constants and no branch": {"%y = Neg(%x) : f32[1,N]\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := parse(t, "func @main(%x: f32[1,N], %c: bool[]) -> (y: f32[*]) {\n  %one = const i64[] [1]\n  %axis = const i64[1] [0]\n"+c.body+"  return(%y)\n}")
			_, err := Run(t.Context(), m, Options{SM: []int{86}})
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

func TestReasons(t *testing.T) {
	for want, c := range map[string]struct {
		body string
		sm   int
	}{
		"no strings":                   {"func @main(%x: string[2]) -> (y: string[2]) {\n %y = Identity(%x) : string[2] loc(\"id\")\n return(%y)\n}", 86},
		"no sequences":                 {"func @main(%x: f32[2]) -> (y: seq(f32[*])) {\n %y = SequenceConstruct(%x) : seq(f32[*]) loc(\"id\")\n return(%y)\n}", 86},
		"no such operator":             {"func @main(%x: f32[2,2]) -> (y: f32[]) {\n %y = Det(%x) : f32[] loc(\"id\")\n return(%y)\n}", 86},
		"not supported on compute cap": {"func @main(%x: f32[2,2]) -> (y: f32[2,2]) {\n %y = MatMul(%x, %x) : f32[2,2] loc(\"id\")\n return(%y)\n}", 75},
		"has no u16":                   {"func @main(%x: u16[2]) -> (y: u16[2]) {\n %y = Identity(%x) : u16[2] loc(\"id\")\n return(%y)\n}", 86},
	} {
		_, err := Run(t.Context(), parse(t, c.body), Options{SM: []int{c.sm}})
		require.ErrorContains(t, err, want)
		var refused *RefusedError
		require.ErrorAs(t, err, &refused)
	}
}

// A convolution of each channel by itself stays in float where the rest gets few bits.
func TestDepthwiseStaysFloat(t *testing.T) {
	body := `func @main(%x: f32[1,4,6,6]) -> (y: f32[1,4,4,4]) {
  %w = const f32[4,1,3,3] [` + list(36) + `]
  %v = const f32[4,4,1,1] [` + list(16) + `]
  %a = Conv(%x, %w) {group=4} : f32[1,4,4,4] loc("depthwise")
  %b = Conv(%a, %v) : f32[1,4,4,4] loc("pointwise")
  return(%b)
}`
	m := parse(t, body)
	_, err := Run(t.Context(), m, Options{SM: []int{86}, Precision: "int8", Batches: []calibrate.Batch{{normal(3, 1, 4, 6, 6)}}})
	require.NoError(t, err)
	m.Main().Body.Walk(func(op *ir.Op) bool {
		if op.Name == "Conv" {
			rounded := op.Operand(1).Def().Name == "DequantizeLinear"
			require.Equal(t, op.Loc[0] == "pointwise", rounded, op.Loc)
		}
		return true
	})
}
