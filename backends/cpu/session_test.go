package cpu_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/cpu"
	"github.com/hone-ml/hone/backends/cpu/kernels"
	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"

	_ "github.com/hone-ml/hone/passes/all"
)

// programs are small modules, each a way in which ops are lowered, laid out
// and bound. Inputs called w... become constants. kernels says how many ops
// may be left to the reference.
var programs = []struct {
	name      string
	inputs    string
	body      string // without types: they are inferred
	outputs   int
	fallbacks int
}{
	{"gemm with bias and relu", "x: f32[N,37], w: f32[37,50], wb: f32[50]", "a = MatMul(x, w)\nb = Add(a, wb)\nRelu(b)", 1, 0},
	{"gemm with gelu", "x: f32[N,5,32], w: f32[32,64], wb: f32[64]", "a = MatMul(x, w)\nb = Add(a, wb)\nGelu(b)", 1, 0},
	{"gemm with residual", "x: f32[N,48], w: f32[48,48], wb: f32[48]", "a = MatMul(x, w)\nb = Add(a, wb)\nAdd(b, x)", 1, 0},
	{"onnx gemm", "x: f32[N,20], w: f32[33,20], wb: f32[33]", "Gemm(x, w, wb) {transB=1}", 1, 0},
	{"first convolution", "x: f32[N,3,17,19], w: f32[24,3,3,3], wb: f32[24]", "a = Conv(x, w, wb) {pads=[1,1,1,1], strides=[2,2]}\nRelu(a)", 1, 0},
	{"chain of convolutions", "x: f32[N,3,16,16], w: f32[32,3,3,3], w2: f32[40,32,1,1], w3: f32[16,40,3,3]",
		"a = Conv(x, w) {pads=[1,1,1,1]}\nb = Relu(a)\nc = Conv(b, w2)\nd = Clip(c, ${0.0}, ${6.0})\nConv(d, w3) {pads=[0,1,2,3]}", 1, 0},
	{"residual block", "x: f32[N,32,9,9], w: f32[32,32,3,3], w2: f32[32,32,3,3], wb: f32[32]",
		"a = Conv(x, w, wb) {pads=[1,1,1,1]}\nb = Relu(a)\nc = Conv(b, w2, wb) {pads=[1,1,1,1]}\nd = Add(c, x)\nRelu(d)", 1, 0},
	{"winograd", "x: f32[N,16,21,17], w: f32[40,16,3,3], w2: f32[40,40,3,3], wb: f32[40]",
		"a = Conv(x, w, wb) {pads=[1,1,1,1]}\nb = Sigmoid(a)\nc = Conv(b, w2, wb) {pads=[0,1,1,0]}\nRelu(c)", 1, 0},
	{"few channels come out", "x: f32[N,8,13,40], w: f32[5,8,3,5], wb: f32[5], w2: f32[20,5,1,1], w3: f32[1,20,3,3]",
		"a = Conv(x, w, wb) {pads=[1,2,1,2]}\nb = Relu(a)\nc = Conv(b, w2) {strides=[1,2]}\nd = Conv(c, w3) {pads=[1,1,1,1]}\ne = Add(d, ${0.5})\nSigmoid(e)", 1, 0},
	{"few channels and what is added to them", "x: f32[N,6,9,33], w: f32[6,6,3,3], ws: f32[6,1,1], y: f32[N,6,1,1]",
		"a = Conv(x, w) {pads=[1,1,1,1]}\nb = Add(a, x)\nc = Mul(b, ws)\nd = Mul(c, y)\nTanh(d)", 1, 0},
	{"few channels of one dim", "x: f32[N,2,70], w: f32[1,2,9], w2: f32[3,1,4]", "a = Conv(x, w) {strides=[2], pads=[4,4]}\nb = Elu(a)\nConv(b, w2) {dilations=[2]}", 1, 0},
	{"transposed convolution", "x: f32[N,16,5,7], w: f32[16,20,3,2], wb: f32[20]",
		"a = ConvTranspose(x, w, wb) {strides=[2,2], pads=[1,0,0,0], output_padding=[1,0]}\nRelu(a)", 1, 0},
	{"depthwise", "x: f32[N,24,12,12], w: f32[24,1,3,3], wb: f32[24]", "a = Conv(x, w, wb) {group=24, pads=[1,1,1,1], strides=[2,2]}\nb = HardSwish(a)\nAdd(b, a)", 1, 0},
	{"groups", "x: f32[N,64,7,7], w: f32[32,32,3,3]", "Conv(x, w) {group=2, dilations=[2,2], pads=[2,2,2,2]}", 1, 0},
	{"one spatial dim", "x: f32[N,16,50], w: f32[20,16,5]", "a = Conv(x, w) {strides=[2], pads=[2,2]}\nSigmoid(a)", 1, 0},
	{"odd groups have no kernel", "x: f32[N,6,7,7], w: f32[9,2,3,3]", "Conv(x, w) {group=3}", 1, 1},
	{"pooling", "x: f32[N,16,15,15], w: f32[20,16,1,1]",
		"a = Conv(x, w)\nb = MaxPool(a) {kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]}\nc = AveragePool(b) {kernel_shape=[2,2]}\nd = GlobalAveragePool(c)\nFlatten(d)", 1, 0},
	{"squeeze and excite", "x: f32[N,16,8,8], w: f32[24,16,1,1], w1: f32[8,24,1,1], w2: f32[24,8,1,1]",
		"a = Conv(x, w)\np = GlobalAveragePool(a)\nq = Conv(p, w1)\nr = Relu(q)\ns = Conv(r, w2)\nt = Sigmoid(s)\nMul(a, t)", 1, 0},
	{"mean over images", "x: f32[N,16,8,8], w: f32[24,16,1,1], w1: f32[24,24,1,1]",
		"a = Conv(x, w)\np = ReduceMean(a, ${[-1,2]})\nq = Conv(p, w1)\nr = Mul(a, q)\ns = ReduceMean(r, ${[2,3]}) {keepdims=0}\nRelu(s)", 1, 0},
	{"concat of blocks", "x: f32[N,16,8,8], w: f32[32,16,1,1], w2: f32[16,16,1,1]", "a = Conv(x, w)\nb = Conv(x, w2)\nConcat(a, b) {axis=1}", 1, 0},
	{"concat of parts of blocks", "x: f32[N,16,5,9], w: f32[24,16,1,1], w2: f32[12,16,1,1], w3: f32[21,16,1,1]",
		"a = Conv(x, w)\nb = Conv(x, w2)\nc = Conv(x, w3)\nd = Concat(a, b, x, c) {axis=1}\ne = Exp(d)\nMaxPool(e) {kernel_shape=[2,2]}", 1, 0},
	{"concat in place", "x: f32[N,16,8,8], w: f32[32,16,1,1], w2: f32[20,32,1,1]",
		"a = Conv(x, w)\nb = Resize(a, _, _, ${[16,16]}) {axes=[2,3], mode=\"nearest\", keep_aspect_ratio_policy=\"stretch\"}\nc = Conv(b, w2)\nd = Concat(b, b, c) {axis=1}\n" +
			"e = MaxPool(d) {kernel_shape=[2,2], strides=[2,2]}\nf = Concat(e, a) {axis=1}\ng = Concat(a, f, a) {axis=1}\nh = GlobalAveragePool(g)\nk = MaxPool(b) {kernel_shape=[2,2], strides=[2,2]}\nl = Add(k, a)\nm = GlobalAveragePool(l)\nConcat(m, h) {axis=1}", 1, 0},
	{"concat of rows in place", "x: f32[N,16], y: f32[N,16]",
		"a = Exp(x)\nr = Reshape(a, ${[1,-1]})\nb = Exp(y)\nc = Concat(x, a, b, a) {axis=0}\nd = Concat(c, b) {axis=0}\ne = Relu(a)\nf = Concat(r, r) {axis=0}\ng = Concat(e, d) {axis=0}\nAdd(g, ${1.0})", 1, 0},
	{"affine channels", "x: f32[N,16,8,8], w: f32[20,16,1,1], ws: f32[20,1,1], wt: f32[1,20,1,1]", "a = Conv(x, w)\nb = Mul(a, ws)\nc = Add(b, wt)\nExp(c)", 1, 0},
	{"pad lanes stay zero", "x: f32[N,16,8,8], w: f32[20,16,1,1], w2: f32[8,20,3,3]", "a = Conv(x, w)\nb = Exp(a)\nc = MaxPool(b) {kernel_shape=[2,2]}\nd = Cos(c)\nb2 = Conv(b, w2)\nAdd(b2, b2)", 1, 0},
	{"attention", "q: f32[N,S,4,8], k: f32[N,S,4,8], v: f32[N,S,4,8], m: f32[N,1,1,S]",
		"a = Transpose(q) {perm=[0,2,1,3]}\nb = Transpose(k) {perm=[0,2,3,1]}\nc = Transpose(v) {perm=[0,2,1,3]}\n" +
			"s = MatMul(a, b)\nt = Mul(s, ${0.35})\nu = Add(t, m)\np = Softmax(u) {axis=-1}\no = MatMul(p, c)\nTranspose(o) {perm=[0,2,1,3]}", 1, 0},
	{"attention masked by booleans", "q: f32[N,S,32], k: f32[N,S,16], v: f32[N,S,16], m: bool[N,1,S,S]",
		"Attention(q, k, v, m) {q_num_heads=4, kv_num_heads=2}", 1, 0},
	{"attention of one product", "x: f32[N,S,24], w: f32[24,16], w2: f32[24,16], w3: f32[24,24]",
		"q = MatMul(x, w)\nk = MatMul(x, w2)\nv = MatMul(x, w3)\nAttention(q, k, v) {q_num_heads=2, kv_num_heads=2}", 1, 0},
	{"attention of stacks in other orders", "q: f32[N,S,4,8], k: f32[S,N,2,8], v: f32[N,2,S,8], m: bool[S,S]",
		"a = Transpose(q) {perm=[0,2,1,3]}\nb = Transpose(k) {perm=[1,2,0,3]}\no = Attention(a, b, v, m) {scale=0.4}\nTranspose(o) {perm=[0,2,1,3]}", 1, 0},
	{"attention of sequences first", "q: f32[S,N,32], k: f32[S,N,32], v: f32[S,N,16], m: f32[S,S]",
		"a = Transpose(q) {perm=[1,0,2]}\nb = Transpose(k) {perm=[1,0,2]}\nc = Transpose(v) {perm=[1,0,2]}\no = Attention(a, b, c, m) {q_num_heads=4, kv_num_heads=4}\nTranspose(o) {perm=[1,0,2]}", 1, 0},
	{"attention in a type without kernels", "q: f64[N,S,4,8], k: f64[N,S,4,8]",
		"a = Transpose(q) {perm=[0,2,1,3]}\nb = Transpose(k) {perm=[0,2,3,1]}\ns = MatMul(a, b)\no = MatMul(s, a)\nTranspose(o) {perm=[0,2,1,3]}", 1, 2},
	{"padding of blocks", "x: f32[N,16,7,5], w: f32[20,16,1,1], wb: f32[20]",
		"a = Conv(x, w, wb)\nb = Pad(a, ${[0,0,1,2,0,0,2,1]}) {mode=\"reflect\"}\nc = Pad(b, ${[0,0,1,0,0,0,0,3]})\nd = Pad(c, ${[0,0,1,-1,0,0,0,3]}) {mode=\"edge\"}\nMaxPool(d) {kernel_shape=[3,3], strides=[2,2]}", 1, 0},
	{"padding by what is there", "x: f32[N,6,9]", "a = Pad(x, ${[0,0,4,0,0,3]}) {mode=\"reflect\"}\nb = Pad(a, ${[0,2,1,0,1,2]}) {mode=\"edge\"}\nPad(b, ${[0,1,0,0,2,0]}) {mode=\"wrap\"}", 1, 0},
	{"resizing", "x: f32[1,16,7,5], w: f32[24,16,1,1]",
		"a = Conv(x, w)\nb = Resize(a, _, _, ${[1,24,13,11]}) {mode=\"linear\", keep_aspect_ratio_policy=\"stretch\"}\nc = Resize(b, _, _, ${[1,24,9,20]}) {mode=\"nearest\"}\nd = Exp(c)\nResize(d, _, _, ${[1,24,4,33]}) {mode=\"cubic\"}", 1, 0},
	{"pooling without a convolution", "x: f32[N,12,9,9]", "a = MaxPool(x) {kernel_shape=[3,3]}\nb = GlobalAveragePool(a)\nFlatten(b)", 1, 0},
	{"channels last", "x: f32[N,16,5,9], w: f32[24,16,1,1], w1: f32[20,24,3]",
		"a = Conv(x, w)\nb = Transpose(a) {perm=[0,2,3,1]}\nc = Reshape(a, ${[0,24,45]})\nd = Conv(c, w1)\ne = Transpose(d) {perm=[0,2,1]}\nf = ReduceMax(e, ${[1]})\ng = ReduceMax(b, ${[1,2]})\nh = Squeeze(g, ${[1]})\nConcat(f, h) {axis=2}", 1, 0},
	{"what repeats along pixels of blocks", "x: f32[N,16,S,7], w: f32[20,16,1,1], y: f32[N,20,1,7], z: f32[N,20,S,1]",
		"a = Conv(x, w)\nb = Add(a, y)\nc = Mul(b, z)\nd = Exp(c)\nReduceMax(d, ${[2,3]})", 1, 0},
	{"few channels of a transposed convolution", "x: f32[N,24,5,20], w: f32[24,2,2,2], wb: f32[2], w2: f32[16,2,1,1], w3: f32[16,1,3,3]",
		"a = ConvTranspose(x, w, wb) {strides=[2,2]}\nb = Conv(a, w2)\nc = ConvTranspose(b, w3) {strides=[3,3]}\nSigmoid(c)", 1, 0},
	{"means of images", "x: f32[N,16,9,9], w: f32[20,16,1,1], y: f32[N,3,5]",
		"a = Conv(x, w)\nb = ReduceMean(a, ${[2,3]})\nc = Mul(a, b)\nd = ReduceMean(c, ${[-1,-2]}) {keepdims=0}\ne = ReduceMean(y, ${[2]}) {keepdims=0}\nConcat(d, e) {axis=1}", 1, 0},
	{"global pooling", "x: f32[N,3,9]", "GlobalAveragePool(x)", 1, 0},
	{"layer norm", "x: f32[N,7,40], w: f32[40], wb: f32[40]", "LayerNormalization(x, w, wb) {axis=-1}", 1, 0},
	{"reductions", "x: f32[N,6,10]", "a = ReduceMean(x, ${[-1]})\nb = ReduceMax(x, ${[1,2]})\nMul(a, b)", 1, 0},
	{"softmax along channels", "x: f32[N,6,5,4]", "a = Softmax(x) {axis=1}\nb = LogSoftmax(x) {axis=2}\nAdd(a, b)", 1, 0},
	{"reductions in parts", "x: f32[N,6,10]",
		"a = ReduceL1(x, ${[2]})\nb = ReduceL2(x, ${[-1]})\nc = ReduceLogSumExp(x, ${[2]})\nd = Exp(x)\ne = ReduceLogSum(d, ${[2]})\nf = Add(a, b)\ng = Sub(c, e)\nh = ReduceLogSumExp(x, ${[1,2]}) {keepdims=0}\ni = Unsqueeze(h, ${[1,2]})\nj = Add(f, g)\nAdd(j, i)", 1, 0},
	{"movement", "x: f32[N,6,10]", "a = Slice(x, ${[1]}, ${[9]}, ${[2]}, ${[3]})\nb = Concat(a, a) {axis=2}\nc = Expand(b, ${[1,1,1]})\nd = Pad(c, ${[0,1,0,0,0,2]})\nTranspose(d) {perm=[2,0,1]}", 1, 0},
	{"embedding", "i: i64[N,5], w: f32[16,24]", "Gather(w, i)", 1, 0},
	{"embeddings", "i: i64[N,5], j: i64[N,5], k: i64[1,5], w: f32[16,24], w2: f32[16,24], wp: f32[5,24], ws: f32[24], wb: f32[24]",
		"a = Gather(w, i)\nb = Gather(w2, j)\nc = Add(a, b)\nd = Gather(w2, k)\ne = Add(d, c)\nf = Add(e, wp)\nLayerNormalization(f, ws, wb) {axis=-1}", 1, 0},
	{"embeddings read again", "i: i64[N,5], w: f32[16,40], wp: f32[5,40], ws: f32[40]",
		"a = Gather(w, i)\nb = Add(a, wp)\nc = RMSNormalization(b, ws) {axis=-1}\nMul(b, c)", 1, 0},
	{"int8 weights", "x: f32[N,16,9,9], w: i8[32,16,3,3], ws: f32[32], wb: f32[32], w2: i8[32,1,3,3]",
		"v = DequantizeLinear(w, ws) {axis=0}\nv2 = DequantizeLinear(w2, ws) {axis=0}\na = Conv(x, v, wb) {pads=[1,1,1,1]}\nb = Relu(a)\nc = Conv(b, v2) {group=32}\nAdd(c, c)", 1, 0},
	{"static int8", "x: f32[N,16,9,9], w: i8[32,16,3,3], ws: f32[32], wb: f32[32], wz: i8[1]",
		"q = QuantizeLinear(x, ${0.02}, wz)\nd = DequantizeLinear(q, ${0.02}, wz)\nv = DequantizeLinear(w, ws) {axis=0}\na = Conv(d, v, wb) {pads=[1,1,1,1]}\nb = Relu(a)\nq2 = QuantizeLinear(b, ${0.5}) {output_dtype=2}\nDequantizeLinear(q2, ${0.5})", 1, 0},
	{"static int8 with moves between", "x: f32[N,16,8,8], w: i8[32,16,3,3], ws: f32[32], wb: f32[32]",
		"q = QuantizeLinear(x, ${0.02})\nm = MaxPool(q) {kernel_shape=[2,2], strides=[2,2]}\nc = Concat(m, m) {axis=1}\ns = Slice(c, ${[8]}, ${[24]}, ${[1]})\nd = DequantizeLinear(s, ${0.02})\n" +
			"v = DequantizeLinear(w, ws) {axis=0}\na = Conv(d, v, wb) {pads=[1,1,1,1]}\nRelu(a)", 1, 0},
	{"batch norm of int8 parameters", "x: f32[N,16,8,8], w: f32[32,16,3,3], w1: u8[32], w2: f32[32]",
		"a = Conv(x, w)\nq = QuantizeLinear(a, ${0.02})\nd = DequantizeLinear(q, ${0.02})\ng = DequantizeLinear(w1, ${0.5})\nv = Abs(w2)\ny = BatchNormalization(d, g, w2, w2, v)\nRelu(y)", 1, 0},
	{"int8 weights in a winograd", "x: f32[N,16,21,17], w: i8[40,16,3,3], ws: f32[40]",
		"v = DequantizeLinear(w, ws) {axis=0}\na = Conv(x, v) {pads=[1,1,1,1]}\nRelu(a)", 1, 0},
	{"int8 weights of few channels", "x: f32[N,8,9,20], w: i8[3,8,5,5], ws: f32[3]", "v = DequantizeLinear(w, ws) {axis=0}\na = Conv(x, v)\nRelu(a)", 1, 0},
	{"int8 weights of a transposed convolution", "x: f32[N,16,5,7], w: i8[16,20,3,2], ws: f32[20], wb: f32[20]",
		"v = DequantizeLinear(w, ws) {axis=1}\na = ConvTranspose(x, v, wb) {strides=[2,2]}\nRelu(a)", 1, 0},
	{"int8 weights of a product", "x: f32[N,64], w: i8[50,64], ws: f32[50], wb: f32[50]",
		"v = DequantizeLinear(w, ws) {axis=0}\na = Gemm(x, v, wb) {transB=1}\nRelu(a)", 1, 0},
	{"weights of a codebook", "x: f32[N,64], w: u4[64,50], wk: f32[16], ws: f32[1,50], wb: f32[50]",
		"i = Cast(w) {to=6}\ng = Gather(wk, i) {axis=0}\nv = Mul(g, ws)\na = MatMul(x, v)\nb = Add(a, wb)\nRelu(b)", 1, 0},
	{"half precision weights", "x: f32[N,64], w: f16[64,50]", "v = Cast(w) {to=1}\na = MatMul(x, v)\nRelu(a)", 1, 0},
	{"int8 embedding", "i: i64[N,5], w: i8[16,100], ws: f32[100]", "v = DequantizeLinear(w, ws) {axis=1}\nGather(v, i)", 1, 0},
	{"gather by position", "x: f32[16,16,N,3], i: i64[N,5,2]", "GatherND(x, i)", 1, 0},
	{"masks", "x: f32[N,6], i: i64[N,6]", "a = Cast(x) {to=7}\nb = Less(a, i)\nc = IsNaN(x)\nd = Not(c)\ne = And(b, d)\nf = Add(i, a)\ng = Cast(f) {to=1}\nh = Where(e, g, ${-7.0})\nk = Equal(f, i)\nl = Cast(k) {to=1}\nAdd(h, l)", 1, 1},
	{"a size that only a run tells", "x: f32[N,6]", "a = NonZero(x)\nb = Cast(a) {to=1}\nAdd(b, b)", 1, 0},
}

// build makes a module from a program.
func build(t *testing.T, inputs, body string, seed uint64) *ir.Module {
	m := ir.NewModule("m", ops.NewestOpset(""))
	b := ir.AtEnd(m.Main().Body)
	vals := map[string]*ir.Value{}
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, in := range strings.Split(inputs, ", ") {
		name, typ, _ := strings.Cut(in, ": ")
		ty, err := ir.ParseType(typ)
		require.NoError(t, err)
		if name[0] == 'w' {
			shape, _ := ty.StaticShape()
			vals[name] = b.Tensor(random(ty.DType, shape, rng, 0.2))
		} else {
			vals[name] = m.Main().AddInput(name, ty)
		}
	}
	var last *ir.Value
	for _, line := range strings.Split(body, "\n") {
		name, call, named := strings.Cut(line, " = ")
		if !named {
			call = line
		}
		last = buildOp(t, b, vals, call)
		vals[name] = last
	}
	m.Main().Return([]string{"y"}, last)
	require.NoError(t, ops.Verify(m))
	return m
}

// buildOp reads Op(a, b, ${constant}) {attributes} by the IR's own parser.
func buildOp(t *testing.T, b *ir.Builder, vals map[string]*ir.Value, call string) *ir.Value {
	name, rest, _ := strings.Cut(call, "(")
	end := strings.LastIndex(rest, ")")
	if i := strings.Index(rest, ") {"); i >= 0 {
		end = i
	}
	var operands []*ir.Value
	for _, a := range splitTop(rest[:end]) {
		if a == "_" {
			operands = append(operands, nil)
			continue
		}
		c, ok := strings.CutPrefix(a, "${")
		if !ok {
			require.NotNil(t, vals[a], "%s in %s", a, call)
			operands = append(operands, vals[a])
			continue
		}
		c = strings.TrimSuffix(c, "}")
		typ := "f32[]"
		if strings.HasPrefix(c, "[") {
			typ = fmt.Sprintf("i64[%d]", strings.Count(c, ",")+1)
		} else {
			c = "[" + c + "]"
		}
		m, err := ir.Parse("module @m opset=1\nfunc @main() -> (y: "+typ+") { %0 = const "+typ+" "+c+"\nreturn(%0) }", ir.ParseOptions{})
		require.NoError(t, err)
		operands = append(operands, b.Constant(m.Main().Results()[0].Data()))
	}
	m, err := ir.Parse("module @m opset=1\nfunc @main() -> () { X()"+strings.TrimPrefix(rest[end:], ")")+"\nreturn() }", ir.ParseOptions{})
	require.NoError(t, err, call)
	op, err := ops.Build(b, name, operands, m.Main().Body.First().Attrs...)
	require.NoError(t, err)
	return op.Result(0)
}

func splitTop(s string) []string {
	var parts []string
	depth, start := 0, 0
	for i, c := range s {
		switch {
		case strings.ContainsRune("[{(", c):
			depth++
		case strings.ContainsRune("]})", c):
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(s[start:]))
}

func random(d tensor.DType, shape []int, rng *rand.Rand, scale float64) *tensor.Tensor {
	x := tensor.New(d, shape...)
	for i := range x.Len() {
		switch d {
		case tensor.Float32:
			tensor.Of[float32](x)[i] = float32(rng.NormFloat64() * scale)
		case tensor.Float64:
			tensor.Of[float64](x)[i] = rng.NormFloat64() * scale
		case tensor.Int64:
			tensor.Of[int64](x)[i] = int64(rng.IntN(16))
		case tensor.Int32:
			tensor.Of[int32](x)[i] = int32(rng.IntN(9) - 4)
		case tensor.Uint8, tensor.Bool:
			x.Data[i] = byte(rng.IntN(2))
		case tensor.Int8:
			tensor.Of[int8](x)[i] = int8(rng.IntN(255) - 127)
		case tensor.Uint4:
			tensor.Of[uint8](x)[i] = uint8(rng.IntN(16))
		case tensor.Float16:
			tensor.Of[uint16](x)[i] = float16.FromFloat32(float32(rng.NormFloat64() * scale))
		}
	}
	return x
}

// values makes inputs with the symbols N and S bound.
func values(m *ir.Module, n, s int64, seed uint64) []tensor.Value {
	rng := rand.New(rand.NewPCG(seed, 2))
	var ins []tensor.Value
	for _, a := range m.Main().Body.Args {
		shape := make([]int, len(a.Type.Dims))
		for i, d := range a.Type.Dims {
			v, err := d.Eval(map[string]int64{"N": n, "S": s})
			if err != nil {
				panic(err)
			}
			shape[i] = int(v)
		}
		ins = append(ins, random(a.Type.DType, shape, rng, 1))
	}
	return ins
}

func lower(t *testing.T, m *ir.Module) *ir.Module {
	low := m.Clone()
	ctx := passes.NewContext(context.Background())
	ctx.VerifyEach = true
	p, err := passes.ParsePipeline("O2")
	require.NoError(t, err)
	_, err = passes.NewPipeline(p, cpu.Pipeline()).Run(ctx, low)
	require.NoError(t, err)
	require.NoError(t, ops.Verify(low))
	return low
}

// Every program gives the interpreter's answers on every tier, lowered and
// not, and the same bits for any number of threads and place in a batch.
func TestProgramsAnswerLikeTheInterpreter(t *testing.T) {
	ctx := context.Background()
	for _, c := range programs {
		t.Run(c.name, func(t *testing.T) {
			m := build(t, c.inputs, c.body, 3)
			low := lower(t, m)
			text, err := ir.Print(low)
			require.NoError(t, err)
			for _, n := range []int64{1, 3} {
				ins := values(m, n, 5+n, uint64(n))
				want, err := interp.New(m).Run(ctx, ins, interp.Options{})
				require.NoError(t, err)
				viaInterp, err := interp.New(low).Run(ctx, ins, interp.Options{})
				require.NoError(t, err, text)
				near(t, viaInterp, want, text)
				for _, tier := range kernels.Available() {
					var first []tensor.Value
					for _, threads := range []int{1, 2, 4} {
						s, err := cpu.NewSession(low, cpu.Options{Threads: threads, Tier: tier.String()})
						require.NoError(t, err)
						got, err := s.Run(ctx, ins)
						require.NoError(t, err, text)
						near(t, got, want, text)
						if first == nil {
							first = got
						}
						require.Equal(t, first[0].(*tensor.Tensor).Data, got[0].(*tensor.Tensor).Data, "%d threads give other bits", threads)
						fb, err := s.Fallbacks(ins)
						require.NoError(t, err)
						count := 0
						for _, f := range fb {
							count += f.Count
						}
						require.LessOrEqual(t, count, c.fallbacks, "%v\n%s", fb, text)
						s.Shrink()
					}
				}
			}
		})
	}
}

// What computes the channels of one image writes them into the result of the
// Concat that joins them; those of several images are copied.
func TestConcatCopiesNothingOfOneImage(t *testing.T) {
	m := build(t, "x: f32[N,16,8,8], w: f32[32,16,1,1]",
		"a = Conv(x, w)\nb = Relu(a)\nc = MaxPool(b) {kernel_shape=[2,2], strides=[2,2]}\nd = Resize(c, _, _, ${[8,8]}) {axes=[2,3], mode=\"nearest\"}\ne = Concat(d, b) {axis=1}\nMaxPool(e) {kernel_shape=[2,2]}", 1)
	s, err := cpu.NewSession(lower(t, m), cpu.Options{Threads: 1})
	require.NoError(t, err)
	for n, copies := range map[int64]bool{1: false, 2: true} {
		costs, err := s.Profile(t.Context(), values(m, n, 0, 1), 1)
		require.NoError(t, err)
		require.Equal(t, copies, slices.ContainsFunc(costs, func(c cpu.Cost) bool { return c.Op == "Concat" }), "%d images: %v", n, costs)
	}
}

// Weights that are stored as codes are restored when a session starts, and
// nothing that a bundle would store is larger than they are.
func TestCodesStayCodes(t *testing.T) {
	for _, c := range programs {
		if !strings.Contains(c.inputs, "i8[") && !strings.Contains(c.inputs, "u4[") && !strings.Contains(c.inputs, "f16[") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			m := build(t, c.inputs, c.body, 3)
			require.LessOrEqual(t, constants(t, lower(t, m)), constants(t, m)+1024, "bytes of constants")
		})
	}
}

// constants is what a module's constants take in a file.
func constants(t *testing.T, m *ir.Module) (n int) {
	for op := range m.Main().Body.Ops() {
		if d := op.Result(0); d != nil && d.Data() != nil {
			b, err := d.Data().Wire()
			require.NoError(t, err)
			n += len(b)
		}
	}
	return n
}

func near(t *testing.T, got, want []tensor.Value, text string) {
	t.Helper()
	d, err := compare.Tensors(got[0].(*tensor.Tensor), want[0].(*tensor.Tensor))
	require.NoError(t, err, text)
	require.True(t, d.Within(2e-5), "error %g at a scale of %g\n%s", d.MaxAbs, d.Scale, text)
}

// Sizes that a file claims are checked before anything is made for them: those
// whose product is nothing again, and those that the weights do not have.
func TestForgedSizesAreRefused(t *testing.T) {
	for _, form := range []string{"planes", "image", "blocked", "depthwise"} {
		for _, sizes := range []string{"group=1, ins=16777216, kernel=[1048576, 1048576], outs=1", "group=1, ins=4096, kernel=[512, 512], outs=2"} {
			text := `module @m opset=28 level=cpu
func @main(%x: f32[1,16,8,8]) -> (y: f32[*]) {
  %0 = const f32[0] []
  %1 = cpu.Conv(%x, %0) {dilations=[1, 1], form="` + form + `", ` + sizes + `, pads=[0, 0, 0, 0], strides=[1, 1]} : f32[*]
  return(%1)
}`
			m, err := ir.Parse(text, ir.ParseOptions{})
			require.NoError(t, err)
			s, err := cpu.NewSession(m, cpu.Options{})
			require.NoError(t, err)
			_, err = s.Run(context.Background(), values(m, 1, 1, 1))
			require.Error(t, err, text)
		}
	}
}
