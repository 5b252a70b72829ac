package hone_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/tensor"
)

// bound is the largest error allowed, relative to the largest element of the output.
const bound = 1e-4

// oracles is every model of the round at hand; -short keeps to files up to 4 MB.
func oracles(t *testing.T) []testenv.Oracle {
	t.Helper()
	all := testenv.Oracles(t)
	if !testing.Short() {
		return all
	}
	return slices.DeleteFunc(all, func(o testenv.Oracle) bool {
		info, err := os.Stat(testenv.Model(t, o.Model))
		require.NoError(t, err)
		return info.Size() > 4<<20
	})
}

// Every model answers as onnxruntime does, at all its shapes: compiled to a bundle, written, loaded and run; and again at -O3
// where that finds an Attention.
func TestCompiledModelsAnswerAsOnnxruntime(t *testing.T) {
	for _, o := range oracles(t) {
		for _, level := range []string{"O2", "O3"} {
			t.Run(o.Model+"/"+level, func(t *testing.T) { compiledAnswers(t, o, level) })
		}
	}
}

func compiledAnswers(t *testing.T, o testenv.Oracle, level string) {
	ctx := context.Background()
	model, err := hone.Open(testenv.Model(t, o.Model))
	require.NoError(t, err)
	defer model.Close()
	compiled, err := hone.Compile(ctx, model, hone.CompileOptions{Pipeline: level})
	require.NoError(t, err)
	if level == "O3" && hone.Summarize(compiled.Module()).Histogram["Attention"] == 0 {
		return // what O2 makes of it
	}
	file := filepath.Join(t.TempDir(), "model.hone")
	require.NoError(t, compiled.WriteFile(ctx, file))
	session, err := hone.Load(file, hone.SessionOptions{})
	require.NoError(t, err)
	defer session.Close()
	judge(t, o, func(inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
		return session.Run(ctx, inputs)
	})
}

// The interpreter answers as onnxruntime does on the original module, so that it can judge every level and pass.
func TestInterpretedModelsAnswerAsOnnxruntime(t *testing.T) {
	for _, o := range oracles(t) {
		t.Run(o.Model, func(t *testing.T) {
			model, err := hone.Open(testenv.Model(t, o.Model))
			require.NoError(t, err)
			defer model.Close()
			judge(t, o, func(inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
				return model.Reference(context.Background(), inputs, nil)
			})
		})
	}
}

func judge(t *testing.T, o testenv.Oracle, run func(map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error)) {
	t.Helper()
	for _, c := range o.Cases {
		inputs, want := o.Load(t, c)
		got, err := run(inputs)
		require.NoError(t, err, c.Shape)
		require.Len(t, got, len(want), c.Shape)
		for name, w := range want {
			require.Contains(t, got, name, c.Shape)
			d, err := compare.Tensors(got[name], w)
			require.NoError(t, err, "%s at %s", name, c.Shape)
			assert.True(t, d.Within(bound), "%s at %s: error %.3g at a scale of %.3g, %d NaNs", name, c.Shape, d.MaxAbs, d.Scale, d.NaNs)
			if o.Classifier {
				assert.Equal(t, 1.0, d.Top1, "%s at %s: share of equal classes", name, c.Shape)
			}
		}
	}
}
