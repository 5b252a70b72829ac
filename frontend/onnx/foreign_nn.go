package onnx

import (
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// The operators that onnxruntime's optimizer writes into the models that it
// saves: their definitions follow its documentation of com.microsoft.
func init() {
	define(map[string]func(*foreignNode){
		"Gelu":     func(x *foreignNode) { x.set(0, x.op("Gelu", vals(x.need(0)))) },
		"BiasGelu": func(x *foreignNode) { x.set(0, x.op("Gelu", vals(x.biased(x.need(0), x.need(1))))) },
		"FastGelu": func(x *foreignNode) {
			x.set(0, x.op("Gelu", vals(x.biased(x.need(0), x.arg(1))), at("approximate", "tanh")))
		},
		"QuickGelu": quickGelu,
		"Trilu":     func(x *foreignNode) { x.set(0, x.op("Trilu", x.in, x.keepAttrs("upper")...)) },

		"FusedConv":       fusedConv,
		"FusedGemm":       fusedGemm,
		"FusedMatMul":     fusedMatMul,
		"TransposeMatMul": fusedMatMul,

		"SkipLayerNormalization":           skipLayerNorm,
		"SkipSimplifiedLayerNormalization": skipSimplifiedLayerNorm,
		"EmbedLayerNormalization":          embedLayerNorm,
	})
	// Not of com.microsoft, but of onnxruntime: it writes this one into ONNX's
	// own domain, which has no such operator.
	foreign[""]["SimplifiedLayerNormalization"] = func(x *foreignNode) {
		x.set(0, x.op("RMSNormalization", vals(x.need(0), x.need(1)), x.keepAttrs("axis", "epsilon", "stash_type")...))
	}
}

// define adds operators of com.microsoft.
func define(family map[string]func(*foreignNode)) {
	for name, f := range family {
		foreign["com.microsoft"][name] = f
	}
}

// biased adds a bias, if there is one.
func (x *foreignNode) biased(v, bias *ir.Value) *ir.Value {
	if bias == nil {
		return v
	}
	return x.op("Add", vals(v, bias))
}

func quickGelu(x *foreignNode) {
	v := x.need(0)
	alpha := x.num(v, float64(x.float("alpha", 1.702)))
	x.set(0, x.op("Mul", vals(v, x.op("Sigmoid", vals(x.op("Mul", vals(v, alpha)))))))
}

// activate applies the activation that the fused node names.
func (x *foreignNode) activate(v *ir.Value, name string, params []float32) *ir.Value {
	param := func(i int, def float32) float32 {
		if i < len(params) {
			return params[i]
		}
		return def
	}
	switch name {
	case "":
		return v
	case "Relu", "Tanh", "Sigmoid", "HardSwish", "Softplus", "Softsign":
		return x.op(name, vals(v))
	case "LeakyRelu":
		return x.op(name, vals(v), at("alpha", param(0, 0.01)))
	case "Elu":
		return x.op(name, vals(v), at("alpha", param(0, 1)))
	case "ThresholdedRelu":
		return x.op(name, vals(v), at("alpha", param(0, 1)))
	case "HardSigmoid":
		return x.op(name, vals(v), at("alpha", param(0, 0.2)), at("beta", param(1, 0.5)))
	case "Clip":
		lo := x.num(v, float64(param(0, -math.MaxFloat32)))
		return x.op(name, vals(v, lo, x.num(v, float64(param(1, math.MaxFloat32)))))
	}
	x.fail("activation %q is not known", name)
	return nil
}

func fusedConv(x *foreignNode) {
	ins := vals(x.need(0), x.need(1))
	if b := x.arg(2); b != nil {
		ins = append(ins, b)
	}
	y := x.op("Conv", ins, x.keepAttrs("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")...)
	y = x.biased(y, x.arg(3))
	x.set(0, x.activate(y, x.str("activation", ""), attrOr(x, "activation_params", []float32(nil))))
}

func fusedGemm(x *foreignNode) {
	y := x.op("Gemm", x.in, x.keepAttrs("alpha", "beta", "transA", "transB")...)
	params := []float32{x.float("activation_alpha", 0), x.float("activation_beta", 0)}
	x.set(0, x.activate(y, x.str("activation", ""), params))
}

// fusedMatMul is alpha · A′ × B′, where a matrix may be transposed, and its
// first dim may lie before the last one.
func fusedMatMul(x *foreignNode) {
	side := func(v *ir.Value, batch, trans int64) *ir.Value {
		if batch == 0 && trans == 0 {
			return v
		}
		r := x.rank(v)
		if r < 2 {
			return v
		}
		perm := make([]int64, r)
		for i := range perm {
			perm[i] = int64(i)
		}
		if batch != 0 {
			copy(perm, perm[1:r-1])
			perm[r-2] = 0
		}
		if trans != 0 {
			perm[r-2], perm[r-1] = perm[r-1], perm[r-2]
		}
		return x.op("Transpose", vals(v), at("perm", perm))
	}
	a := side(x.need(0), x.int("transBatchA", 0), x.int("transA", 0))
	b := side(x.need(1), x.int("transBatchB", 0), x.int("transB", 0))
	y := x.op("MatMul", vals(a, b))
	if alpha := x.float("alpha", 1); alpha != 1 {
		y = x.op("Mul", vals(y, x.num(y, float64(alpha))))
	}
	x.set(0, y)
}

// skipLayerNorm normalizes the sum of an input, a skip connection and a bias.
// Results: the normalized sum, mean, inverse deviation, the sum.
func skipLayerNorm(x *foreignNode) {
	sum := x.biased(x.op("Add", vals(x.need(0), x.need(1))), x.arg(4))
	x.layerNorm(sum, x.need(2), x.arg(3))
	x.set(3, sum)
}

func (x *foreignNode) layerNorm(v, gamma, beta *ir.Value) {
	ins := vals(v, gamma)
	if beta != nil {
		ins = append(ins, beta)
	}
	n := 1
	if len(x.out) > 1 {
		n = 3
	}
	for i, r := range x.opN("LayerNormalization", n, ins, at("axis", int64(-1)), at("epsilon", x.float("epsilon", 1e-12))) {
		x.set(i, r)
	}
}

func skipSimplifiedLayerNorm(x *foreignNode) {
	sum := x.biased(x.op("Add", vals(x.need(0), x.need(1))), x.arg(3))
	x.set(0, x.op("RMSNormalization", vals(sum, x.need(2)), at("axis", int64(-1)), at("epsilon", x.float("epsilon", 1e-12))))
	x.set(3, sum)
}

// embedLayerNorm adds up word, position and segment embeddings [B,S,H] and
// normalizes them. Results: that, the length of each sequence, the sum.
func embedLayerNorm(x *foreignNode) {
	ids := x.need(0)
	sum := x.op("Gather", vals(x.need(2), ids))
	if p := x.arg(8); p != nil {
		sum = x.op("Add", vals(sum, x.op("Gather", vals(x.need(3), p))))
	} else {
		length := x.op("Shape", vals(ids), at("start", int64(1)), at("end", int64(2)))
		sum = x.op("Add", vals(sum, x.op("Slice", vals(x.need(3), x.ints(0), length, x.ints(0)))))
	}
	if seg := x.arg(1); seg != nil {
		sum = x.op("Add", vals(sum, x.op("Gather", vals(x.need(4), seg))))
	}
	y := x.op("LayerNormalization", vals(sum, x.need(5), x.need(6)), at("axis", int64(-1)), at("epsilon", x.float("epsilon", 1e-12)))
	x.set(0, y)
	if len(x.out) > 1 {
		if mask := x.arg(7); mask != nil {
			x.set(1, x.op("ReduceSum", vals(x.cast(mask, tensor.Int32), x.ints(1)), at("keepdims", int64(0))))
		} else {
			batch := x.op("Shape", vals(ids), at("start", int64(0)), at("end", int64(1)))
			zero := ir.NewData(tensor.New(tensor.Int32, 1))
			x.set(1, x.op("ConstantOfShape", vals(batch), at("value", zero)))
		}
	}
	x.set(2, sum)
}
