package cse_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	_ "github.com/hone-ml/hone/passes/cse"
	"github.com/hone-ml/hone/tensor"
)

// Equal large constants are one, those that differ in a single element in a
// place that no sample sees are not.
func TestLargeConstantsAreShared(t *testing.T) {
	const n = 1 << 16
	for _, pipeline := range []string{"cse", "cse{only-constants}"} {
		m := ir.NewModule("t", ops.NewestOpset(""))
		x := m.Main().AddInput("x", ir.Static(tensor.Float32, n))
		b := ir.AtEnd(m.Main().Body)
		y := x
		for _, other := range []bool{false, true, false} {
			w := tensor.New(tensor.Float32, n)
			tensor.Of[float32](w)[7] = 1
			if other {
				tensor.Of[float32](w)[n/3] = 2
			}
			op, err := ops.Build(b, "Add", []*ir.Value{y, b.Tensor(w)})
			require.NoError(t, err)
			y = op.Result(0)
		}
		m.Main().Return([]string{"y"}, y)
		p, err := passes.ParsePipeline(pipeline)
		require.NoError(t, err)
		c := passes.NewContext(t.Context())
		changed, err := p.Run(c, m)
		require.NoError(t, err)
		require.True(t, changed)
		require.Equal(t, 1, c.Applied, pipeline)
		require.NoError(t, ops.Verify(m))
		last := y.Def()
		first := last.Operand(0).Def().Operand(0).Def()
		require.Same(t, first.Operand(1), last.Operand(1))
	}
}
