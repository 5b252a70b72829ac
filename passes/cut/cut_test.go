package cut_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/passes/cut"
	"github.com/hone-ml/hone/tensor"
)

const model = `module @m opset=28
func @main(%x: f32[N,8], %z: f32[N,8]) -> (out: f32[N,4], side: f32[N,8]) {
  %0 = const f32[8,8] zeros
  %1 = MatMul(%x, %0) : f32[N,8] loc("mm1") origin("h1")
  %2 = Relu(%1) : f32[N,8] loc("relu1") origin("h2")
  %3 = Tanh(%2) : f32[N,8] loc("tanh") origin("h3")
  %4 = const f32[8,4] small
  %5 = MatMul(%3, %4) : f32[N,4] loc("mm2") origin("h4")
  %6 = Sigmoid(%5) : f32[N,4] loc("sig") origin("out")
  %7 = Exp(%z) : f32[N,8] loc("exp") origin("side")
  return(%6, %7)
}
`

// elems writes n elements of a constant.
func elems(n int) string {
	s := make([]string, n)
	for i := range s {
		s[i] = fmt.Sprint(float64(i) / 8)
	}
	return strings.Join(s, ", ")
}

func parse(t *testing.T) *ir.Module {
	m, err := ir.Parse(strings.NewReplacer("zeros", "["+elems(64)+"]", "small", "["+elems(32)+"]").Replace(model), ir.ParseOptions{})
	require.NoError(t, err)
	return m
}

// signature writes inputs, ops and outputs on a line.
func signature(m *ir.Module) string {
	var parts []string
	for _, a := range m.Main().Body.Args {
		parts = append(parts, a.Name+":"+a.Type.String())
	}
	parts = append(parts, "|")
	for op := range m.Main().Body.Ops() {
		if op.Name != ir.YieldName {
			parts = append(parts, op.Name)
		}
	}
	return strings.Join(append(append(parts, "|"), m.Main().Outputs...), " ")
}

func TestExtract(t *testing.T) {
	for _, c := range []struct{ outputs, inputs, want string }{
		{"out", "", "x:f32[N,8] | Constant MatMul Relu Tanh Constant MatMul Sigmoid | out"},
		{"h2", "", "x:f32[N,8] | Constant MatMul Relu | h2"},
		{"relu1", "", "x:f32[N,8] | Constant MatMul Relu | relu1"},
		{"h4", "h2", "h2:f32[N,8] | Tanh Constant MatMul | h4"},
		{"h3,side", "h2", "z:f32[N,8] h2:f32[N,8] | Tanh Exp | h3 side"},
		{"h2", "h2", "h2:f32[N,8] |  | h2"},
	} {
		t.Run(c.outputs+"<-"+c.inputs, func(t *testing.T) {
			m := parse(t)
			before, err := ir.Print(m)
			require.NoError(t, err)
			var ins []string
			if c.inputs != "" {
				ins = strings.Split(c.inputs, ",")
			}
			part, err := cut.Extract(m, strings.Split(c.outputs, ","), ins)
			require.NoError(t, err)
			require.Equal(t, strings.Fields(c.want), strings.Fields(signature(part)))
			after, err := ir.Print(m)
			require.NoError(t, err)
			require.Equal(t, before, after, "the original changed")
		})
	}
}

// What is computed after a cut is what the whole model computes there.
func TestExtractedPartsComputeTheSame(t *testing.T) {
	m := parse(t)
	x := tensor.Float32s([]float32{1, -2, 3, -4, 5, -6, 7, -8}, 1, 8)
	seen := map[string]*tensor.Tensor{}
	_, err := interp.New(m).Run(context.Background(), []tensor.Value{x, x}, interp.Options{Observe: func(v *ir.Value, y tensor.Value) {
		seen[v.Origin.Name] = y.(*tensor.Tensor)
	}})
	require.NoError(t, err)
	part, err := cut.Extract(m, []string{"h4"}, []string{"h2"})
	require.NoError(t, err)
	outs, err := interp.New(part).Run(context.Background(), []tensor.Value{seen["h2"]}, interp.Options{})
	require.NoError(t, err)
	require.Equal(t, seen["h4"], outs[0])
}

func TestExtractSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ outputs, inputs, want string }{
		{"h22", "", `"h22" is no value of the model; did you mean "h2"?`},
		{"h2", "hh", `input "hh" is no value`},
		{"h2", "h3", `input "h3" is not needed`},
	} {
		var ins []string
		if c.inputs != "" {
			ins = []string{c.inputs}
		}
		_, err := cut.Extract(parse(t), []string{c.outputs}, ins)
		require.ErrorContains(t, err, c.want)
	}
}

// has tells whether the module has all of the ops.
func has(m *ir.Module, names ...string) bool {
	for _, n := range names {
		found := false
		m.Main().Body.Walk(func(op *ir.Op) bool { found = found || op.Name == n; return true })
		if !found {
			return false
		}
	}
	return true
}

func TestReduceFindsTheSmallestPartThatFails(t *testing.T) {
	for _, c := range []struct{ fails, want string }{
		{"Relu", "h1:f32[N,1] | Relu | h2"},
		{"Exp", "z:f32[N,1] | Exp | side"},
		{"Relu Sigmoid", "h1:f32[N,1] h4:f32[N,4] | Relu Sigmoid | h2 out"},
		{"Relu Tanh", "h1:f32[N,1] | Relu Tanh | h3"},
	} {
		t.Run(c.fails, func(t *testing.T) {
			reduce := func() *ir.Module {
				part, err := cut.Reduce(context.Background(), parse(t), cut.Options{
					Fails: func(_ context.Context, m *ir.Module) (bool, error) { return has(m, strings.Fields(c.fails)...), nil },
				})
				require.NoError(t, err)
				return part
			}
			part := reduce()
			got := strings.ReplaceAll(signature(part), "f32[N,4]", "f32[N,1]")
			require.Equal(t, strings.ReplaceAll(c.want, "f32[N,4]", "f32[N,1]"), got)
			again, err := ir.Print(reduce())
			require.NoError(t, err)
			first, err := ir.Print(part)
			require.NoError(t, err)
			require.Equal(t, first, again, "not deterministic")
		})
	}
}

// A chain of 1,000 ops with one bad op takes tens of checks.
func TestReduceBisects(t *testing.T) {
	m := ir.NewModule("chain", 28)
	v := m.Main().AddInput("x", ir.Static(tensor.Float32, 4))
	at := ir.AtEnd(m.Main().Body)
	for i := range 1000 {
		name := "Relu"
		if i == 617 {
			name = "Tanh"
		}
		v = at.Op(name, []*ir.Value{v}, []ir.Type{v.Type}).Result(0)
	}
	m.Main().Return([]string{"y"}, v)
	checks := 0
	part, err := cut.Reduce(context.Background(), m, cut.Options{Fails: func(_ context.Context, m *ir.Module) (bool, error) {
		checks++
		return has(m, "Tanh"), nil
	}})
	require.NoError(t, err)
	require.Equal(t, "value_616:f32[1] | Tanh | value_617", signature(part))
	require.Less(t, checks, 60)
}

func TestReduceEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	checks := 0
	_, err := cut.Reduce(ctx, parse(t), cut.Options{Fails: func(_ context.Context, m *ir.Module) (bool, error) {
		if checks++; checks == 3 {
			cancel()
		}
		return true, nil
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 3, checks)
}

func TestReduceNeedsAFailure(t *testing.T) {
	_, err := cut.Reduce(context.Background(), parse(t), cut.Options{Fails: func(context.Context, *ir.Module) (bool, error) { return false, nil }})
	require.ErrorContains(t, err, "does not fail")
}

// Of a failing op within a region only the op is left.
func TestReduceGoesIntoRegions(t *testing.T) {
	m, err := ir.Parse(`module @m opset=28
func @main(%x: f32[4], %c: bool[]) -> (y: f32[4]) {
  %0 = Relu(%x) : f32[4] origin("r")
  %1 = If(%c) : f32[4] origin("i") then_branch {
    %2 = Exp(%0) : f32[4] origin("e")
    %3 = If(%c) : f32[4] origin("j") then_branch {
      %4 = Tanh(%2) : f32[4] origin("t")
      yield(%4)
    } else_branch {
      yield(%2)
    }
    yield(%3)
  } else_branch {
    yield(%0)
  }
  %5 = Sigmoid(%1) : f32[4] origin("y")
  return(%5)
}
`, ir.ParseOptions{})
	require.NoError(t, err)
	part, err := cut.Reduce(context.Background(), m, cut.Options{Fails: func(_ context.Context, m *ir.Module) (bool, error) {
		return has(m, "Tanh"), nil
	}})
	require.NoError(t, err)
	require.Equal(t, "e:f32[1] | Tanh | t", signature(part))
}

// Sizes shrink in weights and in the attributes that repeat them.
func TestReduceShrinksSizes(t *testing.T) {
	m, err := ir.Parse(`module @m opset=28
func @main(%x: f32[N,6,9,9], %w: f32[6,1,3,3]) -> (y: f32[N,6,7,7]) {
  %0 = Conv(%x, %w) {group=6, kernel_shape=[3, 3]} : f32[N,6,7,7] origin("y")
  return(%0)
}
`, ir.ParseOptions{})
	require.NoError(t, err)
	part, err := cut.Reduce(context.Background(), m, cut.Options{Fails: func(context.Context, *ir.Module) (bool, error) { return true, nil }})
	require.NoError(t, err)
	text, err := ir.Print(part)
	require.NoError(t, err)
	require.Contains(t, text, `(%x: f32[N,1,1,1], %w: f32[1,1,1,1])`)
	require.Contains(t, text, `Conv(%x, %w) {group=1, kernel_shape=[1, 1]} : f32[N,1,1,1]`)
}
