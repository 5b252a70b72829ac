package calibrate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

const walked = `module @m opset=28
func @main(%x: f32[N,3]) -> (y: f32[N,2], z: f32[N,2]) {
  %w = const f32[3,2] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
  %0 = MatMul(%x, %w) : f32[N,2]
  %1 = ReduceMax(%x) {keepdims=0} : f32[]
  %2 = const f32[] [0.0]
  %3 = Greater(%1, %2) : bool[]
  %4 = If(%3) : f32[N,2] then_branch {
    %5 = Neg(%0) : f32[N,2]
    yield(%5)
  } else_branch {
    yield(%0)
  }
  %6 = Add(%0, %4) : f32[N,2]
  return(%6, %4)
}
`

// A walk shows each op what the interpreter gives it, in every batch, and goes
// on with what the op is changed to.
func TestWalk(t *testing.T) {
	m, err := ir.Parse(walked, ir.ParseOptions{})
	require.NoError(t, err)
	require.NoError(t, ops.Verify(m))
	var batches []calibrate.Batch
	for _, sign := range []float32{1, -1} {
		batches = append(batches, calibrate.Batch{tensor.Float32s([]float32{sign, 2 * sign, 3 * sign}, 1, 3)})
	}
	observed := func() (all []map[string][]float32) {
		for _, b := range batches {
			seen := map[string][]float32{}
			_, err := interp.New(m).Run(t.Context(), b, interp.Options{Observe: func(v *ir.Value, x tensor.Value) {
				if v.Def() != nil && v.Type.DType == tensor.Float32 {
					seen[v.Def().Name] = tensor.Of[float32](x.(*tensor.Tensor))
				}
			}})
			require.NoError(t, err)
			all = append(all, seen)
		}
		return all
	}
	before := observed()
	compared := 0
	last := 0.0
	walk := func(want []map[string][]float32, change func(op *ir.Op)) {
		err := calibrate.Walk(t.Context(), m, batches, func(op *ir.Op, value func(int, *ir.Value) *tensor.Tensor) error {
			for _, v := range op.Operands() {
				if v.Def() == nil || v.Data() != nil || v.Type.DType != tensor.Float32 {
					continue
				}
				for i := range batches {
					require.Equal(t, want[i][v.Def().Name], tensor.Of[float32](value(i, v)), "operand of %s in batch %d", op.Name, i)
					compared++
				}
			}
			change(op)
			return nil
		}, func(done float64) { require.Greater(t, done, last); last = done })
		require.NoError(t, err)
	}
	walk(before, func(*ir.Op) {})
	require.Equal(t, 6, compared) // of Greater and Add
	require.Equal(t, 1.0, last)

	last = 0
	changed := m.Clone()
	weights := func(op *ir.Op) {
		if op.Name == "MatMul" { // through an op that is new as well
			b := ir.Before(op)
			half, err := ops.Build(b, "Neg", []*ir.Value{op.Operand(1)})
			require.NoError(t, err)
			op.SetOperand(1, half.Result(0))
		}
	}
	for op := range changed.Main().Body.Ops() {
		weights(op)
	}
	m, changed = changed, m
	after := observed()
	m = changed
	delete(after[0], "Neg")
	walk(after, weights)
	require.NotEqual(t, before[0]["MatMul"], after[0]["MatMul"])
}
