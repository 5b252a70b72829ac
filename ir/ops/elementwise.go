package ops

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Operators that compute each element from those at the same place.
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
		case IsUnknown(c):
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
