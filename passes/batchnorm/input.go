package batchnorm

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "fold-input-scale",
		Help: "fold constants that the channels of a Conv's input are multiplied with, or that are added to them where nothing is padded, into its weights",
		Example: `func @main(%x: f32[N,2,3,3]) -> (y: f32[N,1,3,3]) {
  %0 = const f32[1,2,1,1] [2.0, 3.0]
  %1 = const f32[2,1,1] [0.5, 2.0]
  %2 = const f32[2,1,1] [1.0, -1.0]
  %3 = Mul(%x, %1) : f32[N,2,3,3]
  %4 = Add(%3, %2) : f32[N,2,3,3]
  %5 = Conv(%4, %0) : f32[N,1,3,3]
  return(%5)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return passes.EachOp("fold-input-scale", foldInput), nil },
	})
}

func foldInput(c *passes.Context, conv *ir.Op) (bool, error) {
	if conv.Name != "Conv" || !alone(conv, conv.Operand(0)) {
		return false, nil
	}
	op := conv.Operand(0).Def()
	side, ok := constantSide(op)
	l := newLinear(&linear{op: conv})
	if !ok || l == nil {
		return false, nil
	}
	x, group := op.Operand(1-side), 1
	if g, ok := conv.Attrs.Get("group").(int64); ok {
		group = int(g)
	}
	n := l.w.Shape[1] * group
	if x.Type.Rank() != len(l.w.Shape) || !x.Type.Dims[1].IsInt(int64(n)) || group < 1 || l.n%group != 0 {
		return false, nil
	}
	a, ok := channels(op, side, n, 1)
	if !ok || a.shifts() && pads(conv) {
		return false, nil // the padding is zero, not zero and the shift
	}
	in, err := l.w.Tensor()
	if err != nil {
		return false, err
	}
	return c.Apply("input", conv, []*ir.Op{op}, func(r *passes.Rewriter) []*ir.Value {
		w, b := l.ahead(in, a, group)
		return []*ir.Value{r.Op("Conv", []*ir.Value{x, weights(r, conv, w), r.Tensor(b)}, conv.Attrs...)}
	})
}

// ahead returns the weights and bias of a Conv that maps the channels of its
// input by a before all else.
func (l *linear) ahead(in *tensor.Tensor, a affine, group int) (w, b *tensor.Tensor) {
	w = tensor.New(tensor.Float32, in.Shape...)
	out, bias := tensor.Of[float32](w), make([]float64, l.n)
	for i, f := range l.b {
		bias[i] = float64(f)
	}
	per := in.Shape[1] // input channels of a group
	kernel := len(out) / (l.n * per)
	for i, f := range tensor.Of[float32](in) {
		o := l.channel(i)
		from := o/(l.n/group)*per + i/kernel%per
		out[i] = float32(float64(f) * a.scale[from])
		bias[o] += float64(f) * a.shift[from]
	}
	return w, tensor.Float32s(narrow(bias), l.n)
}

// pads reports whether a Conv may pad its input.
func pads(conv *ir.Op) bool {
	if s, ok := conv.Attrs.Get("auto_pad").(string); ok && s != "NOTSET" && s != "VALID" {
		return true
	}
	p, _ := conv.Attrs.Get("pads").([]int64)
	return slices.ContainsFunc(p, func(n int64) bool { return n != 0 })
}
