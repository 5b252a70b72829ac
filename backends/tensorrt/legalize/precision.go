package legalize

import (
	"maps"
	"slices"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/passes/precision"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// keptOps stay in float32 unless told otherwise: their results leave the range
// of float16 easily, or their inputs are coordinates and thresholds.
var keptOps = []string{
	"Pow", "Exp", "Log", "ReduceSumSquare", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSum", "ReduceProd",
	"CumSum", "CumProd", "Range", "RoiAlign", "NonMaxSuppression", "GridSample", "STFT", "DFT", "LRN", "LpPool", "GlobalLpPool",
	"Einsum", "Cast", "CastLike", "ConstantOfShape", "EyeLike",
	"InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "MeanVarianceNormalization", "LpNormalization",
	"Mod", "TopK", "ArgMax", "ArgMin",
}

// keptBFloat16 stay in float32 where the rest becomes bfloat16: TensorRT has no kernels for them.
var keptBFloat16 = []string{"ConvTranspose", "GRU", "HardSwish", "HardSigmoid"}

// narrowOperands are the operands that become narrow, where that is not all of
// them. Scales keep their float32: small ones are below what float16 has.
var narrowOperands = map[string][]int{"Resize": {0}, "Upsample": {0}, "OneHot": {}, "Pad": {0, 2}, "QuantizeLinear": {0}, "DequantizeLinear": {}}

// narrowing rewrites float32 arithmetic to a narrow float type.
type narrowing struct {
	*passes.Context
	to      tensor.DType
	keep    layers.Patterns
	batches []calibrate.Batch // to measure with
	choice  precision.Choice
	exact   map[string]bool
	kept    map[*ir.Op]string // by measure
	narrow  map[*ir.Value]*ir.Value
}

func init() {
	passes.Register(passes.Spec{
		Name: "trt-precision",
		Help: "compute in float16 or bfloat16 by inserting casts, inputs and outputs staying float32",
		Options: []passes.Option{
			{Name: "to", Default: "f16", Type: passes.OneOf("f16", "bf16"), Help: "f16 or bf16"},
			{Name: "keep", Help: "ops to keep in float32: names or operator types, | between them, * for any text"},
		},
		Example: `func @main(%x: f32[N,2]) -> (y: f32[N,2]) {
  %0 = const f32[2,2] [1.0, -2.0, 0.5, 4.0]
  %1 = MatMul(%x, %0) : f32[N,2]
  return(%1)
}
`,
		New: func(o passes.Options) (passes.Pass, error) {
			to, _ := tensor.ParseDType(o["to"])
			return Precision(to, Options{Keep: o["keep"]}, nil, nil), nil
		},
	})
}

// Precision is the pass that computes in a narrow float type: tensor.Float16
// or tensor.BFloat16. Ops that o.Keep matches, those that are measured to lose
// too much, and those that do so by nature stay in float32, and so does what came of
// the ONNX nodes that exact names. What was kept by measure is put down in kept.
func Precision(to tensor.DType, o Options, exact map[string]bool, kept map[*ir.Op]string) passes.Pass {
	return passes.Func("trt-precision", func(c *passes.Context, m *ir.Module) (bool, error) {
		p := &narrowing{Context: c, to: to, keep: layers.ParsePatterns(o.Keep), batches: o.Batches, choice: o.Choice, exact: exact, narrow: map[*ir.Value]*ir.Value{}}
		var err error
		if p.kept, err = p.measured(m); err != nil {
			return false, err
		}
		if kept != nil {
			maps.Copy(kept, p.kept)
		}
		return eachOp(m, p.visit)
	})
}

func (p *narrowing) visit(op *ir.Op) (bool, error) {
	if !p.takes(op) {
		return false, nil
	}
	return p.Apply("", op, nil, func(r *passes.Rewriter) []*ir.Value { return p.rewrite(r, op) })
}

// takes reports whether op is float32 arithmetic that may become narrow.
func (p *narrowing) takes(op *ir.Op) bool {
	if op.Name == ir.YieldName || op.Name == ir.ConstantName || len(op.Regions) > 0 || p.kept[op] != "" || p.keep.MatchOp(op) {
		return false
	}
	switch op.Name {
	case "QuantizeLinear": // where what it rounds is narrow already
		return p.narrow[op.Operand(0)] != nil
	case "DequantizeLinear":
		if op.Operand(0).Type.DType == tensor.Int4 && !p.holds(op.Operand(1)) {
			return false
		}
		return isF32(op.Result(0)) && slices.ContainsFunc(op.Result(0).Uses(), func(u ir.Use) bool { return p.takes(u.Op) && narrows(u.Op.Name, u.Index) })
	}
	if impl := ops.Lookup(op.Name); impl == nil || impl.Traits != 0 || slices.Contains(keptOps, op.Name) {
		return false
	}
	if p.to == tensor.BFloat16 && slices.Contains(keptBFloat16, op.Name) {
		return false
	}
	if slices.ContainsFunc(op.Loc, func(n string) bool { return p.exact[n] }) {
		return false
	}
	wide := false
	for i, v := range op.Operands() {
		if v == nil || !isF32(v) || !narrows(op.Name, i) {
			continue
		}
		if fromInteger(v) && p.to == tensor.Float16 {
			return false
		}
		wide = true
	}
	return wide
}

// holds reports whether the narrow type has a constant's numbers at full precision.
func (p *narrowing) holds(scale *ir.Value) bool {
	d := scale.Data()
	if d == nil {
		return false
	}
	t, err := d.Tensor()
	return err == nil && (p.to != tensor.Float16 || !slices.ContainsFunc(ref.Float64s(t), func(f float64) bool { return f < 0x1p-14 || f > 65504 }))
}

// fromInteger reports whether v is a cast from integers that may be larger than float16 reaches: sums of products of
// bytes, positions.
func fromInteger(v *ir.Value) bool {
	def := v.Def()
	if def == nil || def.Name != "Cast" {
		return false
	}
	d := def.Operand(0).Type.DType
	return d == tensor.Int32 || d == tensor.Int64
}

func isF32(v *ir.Value) bool { return v.Type.IsTensor() && v.Type.DType == tensor.Float32 }

func narrows(op string, operand int) bool {
	list, ok := narrowOperands[op]
	return !ok || slices.Contains(list, operand)
}

// rewrite builds the narrow form of op. What follows finds the narrow result in p.narrow; all else reads the
// cast back to float32, which falls away where nothing does.
func (p *narrowing) rewrite(r *passes.Rewriter, op *ir.Op) []*ir.Value {
	operands := slices.Clone(op.Operands())
	for i, v := range operands {
		if v != nil && isF32(v) && narrows(op.Name, i) {
			operands[i] = p.narrowed(r, v)
		}
	}
	var types []ir.Type
	for _, res := range op.Results() {
		t := res.Type
		if isF32(res) {
			t = t.WithDType(p.to)
		}
		types = append(types, t)
	}
	attrs := op.Attrs
	if op.Name == "DequantizeLinear" {
		if operands[0].Type.DType == tensor.Int4 {
			operands[1] = p.narrowed(r, operands[1]) // TensorRT wants scales of blocks to have the type of the result
		} else {
			attrs = slices.Clone(attrs)
			attrs.Set("output_dtype", int64(p.to))
		}
	}
	n := r.Builder.Op(op.Name, operands, types, attrs...)
	var out []*ir.Value
	for i, res := range op.Results() {
		v := n.Result(i)
		if isF32(res) {
			v.Origin = res.Origin
			wide := r.Builder.Op("Cast", []*ir.Value{v}, []ir.Type{res.Type}, ir.Attr{Name: "to", Value: int64(tensor.Float32)}).Result(0)
			p.narrow[wide] = v
			v = wide
		}
		out = append(out, v)
	}
	return out
}

// narrowed is the narrow form of a float32 value: that which it was widened from, a constant of its own, or a cast.
func (p *narrowing) narrowed(r *passes.Rewriter, v *ir.Value) *ir.Value {
	if n := p.narrow[v]; n != nil {
		return n
	}
	var n *ir.Value
	if d := v.Data(); d != nil {
		n = ir.After(v.Def()).Constant(narrowData(d, p.to))
	} else {
		b := r.Builder
		if def := v.Def(); def != nil {
			b = ir.After(def)
		} else if first := v.Block().First(); first != nil {
			b = ir.Before(first)
			b.Loc = r.Loc
		}
		n = b.Op("Cast", []*ir.Value{v}, []ir.Type{v.Type.WithDType(p.to)}, ir.Attr{Name: "to", Value: int64(p.to)}).Result(0)
	}
	p.narrow[v] = n
	return n
}

// narrowData is a constant rounded to a narrow type when it is read. Finite
// values beyond the range stay finite: a mask of -3.4e38 has to stay a number.
func narrowData(d *ir.Data, to tensor.DType) *ir.Data {
	return ir.LazyData(to, d.Shape, func() (*tensor.Tensor, error) {
		t, err := d.Tensor()
		if err != nil {
			return nil, err
		}
		out := tensor.New(to, d.Shape...)
		dst := tensor.Of[uint16](out)
		for i, f := range tensor.Of[float32](t) {
			if to == tensor.BFloat16 {
				dst[i] = saturate(float16.BFloat16FromFloat32(f), f, 0x7f80)
			} else {
				dst[i] = saturate(float16.FromFloat32(f), f, 0x7c00)
			}
		}
		return out, nil
	})
}

// saturate takes the largest number in place of an infinity that f was not. inf is the type's infinity.
func saturate(bits uint16, f float32, inf uint16) uint16 {
	if bits&0x7fff == inf && f-f == 0 {
		return bits - 1
	}
	return bits
}
