package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	consumed := Upgrade{To: 6, Do: dropAttrs("consumed_inputs")}
	family := map[string]Impl{
		"BitwiseNot": {Infer: asFirst, Eval: evalUnary("BitwiseNot")},
		"Clip": {Infer: asFirst, Eval: evalClip, Upgrades: []Upgrade{consumed, {To: 11, Do: clipBounds}},
			Downgrades: []Downgrade{{From: 11, Do: boundsToAttrs}}},
		"Gelu":   {Infer: asFirst, Eval: evalGelu},
		"IsInf":  {Infer: inferPredicate, Eval: evalIsInf},
		"IsNaN":  {Infer: inferPredicate, Eval: eval1(ref.IsNaN)},
		"Mod":    {Infer: inferBinary("Mod"), Eval: evalMod},
		"Not":    {Infer: inferPredicate, Eval: eval1(ref.Not)},
		"PRelu":  {Infer: asFirst, Eval: eval2(ref.PRelu), Upgrades: []Upgrade{{To: 6, Do: dropAttrs("consumed_inputs")}, {To: 7, Do: slopeByChannel}}},
		"Pow":    {Infer: inferBinary("Pow"), Eval: eval2(ref.Pow), Upgrades: []Upgrade{{To: 7, Do: alignSecond}}},
		"SwiGLU": {Infer: asFirst, Eval: evalSwiGLU},
		"Where":  {Infer: inferWhere, Eval: evalWhere},
		"BitShift": {Infer: inferBinary("BitShift"), Eval: func(c *Call) error {
			return c.done(ref.BitShift(c.In(0), c.In(1), c.Str("direction")))
		}},
	}
	for _, n := range []string{"Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos", "Cosh", "Erf", "Exp", "Floor",
		"HardSwish", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh"} {
		family[n] = Impl{Infer: inferUnary(n), Eval: evalUnary(n), Upgrades: []Upgrade{consumed}}
	}
	for n := range ref.ParametricAttrs {
		family[n] = Impl{Infer: asFirst, Eval: evalParametric(n), Upgrades: []Upgrade{consumed}}
	}
	// Before opset 6 these defaults of Selu were written with fewer digits.
	selu := family["Selu"]
	selu.Upgrades = []Upgrade{{To: 6, Do: each(dropAttrs("consumed_inputs"), given("alpha", float32(1.6732)), given("gamma", float32(1.0507)))}}
	family["Selu"] = selu
	for _, n := range []string{"Add", "Sub", "Mul", "Div"} {
		family[n] = Impl{Infer: inferBinary(n), Eval: evalBinary(n), Upgrades: []Upgrade{consumed, {To: 7, Do: alignSecond}}}
	}
	for _, n := range []string{"BitwiseAnd", "BitwiseOr", "BitwiseXor"} {
		family[n] = Impl{Infer: inferBinary(n), Eval: evalBinary(n)}
	}
	for _, n := range []string{"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"} {
		family[n] = Impl{Infer: inferCompare(n), Eval: evalNamed2(n, ref.Compare), Upgrades: []Upgrade{{To: 7, Do: alignSecond}}}
	}
	for _, n := range []string{"And", "Or", "Xor"} {
		family[n] = Impl{Infer: inferCompare(n), Eval: evalNamed2(n, ref.Logical), Upgrades: []Upgrade{{To: 7, Do: alignSecond}}}
	}
	for _, n := range []string{"Max", "Min", "Sum", "Mean"} {
		family[n] = Impl{Infer: inferVariadic(n), Eval: evalVariadic(n), Upgrades: []Upgrade{consumed}}
	}
	add(family)
}

// eval1 and eval2 adapt functions of one and of two tensors.
func eval1(f func(x *tensor.Tensor) (*tensor.Tensor, error)) func(*Call) error {
	return func(c *Call) error { return c.done(f(c.In(0))) }
}

func eval2(f func(a, b *tensor.Tensor) (*tensor.Tensor, error)) func(*Call) error {
	return func(c *Call) error { return c.done(f(c.In(0), c.In(1))) }
}

func evalNamed2(name string, f func(name string, a, b *tensor.Tensor) (*tensor.Tensor, error)) func(*Call) error {
	return func(c *Call) error { return c.done(f(name, c.In(0), c.In(1))) }
}

func evalUnary(name string) func(*Call) error {
	return func(c *Call) error { return c.done(ref.Unary(name, c.In(0))) }
}

func evalBinary(name string) func(*Call) error { return evalNamed2(name, ref.Binary) }

func evalParametric(name string) func(*Call) error {
	return func(c *Call) error {
		var p []float64
		for _, a := range ref.ParametricAttrs[name] {
			p = append(p, float64(c.Float(a)))
		}
		return c.done(ref.Parametric(name, c.In(0), p...))
	}
}

func evalVariadic(name string) func(*Call) error {
	return func(c *Call) error {
		xs := make([]*tensor.Tensor, c.NumIn())
		for i := range xs {
			xs[i] = c.In(i)
		}
		return c.done(ref.Variadic(name, xs...))
	}
}

func evalClip(c *Call) error { return c.done(ref.Clip(c.In(0), c.In(1), c.In(2))) }

func evalGelu(c *Call) error {
	f, err := ref.GeluScalar(c.Str("approximate"))
	if err != nil {
		return err
	}
	c.Set(0, ref.Map(c.In(0), f))
	return nil
}

func evalIsInf(c *Call) error {
	return c.done(ref.IsInf(c.In(0), c.Bool("detect_negative"), c.Bool("detect_positive")))
}

func evalMod(c *Call) error {
	if c.Bool("fmod") {
		return c.done(ref.Binary("FMod", c.In(0), c.In(1)))
	}
	return c.done(ref.Binary("Mod", c.In(0), c.In(1)))
}

func evalSwiGLU(c *Call) error {
	return c.done(ref.SwiGLU(c.In(0), c.In(1), float64(c.Float("alpha"))))
}

func evalWhere(c *Call) error { return c.done(ref.Where(c.In(0), c.In(1), c.In(2))) }

func inferPredicate(x *Inference) error {
	x.Set(0, x.In(0).WithDType(tensor.Bool))
	return nil
}

// inferUnary also follows small integers: their rounding changes nothing.
func inferUnary(name string) func(*Inference) error {
	return func(x *Inference) error {
		x.Set(0, x.In(0))
		e, ok := x.elems(0)
		switch {
		case !ok:
		case name == "Floor" || name == "Ceil" || name == "Round":
			x.SetContents(0, e)
		case name == "Neg":
			for i := range e {
				e[i] = e[i].Mul(ir.Const(-1))
			}
			x.SetContents(0, e)
		}
		return nil
	}
}

// elems is Contents with unknownElem for what is not known. It also reads
// whole numbers out of known floats and truth values. The slice is the caller's.
func (x *Inference) elems(i int) ([]ir.Dim, bool) {
	if e, ok := x.shapes.Contents(x.op.Operand(i)); ok {
		return slices.Clone(e), true
	}
	v := x.op.Operand(i)
	if v == nil {
		return nil, false
	}
	t := x.shapes.known(v)
	if t == nil || t.Rank() > 1 || t.DType != tensor.Float32 && t.DType != tensor.Float64 && t.DType != tensor.Bool {
		return nil, false
	}
	e := make([]ir.Dim, t.Len())
	for j, v := range ref.Float64s(t) {
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return nil, false
		}
		e[j] = ir.Const(int64(v))
	}
	return e, true
}

// broadcast returns the type of element type d that operands of the given
// types have together.
func (x *Inference) broadcast(d tensor.DType, types ...ir.Type) (ir.Type, error) {
	rank := 0
	for _, t := range types {
		if t.Rank() < 0 {
			return ir.Unranked(d), nil
		}
		rank = max(rank, t.Rank())
	}
	dims := make([]ir.Dim, rank)
	for i := range dims {
		dims[i] = ir.Const(1)
		for _, t := range types {
			j := i - rank + t.Rank()
			if j < 0 {
				continue
			}
			a, known := dims[i].Int()
			b, also := t.Dims[j].Int()
			if known && also && a != b && a != 1 && b != 1 {
				return ir.Type{}, x.Errorf("%v do not broadcast: %d against %d", types, a, b)
			}
			dims[i] = ir.Broadcast(dims[i], t.Dims[j])
		}
	}
	return ir.TensorOf(d, dims...), nil
}

// knownDType returns the first element type that is known.
func knownDType(types ...ir.Type) tensor.DType {
	for _, t := range types {
		if t.DType != tensor.Undefined {
			return t.DType
		}
	}
	return tensor.Undefined
}

func inferBinary(name string) func(*Inference) error {
	return func(x *Inference) error {
		a, b := x.In(0), x.In(1)
		d := a.DType
		if name != "Pow" {
			d = knownDType(a, b)
		}
		t, err := x.broadcast(d, a, b)
		if err != nil {
			return err
		}
		x.Set(0, t)
		x.combine(0, 1, func(p, q ir.Dim) (ir.Dim, bool) { return dimArithmetic(name, d, p, q) })
		return nil
	}
}

// combine sets the elements of the result from those of two operands, one of
// which may be a scalar.
func (x *Inference) combine(i, j int, f func(p, q ir.Dim) (ir.Dim, bool)) {
	a, ok := x.elems(i)
	b, also := x.elems(j)
	if !ok || !also || len(a) != len(b) && len(a) != 1 && len(b) != 1 {
		return
	}
	n := max(len(a), len(b))
	if len(a) == 0 || len(b) == 0 {
		n = 0
	}
	out := make([]ir.Dim, n)
	for k := range out {
		p, q := a[k%len(a)], b[k%len(b)]
		out[k] = unknownElem
		if isUnknownElem(p) || isUnknownElem(q) { // two unknown elements are not equal: their difference is not 0
			continue
		}
		if d, ok := f(p, q); ok {
			out[k] = d
		}
	}
	x.SetContents(0, out)
}

// dimArithmetic is integer arithmetic on sizes; false where a size can not
// say the result.
func dimArithmetic(name string, d tensor.DType, p, q ir.Dim) (ir.Dim, bool) {
	switch name {
	case "Add", "Sum":
		return p.Add(q), true
	case "Sub":
		return p.Sub(q), true
	case "Mul":
		return p.Mul(q), true
	case "Max":
		return p.Max(q), true
	case "Min":
		return p.Min(q), true
	}
	a, known := p.Int()
	b, also := q.Int()
	if also && b == 0 || name != "Div" && name != "Mod" {
		return ir.Dim{}, false
	}
	exact := p.FloorDiv(q)
	switch {
	case d.IsFloat():
		// A quotient of floats is a whole number only where nothing is left.
		return exact, name == "Div" && exact.Mul(q).Equal(p)
	case known && also && name == "Div":
		return ir.Const(a / b), true
	case !p.NonNegative() || !q.NonNegative():
		return ir.Dim{}, false // rounding to zero is not rounding down
	case name == "Div":
		return exact, true
	}
	return p.Mod(q), true
}

func inferCompare(name string) func(*Inference) error {
	return func(x *Inference) error {
		t, err := x.broadcast(tensor.Bool, x.In(0), x.In(1))
		if err != nil {
			return err
		}
		x.Set(0, t)
		if x.In(0).DType.IsInt() {
			x.combine(0, 1, func(p, q ir.Dim) (ir.Dim, bool) { return dimCompare(name, p, q) })
		}
		return nil
	}
}

// dimCompare decides a comparison that holds for all sizes.
func dimCompare(name string, p, q ir.Dim) (ir.Dim, bool) {
	if isUnknownElem(p) || isUnknownElem(q) {
		return unknownElem, true
	}
	truth := func(b bool) (ir.Dim, bool) {
		if b {
			return ir.Const(1), true
		}
		return ir.Const(0), true
	}
	one := ir.Const(1)
	less := func(a, b ir.Dim) bool { return b.Sub(a).Sub(one).NonNegative() }
	switch name {
	case "Equal":
		if p.Equal(q) || less(p, q) || less(q, p) {
			return truth(p.Equal(q))
		}
	case "Less":
		if less(p, q) || q.Sub(p).Mul(ir.Const(-1)).NonNegative() {
			return truth(less(p, q))
		}
	case "LessOrEqual":
		if less(q, p) || q.Sub(p).NonNegative() {
			return truth(!less(q, p))
		}
	case "Greater":
		return dimCompare("Less", q, p)
	case "GreaterOrEqual":
		return dimCompare("LessOrEqual", q, p)
	}
	return ir.Dim{}, false
}

func inferVariadic(name string) func(*Inference) error {
	return func(x *Inference) error {
		types := make([]ir.Type, x.NumIn())
		for i := range types {
			types[i] = x.In(i)
		}
		d := knownDType(types...)
		t, err := x.broadcast(d, types...)
		if err != nil {
			return err
		}
		x.Set(0, t)
		if x.NumIn() == 2 {
			x.combine(0, 1, func(p, q ir.Dim) (ir.Dim, bool) { return dimArithmetic(name, d, p, q) })
		} else if e, ok := x.elems(0); ok && x.NumIn() == 1 {
			x.SetContents(0, e)
		}
		return nil
	}
}

func inferWhere(x *Inference) error {
	t, err := x.broadcast(knownDType(x.In(1), x.In(2)), x.In(0), x.In(1), x.In(2))
	if err != nil {
		return err
	}
	x.Set(0, t)
	c, ok := x.elems(0)
	a, aok := x.elems(1)
	b, bok := x.elems(2)
	if !ok || !aok || !bok || t.Rank() > 1 {
		return nil
	}
	n := max(len(a), len(b), len(c))
	if min(len(a), len(b), len(c)) == 0 {
		n = 0
	}
	out := make([]ir.Dim, n)
	for i := range out {
		switch c := c[i%len(c)]; {
		case isUnknownElem(c):
			out[i] = unknownElem
		case c.IsInt(0):
			out[i] = b[i%len(b)]
		default:
			out[i] = a[i%len(a)]
		}
	}
	x.SetContents(0, out)
	return nil
}

// given states an older default.
func given(name string, standard any) func(*ir.Builder, *ir.Op) error {
	return func(_ *ir.Builder, op *ir.Op) error {
		if !op.Attrs.Has(name) {
			op.Attrs.Set(name, standard)
		}
		return nil
	}
}

// alignSecond rewrites the broadcast of opset 6 and older: the second operand
// belongs to the first one's dims from axis on, its last ones without an axis.
func alignSecond(b *ir.Builder, op *ir.Op) error {
	axis, given := op.Attrs.Get("axis").(int64)
	on, _ := op.Attrs.Get("broadcast").(int64)
	op.Attrs.Delete("axis")
	op.Attrs.Delete("broadcast")
	if !given || on == 0 {
		return nil
	}
	x, y := op.Operand(0).Type.Rank(), op.Operand(1).Type.Rank()
	if x < 0 || y < 0 {
		return fmt.Errorf("broadcast along axis %d of operands whose ranks are not known", axis)
	}
	if axis < 0 {
		axis += int64(x)
	}
	return trailingDims(b, op, 1, x-int(axis)-y)
}

// trailingDims appends n dims of 1 to operand i.
func trailingDims(b *ir.Builder, op *ir.Op, i, n int) error {
	if n <= 0 {
		return nil
	}
	axes := make([]int64, n)
	for k := range axes {
		axes[k] = int64(-n + k)
	}
	u, err := Build(b, "Unsqueeze", []*ir.Value{op.Operand(i), b.Int64s(axes...)})
	if err != nil {
		return err
	}
	op.SetOperand(i, u.Result(0))
	return nil
}

// slopeByChannel: before opset 7 a slope of one dim belongs to the channels.
func slopeByChannel(b *ir.Builder, op *ir.Op) error {
	x, s := op.Operand(0).Type, op.Operand(1).Type
	if s.Rank() != 1 || s.Dims[0].IsInt(1) {
		return nil
	}
	if x.Rank() < 0 {
		return fmt.Errorf("a slope by channel for an input whose rank is not known")
	}
	return trailingDims(b, op, 1, x.Rank()-2)
}

// clipBounds turns the attributes min and max into operands.
func clipBounds(b *ir.Builder, op *ir.Op) error {
	d := knownDType(op.Operand(0).Type)
	if d == tensor.Undefined {
		d = tensor.Float32
	}
	operands := []*ir.Value{op.Operand(0), nil, nil}
	for i, n := range []string{"min", "max"} {
		v, ok := op.Attrs.Get(n).(float32)
		op.Attrs.Delete(n)
		if !ok {
			continue
		}
		t, err := ref.Cast(tensor.Scalar(tensor.Float32, v), d, ref.CastOptions{Saturate: true})
		if err != nil {
			return err
		}
		operands[i+1] = b.Tensor(t)
	}
	for operands[len(operands)-1] == nil {
		operands = operands[:len(operands)-1]
	}
	op.SetOperands(operands...)
	return nil
}

// boundsToAttrs is the inverse of clipBounds.
func boundsToAttrs(_ *ir.Builder, op *ir.Op) error {
	for i, n := range []string{"min", "max"} {
		v := op.Operand(i + 1)
		if v == nil {
			continue
		}
		t, err := constantOf(v)
		if err != nil || !t.DType.IsFloat() || t.Len() != 1 {
			return fmt.Errorf("a %s that is no constant float has no older form", n)
		}
		op.Attrs.Set(n, float32(ref.Float64s(t)[0]))
	}
	op.SetOperands(op.Operand(0))
	return nil
}

// constantOf returns the tensor that a constant holds.
func constantOf(v *ir.Value) (*tensor.Tensor, error) {
	d := v.Data()
	if d == nil {
		return nil, fmt.Errorf("%s is no constant", v.Type)
	}
	return d.Tensor()
}
