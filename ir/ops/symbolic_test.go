package ops

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// Shapes that are inferred with unknown sizes, evaluated at the sizes of a run,
// must be those that the run gives.
func TestSymbolicShapesAreThoseOfARun(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	roll := func(lo, hi int) int64 { return int64(lo + rnd.Intn(hi-lo+1)) }
	pair := func(lo, hi int) string { return fmt.Sprintf("[%d,%d]", roll(lo, hi), roll(lo, hi)) }
	for range 400 {
		sizes := map[string]int64{"H": roll(6, 12), "W": roll(6, 12)}
		kh, kw := roll(1, 4), roll(1, 4)
		place := fmt.Sprintf("pads=[%d,%d,%d,%d]", roll(0, int(kh-1)), roll(0, int(kw-1)), roll(0, int(kh-1)), roll(0, int(kw-1)))
		if rnd.Intn(3) == 0 {
			place = []string{`auto_pad="SAME_UPPER"`, `auto_pad="SAME_LOWER"`, `auto_pad="VALID"`}[rnd.Intn(3)]
		}
		window := fmt.Sprintf("dilations=%s, %s, strides=%s", pair(1, 2), place, pair(1, 3))
		pool := fmt.Sprintf("{ceil_mode=%d, kernel_shape=[%d,%d], %s}", rnd.Intn(2), kh, kw, window)
		for _, op := range []string{
			fmt.Sprintf("Conv(%%x, %%w) {%s}", window),
			fmt.Sprintf("ConvTranspose(%%x, %%w) {%s}", window),
			"MaxPool(%x) " + pool,
			"AveragePool(%x) " + pool,
			fmt.Sprintf("Resize(%%x, _, %%s) {mode=\"linear\"}"),
		} {
			text := fmt.Sprintf("module @t opset=28\nfunc @main(%%x: f32[1,2,H,W], %%w: f32[2,2,%d,%d]) -> (y: f32[*]) {\n"+
				"%%s = const f32[4] [1.0, 1.0, %s, 2.0]\n%%y = %s : f32[*]\nreturn(%%y)\n}\n", kh, kw, []string{"0.5", "1.5", "3.0", "0.75"}[rnd.Intn(4)], op)
			m, err := ir.Parse(text, ir.ParseOptions{})
			require.NoError(t, err, text)
			require.NoError(t, InferModule(m), text)
			y := m.Main().Results()[0]
			scales, err := m.Main().Body.First().Result(0).Data().Tensor()
			require.NoError(t, err)
			ins := []tensor.Value{tensor.New(tensor.Float32, 1, 2, int(sizes["H"]), int(sizes["W"])), tensor.New(tensor.Float32, 2, 2, int(kh), int(kw))}
			if y.Def().Name == "Resize" {
				ins = []tensor.Value{ins[0], nil, scales}
			}
			outs, err := Eval(y.Def(), ins, nil)
			require.NoError(t, err, text)
			for i, d := range y.Type.Dims {
				n, err := d.Eval(sizes)
				require.NoError(t, err)
				require.EqualValues(t, outs[0].(*tensor.Tensor).Shape[i], n, "%s at %v: %s", op, sizes, y.Type)
			}
		}
	}
}
