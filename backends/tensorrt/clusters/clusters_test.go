package clusters_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/tensorrt/clusters"
	"github.com/hone-ml/hone/codegen/ptx"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/passes"
	_ "github.com/hone-ml/hone/passes/all"
	"github.com/hone-ml/hone/passes/fuse"
	"github.com/hone-ml/hone/tensor"
)

// models with the shapes of their inputs.
var models = map[string]map[string][]int64{
	"hf_bert":               {"input_ids": {2, 16}, "attention_mask": {2, 16}},
	"hf_llama":              {"input_ids": {2, 16}, "attention_mask": {2, 16}},
	"hf_gpt2":               {"input_ids": {2, 16}, "attention_mask": {2, 16}},
	"tv_mobilenet_v3_small": {"input": {1, 3, 224, 224}},
	"tv_efficientnet_b0":    {"input": {1, 3, 224, 224}},
	"tv_convnext_micro":     {"input": {1, 3, 224, 224}},
	"tv_vit_micro":          {"input": {1, 3, 224, 224}},
	"ppocr_det":             {"x": {1, 3, 320, 320}},
	"ppocr_rec":             {"x": {1, 3, 48, 160}},
	"open_nsfw":             {"input_0": {1, 224, 224, 3}},
	"unet_silu":             {"sample": {1, 3, 128, 128}},
	"tf_attn1d":             {"x": {2, 16, 40}},
	"minilm_l6":             {"input_ids": {1, 32}, "attention_mask": {1, 32}, "token_type_ids": {1, 32}},
}

// Every pointwise cluster of the models becomes a kernel that NVIDIA's assembler takes for every architecture, and
// that computes what the interpreter does.
func TestEveryClusterOfTheModels(t *testing.T) {
	_, err := ptx.FindPtxas()
	assemble := err == nil
	if !assemble {
		t.Logf("the kernels are not assembled: %v", err)
	}
	assembled := map[string]bool{}
	all, most, refused := 0, 0, 0
	for name, shapes := range models {
		if testing.Short() && name != "hf_bert" && name != "tv_mobilenet_v3_small" {
			continue
		}
		path := filepath.Join(testenv.Cache(), "models", name+".onnx")
		if _, err := os.Stat(path); err != nil {
			t.Logf("%s is left out: it is not in the cache (make setup)", name)
			continue
		}
		m, err := onnx.Open(path, onnx.Options{InputShapes: shapes})
		require.NoError(t, err)
		p, err := passes.ParsePipeline("O1")
		require.NoError(t, err)
		_, err = passes.NewPipeline(p, fuse.Pass(clusters.Target())).Run(passes.NewContext(t.Context()), m)
		require.NoError(t, err)
		n := 0
		m.Main().Body.Walk(func(op *ir.Op) bool {
			if op.Name != "hone.Fused" {
				return true
			}
			c, err := clusters.Build(op, fmt.Sprintf("cluster_%d", n))
			if err != nil {
				refused++
				t.Logf("%s: %v", name, err)
				return true
			}
			n++
			requireSame(t, op, c)
			c.Kernel.Name = "cluster"
			text, err := c.Kernel.Text()
			require.NoError(t, err)
			if assemble && !assembled[text] {
				assembled[text] = true
				for _, sm := range []int{80, 86, 89, 90} {
					_, use, err := ptx.Assemble(t.Context(), text, sm)
					require.NoError(t, err)
					for _, u := range use {
						require.Zero(t, u.Spill)
						most = max(most, u.Registers)
					}
				}
			}
			return true
		})
		t.Logf("%s: %d clusters", name, n)
		all += n
	}
	require.Positive(t, all, "no model has a cluster")
	t.Logf("%d different kernels assembled for 4 architectures, %d registers at most, %d clusters without a kernel", len(assembled), most, refused)
}

// requireSame runs a cluster both ways on random inputs, if it is small.
func requireSame(t *testing.T, op *ir.Op, c *clusters.Cluster) {
	n, _ := c.Shape.NumElements().Int()
	if n == 0 || n > 1<<18 {
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
			for j := range x.Data {
				x.Data[j] = byte(rng.IntN(2))
			}
		}
		ins[i], raw[i] = x, x.Data
	}
	var inputs [][]byte
	for _, i := range c.Operands {
		inputs = append(inputs, raw[i])
	}
	row, _ := c.R.Int()
	count, _ := c.C.Int()
	inner, _ := c.Inner.Int()
	got, err := c.Kernel.Run(ptx.Shape{N: int(n), R: int(row), C: int(count), Inner: int(inner)}, inputs)
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
