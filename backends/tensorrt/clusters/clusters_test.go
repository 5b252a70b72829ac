package clusters_test

import (
	_ "embed"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/tensorrt/clusters"
	"github.com/hone-ml/hone/backends/tensorrt/cuda"
	"github.com/hone-ml/hone/codegen/ptx"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/internal/ptxtest"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	_ "github.com/hone-ml/hone/passes/all"
	"github.com/hone-ml/hone/passes/fuse"
	"github.com/hone-ml/hone/tensor"
)

// pointwise are ONNX's operators that compute each element by itself.
var pointwise = strings.Fields(`Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Ceil Celu Clip Cos Cosh Div
	Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg
	Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor`)

//go:embed testdata/clusters.txt
var kept string

var update = flag.Bool("update", false, "write testdata/clusters.txt")

// fused imports a model with the shapes of its first oracle and groups its clusters.
func fused(t *testing.T, o testenv.Oracle) (m *ir.Module, row string) {
	shapes := map[string][]int64{}
	for _, f := range o.Cases[0].Inputs {
		shapes[f.Name] = []int64{}
		for _, d := range f.Shape {
			shapes[f.Name] = append(shapes[f.Name], int64(d))
		}
	}
	m, err := onnx.Open(testenv.Model(t, o.Model), onnx.Options{InputShapes: shapes})
	if err != nil { // silero_vad has a branch for another shape
		m, err = onnx.Open(testenv.Model(t, o.Model), onnx.Options{})
	}
	require.NoError(t, err)
	p, err := passes.ParsePipeline("O2")
	require.NoError(t, err)
	_, err = p.Run(passes.NewContext(t.Context()), m)
	require.NoError(t, err)
	all, unranked, out := 0, 0, 0
	m.Main().Body.Walk(func(op *ir.Op) bool {
		if slices.Contains(pointwise, op.Name) {
			all++
			switch {
			case clusters.Target().Pointwise(op):
			case !op.Result(0).Type.Ranked || slices.ContainsFunc(op.Operands(), func(v *ir.Value) bool { return v != nil && !v.Type.Ranked }):
				unranked++
			default:
				out++
				t.Logf("%s: no kernel takes %s -> %s", o.Model, ops.Describe(op), op.Result(0).Type)
			}
		}
		return true
	})
	require.Zero(t, out, "%s has pointwise operators that no kernel takes", o.Model)
	_, err = passes.NewPipeline(fuse.Pass(clusters.Target())).Run(passes.NewContext(t.Context()), m)
	require.NoError(t, err)
	return m, fmt.Sprintf("%-24s %9d %9d %9d", o.Model, all, unranked, out)
}

// Every pointwise cluster of the models, and every pointwise operator that stands alone, becomes a kernel that NVIDIA's assembler takes for every architecture, whose text
// computes what Kernel.Run does, and that computes what the interpreter does. testdata/clusters.txt counts them.
func TestEveryClusterOfTheModels(t *testing.T) {
	_, err := ptx.FindPtxas()
	assemble := err == nil
	if !assemble {
		t.Logf("the kernels are not assembled: %v", err)
	}
	assembled := map[string]bool{}
	use := map[int]ptx.Use{}
	table := "# Pointwise operators of the models after -O2, those of them whose rank only a run tells, those that no kernel takes otherwise;\n" +
		"# clusters of two operators and more, operators that stand alone, and how many different kernels all these make.\n" +
		fmt.Sprintf("# %-22s %9s %9s %9s %9s %9s %9s\n", "model", "pointwise", "unranked", "refused", "clusters", "alone", "kernels")
	for _, o := range testenv.Oracles(t) {
		m, row := fused(t, o)
		n, singles, kernels := 0, 0, map[string]bool{}
		m.Main().Body.Walk(func(op *ir.Op) bool {
			single := op.Name != "hone.Fused"
			if single && (op.Block().Parent() != nil && op.Block().Parent().Name == "hone.Fused" || !clusters.Target().Pointwise(op)) {
				return true
			}
			if single {
				singles++
			} else {
				n++
			}
			c, err := clusters.Build(op, "cluster")
			require.NoError(t, err, o.Model)
			text, err := c.Kernel.Text()
			require.NoError(t, err)
			if !kernels[text] {
				kernels[text] = true
				requireSame(t, op, c)
			}
			if !assembled[text] {
				assembled[text] = true
				requireSameText(t, c.Kernel, text)
				for _, sm := range []int{80, 86, 89, 90} {
					if !assemble || testing.Short() && sm != 86 {
						continue
					}
					_, uses, err := ptx.Assemble(t.Context(), text, sm)
					require.NoError(t, err)
					for _, u := range uses {
						require.Zero(t, u.Spill)
						most := use[sm]
						use[sm] = ptx.Use{Registers: max(most.Registers, u.Registers), Shared: max(most.Shared, u.Shared)}
					}
				}
			}
			return true
		})
		table += row + fmt.Sprintf(" %9d %9d %9d\n", n, singles, len(kernels))
	}
	t.Logf("%d different kernels assembled", len(assembled))
	for sm, u := range use {
		t.Logf("sm_%d: %d registers a thread at most, %d bytes of shared memory", sm, u.Registers, u.Shared)
	}
	if *update {
		require.NoError(t, os.WriteFile("testdata/clusters.txt", []byte(table), 0o644))
		return
	}
	if testenv.Full() { // the counts are those of the passes of the day
		require.Equal(t, kept, table, "HONE_FULL=1 go test ./backends/tensorrt/clusters -update writes it")
	}
}

// On a GPU the kernels of every model's clusters compute what Kernel.Run does, bit for bit.
func TestGPUEveryCluster(t *testing.T) {
	if _, err := cuda.Devices(); err != nil {
		require.ErrorIs(t, err, cuda.ErrNoGPU)
		t.Skipf("%s is skipped: %v", t.Name(), err)
	}
	done := map[string]bool{}
	for _, o := range testenv.Oracles(t) {
		m, _ := fused(t, o)
		m.Main().Body.Walk(func(op *ir.Op) bool {
			if op.Name != "hone.Fused" {
				return true
			}
			c, err := clusters.Build(op, "cluster")
			require.NoError(t, err)
			text, err := c.Kernel.Text()
			require.NoError(t, err)
			if done[text] {
				return true
			}
			done[text] = true
			k, err := cuda.Load(c.Kernel)
			require.NoError(t, err)
			defer k.Close()
			for _, s := range shapes {
				inputs, want := example(t, c.Kernel, s)
				got, _, err := k.Run(s, inputs, 1)
				require.NoError(t, err)
				require.Equal(t, want, got, "%s", text)
			}
			return true
		})
	}
}

// shapes are those that kernels are tried on: whole vectors, and none.
var shapes = []ptx.Shape{{N: 96, R: 16, C: 3, Inner: 8, Gap: 48, GapInner: 8, GapOuter: 2}, {N: 45, R: 5, C: 3, Inner: 5, Gap: 15, GapInner: 5, GapOuter: 3}}

// example makes inputs for a kernel, and what it makes of them.
func example(t *testing.T, k *ptx.Kernel, s ptx.Shape) (inputs, want [][]byte) {
	rng := rand.New(rand.NewPCG(3, 4))
	inputs = make([][]byte, len(k.Inputs))
	for i := range inputs {
		inputs[i] = make([]byte, s.N*k.Inputs[i].Type.Size())
		fill(rng, inputs[i], k.Inputs[i].Type)
	}
	want, err := k.Run(s, inputs)
	require.NoError(t, err)
	return inputs, want
}

// requireSameText runs a kernel's text, both entries, on shapes of its own, beside Kernel.Run.
func requireSameText(t *testing.T, k *ptx.Kernel, text string) {
	m, err := ptxtest.Parse(text)
	require.NoError(t, err)
	for _, s := range shapes {
		inputs, want := example(t, k, s)
		for _, l := range k.Launches(s) {
			var params []any
			for _, b := range inputs {
				params = append(params, b)
			}
			got := make([][]byte, len(want))
			for i := range want {
				got[i] = slices.Clone(want[i])
				params = append(params, got[i])
			}
			for _, n := range s.Args(l) {
				params = append(params, n)
			}
			for _, b := range got {
				clear(b[len(b)*l.Start/s.N : len(b)*(l.Start+l.Threads*l.Lanes)/s.N])
			}
			require.NoError(t, m.Launch(l.Entry, (l.Threads+31)/32, 32, params...))
			require.Equal(t, want, got, "%s of\n%s", l.Entry, text)
		}
	}
}

// fill makes numbers near 1, bools, or small integers.
func fill(rng *rand.Rand, b []byte, t ptx.Type) {
	for i := range len(b) / t.Size() {
		switch f := float32(0.5 + rng.Float64()); t {
		case ptx.F32:
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(f))
		case ptx.F16:
			binary.LittleEndian.PutUint16(b[2*i:], float16.FromFloat32(f))
		case ptx.BF16:
			binary.LittleEndian.PutUint16(b[2*i:], float16.BFloat16FromFloat32(f))
		case ptx.Bool:
			b[i] = byte(rng.IntN(2))
		case ptx.I32:
			binary.LittleEndian.PutUint32(b[4*i:], uint32(rng.IntN(9)-4))
		case ptx.I64:
			binary.LittleEndian.PutUint64(b[8*i:], uint64(rng.IntN(9)-4))
		}
	}
}

// requireSame runs a cluster both ways on random inputs, if it is small.
func requireSame(t *testing.T, op *ir.Op, c *clusters.Cluster) {
	n, _ := c.Shape.NumElements().Int()
	if n == 0 || n > 1<<16 {
		return
	}
	rng := rand.New(rand.NewPCG(7, 7))
	ins := make([]tensor.Value, op.NumOperands())
	raw := map[int][]byte{}
	for i, v := range op.Operands() {
		if d := v.Data(); d != nil {
			x, err := d.Tensor()
			require.NoError(t, err)
			ins[i], raw[i] = x, x.Data
			continue
		}
		shape, ok := v.Type.StaticShape()
		if !ok {
			return
		}
		x := tensor.New(v.Type.DType, shape...)
		switch v.Type.DType {
		case tensor.Float32:
			for j := range tensor.Of[float32](x) {
				tensor.Of[float32](x)[j] = float32(rng.NormFloat64())
			}
		case tensor.Bool:
			fill(rng, x.Data, ptx.Bool)
		case tensor.Int32:
			fill(rng, x.Data, ptx.I32)
		case tensor.Int64:
			fill(rng, x.Data, ptx.I64)
		}
		ins[i], raw[i] = x, x.Data
	}
	var inputs [][]byte
	for _, i := range c.Operands {
		inputs = append(inputs, raw[i])
	}
	s, err := c.Launch(func(d ir.Dim) (int, error) {
		n, err := d.Eval(nil)
		return int(n), err
	})
	require.NoError(t, err)
	got, err := c.Kernel.Run(s, inputs)
	require.NoError(t, err)
	want, err := interp.ForOp(op).Eval(t.Context(), ins, nil, interp.Options{})
	require.NoError(t, err)
	for i, w := range want {
		x := w.(*tensor.Tensor)
		if x.DType != tensor.Float32 {
			require.Equal(t, x.Data, got[i])
			continue
		}
		for j, f := range tensor.Of[float32](x) {
			g := math.Float32frombits(binary.LittleEndian.Uint32(got[i][4*j:]))
			if f != f && g != g || f == g {
				continue
			}
			require.InDelta(t, float64(f), float64(g), 2e-6*math.Max(1, math.Abs(float64(f))), "%s, element %d", op.Loc, j)
		}
	}
}
