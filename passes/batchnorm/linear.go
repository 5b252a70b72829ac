package batchnorm

import (
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "fold-scale",
		Help: "fold constants that are added to or multiplied with the channels of a Conv, ConvTranspose, MatMul or Gemm into its weights",
		Example: `func @main(%x: f32[N,1,3,3]) -> (y: f32[N,2,3,3]) {
  %0 = const f32[2,1,1,1] [2.0, 3.0]
  %1 = const f32[2,1,1] [3.0, -1.0]
  %2 = Conv(%x, %0) : f32[N,2,3,3]
  %3 = Add(%2, %1) : f32[N,2,3,3]
  return(%3)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return passes.EachOp("fold-scale", foldScale), nil },
	})
}

// maxShared is the most elements of a weight that others read too: scaling it
// makes a second one.
const maxShared = 1 << 16

// linear is an op whose result is linear in its weights: y = f(x, w) + b, a
// channel of y from a slice of w.
type linear struct {
	op, add *ir.Op // add is the Add of a bias behind a MatMul
	w       *ir.Data
	b       []float32
	n       int // channels
	axis    int // of y
	// channel gives the channel of the i-th weight.
	channel func(i int) int
}

func foldScale(c *passes.Context, op *ir.Op) (bool, error) {
	side, ok := constantSide(op)
	if !ok {
		return false, nil
	}
	x := op.Operand(1 - side) // of a Neg, the first operand
	l := linearOf(op, x)
	if l == nil || op.Result(0).Type.Rank() != x.Type.Rank() {
		return false, nil
	}
	a, ok := channels(op, side, l.n, l.axis)
	if !ok {
		return false, nil
	}
	return l.fold(c, "scale", op, a)
}

// fold replaces op, which maps the channels of l's result by a, with l on
// other weights. It returns false where it cannot.
func (l *linear) fold(c *passes.Context, rule string, op *ir.Op, a affine) (bool, error) {
	if l.op.Name == "MatMul" && l.add == nil && a.shifts() {
		return false, nil // a MatMul has no bias: the Add is that
	}
	w, b, ok := l.scaled(a)
	if !ok {
		return false, nil
	}
	also := []*ir.Op{l.op}
	if l.add != nil {
		also = append(also, l.add)
	}
	return c.Apply(rule, op, also, func(r *passes.Rewriter) []*ir.Value {
		operands := []*ir.Value{l.op.Operand(0), weights(r, l.op, w)}
		if l.op.Name != "MatMul" {
			operands = append(operands, r.Tensor(b))
		}
		y := r.Op(l.op.Name, operands, l.op.Attrs...)
		if l.add != nil {
			y = r.Op("Add", []*ir.Value{y, r.Tensor(b)})
		}
		return []*ir.Value{y}
	})
}

// constantSide returns which operand of op is a float constant, where the op
// is affine in the other.
func constantSide(op *ir.Op) (int, bool) {
	switch op.Name {
	case "Add", "Mul", "Sub", "Div":
	case "Neg":
		return 1, true
	default:
		return 0, false
	}
	for _, side := range []int{1, 0} {
		d := op.Operand(side).Data()
		if d != nil && d.DType == tensor.Float32 && (side == 1 || op.Name != "Div") {
			return side, true
		}
	}
	return 0, false
}

// linearOf returns the linear op, with a MatMul its bias, that computes x for
// op alone; nil where there is none.
func linearOf(op *ir.Op, x *ir.Value) *linear {
	if !alone(op, x) {
		return nil
	}
	def := x.Def()
	if def.Name != "Add" {
		return newLinear(&linear{op: def})
	}
	for _, side := range []int{1, 0} {
		v := def.Operand(1 - side)
		if b, t, ok := floats(def.Operand(side)); ok && len(t.Shape) == 1 && alone(def, v) && v.Def().Name == "MatMul" {
			return newLinear(&linear{op: v.Def(), add: def, b: b})
		}
	}
	return nil
}

// alone reports whether an op beside op computes x and only op reads it.
func alone(op *ir.Op, x *ir.Value) bool {
	return x.Def() != nil && x.NumUses() == 1 && x.Def().Block() == op.Block()
}

// newLinear finds the weights, bias and channels of l.op; nil where it has no
// constant ones.
func newLinear(l *linear) *linear {
	weight := l.op.Operand(1)
	if weight == nil || weight.Data() == nil || weight.NumUses() > 1 && weight.Data().Len() > maxShared {
		return nil
	}
	l.w = weight.Data()
	shape, size := l.w.Shape, l.w.Len()
	if l.w.DType != tensor.Float32 || size == 0 {
		return nil
	}
	switch rank := len(shape); {
	case l.op.Name == "Conv" && rank >= 3:
		per := size / shape[0]
		l.n, l.axis, l.channel = shape[0], 1, func(i int) int { return i / per }
	case l.op.Name == "ConvTranspose" && rank >= 3: // [C, M/group, k...]
		group := 1
		if g, ok := l.op.Attrs.Get("group").(int64); ok {
			group = int(g)
		}
		if group < 1 || shape[0]%group != 0 {
			return nil
		}
		m, kernel := shape[1], size/(shape[0]*shape[1])
		per := shape[0] / group
		l.n, l.axis = m*group, 1
		l.channel = func(i int) int { return i/(kernel*m)/per*m + i/kernel%m }
	case l.op.Name == "MatMul" && rank == 2:
		l.n, l.axis = shape[1], l.op.Result(0).Type.Rank()-1
		l.channel = func(i int) int { return i % shape[1] }
	case l.op.Name == "Gemm" && rank == 2 && one(l.op, "alpha") && one(l.op, "beta"):
		l.n, l.axis, l.channel = shape[1], 1, func(i int) int { return i % shape[1] }
		if t, _ := l.op.Attrs.Get("transB").(int64); t != 0 {
			l.n, l.channel = shape[0], func(i int) int { return i / shape[1] }
		}
	default:
		return nil
	}
	if l.axis < 1 {
		return nil
	}
	if l.b == nil {
		l.b = make([]float32, l.n)
		if v := l.op.Operand(2); v != nil {
			b, t, ok := floats(v)
			if !ok || len(t.Shape) == 0 || t.Shape[len(t.Shape)-1] != l.n { // a Gemm adds whatever broadcasts
				return nil
			}
			l.b = b
		}
	}
	if len(l.b) != l.n {
		return nil
	}
	return l
}

// one reports whether a factor of a Gemm is 1.
func one(op *ir.Op, factor string) bool {
	f, ok := op.Attrs.Get(factor).(float32)
	return !ok || f == 1
}

// channels returns what op, whose operand side is constant, does to the n
// channels along an axis, false where the constant differs within a channel.
func channels(op *ir.Op, side, n, axis int) (affine, bool) {
	a := affine{make([]float64, n), make([]float64, n)}
	if op.Name == "Neg" {
		for i := range a.scale {
			a.scale[i] = -1
		}
		return a, true
	}
	c, t, ok := floats(op.Operand(side))
	rank := op.Result(0).Type.Rank()
	if !ok || len(t.Shape) > rank || len(c) != 1 && len(c) != n {
		return affine{}, false
	}
	for i, d := range t.Shape {
		if d != 1 && rank-len(t.Shape)+i != axis {
			return affine{}, false
		}
	}
	for i := range n {
		k := float64(c[i%len(c)])
		a.scale[i] = 1
		switch {
		case op.Name == "Add":
			a.shift[i] = k
		case op.Name == "Sub" && side == 1:
			a.shift[i] = -k
		case op.Name == "Sub":
			a.scale[i], a.shift[i] = -1, k
		case op.Name == "Mul":
			a.scale[i] = k
		case op.Name == "Div":
			a.scale[i] = 1 / k
		}
		if math.IsInf(a.scale[i], 0) || math.IsNaN(a.scale[i]) || math.IsInf(k, 0) || math.IsNaN(k) {
			return affine{}, false
		}
	}
	return a, true
}

// scaled returns weights and bias with the affine map folded in. Only here are
// the weights read.
func (l *linear) scaled(a affine) (w, b *tensor.Tensor, ok bool) {
	in, err := l.w.Tensor()
	if err != nil {
		return nil, nil, false
	}
	w, b = tensor.New(tensor.Float32, l.w.Shape...), tensor.New(tensor.Float32, l.n)
	out := tensor.Of[float32](w)
	for i, f := range tensor.Of[float32](in) {
		out[i] = float32(float64(f) * a.scale[l.channel(i)])
	}
	for i := range l.n {
		tensor.Of[float32](b)[i] = float32(float64(l.b[i])*a.scale[i] + a.shift[i])
	}
	return w, b, true
}
