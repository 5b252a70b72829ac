// Package layers tells the compressing passes which ops of a module hold
// weights, and which axes of the weights mean what.
//
// It knows the IR and nothing of how weights are made smaller.
package layers

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// WeightOperand is where all layers have their weights.
const WeightOperand = 1

// Layer is an op with constant float32 weights.
type Layer struct {
	Op     *ir.Op
	Weight *ir.Data
	Out    int // the axis of the weights that counts output channels
	In     int // the axis that the op sums over, its channels for a Conv
}

// Names returns every name by which the layer may be called: those of its
// ONNX nodes, of its results and of its weights.
func (l Layer) Names() []string { return opNames(l.Op) }

func opNames(op *ir.Op) []string {
	names := slices.Clone(op.Loc)
	for _, r := range op.Results() {
		if r.Origin.Name != "" {
			names = append(names, r.Origin.Name)
		}
	}
	if w := op.Operand(WeightOperand); w != nil && w.Data() != nil && w.Origin.Name != "" {
		names = append(names, w.Origin.Name)
	}
	return names
}

// Values returns the weights, which are finite. They may be shared: do not write to them.
func (l Layer) Values() ([]float32, error) {
	t, err := l.Weight.Tensor()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ops.Describe(l.Op), err)
	}
	w := tensor.Of[float32](t)
	for i, x := range w {
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%s: weight %d is %v: exclude the layer or look at the model", ops.Describe(l.Op), i, x)
		}
	}
	return w, nil
}

// Replace makes the op read other weights, as one application of the rule.
// build inserts before the op.
func (l Layer) Replace(c *passes.Context, rule string, build func(b *ir.Builder) (*ir.Value, error)) (bool, error) {
	return c.Change(rule, l.Op, func() error {
		v, err := build(ir.Before(l.Op))
		if err != nil {
			return err
		}
		v.Origin = l.Op.Operand(WeightOperand).Origin
		l.Op.SetOperand(WeightOperand, v)
		return nil
	})
}

// Find returns the layers of the module in program order, those of regions
// included, without the ones that skip matches. A pattern that matches no
// layer is an error: it is a name misspelt. So is a model that is compressed
// already, or that has no layers.
func Find(m *ir.Module, skip Patterns) ([]Layer, error) {
	if m.Level != ir.Core {
		return nil, fmt.Errorf("weights can be compressed at the core level only, this module is %s", m.Level)
	}
	if op := Compressed(m); op != nil {
		return nil, fmt.Errorf("the model is quantized already, or its weights are stored as codes, at %s: start from the float model", ops.Describe(op))
	}
	var found []Layer
	any := false
	used := make([]bool, len(skip))
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			l, ok := Of(op)
			any = any || ok
			if ok && !skip.match(l.Names(), used) {
				found = append(found, l)
			}
			return true
		})
	}
	if !any {
		return nil, fmt.Errorf("the model has no layer with constant float32 weights (Conv, ConvTranspose, Gemm, MatMul)")
	}
	for i, u := range used {
		if !u {
			return nil, fmt.Errorf("exclude: %q matches no layer", skip[i].text)
		}
	}
	return found, nil
}

// Compressed returns the first op that computes with codes, or restores weights
// from them; nil for a float model.
func Compressed(m *ir.Module) (first *ir.Op) {
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			switch op.Name {
			case "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger":
				first = op
			case "Conv", "ConvTranspose", "Gemm", "MatMul":
				if decoded(op.Operand(WeightOperand)) {
					first = op
				}
			}
			return first == nil
		})
	}
	return first
}

// decoded reports whether v comes from codes, through ops of which one operand
// at most is not a constant.
func decoded(v *ir.Value) bool {
	for v != nil && v.Def() != nil && v.Data() == nil {
		op := v.Def()
		if ops.Decodes(op) && op.Operand(0).Data() != nil {
			return true
		}
		v = nil
		for _, o := range op.Operands() {
			if o == nil || o.Data() != nil {
				continue
			}
			if v != nil {
				return false
			}
			v = o
		}
	}
	return false
}

// Of returns the layer that op is, if it is one.
func Of(op *ir.Op) (Layer, bool) {
	w := op.Operand(WeightOperand).Data()
	if w == nil || w.DType != tensor.Float32 || len(w.Shape) < 2 || w.Len() == 0 {
		return Layer{}, false
	}
	l := Layer{Op: op, Weight: w}
	switch rank := len(w.Shape); op.Name {
	case "Conv":
		l.Out, l.In = 0, 1
	case "ConvTranspose":
		l.Out, l.In = 1, 0
	case "MatMul":
		l.Out, l.In = rank-1, rank-2
	case "Gemm":
		l.Out, l.In = 1, 0
		if t, _ := op.Attrs.Get("transB").(int64); t != 0 {
			l.Out, l.In = 0, 1
		}
	default:
		return Layer{}, false
	}
	return l, true
}

// Patterns are names of layers; * stands for any text.
type Patterns []pattern

type pattern struct {
	text string
	re   *regexp.Regexp
}

// ParsePatterns reads patterns that | separates.
func ParsePatterns(text string) Patterns {
	var ps Patterns
	for t := range strings.SplitSeq(text, "|") {
		if t = strings.TrimSpace(t); t != "" {
			re := "^" + strings.ReplaceAll(regexp.QuoteMeta(t), `\*`, ".*") + "$"
			ps = append(ps, pattern{t, regexp.MustCompile(re)})
		}
	}
	return ps
}

// MatchOp reports whether a pattern matches one of the names of op, or its
// operator type.
func (ps Patterns) MatchOp(op *ir.Op) bool {
	return ps.match(append(opNames(op), op.Name), make([]bool, len(ps)))
}

// Check is an error where a pattern matches no op of the module: a name misspelt.
func (ps Patterns) Check(m *ir.Module) error {
	used := make([]bool, len(ps))
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			ps.match(append(opNames(op), op.Name), used)
			return true
		})
	}
	for i, u := range used {
		if !u {
			return fmt.Errorf("%q matches no operation of the model", ps[i].text)
		}
	}
	return nil
}

func (ps Patterns) match(names []string, used []bool) bool {
	hit := false
	for i, p := range ps {
		if slices.ContainsFunc(names, p.re.MatchString) {
			hit, used[i] = true, true
		}
	}
	return hit
}

// Channels calls f for every element of a tensor with its index and its
// position along the axis.
func Channels(shape []int, axis int, f func(i, channel int)) {
	inner := 1
	for _, d := range shape[axis+1:] {
		inner *= d
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	for i := range n {
		f(i, i/inner%shape[axis])
	}
}
