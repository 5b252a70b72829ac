package ops

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

func TestMathShapes(t *testing.T) {
	const x = "%x: f32[N,3,H,W]"
	for _, c := range []struct {
		args, consts, op string
		want             []string
	}{
		{x, "", "Relu(%x)", []string{"f32[N,3,H,W]"}},
		{x + ", %b: f32[3,1,1]", "", "Add(%x, %b)", []string{"f32[N,3,H,W]"}},
		{"%a: f32[N,1], %b: f32[M]", "", "Mul(%a, %b)", []string{"f32[N,M]"}},
		{"%a: f32[N], %b: f32[M]", "", "Mul(%a, %b)", []string{"f32[bcast(M,N)]"}},
		{"%a: f32[*], %b: f32[M]", "", "Mul(%a, %b)", []string{"f32[*]"}},
		{"%a: i64[N], %b: i64[1]", "", "Less(%a, %b)", []string{"bool[N]"}},
		{"%c: bool[N,1], %a: f16[1,M], %b: f16[]", "", "Where(%c, %a, %b)", []string{"f16[N,M]"}},
		{x, "", "Cast(%x) {to=10}", []string{"f16[N,3,H,W]"}},
		{x, "%a = const i64[2] [2, -1]", "ReduceMean(%x, %a)", []string{"f32[N,3,1,1]"}},
		{x, "%a = const i64[2] [2, -1]", "ReduceMean(%x, %a) {keepdims=0}", []string{"f32[N,3]"}},
		{x, "", "ReduceSum(%x) {keepdims=0}", []string{"f32[]"}},
		{x, "", "ReduceSum(%x) {noop_with_empty_axes=1}", []string{"f32[N,3,H,W]"}},
		{x, "", "ArgMax(%x) {axis=1, keepdims=0}", []string{"i64[N,H,W]"}},

		{"%a: f32[B,1,M,K], %b: f32[H,K,N]", "", "MatMul(%a, %b)", []string{"f32[B,H,M,N]"}},
		{"%a: f32[K], %b: f32[K]", "", "MatMul(%a, %b)", []string{"f32[]"}},
		{"%a: f32[K,M], %b: f32[N,K]", "", "Gemm(%a, %b) {transA=1, transB=1}", []string{"f32[M,N]"}},
		{"%a: f32[B,T,H,D], %b: f32[B,S,H,D]", "", `Einsum(%a, %b) {equation="bthd,bshd->bhts"}`, []string{"f32[B,H,T,S]"}},
		{"%a: u8[M,K], %b: u8[K,N]", "", "MatMulInteger(%a, %b)", []string{"i32[M,N]"}},
		{"%a: f32[B,3,3]", "", "Det(%a)", []string{"f32[B]"}},

		{x, "", "Transpose(%x) {perm=[0,2,3,1]}", []string{"f32[N,H,W,3]"}},
		{x, "", "Flatten(%x)", []string{"f32[N,3*H*W]"}},
		{x, "%s = const i64[2] [0, -1]", "Reshape(%x, %s)", []string{"f32[N,3*H*W]"}},
		{"%x: f32[B,T,96]", "%s = const i64[4] [0, 0, 12, -1]", "Reshape(%x, %s)", []string{"f32[B,T,12,8]"}},
		{x, "%a = const i64[1] [1]", "Unsqueeze(%x, %a)", []string{"f32[N,1,3,H,W]"}},
		{"%x: f32[N,1,1]", "%a = const i64[1] [-1]", "Squeeze(%x, %a)", []string{"f32[N,1]"}},
		{"%x: f32[N,1]", "", "Squeeze(%x)", []string{"f32[*]"}},
		{"%x: f32[N,2], %z: f32[M,2]", "", "Concat(%x, %z) {axis=0}", []string{"f32[M+N,2]"}},
		{"%x: f32[N,9]", "", "Split(%x) {axis=1, num_outputs=2}", []string{"f32[N,5]", "f32[N,4]"}},
		{"%x: f32[N,2]", "%s = const i64[1] [1]\n%e = const i64[1] [9223372036854775807]\n%a = const i64[1] [0]", "Slice(%x, %s, %e, %a)", []string{"f32[max(0,N-1),2]"}},
		{"%x: f32[N,8]", "%s = const i64[1] [-1]\n%e = const i64[1] [-9223372036854775808]\n%a = const i64[1] [1]\n%t = const i64[1] [-3]", "Slice(%x, %s, %e, %a, %t)", []string{"f32[N,3]"}},
		{"%x: f32[N,8]", "%p = const i64[4] [0, 1, 2, -3]", "Pad(%x, %p)", []string{"f32[N+2,6]"}},
		{"%x: f32[N,8]", "%p = const i64[2] [2, 3]", "Tile(%x, %p)", []string{"f32[2*N,24]"}},
		{x, "", "SpaceToDepth(%x) {blocksize=2}", []string{"f32[N,12,H/2,W/2]"}},
		{"%x: f32[V,D], %i: i64[B,T]", "", "Gather(%x, %i)", []string{"f32[B,T,D]"}},
		{"%x: f32[A,B,C], %i: i64[K,2]", "", "GatherND(%x, %i)", []string{"f32[K,C]"}},
		{"%x: f32[A,B]", "%k = const i64[1] [5]", "TopK(%x, %k)", []string{"f32[A,5]", "i64[A,5]"}},
		{"%i: i64[B]", "%d = const i64[] [7]\n%v = const f32[2] [0.0, 1.0]", "OneHot(%i, %d, %v)", []string{"f32[B,7]"}},
		{x, "%s = const f32[] [0.5]", "QuantizeLinear(%x, %s)", []string{"u8[N,3,H,W]"}},
		{"%x: i8[N]", "%s = const f16[] [0x3800]", "DequantizeLinear(%x, %s)", []string{"f16[N]"}},
		{"", "%a = const i64[] [3]\n%b = const i64[] [10]\n%c = const i64[] [2]", "Range(%a, %b, %c)", []string{"i64[4]"}},
	} {
		t.Run(c.op, func(t *testing.T) {
			got, err := inferred(t, c.args, c.consts, c.op, len(c.want))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// Shapes that exporters compute from shapes are known without a run.
func TestShapeArithmeticFolds(t *testing.T) {
	for what, c := range map[string]struct{ args, body, op, want string }{
		"view by pieces of the shape": {"%x: f32[B,T,96]", `
%s = Shape(%x) : i64[*]
%i0 = const i64[] [0]
%i1 = const i64[] [1]
%b = Gather(%s, %i0) : i64[*]
%t = Gather(%s, %i1) : i64[*]
%ax = const i64[1] [0]
%b1 = Unsqueeze(%b, %ax) : i64[*]
%t1 = Unsqueeze(%t, %ax) : i64[*]
%h = const i64[2] [12, -1]
%to = Concat(%b1, %t1, %h) {axis=0} : i64[*]`, "Reshape(%x, %to)", "f32[B,T,12,8]"},
		"flattened by a product": {"%x: f32[B,T,96]", `
%s = Shape(%x) {end=2} : i64[*]
%n = ReduceProd(%s) {keepdims=1} : i64[*]
%r = const i64[1] [96]
%to = Concat(%n, %r) {axis=0} : i64[*]`, "Reshape(%x, %to)", "f32[B*T,96]"},
		"expand with -1 meaning 1": {"%x: f32[1,T], %z: f32[B,T]", `
%s = Shape(%z) : i64[*]
%m = const i64[1] [-1]
%e = Equal(%s, %m) : bool[*]
%one = const i64[1] [1]
%to = Where(%e, %one, %s) : i64[*]`, "Expand(%x, %to)", "f32[B,T]"},
		"half of a size, through floats": {"%x: f32[N,64]", `
%s = Shape(%x) {start=1} : i64[*]
%f = Cast(%s) {to=1} : f32[*]
%two = const f32[] [2.0]
%h = Div(%f, %two) : f32[*]
%fl = Floor(%h) : f32[*]
%i = Cast(%fl) {to=7} : i64[*]`, "ConstantOfShape(%i)", "f32[32]"},
		"positions up to the length": {"%x: i64[B,T]", `
%s = Shape(%x) : i64[*]
%i1 = const i64[] [1]
%t = Gather(%s, %i1) : i64[*]
%z = const i64[] [0]`, "Range(%z, %t, %i1)", "i64[T]"},
		"slice of the shape": {"%x: f32[A,B,C,D]", `
%s = Shape(%x) : i64[*]
%a = const i64[1] [0]
%b = const i64[1] [2]
%head = Slice(%s, %a, %b) : i64[*]
%m = const i64[1] [-1]
%to = Concat(%head, %m) {axis=0} : i64[*]`, "Reshape(%x, %to)", "f32[A,B,C*D]"},
		"pads written as a matrix": {"%x: f32[N,8]", `
%p = const i64[4] [1, 2, 3, 4]
%m = const i64[2] [2, 2]
%q = Reshape(%p, %m) : i64[*]
%r = Transpose(%q) : i64[*]
%f = const i64[1] [-1]
%pads = Reshape(%r, %f) : i64[*]`, "Pad(%x, %pads)", "f32[N+3,15]"},
		"a size known to a run only": {"%x: f32[N,2], %k: i64[1]", `
%m = const i64[1] [2]
%to = Concat(%k, %m) {axis=0} : i64[*]`, "Reshape(%x, %to)", "f32[?,2]"},
	} {
		t.Run(what, func(t *testing.T) {
			got, err := inferred(t, c.args, c.body, c.op, 1)
			require.NoError(t, err)
			require.Equal(t, c.want, regexp.MustCompile(`\?\d+`).ReplaceAllString(got[0], "?"))
		})
	}
}

// A depth may be a float, unlike other sizes.
func TestOneHotDepthOfAnyType(t *testing.T) {
	m, err := ir.Parse("module @t opset=28\nfunc @main(%i: i64[2], %d: f32[], %v: i64[2]) -> (y: i64[*]) {\n%y = OneHot(%i, %d, %v) : i64[*]\nreturn(%y)\n}\n", ir.ParseOptions{})
	require.NoError(t, err)
	outs, err := Eval(m.Main().Body.First(), []tensor.Value{tensor.Int64s([]int64{1, -3}), tensor.Scalar(tensor.Float32, float32(3)), tensor.Int64s([]int64{0, 1})}, nil)
	require.NoError(t, err)
	require.Equal(t, []int64{0, 1, 0, 1, 0, 0}, tensor.Of[int64](outs[0].(*tensor.Tensor)))
}

// Inferring twice gives the same types, also where sizes are fresh symbols.
func TestInferenceIsIdempotent(t *testing.T) {
	src := `module @t opset=28
func @main(%x: f32[N,2], %k: i64[1]) -> (y: f32[*]) {
%m = const i64[1] [2]
%to = Concat(%k, %m) {axis=0} : i64[*]
%r = Reshape(%x, %to) : f32[*]
%z = NonZero(%r) : i64[*]
%y = Gather(%r, %z) : f32[*]
return(%y)
}
`
	m, err := ir.Parse(src, ir.ParseOptions{})
	require.NoError(t, err)
	require.NoError(t, InferModule(m))
	first, err := ir.Print(m)
	require.NoError(t, err)
	require.NoError(t, InferModule(m))
	second, err := ir.Print(m)
	require.NoError(t, err)
	require.Equal(t, first, second)
}

func TestMathContradictions(t *testing.T) {
	for _, c := range []struct{ args, consts, op, says string }{
		{"%a: f32[2], %b: f32[3]", "", "Add(%a, %b)", "2 against 3"},
		{"%a: f32[2,3], %b: f32[2,3]", "", "MatMul(%a, %b)", "3 is not 2"},
		{"%a: f32[2,3]", "%s = const i64[1] [5]", "Reshape(%a, %s)", "can not be reshaped"},
		{"%a: f32[2,3]", "%s = const i64[1] [2]", "Unsqueeze(%a, %s)", ""},
		{"%a: f32[2,3]", "%s = const i64[1] [3]", "Unsqueeze(%a, %s)", "axis 3"},
		{"%a: f32[2,3]", "%s = const i64[1] [0]", "Squeeze(%a, %s)", "not 1"},
		{"%a: f32[2,3], %b: f32[3,3]", "", "Concat(%a, %b) {axis=1}", "3 is not 2"},
		{"%a: f32[2,3]", "", "Transpose(%a) {perm=[0,0]}", "perm"},
		{"%a: f32[2,3]", "", "Cast(%a) {to=99}", "99"},
		{"%a: f32[2,3]", "", "Softmax(%a) {axis=2}", "axis 2"},
	} {
		_, err := inferred(t, c.args, c.consts, c.op, 1)
		if c.says == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.says, c.op)
	}
}

// thereAndBack brings an op of an older opset to the newest form and back, and
// returns it without the constants that nobody reads any more.
func thereAndBack(t *testing.T, opset int, args, op string) string {
	t.Helper()
	m, err := ir.Parse(fmt.Sprintf("module @t opset=28\nfunc @main(%s) -> (y: f32[*]) {\n%%y = %s : f32[*]\nreturn(%%y)\n}\n", args, op), ir.ParseOptions{})
	require.NoError(t, err)
	o := m.Main().Body.First()
	up := Lookup(o.Name)
	for _, u := range up.Upgrades {
		if opset < u.To {
			require.NoError(t, u.Do(ir.Before(o), o))
		}
	}
	for _, d := range Lookup(o.Name).Downgrades {
		if opset < d.From {
			require.NoError(t, d.Do(ir.Before(o), o))
		}
	}
	for c := range m.Main().Body.Ops() {
		if c.Name == ir.ConstantName {
			require.True(t, c.Unused(), "%s is still read", c.Name)
			c.Erase()
		}
	}
	text, err := ir.Print(m)
	require.NoError(t, err)
	_, body, _ := strings.Cut(text, "{\n")
	body, _, _ = strings.Cut(body, "  return(")
	return strings.TrimSpace(body)
}

func TestMathUpgradesAndBack(t *testing.T) {
	const x = "%x: f32[2,3,4]"
	for _, c := range []struct {
		opset    int
		args, op string
		want     string
		back     bool // the downgrade gives op again
	}{
		{12, x, "ReduceSum(%x) {axes=[1], keepdims=0}", "%0 = const i64[1] [1]\n  %1 = ReduceSum(%x, %0) {keepdims=0} : f32[*]", true},
		{12, x, "Unsqueeze(%x) {axes=[0]}", "%0 = const i64[1] [0]\n  %1 = Unsqueeze(%x, %0) : f32[*]", true},
		{9, x, "Clip(%x) {max=6.0, min=0.0}", "%0 = const f32[] [0.0]\n  %1 = const f32[] [6.0]\n  %2 = Clip(%x, %0, %1) : f32[*]", true},
		{9, x, "Slice(%x) {axes=[1], ends=[2], starts=[0]}", "%0 = const i64[1] [0]\n  %1 = const i64[1] [2]\n  %2 = const i64[1] [1]\n  %3 = Slice(%x, %0, %1, %2) : f32[*]", true},
		{10, x, "Pad(%x) {pads=[0, 0, 1, 0, 0, 1], value=2.0}", "%0 = const i64[6] [0, 0, 1, 0, 0, 1]\n  %1 = const f32[] [2.0]\n  %2 = Pad(%x, %0, %1) : f32[*]", true},
		{12, x, "Split(%x) {axis=0, split=[2]}", "%0 = const i64[1] [2]\n  %1 = Split(%x, %0) {axis=0} : f32[*]", true},
		{17, x, "Split(%x)", "%0 = Split(%x) {num_outputs=1} : f32[*]", true},
		{12, x, "Softmax(%x) {axis=2}", "%0 = Softmax(%x) {axis=-1} : f32[*]", true},
		{12, x, "Softmax(%x)", "%0 = Flatten(%x) {axis=1} : f32[2,12]\n  %1 = Softmax(%0) {axis=-1} : f32[*]\n  %2 = Shape(%x) : i64[3]\n  %3 = Reshape(%1, %2) : f32[2,3,4]", false},
		{5, x, `Cast(%x) {to="INT64"}`, "%0 = Cast(%x) {to=7} : f32[*]", false},
		{6, x + ", %b: f32[3]", "Add(%x, %b) {axis=1, broadcast=1}", "%0 = const i64[1] [-1]\n  %1 = Unsqueeze(%b, %0) : f32[3,1]\n  %2 = Add(%x, %1) : f32[*]", false},
		{6, x + ", %b: f32[3]", "PRelu(%x, %b)", "%0 = const i64[1] [-1]\n  %1 = Unsqueeze(%b, %0) : f32[3,1]\n  %2 = PRelu(%x, %1) : f32[*]", false},
		{4, x, "Reshape(%x) {shape=[0,-1]}", "%0 = const i64[2] [0, -1]\n  %1 = Reshape(%x, %0) : f32[*]", false},
		{9, x + ", %i: i64[2,3,4]", "Scatter(%x, %i, %x)", "%0 = ScatterElements(%x, %i, %x) : f32[*]", true},
		{5, x, "Selu(%x)", "%0 = Selu(%x) {alpha=1.6732, gamma=1.0507} : f32[*]", false},
	} {
		t.Run(fmt.Sprint(c.op, " of opset ", c.opset), func(t *testing.T) {
			got, err := converted(t, c.opset, false, c.args, c.op)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			if c.back {
				require.Equal(t, "%0 = "+c.op+" : f32[*]", thereAndBack(t, c.opset, c.args, c.op))
			}
		})
	}
}
