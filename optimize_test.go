package hone_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// optimized is the largest error that optimizing may add, relative to the
// largest element of the output.
const optimized = 1e-5

// smallModel is the size of the models of the daily round, where every run is
// one of the interpreter.
const smallModel = 5 << 19

// Every model answers after -O2 and after -O3 as before, on random inputs at
// three shapes; and every op that the passes leave says where it comes from.
func TestOptimizedModelsAnswerAsBefore(t *testing.T) {
	for _, o := range oracles(t) {
		t.Run(o.Model, func(t *testing.T) {
			path := testenv.Model(t, o.Model)
			info, err := os.Stat(path)
			require.NoError(t, err)
			model, err := hone.Open(path)
			require.NoError(t, err)
			defer model.Close()
			m := model.Module()
			after := map[string]*ir.Module{}
			for _, level := range []string{"O2", "O3"} {
				c := passes.NewContext(context.Background())
				c.VerifyEach = true
				opt := hone.NewModel(m.Clone())
				require.NoError(t, opt.Optimize(c, level))
				after[level] = opt.Module()
				requireLocations(t, m, after[level], level)
			}
			if !testenv.Full() && info.Size() > smallModel {
				t.Skipf("%d MB: its answers are compared with HONE_FULL only", info.Size()>>20)
			}
			for i, inputs := range randomCases(t, o, m) {
				want, err := interp.New(m).Run(t.Context(), inputs, interp.Options{})
				require.NoError(t, err)
				for level, opt := range after {
					got, err := interp.New(opt).Run(t.Context(), inputs, interp.Options{})
					require.NoError(t, err, level)
					require.Len(t, got, len(want), level)
					for j, name := range m.Main().Outputs {
						d, err := compare.Tensors(got[j].(*tensor.Tensor), want[j].(*tensor.Tensor))
						require.NoError(t, err, "%s of input %d after %s", name, i, level)
						assert.True(t, d.Within(optimized), "%s of input %d after %s: error %.3g of scale, %d NaNs", name, i, level, d.MaxRel, d.NaNs)
					}
				}
			}
		})
	}
}

// requireLocations holds that every op of an optimized module says where it
// comes from, and that it comes from there; and that the ops that do the work
// are still found by their names.
func requireLocations(t *testing.T, before, after *ir.Module, level string) {
	t.Helper()
	known := map[string]bool{}
	before.Main().Body.Walk(func(op *ir.Op) bool {
		for _, l := range op.Loc {
			known[l] = true
		}
		return true
	})
	found := map[string]bool{}
	after.Main().Body.Walk(func(op *ir.Op) bool {
		if op.Name != ir.ConstantName && op.Name != ir.YieldName {
			assert.NotEmpty(t, op.Loc, "%s after %s", op.Name, level)
		}
		for _, l := range op.Loc {
			assert.True(t, known[l], "%s after %s: no op was called %q", op.Name, level, l)
			found[l] = true
		}
		return true
	})
	for op := range before.Main().Body.Ops() {
		switch op.Name {
		case "Conv", "ConvTranspose", "Gemm", "LSTM", "MatMul":
			assert.True(t, found[op.Loc[0]], "%s %q is lost by %s", op.Name, op.Loc[0], level)
		}
	}
}

// randomCases makes three inputs for a model, at the two shapes of its oracle
// and at a third one made of them.
func randomCases(t *testing.T, o testenv.Oracle, m *ir.Module) [][]tensor.Value {
	first, _ := o.Load(t, o.Cases[0])
	second := first
	if len(o.Cases) > 1 {
		second, _ = o.Load(t, o.Cases[1])
	}
	ports := hone.Inputs(m)
	var cases [][]tensor.Value
	for i, like := range []map[string]*tensor.Tensor{first, second, first} {
		rng := rand.New(rand.NewPCG(uint64(i), 5))
		var inputs []tensor.Value
		for _, p := range ports {
			shape := like[p.Name].Shape
			if i == 2 {
				shape = thirdShape(ports, first, second, p)
			}
			inputs = append(inputs, randomLike(t, rng, like[p.Name], shape))
		}
		cases = append(cases, inputs)
	}
	return cases
}

// thirdShape gives a symbolic dim another size than both oracles do: the sum
// of theirs for batches, the difference, where there is one, for others, as
// images keep their multiples of 32 so.
func thirdShape(ports []hone.Port, first, second map[string]*tensor.Tensor, p hone.Port) []int {
	shape := slices.Clone(first[p.Name].Shape)
	for i, a := range shape {
		b := second[p.Name].Shape[i]
		if a == b {
			continue
		}
		batch := slices.ContainsFunc(ports, func(q hone.Port) bool {
			return len(first[q.Name].Shape) > 0 && first[q.Name].Shape[0] == a && second[q.Name].Shape[0] == b
		})
		if batch {
			shape[i] = a + b
		} else {
			shape[i] = max(a, b) - min(a, b)
		}
	}
	return shape
}

// randomLike makes normal floats, pictures in patches, and other elements drawn
// from those of a tensor that the model is known to take: ids, masks, sample
// rates.
func randomLike(t *testing.T, rng *rand.Rand, like *tensor.Tensor, shape []int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, shape...)
	v, from := tensor.Of[float32](x), ref.Float64s(like)
	for i := range v {
		if like.DType.IsFloat() {
			v[i] = float32(rng.NormFloat64())
		} else {
			v[i] = float32(from[rng.IntN(len(from))])
		}
	}
	switch {
	case like.DType != tensor.Float32:
		y, err := ref.Cast(x, like.DType, ref.CastOptions{})
		require.NoError(t, err)
		return y
	case len(shape) == 4:
		patches(v, shape, rng)
	}
	return x
}

// patches makes a picture of noise: 8 by 8 patches of one colour each, with a
// tenth of the noise upon them. From plain noise a detector of text computes
// the far end of a sigmoid, where the float32 model as it was read is further
// from the exact answer than the bound.
func patches(v []float32, shape []int, rng *rand.Rand) {
	colours := map[[4]int]float32{}
	for i := range v {
		at, rest := [4]int{}, i
		for d := 3; d >= 0; d-- {
			at[d], rest = rest%shape[d], rest/shape[d]
			if d > 0 && shape[d] > 8 {
				at[d] = at[d] * 8 / shape[d]
			}
		}
		c, ok := colours[at]
		if !ok {
			c = float32(rng.NormFloat64())
			colours[at] = c
		}
		v[i] = c + v[i]/10
	}
}

// What -O2 and -O3 export passes onnx.checker and answers in onnxruntime as
// the original does.
func TestOptimizedExportsRunAsTheOriginals(t *testing.T) {
	for _, level := range []string{"O2", "O3"} {
		t.Run(level, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{"scripts/exported.py", "--rounds", "0", "--exported", dir}
			for _, o := range oracles(t) {
				path := testenv.Model(t, o.Model)
				info, err := os.Stat(path)
				require.NoError(t, err)
				if !testenv.Full() && info.Size() > smallModel {
					t.Logf("%s: %d MB, with HONE_FULL only", o.Model, info.Size()>>20)
					continue
				}
				m, err := hone.Open(path)
				require.NoError(t, err)
				require.NoError(t, m.Optimize(passes.NewContext(t.Context()), level))
				require.NoError(t, onnx.WriteFile(t.Context(), filepath.Join(dir, o.Model+".onnx"), m.Module(), onnx.ExportOptions{Native: true}))
				require.NoError(t, m.Close())
				args = append(args, o.Model)
			}
			out, err := exec.CommandContext(t.Context(), testenv.Python(t), args...).CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}
