// Package recurrent takes off LSTM, GRU and RNN what says nothing: zeros for
// the operands that are zeros where absent, lengths that are whole, activations
// that are the default.
package recurrent

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "simplify-recurrent",
		Help: "drop operands of LSTM, GRU and RNN that are zeros or whole lengths, and attributes that are the default",
		Example: `func @main(%x: f32[3,N,2]) -> (y: f32[3,1,N,2]) {
  %0 = const f32[1,2,2] [0.5, 0.25, -0.5, 1.0]
  %1 = const f32[1,2,2] [0.5, 0.25, -0.5, 1.0]
  %2 = const f32[1,4] [0.0, 0.0, 0.0, 0.0]
  %3:2 = RNN(%x, %0, %1, %2) {hidden_size=2} : f32[3,1,N,2], f32[1,N,2]
  return(%3#0)
}
`,
		New: func(passes.Options) (passes.Pass, error) {
			return passes.Func("simplify-recurrent", func(c *passes.Context, m *ir.Module) (bool, error) {
				changed := false
				for _, f := range m.Funcs {
					var err error
					f.Body.Walk(func(op *ir.Op) bool {
						var ok bool
						ok, err = simplify(c, op)
						changed = changed || ok
						return err == nil
					})
					if err != nil {
						return changed, err
					}
				}
				return changed, nil
			}), nil
		},
	})
}

// defaults are the activations of one direction.
var defaults = map[string][]string{"LSTM": {"Sigmoid", "Tanh", "Tanh"}, "GRU": {"Sigmoid", "Tanh"}, "RNN": {"Tanh"}}

// The operands after X, W and R: what is absent counts as zeros, but for the
// lengths.
const (
	bias    = 3
	lengths = 4
	last    = 7 // LSTM's peepholes
)

func simplify(c *passes.Context, op *ir.Op) (bool, error) {
	own, ok := defaults[op.Name]
	if !ok {
		return false, nil
	}
	var drop []int
	for i := bias; i <= last; i++ {
		v := op.Operand(i)
		if v != nil && (i == lengths && whole(op, v) || i != lengths && zeros(v, 16)) {
			drop = append(drop, i)
		}
	}
	list, _ := op.Attrs.Get("activations").([]string)
	named := len(list) > 0 && len(list)%len(own) == 0
	for i, a := range list {
		named = named && a == own[i%len(own)]
	}
	if len(drop) == 0 && !named {
		return false, nil
	}
	return c.Change("default", op, func() error {
		operands := op.Operands()
		for _, i := range drop {
			operands[i] = nil
		}
		for operands[len(operands)-1] == nil {
			operands = operands[:len(operands)-1]
		}
		op.SetOperands(operands...)
		if named {
			op.Attrs.Delete("activations")
		}
		return nil
	})
}

// whole reports whether every sequence has all the steps that there are.
func whole(op *ir.Op, v *ir.Value) bool {
	x := op.Operand(0)
	if x.Type.Rank() != 3 || v.Data() == nil || v.Data().DType != tensor.Int32 {
		return false
	}
	axis := 0
	if l, _ := op.Attrs.Get("layout").(int64); l != 0 {
		axis = 1
	}
	steps, ok := x.Type.Dims[axis].Int()
	t, err := v.Data().Tensor()
	return ok && err == nil && !slices.ContainsFunc(tensor.Of[int32](t), func(n int32) bool { return int64(n) != steps })
}

// moves are the ops that give zeros for zeros, whatever else they are told.
var moves = map[string]bool{
	"Identity": true, "Reshape": true, "Squeeze": true, "Unsqueeze": true, "Flatten": true, "Transpose": true, "Slice": true,
	"Expand": true, "Cast": true, "Gather": true, "Tile": true,
}

// zeros reports whether a value surely is all zeros; depth bounds how far back
// to look.
func zeros(v *ir.Value, depth int) bool {
	if d := v.Data(); d != nil {
		if !d.DType.IsFloat() || d.Len() > 1<<20 {
			return false
		}
		t, err := d.Tensor()
		return err == nil && !slices.ContainsFunc(t.Data, func(b byte) bool { return b != 0 })
	}
	op := v.Def()
	switch {
	case op == nil || depth == 0:
		return false
	case op.Name == "ConstantOfShape":
		t, ok := op.Attrs.Get("value").(*ir.Data)
		if !ok {
			return true // the default
		}
		x, err := t.Tensor()
		return err == nil && !slices.ContainsFunc(x.Data, func(b byte) bool { return b != 0 })
	case op.Name == "Concat":
		return !slices.ContainsFunc(op.Operands(), func(v *ir.Value) bool { return !zeros(v, depth-1) })
	}
	return moves[op.Name] && op.NumResults() == 1 && zeros(op.Operand(0), depth-1)
}
