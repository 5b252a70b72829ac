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
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// optimized is the largest error that optimizing may add, relative to the
// largest element of the output.
const optimized = 1e-5

// rounding is how much further from the exact answer an output may get that the
// float32 model, as it was read, computes less well than optimized asks for.
// The text detector ppocr_det is the one: from noise it computes the far end
// of a sigmoid.
const rounding = 3

// smallModel is the size of the models of the daily round, where every run is
// one of the interpreter.
func smallModel() int64 {
	if testing.Short() {
		return 1 << 20
	}
	return 5 << 19
}

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
			if !testenv.Full() && info.Size() > smallModel() {
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
						if d.Within(optimized) {
							continue
						}
						before, after := fromExact(t, m, inputs, j, want[j], got[j])
						t.Logf("%s of input %d after %s: error %.3g of scale; from the exact answer, before %.3g and after %.3g", name, i, level, d.MaxRel, before, after)
						assert.True(t, before > optimized && after <= rounding*before)
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

// randomLike makes normal floats, and other elements drawn from those of a
// tensor that the model is known to take: ids, masks, sample rates.
func randomLike(t *testing.T, rng *rand.Rand, like *tensor.Tensor, shape []int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, shape...)
	from := ref.Float64s(like)
	for i := range tensor.Of[float32](x) {
		if like.DType.IsFloat() {
			tensor.Of[float32](x)[i] = float32(rng.NormFloat64())
		} else {
			tensor.Of[float32](x)[i] = float32(from[rng.IntN(len(from))])
		}
	}
	return cast(t, x, like.DType)
}

func cast(t *testing.T, x *tensor.Tensor, d tensor.DType) *tensor.Tensor {
	if x.DType == d {
		return x
	}
	y, err := ref.Cast(x, d, ref.CastOptions{})
	require.NoError(t, err)
	return y
}

// fromExact returns the largest errors of output j before and after, in float32
// both, relative to its scale.
func fromExact(t *testing.T, m *ir.Module, inputs []tensor.Value, j int, outs ...tensor.Value) (before, after float64) {
	want := exact(t, m, inputs)[j].(*tensor.Tensor)
	var e [2]float64
	for i, o := range outs {
		d, err := compare.Tensors(cast(t, o.(*tensor.Tensor), tensor.Float64), want)
		require.NoError(t, err)
		require.Zero(t, d.NaNs)
		e[i] = d.MaxRel
	}
	return e[0], e[1]
}

// exact returns the outputs of a float32 model computed in float64 throughout.
func exact(t *testing.T, m *ir.Module, inputs []tensor.Value) []tensor.Value {
	m = m.Clone()
	wide := slices.Clone(inputs)
	for i, a := range m.Main().Body.Args {
		if a.Type.DType == tensor.Float32 {
			a.Type = a.Type.WithDType(tensor.Float64)
			wide[i] = cast(t, inputs[i].(*tensor.Tensor), tensor.Float64)
		}
	}
	for op := range m.Main().Body.Ops() {
		c := op.Result(0).Data()
		if c == nil || c.DType != tensor.Float32 || op.Result(0).Uses()[0].Op.Name == "Resize" { // whose scales are float32
			continue
		}
		x, err := c.Tensor()
		require.NoError(t, err)
		op.Result(0).ReplaceAllUsesWith(ir.Before(op).Tensor(cast(t, x, tensor.Float64)))
	}
	require.NoError(t, ops.InferModule(m))
	outs, err := interp.New(m).Run(t.Context(), wide, interp.Options{})
	require.NoError(t, err)
	return outs
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
				if !testenv.Full() && info.Size() > smallModel() {
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
