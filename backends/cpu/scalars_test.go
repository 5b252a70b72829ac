package cpu_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/cpu"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/tensor"
)

// Elementwise ops on integers and truth values have kernels in every type,
// which broadcast and give exactly the interpreter's answers.
func TestScalarsAnswerLikeTheInterpreter(t *testing.T) {
	ctx := context.Background()
	codes := map[string]int{"bool": 9, "u8": 2, "i32": 6, "i64": 7, "f32": 1}
	type call struct{ inputs, body string }
	var calls []call
	for _, typ := range []string{"i32", "i64", "f32", "u8", "bool"} {
		pair := fmt.Sprintf("x: %s[N,3,5], y: %s[3,1]", typ, typ)
		var two []string
		switch typ {
		case "bool":
			two = []string{"And", "Or", "Xor", "Equal"}
		case "i32", "i64":
			two = []string{"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Add", "Sub", "Mul", "Min", "Max"}
		default:
			two = []string{"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}
		}
		for _, op := range two {
			calls = append(calls, call{pair, op + "(x, y)"}, call{pair, op + "(y, x)"})
		}
		calls = append(calls, call{"c: bool[5], " + pair, "Where(c, x, y)"})
		for to, code := range codes {
			if to != typ && typ != "f32" {
				calls = append(calls, call{"x: " + typ + "[N,7]", fmt.Sprintf("Cast(x) {to=%d}", code)})
			}
		}
	}
	calls = append(calls, call{"x: i32[N,7]", "Neg(x)"}, call{"x: i64[N,7]", "Abs(x)"}, call{"x: bool[N,7]", "Not(x)"}, call{"x: f32[N,7]", "Cast(x) {to=9}"},
		call{"x: f32[N,7]", "IsNaN(x)"}, call{"x: f32[N,7]", "Sin(x)"}, call{"x: f32[N,7]", "Cos(x)"})
	for _, c := range calls {
		m := build(t, c.inputs, c.body, 3)
		s, err := cpu.NewSession(lower(t, m), cpu.Options{Threads: 2})
		require.NoError(t, err)
		ins := values(m, 4, 1, 9)
		want, err := interp.New(m).Run(ctx, ins, interp.Options{})
		require.NoError(t, err, "%v", c)
		got, err := s.Run(ctx, ins)
		require.NoError(t, err, "%v", c)
		require.Equal(t, want[0].(*tensor.Tensor).Data, got[0].(*tensor.Tensor).Data, "%v", c)
		fb, err := s.Fallbacks(ins)
		require.NoError(t, err)
		require.Empty(t, fb, "%v", c)
	}
}
