package passes_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	_ "github.com/hone-ml/hone/passes/all"
	"github.com/hone-ml/hone/passes/fuse"
	"github.com/hone-ml/hone/tensor"
)

var update = flag.Bool("update", false, "write what the pipelines give into the golden files")

// fuse gets its table from a target; this one takes Conv and two pointwise ops,
// and lookups.
func init() {
	passes.Register(passes.Spec{Name: "fuse", Help: "for tests", New: func(passes.Options) (passes.Pass, error) {
		return fuse.Pass(fuse.Target{
			Anchor:    func(op *ir.Op, _ []*ir.Op) bool { return op.Name == "Conv" },
			Pointwise: func(op *ir.Op) bool { return op.Name == "Relu" || op.Name == "Add" },
			Lookup:    func(op *ir.Op) bool { return op.Name == "Gather" && !op.Attrs.Has("axis") },
			Sum:       func(op *ir.Op) bool { return op.Name == "Add" },
			Rows:      func(op *ir.Op) bool { return op.Name == "LayerNormalization" },
			MaxOps:    8, MaxOperands: 8,
		}), nil
	}})
}

// Each file of testdata holds the IR before, a pipeline, and the IR after. A
// file whose name begins with do_not_ is a near miss: nothing may change. Both
// sides run on random inputs and must agree, so that no golden file can hold
// a mistake.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			require.NoError(t, err)
			section := func(name string) *txtar.File {
				i := slices.IndexFunc(ar.Files, func(f txtar.File) bool { return f.Name == name })
				require.GreaterOrEqual(t, i, 0, "%s has no section %s", file, name)
				return &ar.Files[i]
			}
			require.NotEmpty(t, strings.TrimSpace(string(ar.Comment)), "say what the case is about")
			m, err := ir.Parse(string(section("before.ir").Data), ir.ParseOptions{})
			require.NoError(t, err)
			require.NoError(t, ops.Verify(m))
			require.NoError(t, ops.InferModule(m))
			before := m.Clone()

			p, err := passes.ParsePipeline(strings.TrimSpace(string(section("pipeline").Data)))
			require.NoError(t, err)
			c := passes.NewContext(t.Context())
			c.VerifyEach = true
			_, err = p.Run(c, m)
			require.NoError(t, err)
			require.NoError(t, ops.Verify(m))
			got, err := ir.Print(m)
			require.NoError(t, err)

			agree(t, before, m)
			if strings.HasPrefix(name, "do_not_") {
				before.Level = m.Level
				untouched, err := ir.Print(before)
				require.NoError(t, err)
				require.Equal(t, untouched, got)
			} else {
				require.NotZero(t, c.Applied, "the pipeline does nothing")
			}
			if *update {
				section("after.ir").Data = []byte(got)
				require.NoError(t, os.WriteFile(file, txtar.Format(ar), 0o644))
			}
			require.Equal(t, string(section("after.ir").Data), got, "go test ./passes -update writes it anew")
		})
	}
}

// agree runs two modules on the same random inputs, symbolic dims 3. Of a mask
// of booleans, the first row is false.
func agree(t *testing.T, before, after *ir.Module) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	var ins []tensor.Value
	for _, a := range before.Main().Body.Args {
		shape := make([]int, a.Type.Rank())
		for i, d := range a.Type.Dims {
			n, ok := d.Int()
			if !ok {
				n = 3
			}
			shape[i] = int(n)
		}
		x := tensor.New(a.Type.DType, shape...)
		if x.DType == tensor.Bool {
			for i := range x.Data {
				if i >= shape[len(shape)-1] && rng.IntN(3) > 0 {
					x.Data[i] = 1
				}
			}
			ins = append(ins, x)
			continue
		}
		for i := range tensor.Of[float32](x) {
			tensor.Of[float32](x)[i] = rng.Float32() + 0.5
		}
		ins = append(ins, x)
	}
	want, err := interp.New(before).Run(context.Background(), ins, interp.Options{})
	require.NoError(t, err)
	got, err := interp.New(after).Run(context.Background(), ins, interp.Options{})
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i := range want {
		d, err := compare.Tensors(got[i].(*tensor.Tensor), want[i].(*tensor.Tensor))
		require.NoError(t, err)
		require.True(t, d.Within(1e-5), "output %d: %+v", i, d)
	}
}
