// Package pad lets a Conv do the padding that a Pad before it does.
package pad

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "fold-pad",
		Help: "let a Conv do the zero padding before it",
		Example: `func @main(%x: f32[N,1,3,3]) -> (y: f32[N,1,3,3]) {
  %0 = const f32[1,1,2,2] [1.0, 2.0, 3.0, 4.0]
  %1 = const i64[8] [0, 0, 1, 0, 0, 0, 0, 1]
  %2 = Pad(%x, %1) : f32[N,1,4,4]
  %3 = Conv(%2, %0) : f32[N,1,3,3]
  return(%3)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return passes.EachOp("fold-pad", apply), nil },
	})
}

func apply(c *passes.Context, conv *ir.Op) (bool, error) {
	if conv.Name != "Conv" || conv.Operand(0).Def() == nil {
		return false, nil
	}
	pad := conv.Operand(0).Def()
	if pad.Name != "Pad" || pad.Result(0).NumUses() != 1 {
		return false, nil
	}
	if s, ok := conv.Attrs.Get("auto_pad").(string); ok && s != "NOTSET" {
		return false, nil
	}
	if s, ok := pad.Attrs.Get("mode").(string); ok && s != "constant" || !zero(pad.Operand(2)) {
		return false, nil
	}
	pads, ok := spatial(pad)
	if !ok {
		return false, nil
	}
	if own, ok := conv.Attrs.Get("pads").([]int64); ok {
		if len(own) != len(pads) {
			return false, nil
		}
		for i, n := range own {
			pads[i] += n
		}
	}
	attrs := slices.Clone(conv.Attrs)
	attrs.Delete("auto_pad")
	attrs.Set("pads", pads)
	return c.Apply("pad-conv", conv, []*ir.Op{pad}, func(r *passes.Rewriter) []*ir.Value {
		operands := conv.Operands()
		operands[0] = pad.Operand(0)
		return []*ir.Value{r.Op("Conv", operands, attrs...)}
	})
}

// zero reports whether v is absent or a constant 0.
func zero(v *ir.Value) bool {
	if v == nil {
		return true
	}
	d := v.Data()
	if d == nil || d.Len() != 1 || !d.DType.IsFloat() {
		return false
	}
	t, err := d.Tensor()
	return err == nil && ref.Float64s(t)[0] == 0
}

// spatial returns the pads of the dims behind batch and channels, all begins
// before all ends, false where they are not known, negative or elsewhere.
func spatial(pad *ir.Op) ([]int64, bool) {
	r := pad.Result(0).Type.Rank()
	l, ok := ints(pad.Operand(1))
	if !ok || r < 3 {
		return nil, false
	}
	axes := make([]int64, r)
	for i := range axes {
		axes[i] = int64(i)
	}
	if v := pad.Operand(3); v != nil {
		if axes, ok = ints(v); !ok {
			return nil, false
		}
	}
	if len(l) != 2*len(axes) {
		return nil, false
	}
	pads := make([]int64, 2*(r-2))
	for i, a := range axes {
		if a < 0 {
			a += int64(r)
		}
		begin, end := l[i], l[len(axes)+i]
		switch {
		case begin < 0 || end < 0 || a < 0 || a >= int64(r):
			return nil, false
		case a < 2 && (begin != 0 || end != 0):
			return nil, false
		case a >= 2:
			pads[a-2], pads[a-2+int64(r-2)] = begin, end
		}
	}
	return pads, true
}

func ints(v *ir.Value) ([]int64, bool) {
	if v == nil || v.Data() == nil || v.Data().DType != tensor.Int64 {
		return nil, false
	}
	t, err := v.Data().Tensor()
	if err != nil {
		return nil, false
	}
	return tensor.Of[int64](t), true
}
