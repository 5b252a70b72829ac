package codes_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/codes"
	"github.com/hone-ml/hone/tensor"

	_ "github.com/hone-ml/hone/passes/all"
)

// islands are an op between a DequantizeLinear of %x, and of %w, and the
// QuantizeLinear behind it. Types are inferred.
var islands = map[string]string{
	"Concat":         "Concat(%x, %w, %zeros) {axis=1}",
	"DepthToSpace":   "DepthToSpace(%x) {blocksize=2}",
	"Expand":         "Expand(%w, [2,4,6,6])",
	"Flatten":        "Flatten(%x)",
	"Gather":         "Gather(%x, [3,0,3]) {axis=1}",
	"GatherElements": "GatherElements(%x, [[[[1,0]]]])",
	"GatherND":       "GatherND(%x, [[1,2],[0,3]])",
	"Identity":       "Identity(%x)",
	"Max":            "Max(%x, %w, %half)",
	"MaxPool":        "MaxPool(%x) {kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]}",
	"Min":            "Min(%x, %w)",
	"Pad":            "Pad(%x, [0,0,1,2,0,0,0,-1])",
	"ReduceMax":      "ReduceMax(%x, [2,3])",
	"ReduceMin":      "ReduceMin(%x, [1]) {keepdims=0}",
	"Reshape":        "Reshape(%x, [2,-1])",
	"Resize":         "Resize(%x, _, _, [2,4,9,12]) {mode=\"nearest\"}",
	"Slice":          "Slice(%x, [5], [0], [3], [-2])",
	"SpaceToDepth":   "SpaceToDepth(%x) {blocksize=2}",
	"Split":          "Split(%x) {axis=1, num_outputs=1}",
	"Squeeze":        "Squeeze(%w, [1])",
	"Tile":           "Tile(%x, [1,2,1,1])",
	"Transpose":      "Transpose(%x) {perm=[0,2,3,1]}",
	"Unsqueeze":      "Unsqueeze(%x, [0])",
	"Where":          "Where(%c, %x, %w)",
}

// island builds Q(op(DQ(x))), whose ends are the codes themselves, or with float
// the numbers: DQ(op(Q(x))).
func island(t *testing.T, call string, d tensor.DType, float bool) *ir.Module {
	t.Helper()
	m := ir.NewModule("island", ops.NewestOpset(""))
	b := ir.AtEnd(m.Main().Body)
	scale, zero := b.Tensor(tensor.Scalar(tensor.Float32, float32(0.5))), b.Tensor(tensor.Scalar(tensor.Uint8, uint8(7)))
	if d == tensor.Int8 {
		zero = b.Tensor(tensor.Scalar(d, int8(-3)))
	}
	in, first, last := d, "DequantizeLinear", "QuantizeLinear"
	if float {
		in, first, last = tensor.Float32, last, first
	}
	vals := map[string]*ir.Value{"_": nil, "%c": m.Main().AddInput("c", ir.TensorOf(tensor.Bool, ir.Const(6)))}
	for _, in := range []struct {
		name string
		t    ir.Type
	}{{"%x", ir.TensorOf(in, ir.Const(2), ir.Const(4), ir.Const(6), ir.Const(6))}, {"%w", ir.TensorOf(in, ir.Const(2), ir.Const(1), ir.Const(6), ir.Const(6))}} {
		q, err := ops.Build(b, first, []*ir.Value{m.Main().AddInput(in.name[1:], in.t), scale, zero})
		require.NoError(t, err)
		vals[in.name] = q.Result(0)
	}
	if !float {
		vals["%half"] = b.Tensor(tensor.Scalar(tensor.Float32, float32(1.5)))
		vals["%zeros"] = b.Tensor(tensor.New(tensor.Float32, 2, 1, 6, 6))
	}
	name, rest, _ := strings.Cut(call, "(")
	args, attrs, _ := strings.Cut(rest, ")")
	var operands []*ir.Value
	for _, a := range topLevel(args) {
		v, ok := vals[a]
		switch {
		case !ok && strings.HasPrefix(a, "["):
			v = b.Tensor(indexes(t, a))
		case !ok:
			continue // a constant number, which has no place among codes
		}
		operands = append(operands, v)
	}
	parsed, err := ir.Parse("module @m opset=1\nfunc @main() -> () { X()"+attrs+"\nreturn() }", ir.ParseOptions{})
	require.NoError(t, err)
	op, err := ops.Build(b, name, operands, parsed.Main().Body.First().Attrs...)
	require.NoError(t, err)
	y, err := ops.Build(b, last, []*ir.Value{op.Result(0), scale, zero})
	require.NoError(t, err)
	m.Main().Return([]string{"y"}, y.Result(0))
	return m
}

// topLevel splits at the commas outside of brackets.
func topLevel(text string) []string {
	depth := 0
	return strings.FieldsFunc(text, func(r rune) bool {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		case ' ':
			return true
		}
		return r == ',' && depth == 0
	})
}

// indexes reads a list of integers as deep as its brackets.
func indexes(t *testing.T, text string) *tensor.Tensor {
	depth := len(text) - len(strings.TrimLeft(text, "["))
	var n []int64
	for s := range strings.SplitSeq(strings.NewReplacer("[", "", "]", "").Replace(text), ",") {
		var i int64
		_, err := fmt.Sscan(s, &i)
		require.NoError(t, err)
		n = append(n, i)
	}
	x := tensor.Int64s(n)
	x.Shape = []int{len(n)}
	if rows := strings.Count(text, "],["); rows > 0 {
		x.Shape = []int{rows + 1, len(n) / (rows + 1)}
	}
	for len(x.Shape) < depth {
		x.Shape = append([]int{1}, x.Shape...)
	}
	return x
}

func run(t *testing.T, m *ir.Module) *tensor.Tensor {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var ins []tensor.Value
	for _, a := range m.Main().Body.Args {
		shape, _ := a.Type.StaticShape()
		x := tensor.New(a.Type.DType, shape...)
		for i := range x.Len() {
			switch x.DType {
			case tensor.Float32:
				tensor.Of[float32](x)[i] = float32(rng.NormFloat64() * 60)
			case tensor.Bool:
				x.Data[i] = byte(rng.IntN(2))
			default:
				x.Data[i] = byte(rng.IntN(256))
			}
		}
		ins = append(ins, x)
	}
	outs, err := interp.New(m).Run(t.Context(), ins, interp.Options{})
	require.NoError(t, err)
	return outs[0].(*tensor.Tensor)
}

func apply(t *testing.T, m *ir.Module, pipeline string) *ir.Module {
	t.Helper()
	after := m.Clone()
	p, err := passes.ParsePipeline(pipeline)
	require.NoError(t, err)
	c := passes.NewContext(context.Background())
	c.VerifyEach = true
	_, err = p.Run(c, after)
	require.NoError(t, err)
	return after
}

// Every op that moves codes gives the very codes that it gives as numbers, and
// the very numbers when it moves those again.
func TestEveryMoveIsExact(t *testing.T) {
	for _, name := range codes.Moves() {
		for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			t.Run(name+"/"+d.String(), func(t *testing.T) {
				call, ok := islands[name]
				require.True(t, ok, "%s is not proved: it needs an island", name)

				m := island(t, call, d, false)
				after := apply(t, m, "sink-dequantize,simplify,dce")
				text, err := ir.Print(after)
				require.NoError(t, err)
				require.NotContains(t, text, "quantizeLinear", "%s", call)
				require.NotContains(t, text, "QuantizeLinear", "%s", call)
				require.Equal(t, run(t, m), run(t, after), text)

				m = island(t, call, d, true)
				after = apply(t, m, "raise-dequantize,dce")
				for op := range after.Main().Body.Ops() {
					if op.Name == "DequantizeLinear" {
						require.Equal(t, "QuantizeLinear", op.Operand(0).Def().Name)
					}
				}
				require.Equal(t, run(t, m), run(t, after))
			})
		}
	}
}
