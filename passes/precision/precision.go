// Package precision converts a float32 model to float16 or bfloat16: whole ops
// where ONNX defines them for the type, or the weights alone.
package precision

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "precision",
		Help: "compute and store in fp16 or bf16; inputs and outputs stay float32",
		Options: []passes.Option{
			{Name: "precision", Default: "fp16", Type: passes.OneOf("fp16", "bf16"), Help: "fp16 or bf16"},
			{Name: "scope", Default: "all", Type: passes.OneOf("all", "weights"), Help: "all, or weights: stored small, computed in float32"},
			{Name: "calibration", Help: "inputs as for quantize, to measure each op with: those whose values leave the type's range stay float32"},
			{Name: "keep-worst", Default: "0", Help: "so many of the ops that lose most stay float32; measured on random inputs where there is no calibration"},
			{Name: "keep-under", Default: "0", Help: "ops that lose so much that their own signal-to-noise ratio is less, in dB, stay float32; measured likewise"},
			{Name: "exclude", Help: "ops to leave in float32: names or operator types, | between them, * for any text"},
		},
		Example: `func @main(%x: f32[N,2]) -> (y: f32[N,2]) {
  %0 = const f32[2,2] [1.0, -2.0, 0.5, 4.0]
  %1 = MatMul(%x, %0) : f32[N,2]
  %2 = Relu(%1) : f32[N,2]
  return(%2)
}
`,
		New: newPass,
	})
}

type pass struct {
	to          tensor.DType
	max         float64 // the largest number of the type
	calibration string
	choice      Choice
	exclude     layers.Patterns
}

func newPass(o passes.Options) (passes.Pass, error) {
	p := &pass{calibration: o["calibration"], exclude: layers.ParsePatterns(o["exclude"])}
	p.to = tensor.Float16
	if o["precision"] == "bf16" {
		p.to = tensor.BFloat16
	}
	p.max = largest(p.to)
	var err error
	if p.choice, err = ParseChoice(o["keep-worst"], o["keep-under"]); err != nil {
		return nil, fmt.Errorf("precision: %w", err)
	}
	run := p.all
	if o["scope"] == "weights" {
		run = p.weights
	}
	return passes.Func("precision", func(c *passes.Context, m *ir.Module) (bool, error) {
		if op := layers.Compressed(m); op != nil {
			c.Note("warning: the model is quantized already, or its weights are stored as codes, at %s: only what is float32 is converted", ops.Describe(op))
		}
		changed, err := run(c, m)
		if err == nil && !changed {
			c.Note("warning: nothing was converted: no operator or weight is in float32 and fits %s", p.to)
		}
		return changed, err
	}), nil
}

// weights stores every large constant in the type, behind a Cast.
func (p *pass) weights(c *passes.Context, m *ir.Module) (changed bool, err error) {
	for _, f := range m.Funcs {
		for op := range f.Body.Ops() {
			d := op.Result(0).Data()
			if d == nil || d.DType != tensor.Float32 || d.Len() < 16 || op.Unused() || p.exclude.MatchOp(op) {
				continue
			}
			t, fits, err := p.narrow(d)
			if err != nil {
				return changed, err
			}
			if !fits {
				c.Note("%s stays float32: it holds numbers beyond %g", ops.Describe(op), p.max)
				continue
			}
			ok, err := c.Apply("narrow-weights", op, nil, func(r *passes.Rewriter) []*ir.Value {
				return []*ir.Value{r.Op("Cast", []*ir.Value{r.Tensor(t)}, cast(tensor.Float32))}
			})
			changed = changed || ok
			if err != nil {
				return changed, err
			}
		}
	}
	return changed, nil
}

func cast(to tensor.DType) ir.Attr { return ir.Attr{Name: "to", Value: int64(to)} }

// narrow converts a constant, and reports whether its finite numbers stay so.
func (p *pass) narrow(d *ir.Data) (*tensor.Tensor, bool, error) {
	t, err := d.Tensor()
	if err != nil {
		return nil, false, err
	}
	for _, x := range tensor.Of[float32](t) {
		if a := math.Abs(float64(x)); a > p.max && !math.IsInf(a, 0) {
			return nil, false, nil
		}
	}
	y, err := ref.Cast(t, p.to, ref.CastOptions{})
	return y, true, err
}

// all converts every op that ONNX defines for the type. Each one is converted
// by itself, a Cast around every operand and result; where the result of one is
// the operand of the next, the pair of casts between them is left out.
func (p *pass) all(c *passes.Context, m *ir.Module) (changed bool, err error) {
	kept, err := p.kept(c, m)
	if err != nil {
		return false, err
	}
	wide := map[*ir.Value]*ir.Value{} // a float32 value that stands for a narrow one
	narrow := map[*ir.Value]*ir.Value{}
	for _, f := range m.Funcs {
		for op := range f.Body.Ops() {
			vars := p.variables(op)
			if len(vars) == 0 {
				continue
			}
			why := kept[op]
			if why == "" {
				why = p.overflows(op)
			}
			if why != "" {
				c.Note("%s stays float32: %s", ops.Describe(op), why)
				continue
			}
			ok, err := c.Change("narrow-op", op, func() error { return p.convert(op, vars, wide, narrow) })
			changed = changed || ok
			if err != nil {
				return changed, err
			}
		}
	}
	return changed, nil
}

// kept measures the ops, where that is asked for, and returns those that stay in float32.
func (p *pass) kept(c *passes.Context, m *ir.Module) (map[*ir.Op]string, error) {
	if p.calibration == "" && p.choice == (Choice{}) {
		return nil, nil
	}
	batches, err := calibrate.LoadOrSeeded(p.calibration, m.Main().Body.Args, SeededBatches)
	if err != nil {
		return nil, err
	}
	r, err := Measure(c, m, batches, p.to, func(op *ir.Op) bool { return len(p.variables(op)) > 0 })
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(r.String()) {
		c.Note("%s", strings.TrimSuffix(line, "\n"))
	}
	return r.Keep(p.choice), nil
}

// variables returns the type variables of op that can turn narrow; nil where
// op stays as it is.
func (p *pass) variables(op *ir.Op) []string {
	s := ops.SchemaOf(op.Name)
	if s == nil || len(op.Regions) > 0 || p.exclude.MatchOp(op) || op.Name == "Cast" || op.Name == ir.ConstantName {
		return nil
	}
	for _, v := range slices.Concat(op.Operands(), op.Results()) {
		if v != nil && !v.Type.IsTensor() {
			return nil
		}
	}
	var vars []string
	for i, v := range op.Operands() {
		f := formal(s.Inputs, i)
		if v != nil && f != nil && v.Type.DType == tensor.Float32 && slices.Contains(s.Types[f.Type], p.to.String()) && !slices.Contains(vars, f.Type) {
			vars = append(vars, f.Type)
		}
	}
	return vars
}

// formal returns the parameter that stands for operand or result i.
func formal(params []ops.Param, i int) *ops.Param {
	if n := len(params); i >= n && n > 0 && params[n-1].Variadic {
		i = n - 1
	}
	if i >= len(params) {
		return nil
	}
	return &params[i]
}

// overflows says which constant lets op stay float32, "" where none does.
func (p *pass) overflows(op *ir.Op) string {
	for _, v := range slices.Concat(op.Operands(), op.Results()) {
		if v == nil || v.Type.DType != tensor.Float32 {
			continue
		}
		if d := v.Data(); d != nil {
			if _, fits, err := p.narrow(d); err == nil && !fits {
				return fmt.Sprintf("a constant of it is beyond %g", p.max)
			}
		}
	}
	return ""
}

func (p *pass) convert(op *ir.Op, vars []string, wide, narrow map[*ir.Value]*ir.Value) error {
	s := ops.SchemaOf(op.Name)
	for i, v := range op.Operands() {
		f := formal(s.Inputs, i)
		if v == nil || f == nil || v.Type.DType != tensor.Float32 || !slices.Contains(vars, f.Type) {
			continue
		}
		n := wide[v]
		if n == nil {
			n = narrow[v]
		}
		if n == nil {
			var err error
			if n, err = p.narrowed(op, v); err != nil {
				return err
			}
			narrow[v] = n
		}
		op.SetOperand(i, n)
	}
	b := ir.After(op)
	for i, r := range op.Results() {
		f := formal(s.Outputs, i)
		if f == nil || r.Type.DType != tensor.Float32 || !slices.Contains(vars, f.Type) {
			continue
		}
		origin := r.Origin
		w := b.Op("Cast", []*ir.Value{nil}, []ir.Type{r.Type}, cast(tensor.Float32))
		r.ReplaceAllUsesWith(w.Result(0))
		r.Type, r.Origin = r.Type.WithDType(p.to), ir.Origin{}
		w.SetOperand(0, r)
		w.Result(0).Origin = origin
		wide[w.Result(0)] = r
	}
	return nil
}

// narrowed inserts the narrow form of a value before op.
func (p *pass) narrowed(op *ir.Op, v *ir.Value) (*ir.Value, error) {
	if d := v.Data(); d != nil {
		t, _, err := p.narrow(d)
		if err != nil {
			return nil, err
		}
		n := ir.Before(op).Tensor(t)
		n.Origin = v.Origin
		return n, nil
	}
	c := ir.Before(op).Op("Cast", []*ir.Value{v}, []ir.Type{v.Type.WithDType(p.to)}, cast(p.to))
	return c.Result(0), nil
}
