package codes

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "raise-dequantize",
		Help: "undo sink-dequantize for targets that compute in float: restore what is quantized at once, and move numbers",
		Example: `func @main(%x: f32[N,2,4]) -> (y: f32[N,8]) {
  %0 = const f32[] [0.5]
  %1 = QuantizeLinear(%x, %0) : u8[N,2,4]
  %2 = Flatten(%1) : u8[N,8]
  %3 = DequantizeLinear(%2, %0) : f32[N,8]
  return(%3)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return passes.EachBlock("raise-dequantize", raise), nil },
	})
}

func raise(c *passes.Context, b *ir.Block) (changed bool, err error) {
	r := raising{numbers: map[number]*ir.Value{}}
	for op := range b.Ops() {
		for _, region := range op.Regions {
			ok, err := raise(c, region)
			if changed = changed || ok; err != nil {
				return changed, err
			}
		}
		k, ok := codeOf(op, "DequantizeLinear")
		if !ok || !k.raisable(op.Operand(0)) {
			continue
		}
		ok, err = c.Change("raise", op, func() error {
			v, err := r.restored(k, op.Operand(0))
			if err != nil {
				return err
			}
			v.Type = v.Type.Refine(op.Result(0).Type)
			if v.Origin.Name == "" {
				v.Origin = op.Result(0).Origin
			}
			op.Result(0).ReplaceAllUsesWith(v)
			op.Erase()
			return nil
		})
		if changed = changed || ok; err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// raisable reports whether v is moved from what QuantizeLinear coded by k and
// from constants alone.
func (k code) raisable(v *ir.Value) bool {
	if v.Def() == nil {
		return false
	}
	if _, ok := moveOf(v.Def()); !ok {
		return false // nothing to raise it over
	}
	b := v.Def().Block()
	seen := map[*ir.Value]bool{}
	var coded func(v *ir.Value) bool
	coded = func(v *ir.Value) bool {
		if v == nil || v.Data() != nil || seen[v] {
			return true
		}
		if seen[v] = true; len(seen) > mostMoves || v.Def() == nil || v.Def().Block() != b {
			return false
		}
		if q, ok := codeOf(v.Def(), "QuantizeLinear"); ok {
			return q == k
		}
		m, ok := moveOf(v.Def())
		return ok && !slices.ContainsFunc(m.values, func(i int) bool { return !coded(v.Def().Operand(i)) })
	}
	return coded(v)
}

// number is a value restored by a code.
type number struct {
	codes *ir.Value
	code  code
}

type raising struct{ numbers map[number]*ir.Value }

// restored returns the numbers of v, computed behind it.
func (r *raising) restored(k code, v *ir.Value) (*ir.Value, error) {
	if x := r.numbers[number{v, k}]; x != nil {
		return x, nil
	}
	def := v.Def()
	b := ir.After(def)
	b.Loc = def.Loc
	m, ok := moveOf(def)
	if v.Data() != nil || !ok {
		x, err := k.dequantize(b, v)
		if err != nil {
			return nil, err
		}
		for _, u := range v.Uses() { // which restore it later
			if c, ok := codeOf(u.Op, "DequantizeLinear"); ok && c == k && u.Index == 0 && u.Op.Result(0) != x {
				u.Op.Result(0).ReplaceAllUsesWith(x)
			}
		}
		r.numbers[number{v, k}] = x
		return x, nil
	}
	operands := m.operands(def)
	for _, i := range m.values {
		if operands[i] == nil { // a Pad with code 0
			operands[i] = b.Tensor(tensor.Scalar(tensor.Float32, (0-k.zero)*k.scale))
			continue
		}
		x, err := r.restored(k, operands[i])
		if err != nil {
			return nil, err
		}
		operands[i] = x
	}
	op, err := ops.BuildN(b, def.Name, def.NumResults(), operands, def.Attrs...)
	if err != nil {
		return nil, err
	}
	for i, x := range op.Results() {
		r.numbers[number{def.Result(i), k}] = x
	}
	return op.Result(v.Index()), nil
}
