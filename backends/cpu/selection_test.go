package cpu_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/cpu"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// What ops select, whose results' sizes only a run tells, is exactly what the
// interpreter selects: of equal elements, of NaN and of boxes that have none
// or infinitely large sides too.
func TestSelectionsAnswerLikeTheInterpreter(t *testing.T) {
	odd := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1)), 1, -1, 0.5}
	cases := []struct{ name, ins, call, outs string }{
		{"nonzero", "%x: f32[A,B]", "NonZero(%x)", "i64[2,P]"},
		{"nonzero truth", "%x: bool[B]", "NonZero(%x)", "i64[1,P]"},
		{"nonzero i64", "%x: i64[2,A,B]", "NonZero(%x)", "i64[3,P]"},
		{"nonzero i32", "%x: i32[A,B]", "NonZero(%x)", "i64[2,P]"},
		{"largest", "%x: f32[A,B], %k: i64[1]", "TopK(%x, %k)", "f32[A,P], i64[A,P]"},
		{"smallest", "%x: f32[A,B], %k: i64[1]", "TopK(%x, %k) {largest=0, axis=1}", "f32[A,P], i64[A,P]"},
		{"largest i32", "%x: i32[A,B], %k: i64[1]", "TopK(%x, %k)", "i32[A,P], i64[A,P]"},
		{"boxes", "%x: f32[A,B,4], %s: f32[A,3,B], %k: i64[1], %i: f32[1], %l: f32[1]", "NonMaxSuppression(%x, %s, %k, %i, %l)", "i64[P,3]"},
		{"boxes by centers", "%x: f32[A,B,4], %s: f32[A,3,B], %k: i64[1], %i: f32[1]", "NonMaxSuppression(%x, %s, %k, %i) {center_point_box=1}", "i64[P,3]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, uint64(len(c.name))))
			def, names, results := "%0", "y: "+c.outs, "%0"
			if first, second, two := strings.Cut(c.outs, ", "); two {
				def, names, results = "%0:2", "y: "+first+", z: "+second, "%0#0, %0#1"
			}
			m, err := ir.Parse(fmt.Sprintf("module @m opset=%d\nfunc @main(%s) -> (%s) {\n%s = %s : %s\nreturn(%s)\n}", ops.NewestOpset(""), c.ins, names, def, c.call, c.outs, results), ir.ParseOptions{})
			require.NoError(t, err)
			require.NoError(t, ops.Verify(m))
			s, err := cpu.NewSession(lower(t, m), cpu.Options{})
			require.NoError(t, err)
			for _, size := range []int64{0, 1, 7, 40, 300, 3000} {
				for _, bound := range []float32{0.3, 0, -1, odd[0]} {
					var ins []tensor.Value
					for _, a := range m.Main().Body.Args {
						shape := make([]int, len(a.Type.Dims))
						for i, d := range a.Type.Dims {
							n, err := d.Eval(map[string]int64{"A": 2, "B": size})
							require.NoError(t, err)
							shape[i] = int(n)
						}
						x := random(a.Type.DType, shape, rng, 1)
						switch a.Name {
						case "k":
							tensor.Of[int64](x)[0] = size / 3
						case "i":
							tensor.Of[float32](x)[0] = bound
						case "l":
							tensor.Of[float32](x)[0] = -0.5
						default:
							for i := range x.Len() / 4 * (x.Rank() - 1) / 2 {
								if p := rng.IntN(x.Len()); x.DType == tensor.Float32 {
									tensor.Of[float32](x)[p] = odd[i%len(odd)]
								}
							}
						}
						ins = append(ins, x)
					}
					want, err := interp.New(m).Run(context.Background(), ins, interp.Options{})
					require.NoError(t, err)
					got, err := s.Run(context.Background(), ins)
					require.NoError(t, err)
					for i := range want {
						require.Equal(t, want[i].(*tensor.Tensor).Shape, got[i].(*tensor.Tensor).Shape, "size %d, bound %v", size, bound)
						require.Equal(t, want[i].(*tensor.Tensor).Data, got[i].(*tensor.Tensor).Data, "size %d, bound %v", size, bound)
					}
					fb, err := s.Fallbacks(ins)
					require.NoError(t, err)
					require.Empty(t, fb)
				}
			}
		})
	}
}
