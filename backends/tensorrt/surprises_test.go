package tensorrt

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
)

// What TensorRT does, or fails to do, without a word that a user could act on
// is met by a rewrite or by words of ours.
func TestSurprises(t *testing.T) {
	needLibrary(t)
	for name, c := range map[string]struct {
		body      string
		change    func(*Options)
		rewritten string // the pass that wrote some of what is built
		warning   string
		err       string
	}{
		// TensorRT makes float32 of float64 in silence.
		"float64": {`(%x: f64[4]) -> (y: f64[4]) {
  %y = Mul(%x, %x) : f64[4] loc("square")
  return(%y)
}`, nil, "trt-types", `TensorRT has no float64: these are float32 in the plan: input "x", Mul "square"`, ""},
		// It takes no zero point but 0.
		"asymmetric zero point": {`(%x: f32[2,8]) -> (y: f32[2,8]) {
  %s = const f32[] [0.05]
  %z = const u8[] [120]
  %q = QuantizeLinear(%x, %s, %z) : u8[2,8] loc("q")
  %y = DequantizeLinear(%q, %s, %z) : f32[2,8] loc("d")
  return(%y)
}`, nil, "trt-quantized", "", ""},
		// Its parser looks for the condition of a Loop where it is left out.
		"Loop without a condition": {`(%x: f32[4], %m: i64[]) -> (y: f32[4]) {
  %y = Loop(%m, _, %x) : f32[4] loc("loop") body (%i: i64[], %c: bool[], %a: f32[4]) {
    %b = Add(%a, %x) : f32[4]
    yield(%c, %b)
  }
  return(%y)
}`, nil, "trt-loop", "", ""},
		// With no compute capability set it builds for a set of its own.
		"no capability": {`(%x: f32[4]) -> (y: f32[4]) {
  %y = Neg(%x) : f32[4]
  return(%y)
}`, func(o *Options) { o.SM = nil }, "", "", "no compute capability named (--sm 86,89)"},
		// Of an operator that it lacks it says "false".
		"unknown operator": {`(%x: f32[4,4]) -> (y: f32[]) {
  %y = Det(%x) : f32[] loc("determinant")
  return(%y)
}`, nil, "", "", `Det node "determinant": TensorRT has no such operator`},
		// Of branches of different ranks it speaks only once it builds, of conditions that come from shapes not at all.
		"If of two ranks": {`(%x: f32[1,4], %c: bool[]) -> (y: f32[*]) {
  %axis = const i64[1] [0]
  %y = If(%c) : f32[*] loc("choice") then_branch {
    %a = Neg(%x) : f32[1,4]
    yield(%a)
  } else_branch {
    %b = Squeeze(%x, %axis) : f32[4]
    yield(%b)
  }
  return(%y)
}`, nil, "", "", `If node "choice": its branches give a tensor of 2 dimensions and one of 1`},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ir.Parse("module @m opset=28\nfunc @main"+c.body, ir.ParseOptions{})
			require.NoError(t, err)
			o := Options{SM: []int{86}}
			if c.change != nil {
				c.change(&o)
			}
			_, rep, err := Compile(t.Context(), m, o)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Contains(t, rep.Table.String(), "written by "+c.rewritten)
			require.Contains(t, strings.Join(rep.Warnings, "\n"), c.warning)
		})
	}
}
