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
		"TensorRT for RTX has no implementation of it": "CausalConvWithState LinearAttention NonMaxSuppression RoiAlign",
		"TensorRT has no strings":                      "StringConcat StringNormalizer StringSplit",
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
	for _, i := range constantOperands[op.Name] {
		if i < op.NumOperands() && op.Operand(i) != nil && op.Operand(i).Data() == nil {
			return fmt.Sprintf("TensorRT wants its operand %d to be a constant", i)
		}
	}
	if r := formReason(op); r != "" {
		return r
	}
	if op.Name == "If" {
		if r := ifReason(op); r != "" {
			return r
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

// constantOperands are the operands that TensorRT reads when it builds. Other
// values that decide shapes may come at run time, with a range in the profile.
var constantOperands = map[string][]int{
	"ReduceL1": {1}, "ReduceL2": {1}, "ReduceLogSum": {1}, "ReduceLogSumExp": {1}, "ReduceMax": {1}, "ReduceMean": {1}, "ReduceMin": {1},
	"ReduceProd": {1}, "ReduceSum": {1}, "ReduceSumSquare": {1}, "Squeeze": {1}, "Unsqueeze": {1}, "STFT": {1, 3}, "Dropout": {2},
	"OneHot": {1}, "Resize": {2}, "Upsample": {1},
}

// noUint8 compute nothing in uint8, which TensorRT takes at the model's borders and in casts.
var noUint8 = []string{"Add", "Sub", "Mul", "Div", "Min", "Max", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "MaxPool", "Clip"}

// formReason says which forms of operators that TensorRT has it does not take.
func formReason(op *ir.Op) string {
	if op.NumOperands() == 0 || op.Operand(0) == nil || op.NumResults() == 0 {
		return ""
	}
	d := op.Operand(0).Type.DType
	switch {
	case d == tensor.Uint8 && slices.Contains(noUint8, op.Name) || d == tensor.Int8 && op.Name == "Clip" && op.NumOperands() > 1:
		return fmt.Sprintf("TensorRT computes no %s in %s: cast it to int32 or float32", op.Name, d)
	case op.Name == "Mod" && attrInt(op, "fmod", 0) == 0 && d != tensor.Int32 && d != tensor.Int64:
		return fmt.Sprintf("TensorRT has Mod of int32 and int64, and of floats with fmod=1, not of %s", d)
	case (op.Name == "Cast" || op.Name == "CastLike") && (d == tensor.Int4 || op.Result(0).Type.DType == tensor.Int4):
		return "TensorRT has INT4 as weights of a DequantizeLinear only"
	case op.Name == "Resize" && op.Attrs.Get("coordinate_transformation_mode") == "tf_crop_and_resize":
		return "TensorRT has no Resize of a region"
	case op.Name == "Attention":
		return attentionReason(op)
	case op.Name == "LpPool" && attrInt(op, "p", 2) > 2:
		return fmt.Sprintf("TensorRT has the norms 1 and 2, not %d", attrInt(op, "p", 2))
	case op.Name == "Range" && (d == tensor.Float16 || d == tensor.BFloat16), op.Name == "Celu" && d != tensor.Float32:
		return fmt.Sprintf("TensorRT has no %s of %s", op.Name, d)
	case op.Name == "LayerNormalization" && op.NumResults() > 1 && slices.ContainsFunc(op.Results()[1:], func(v *ir.Value) bool { return v.NumUses() > 0 }):
		return "TensorRT gives the normalized result only, not the mean and the deviation"
	}
	return ""
}

// attentionReason says which forms of Attention TensorRT's has not.
func attentionReason(op *ir.Op) string {
	given := func(i int) bool { return i < op.NumOperands() && op.Operand(i) != nil }
	switch {
	case op.NumResults() > 1 && slices.ContainsFunc(op.Results()[1:], func(v *ir.Value) bool { return v.NumUses() > 0 }):
		return "TensorRT's Attention gives its first result only"
	case given(4) || given(5) || given(6):
		return "TensorRT's Attention takes no past keys and values and no padding"
	case op.Attrs.Has("softmax_precision"):
		return "TensorRT's Attention has no softmax_precision"
	case given(3) && attrInt(op, "is_causal", 0) != 0:
		return "TensorRT's Attention takes a mask or is_causal, not both"
	}
	return ""
}

func attrInt(op *ir.Op, name string, otherwise int64) int64 {
	if v, ok := op.Attrs.Get(name).(int64); ok {
		return v
	}
	return otherwise
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
	case tensor.Float8E4M3FNUZ, tensor.Float8E5M2, tensor.Float8E5M2FNUZ, tensor.Uint4, tensor.Int2, tensor.Uint2,
		tensor.Float6E2M3, tensor.Float6E3M2:
		return fmt.Sprintf("TensorRT has no %s", t.DType)
	case tensor.BFloat16:
		if oldest < 80 {
			return "bf16 needs compute capability 8.0"
		}
	case tensor.Float8E4M3FN:
		if oldest < 89 {
			return "FP8 needs compute capability 8.9"
		}
	case tensor.Float4E2M1, tensor.Float8E8M0:
		if oldest < 100 {
			return fmt.Sprintf("%s needs compute capability 10.0", t.DType)
		}
	case tensor.Int4:
		if oldest < 80 {
			return "INT4 weights need compute capability 8.0"
		}
	}
	return ""
}
