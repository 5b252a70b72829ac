package ir_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

const sample = `module @sample opset=28 level=fused producer="py\"torch" ir_version=8
import "" 17
import "ai.onnx.ml" 3
meta "a" "b c"
func @main(%input: f32[N,3,8], %"serving:0": i64[], %c: bool[]) -> (out: f32[2,2], "odd name": seq(f32[*])) {
  %0 = const f32[2,2] [1.5, -0.0, nan, inf] loc("Const_1") origin("w")
  %1 = const string[2] ["a\n", ""]
  %2 = const c64[1] [(1.0,nan(0x7fc00001))]
  %3 = const f16[2] [0x3c00, 0xfc00]
  %4 = const i4[3] [-8, 7, 0]
  %5:2 = Split(%input, _, %0) {axis=1, f=0.5, floats=[1.0, 2.0], g=ints[], names=["x", "y"], t=tensor(i64[] [3]), to=type(map(i64,f32[*]))} : f32[N,1,8], f32[N,2,8] loc("split", "b") origin(_, scaled "v")
  %6 = If(%c) : f32[2,2] loc("if") then_branch {
    yield(%0)
  } else_branch {
    %7 = Loop(%"serving:0") : f32[2,2] body (%8: i64[], %9: f32[*] origin("state")) {
      %10 = Add(%9, %5#1) : f32[*]
      yield(%10)
    }
    yield(%7)
  }
  %11 = SequenceConstruct(%6) : seq(f32[*])
  return(%6, %11)
}
`

func TestTextRoundTrip(t *testing.T) {
	m, err := ir.Parse(sample, ir.ParseOptions{})
	require.NoError(t, err)
	text, err := ir.Print(m)
	require.NoError(t, err)
	require.Equal(t, sample, text)

	clone, err := ir.Print(m.Clone())
	require.NoError(t, err)
	require.Equal(t, sample, clone)
}

func TestSideFileCarriesLargeConstants(t *testing.T) {
	m := ir.NewModule("m", 28)
	big := tensor.New(tensor.Float32, 100)
	for i := range 100 {
		tensor.Of[float32](big)[i] = float32(math.Sqrt(float64(i)))
	}
	v := ir.AtEnd(m.Main().Body).Tensor(big)
	m.Main().Return([]string{"y"}, v)
	text, err := ir.Print(m)
	require.NoError(t, err)
	require.Contains(t, text, "{head=[0.0, 1.0, 1.4142135, 1.7320508]}")

	alone, err := ir.Parse(text, ir.ParseOptions{})
	require.NoError(t, err)
	again, err := ir.Print(alone)
	require.NoError(t, err)
	require.Equal(t, text, again, "a dump without its side file still prints the same")
	_, err = alone.Main().Results()[0].Data().Tensor()
	require.ErrorContains(t, err, "not at hand")

	var side bytes.Buffer
	require.NoError(t, ir.WriteData(&side, m, ir.PrintOptions{}))
	find, err := ir.ReadData(side.Bytes())
	require.NoError(t, err)
	whole, err := ir.Parse(text, ir.ParseOptions{Data: find})
	require.NoError(t, err)
	got, err := whole.Main().Results()[0].Data().Tensor()
	require.NoError(t, err)
	require.Equal(t, big.Data, got.Data)
	for n := range side.Len() {
		if _, err := ir.ReadData(side.Bytes()[:n]); err == nil && n != len("HONEDATA") {
			t.Fatalf("a side file cut at byte %d was accepted", n)
		}
	}
}

func TestParseErrorsSayWhereAndWhat(t *testing.T) {
	body := func(s string) string {
		return "module @m opset=28\nfunc @main(%x: f32[2]) -> (y: f32[2]) {\n" + s + "\n}\n"
	}
	for _, c := range []struct{ name, src, want string }{
		{"no module", "func", `1:1: expected "module"`},
		{"unknown type", strings.Replace(body("return(%x)"), "f32[2]", "f31[2]", 1), `2:16: there is no element type "f31"`},
		{"undefined value", body("%0 = Relu(%z) : f32[2]\nreturn(%0)"), "3:13: %z is not defined here"},
		{"defined twice", body("%0 = Relu(%x) : f32[2]\n%0 = Relu(%x) : f32[2]"), "%0 is defined twice"},
		{"too few elements", body("%0 = const f32[2] [1.0]"), "has 2 elements, 1 are given"},
		{"huge constant", body("%0 = const f32[4611686018427387904] [1.0]"), "too many elements"},
		{"more elements than text", body("%0 = const f32[99999] [1.0]"), "more elements than the text"},
		{"no end", "module @m opset=28\nfunc @main() -> () {", "expected an op or }, found the end"},
		{"no yield", body("%0 = Relu(%x) : f32[2]"), "has 1 outputs and returns 0"},
		{"mixed list", body("%0 = Relu(%x) {a=[1, 2.0]} : f32[2]"), "values of one kind"},
		{"value leaves its region", body("%0 = If(%x) : f32[2] then_branch {\n%1 = Relu(%x) : f32[2]\nyield(%1)\n}\nreturn(%1)"), "operand 0 is not defined before it is read"},
		{"deep nesting", body(strings.Repeat("%0 = If(%x) : f32[2] a {", 1) + strings.Repeat("If(%x) a {", 100)), "nested too deep"},
		{"deep type", "module @m opset=28\nfunc @main(%x: " + strings.Repeat("seq(", 1000), "nested too deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ir.Parse(c.src, ir.ParseOptions{})
			require.ErrorContains(t, err, c.want)
		})
	}
}

// Whatever parses prints as text that parses and prints the same.
func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("module @m opset=28\nfunc @main(%x: f32[2*N+1,min(A,B)]) -> (y: f32[2]) {\nreturn(%x)\n}")
	f.Fuzz(func(t *testing.T, src string) {
		m, err := ir.Parse(src, ir.ParseOptions{})
		if err != nil {
			return
		}
		text, err := ir.Print(m)
		require.NoError(t, err)
		again, err := ir.Parse(text, ir.ParseOptions{})
		require.NoError(t, err, "%s", text)
		text2, err := ir.Print(again)
		require.NoError(t, err)
		require.Equal(t, text, text2)
	})
}

// A size that only a run tells has a number; those of a text that is read are
// taken, wherever in a type they stand.
func TestParsedFreshSymbolsStayApart(t *testing.T) {
	for _, typ := range []string{"f32[?7]", "seq(f32[?7])", "optional(seq(f32[2*?7+1]))", "map(i64,f32[?7])"} {
		m, err := ir.Parse("module @m opset=28\nfunc @main(%x: "+typ+") -> (y: "+typ+") {\n  return(%x)\n}\n", ir.ParseOptions{})
		require.NoError(t, err)
		require.Equal(t, "?8", m.FreshDim().String(), typ)
	}
	m, err := ir.Parse(`module @m opset=28
func @main() -> (y: optional(seq(f32[?7]))) {
  %0 = Optional() {type=type(seq(f32[?9]))} : optional(seq(f32[?7]))
  return(%0)
}
`, ir.ParseOptions{})
	require.NoError(t, err)
	require.Equal(t, "?10", m.FreshDim().String())
}
