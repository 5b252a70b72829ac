package cpu_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/cpu"
	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// controlPrograms are modules with regions, and with sizes that only a run
// tells. fallbacks says how many ops may be left to the reference.
var controlPrograms = []struct {
	name      string
	inputs    string
	results   string
	body      string
	fallbacks int
}{
	{"a branch with weights", "%c: bool[], %x: f32[N,16]", "f32[N,16]", `
  %w = const f32[16,16] [WEIGHTS]
  %y = If(%c) : f32[N,16] then_branch {
    %a = MatMul(%x, %w) : f32[N,16]
    %b = Relu(%a) : f32[N,16]
    yield(%b)
  } else_branch {
    %d = Neg(%x) : f32[N,16]
    yield(%d)
  }`, 0},
	{"branches of different shapes", "%c: bool[], %x: f32[N,16]", "f32[*]", `
  %w = const f32[16,16] [WEIGHTS]
  %y0 = If(%c) : f32[*] then_branch {
    %a = MatMul(%x, %w) : f32[N,16]
    yield(%a)
  } else_branch {
    %b = Concat(%x, %x) {axis=0} : f32[2*N,16]
    yield(%b)
  }
  %z = MatMul(%y0, %w) : f32[*]
  %y = Relu(%z) : f32[*]`, 0},
	{"a branch that yields what it sees", "%c: bool[], %x: f32[N,16]", "f32[N,16]", `
  %n = Neg(%x) : f32[N,16]
  %y0 = If(%c) : f32[N,16] then_branch {
    yield(%x)
  } else_branch {
    %t = If(%c) : f32[N,16] then_branch {
      yield(%x)
    } else_branch {
      %s = Add(%n, %n) : f32[N,16]
      yield(%s)
    }
    yield(%t)
  }
  %y = Add(%y0, %n) : f32[N,16]`, 0},
	{"a condition that shapes decide", "%c: bool[], %x: f32[N,16]", "f32[*]", `
  %s = Shape(%x) : i64[2]
  %i = const i64[] [0]
  %n = Gather(%s, %i) : i64[]
  %one = const i64[] [1]
  %e = Equal(%n, %one) : bool[]
  %y0 = If(%e) : f32[*] then_branch {
    %ax = const i64[1] [0]
    %a = Squeeze(%x, %ax) : f32[16]
    yield(%a)
  } else_branch {
    yield(%x)
  }
  %y = Exp(%y0) : f32[*]`, 0},
	{"a loop of two states that change places", "%c: bool[], %x: f32[N,16]", "f32[N,16]", `
  %w = const f32[16,16] [WEIGHTS]
  %m = const i64[] [5]
  %n = Neg(%x) : f32[N,16]
  %o:2 = Loop(%m, %c, %x, %n) : f32[N,16], f32[N,16] body(%i: i64[], %more: bool[], %p: f32[N,16], %q: f32[N,16]) {
    %r = MatMul(%q, %w) : f32[N,16]
    yield(%more, %r, %p)
  }
  %y = Sub(%o#0, %o#1) : f32[N,16]`, 0},
	{"a loop that collects", "%c: bool[], %x: f32[N,16]", "f32[3,N,16]", `
  %m = const i64[] [3]
  %o:2 = Loop(%m, _, %x) : f32[N,16], f32[3,N,16] body(%i: i64[], %more: bool[], %p: f32[N,16]) {
    %r = Add(%p, %x) : f32[N,16]
    %s = Tanh(%r) : f32[N,16]
    yield(%more, %r, %s)
  }
  %y = Neg(%o#1) : f32[3,N,16]`, 0},
	{"a loop that ends itself", "%c: bool[], %x: f32[N,16]", "f32[*]", `
  %m = const i64[] [100]
  %four = const i64[] [4]
  %o:2 = Loop(%m, %c, %x) : f32[N,16], f32[*] body(%i: i64[], %more: bool[], %p: f32[N,16]) {
    %r = Add(%p, %x) : f32[N,16]
    %e = Less(%i, %four) : bool[]
    yield(%e, %r, %r)
  }
  %y = Relu(%o#1) : f32[*]`, 1},
	{"a loop whose state grows", "%c: bool[], %x: f32[N,16]", "f32[*]", `
  %m = const i64[] [3]
  %z = Loop(%m, _, %x) : f32[*] body(%i: i64[], %more: bool[], %p: f32[*]) {
    %r = Concat(%p, %x) {axis=0} : f32[*]
    yield(%more, %r)
  }
  %y = Relu(%z) : f32[*]`, 1},
	{"a scan", "%c: bool[], %x: f32[N,16]", "f32[N,16]", `
  %i0 = const f32[16] [WEIGHTS]
  %o:2 = Scan(%i0, %x) {num_scan_inputs=1, scan_input_directions=[1], scan_output_directions=[1]} : f32[16], f32[N,16] body(%s: f32[16], %e: f32[16]) {
    %r = Add(%s, %e) : f32[16]
    %t = Mul(%r, %e) : f32[16]
    yield(%r, %t)
  }
  %y = Neg(%o#1) : f32[N,16]`, 0},
	{"behind a size that a run tells", "%c: bool[], %x: f32[N,16]", "f32[*]", `
  %w = const f32[16,16] [WEIGHTS]
  %nz = NonZero(%x) : i64[2,?9]
  %i0 = const i64[] [0]
  %r = Gather(%nz, %i0) : i64[?9]
  %g = Gather(%x, %r) : f32[?9,16]
  %a = MatMul(%g, %w) : f32[?9,16]
  %b = Relu(%a) : f32[?9,16]
  %nz2 = NonZero(%b) : i64[2,?10]
  %r2 = Gather(%nz2, %i0) : i64[?10]
  %g2 = Gather(%b, %r2) : f32[?10,16]
  %y = Softmax(%g2) : f32[?10,16]`, 2},
}

func parseControl(t *testing.T, inputs, results, body string) *ir.Module {
	weights := make([]string, 256)
	for i := range weights {
		weights[i] = fmt.Sprint(float64((i*7+3)%11-5) / 16)
	}
	text := strings.NewReplacer("[16,16] [WEIGHTS]", "[16,16] ["+strings.Join(weights, ", ")+"]", "[WEIGHTS]", "["+strings.Join(weights[:16], ", ")+"]").Replace(body)
	m, err := ir.Parse("module @m opset=28\nimport \"\" 28\nfunc @main("+inputs+") -> (y: "+results+") {"+text+"\n  return(%y)\n}\n", ir.ParseOptions{})
	require.NoError(t, err)
	require.NoError(t, ops.InferModule(m))
	require.NoError(t, ops.Verify(m))
	return m
}

// Regions, and what lies behind sizes that a run tells, are plans: they
// answer like the interpreter, for any condition, for sizes that change from
// run to run, on any number of threads.
func TestControlAnswersLikeTheInterpreter(t *testing.T) {
	ctx := context.Background()
	for _, c := range controlPrograms {
		t.Run(c.name, func(t *testing.T) {
			m := parseControl(t, c.inputs, c.results, c.body)
			low := lower(t, m)
			text, err := ir.Print(low)
			require.NoError(t, err)
			s, err := cpu.NewSession(low, cpu.Options{Threads: 2})
			require.NoError(t, err)
			for round := range 12 {
				n := 1 + round%3
				x := tensor.New(tensor.Float32, n, 16)
				for i := range tensor.Of[float32](x) {
					tensor.Of[float32](x)[i] = float32((i*5+round)%7) - 3
				}
				ins := []tensor.Value{tensor.Scalar(tensor.Bool, round%2 == 0), x}
				want, err := interp.New(m).Run(ctx, ins, interp.Options{})
				require.NoError(t, err)
				got, err := s.Run(ctx, ins)
				require.NoError(t, err, text)
				d, err := compare.Tensors(got[0].(*tensor.Tensor), want[0].(*tensor.Tensor))
				require.NoError(t, err, text)
				require.True(t, d.Within(2e-5), "round %d: error %g at a scale of %g\n%s", round, d.MaxAbs, d.Scale, text)
				again, err := s.Run(ctx, ins)
				require.NoError(t, err)
				require.Equal(t, got, again, "the second run differs")
				fb, err := s.Fallbacks(ins)
				require.NoError(t, err)
				count := 0
				for _, f := range fb {
					count += f.Count
				}
				require.LessOrEqual(t, count, c.fallbacks, "%v\n%s", fb, text)
			}
			s.Shrink()
		})
	}
}
