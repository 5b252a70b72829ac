package legalize

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// refused are the operators that TensorRT for RTX 1.7 has no layer for, by
// its parser's own word (supportsOperator) or by what it says when it builds.
// What the passes rewrite is not among them.
var refused = map[string]string{}

func init() {
	for reason, list := range map[string]string{
		"TensorRT has no such operator": `AffineGrid Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im
			Compress ConvInteger CumProd DFT DeformConv Det DynamicQuantizeLinear ImageDecoder MatMulInteger MaxRoiPool MaxUnpool
			MelWeightMatrix Multinomial NegativeLogLikelihoodLoss QLinearConv QLinearMatMul RegexFullMatch SoftmaxCrossEntropyLoss SwiGLU TfIdfVectorizer Unique
			preview.FlexAttention training.Adagrad training.Adam training.Gradient training.Momentum`,
		"TensorRT has no sequences and optionals": `ConcatFromSequence Optional OptionalGetElement OptionalHasElement SequenceAt SequenceConstruct SequenceEmpty
			SequenceErase SequenceInsert SequenceLength SequenceMap SplitToSequence`,
		"TensorRT has no strings": "StringConcat StringNormalizer StringSplit",
		"how many elements it gives depends on the data, and TensorRT for RTX ships no plugin for that": "NonZero",
	} {
		for _, op := range strings.Fields(list) {
			refused[op] = reason
		}
	}
}

// Reason says why TensorRT will not take op for a compute capability, as far
// as that is known before building; empty where nothing speaks against it.
func Reason(op *ir.Op, sm []int) string {
	if r := refused[op.Name]; r != "" {
		return r
	}
	if strings.HasPrefix(op.Name, "ml.") {
		return "TensorRT has no operators of ai.onnx.ml"
	}
	for _, v := range slices.Concat(op.Operands(), op.Results()) {
		if v == nil {
			continue
		}
		if r := typeReason(v.Type, sm); r != "" {
			return r
		}
		if n := v.Type.Rank(); n > 8 {
			return fmt.Sprintf("TensorRT's tensors have 8 dimensions at most, here are %d", n)
		}
	}
	if slices.Contains(sm, 75) {
		switch op.Name {
		case "MatMul", "Gemm", "Einsum", "Attention":
			if op.NumResults() > 0 && op.Result(0).Type.DType == tensor.Float32 {
				return "float32 matrix products are not supported on compute capability 7.5: build with --precision fp16"
			}
		}
	}
	return ""
}

// typeReason says why a type is not taken.
func typeReason(t ir.Type, sm []int) string {
	if !t.IsTensor() {
		return "TensorRT has no sequences, optionals and maps"
	}
	oldest := 1000
	for _, s := range sm {
		oldest = min(oldest, s)
	}
	switch t.DType {
	case tensor.String:
		return "TensorRT has no strings"
	case tensor.Complex64, tensor.Complex128:
		return "TensorRT has no complex numbers"
	case tensor.Int16, tensor.Uint16, tensor.Uint32, tensor.Uint64:
		return fmt.Sprintf("TensorRT has no %s", t.DType)
	case tensor.Float8E4M3FNUZ, tensor.Float8E5M2, tensor.Float8E5M2FNUZ, tensor.Uint4, tensor.Int2, tensor.Uint2:
		return fmt.Sprintf("TensorRT has no %s", t.DType)
	case tensor.BFloat16:
		if oldest < 80 {
			return "bf16 needs compute capability 8.0"
		}
	case tensor.Float8E4M3FN:
		if oldest < 89 {
			return "FP8 needs compute capability 8.9"
		}
	case tensor.Int4:
		if oldest < 80 {
			return "INT4 weights need compute capability 8.0"
		}
	}
	return ""
}
