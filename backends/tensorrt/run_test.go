package tensorrt

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/tensorrt/cuda"
	"github.com/hone-ml/hone/backends/tensorrt/plan"
	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/tensor"
)

// Inputs are handed over as the plan's bindings have them, each on a boundary of its own, and what does not fit is said
// before anything runs.
func TestRunInputs(t *testing.T) {
	p := &Plan{Bindings: []plan.Binding{
		{Name: "ids", Input: true, Type: "i64", Shape: []int64{-1}}, {Name: "x", Input: true, Type: "f16", Shape: []int64{-1, 2}},
		{Name: "y", Type: "f32", Shape: []int64{-1, 2}},
	}}
	ids, x := tensor.Int64s([]int64{7, 8, 9}, 3), tensor.New(tensor.Float16, 3, 2)
	job, types, data, err := runJob(p, map[string]*tensor.Tensor{"ids": ids, "x": x})
	require.NoError(t, err)
	require.Equal(t, map[string]tensor.DType{"y": tensor.Float32}, types)
	require.Len(t, job.Run.Inputs, 2)
	require.Equal(t, int64(64), job.Run.Inputs[1].Offset)
	require.Equal(t, []int64{3, 2}, job.Run.Inputs[1].Shape)
	require.Equal(t, ids.Data, data[:24])
	require.Equal(t, int64(4), job.Run.Outputs[0].Size)
	for says, inputs := range map[string]map[string]*tensor.Tensor{
		`input "ids" is missing: it is ids i64[?]`:             {"x": x},
		`input "x" is f32[3 2], and the plan reads x f16[?,2]`: {"ids": ids, "x": tensor.New(tensor.Float32, 3, 2)},
		`input "x" is f16[3 3], and the plan reads x f16[?,2]`: {"ids": ids, "x": tensor.New(tensor.Float16, 3, 3)},
		`3 inputs given; the plan reads ids, x`:                {"ids": ids, "x": x, "z": x},
	} {
		_, _, _, err := runJob(p, inputs)
		require.EqualError(t, err, says)
	}
	for _, kind := range []string{"i4", "type 77"} {
		_, _, _, err := runJob(&Plan{Bindings: []plan.Binding{{Name: "w", Type: kind}}}, nil)
		require.EqualError(t, err, `binding "w" has elements of type `+kind+`, which are not handed over`)
	}
}

// Without a GPU a run is one clear error; and the library's run time, which its own table of slots leads to, takes the plan
// until it asks for one.
func TestRunWithoutGPU(t *testing.T) {
	needLibrary(t)
	if _, err := cuda.Devices(); err == nil {
		t.Skipf("%s is skipped: there is a GPU", t.Name())
	}
	data, _, err := Build(t.Context(), oneNode("Relu"), options())
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "relu.plan")
	require.NoError(t, os.WriteFile(path, data, 0o644))
	inputs := map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, 2, 8)}
	_, err = Run(t.Context(), path, inputs, RunOptions{})
	require.ErrorIs(t, err, cuda.ErrNoGPU)
	p, err := plan.Read(data)
	require.NoError(t, err)
	job, types, in, err := runJob(p, inputs)
	require.NoError(t, err)
	_, err = execute(t.Context(), path, job, types, in, "")
	require.ErrorContains(t, err, "TensorRT does not take the plan: ")
	require.ErrorContains(t, err, "CUDA")
	t.Log(err)
}

// On a GPU a plan answers as the interpreter, at each shape of its profile, and its runs are timed.
func TestRunGPU(t *testing.T) {
	needLibrary(t)
	devices, err := cuda.Devices()
	if err != nil {
		require.ErrorIs(t, err, cuda.ErrNoGPU)
		t.Skipf("%s is skipped: %v", t.Name(), err)
	}
	libraries, err := Find(t.Context())
	require.NoError(t, err)
	if !slices.Contains(libraries[0].Capabilities, devices[0].Capability) {
		t.Skipf("%s is skipped: %s builds no plans for %s", t.Name(), libraries[0].Name, devices[0])
	}
	for _, precision := range []string{"fp32", "fp16"} {
		m := open(t, "digits", nil)
		r, err := ParseRange("image=1x1x8x8..4x1x8x8..16x1x8x8")
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "digits.plan")
		want := m.Clone()
		_, err = CompileFile(t.Context(), m, path, Options{SM: []int{devices[0].Capability}, Profiles: []Profile{{r}}, Precision: precision})
		require.NoError(t, err)
		for _, n := range []int{1, 3, 16} {
			x := tensor.New(tensor.Float32, n, 1, 8, 8)
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			for i := range tensor.Of[float32](x) {
				tensor.Of[float32](x)[i] = rng.Float32()
			}
			outs, err := interp.New(want).Run(t.Context(), []tensor.Value{x}, interp.Options{})
			require.NoError(t, err)
			got, err := Run(t.Context(), path, map[string]*tensor.Tensor{"image": x}, RunOptions{Times: 5, For: 10 * time.Millisecond})
			require.NoError(t, err)
			d, err := compare.Tensors(got.Outputs["logits"], outs[0].(*tensor.Tensor))
			require.NoError(t, err)
			require.Less(t, d.MaxRel, map[string]float64{"fp32": 1e-2, "fp16": 3e-2}[precision]) // TF32 has 10 bits
			require.GreaterOrEqual(t, len(got.Times), 5)
			for _, each := range got.Times {
				require.Positive(t, each)
				require.Less(t, each.Seconds(), math.Inf(1))
			}
		}
	}
}
