package clusters

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-ml/hone/codegen/ptx"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// building is a kernel in the making.
type building struct {
	kernel    *ptx.Kernel
	values    map[*ir.Value]int
	constants map[*ir.Value]*ir.Data
	trial     bool // only asked whether there is a form
	err       error
}

// try reports whether op has a form with its attributes and types.
func (k *building) try(op *ir.Op) bool {
	k.trial = true
	k.values = map[*ir.Value]int{}
	for _, v := range op.Operands() {
		if v == nil {
			continue
		}
		k.values[v] = len(k.kernel.Inputs)
		k.kernel.Inputs = append(k.kernel.Inputs, ptx.Input{Type: dtypes[v.Type.DType]})
	}
	k.kernel.Outputs = []int{forms[op.Name](k, op)}
	return k.err == nil && k.kernel.Validate() == nil
}

func (k *building) fail(format string, args ...any) int {
	if k.err == nil {
		k.err = fmt.Errorf(format, args...)
	}
	return 0
}

// value is the number of a value in the kernel.
func (k *building) value(v *ir.Value) int {
	if n, ok := k.values[v]; ok {
		return n
	}
	d := k.constants[v]
	if d == nil {
		return k.fail("a value from outside the cluster")
	}
	f, whole, err := scalar(d)
	if err != nil {
		k.err = errors.Join(k.err, err)
	}
	n := k.do(ptx.Const, dtypes[v.Type.DType])
	last := &k.kernel.Body[len(k.kernel.Body)-1]
	last.Value, last.Int = f, whole
	k.values[v] = n
	return n
}

func (k *building) do(op ptx.Op, t ptx.Type, args ...int) int {
	k.kernel.Body = append(k.kernel.Body, ptx.Instr{Op: op, Type: t, Args: args})
	return len(k.kernel.Inputs) + len(k.kernel.Body) - 1
}

func (k *building) constant(t ptx.Type, v float32) int {
	n := k.do(ptx.Const, t)
	last := &k.kernel.Body[len(k.kernel.Body)-1]
	if last.Value, last.Int = v, int64(v); (t == ptx.I32 || t == ptx.I64) && float32(last.Int) != v {
		return k.fail("the number %v among integers", v)
	}
	return n
}

type form func(k *building, op *ir.Op) int

// straight is an op of ptx with the operands in order.
func straight(o ptx.Op) form {
	return func(k *building, op *ir.Op) int {
		var args []int
		for _, v := range op.Operands() {
			args = append(args, k.value(v))
		}
		return k.do(o, dtypes[op.Result(0).Type.DType], args...)
	}
}

// folded is a binary op of ptx over any number of operands.
func folded(o ptx.Op) form {
	return func(k *building, op *ir.Op) int {
		n := k.value(op.Operand(0))
		for _, v := range op.Operands()[1:] {
			n = k.do(o, dtypes[op.Result(0).Type.DType], n, k.value(v))
		}
		return n
	}
}

// of is an op of one float operand, written with the operand's number and type.
func of(f func(k *building, op *ir.Op, t ptx.Type, x int) int) form {
	return func(k *building, op *ir.Op) int {
		return f(k, op, dtypes[op.Result(0).Type.DType], k.value(op.Operand(0)))
	}
}

func attr(op *ir.Op, name string, otherwise float32) float32 {
	if v, ok := op.Attrs.Get(name).(float32); ok {
		return v
	}
	return otherwise
}

// forms says how ONNX's pointwise operators are written in ptx.
var forms map[string]form

func init() {
	forms = map[string]form{
		"Add": straight(ptx.Add), "Sub": straight(ptx.Sub), "Mul": straight(ptx.Mul), "Div": straight(ptx.Div),
		"Neg": straight(ptx.Neg), "Abs": straight(ptx.Abs), "Sqrt": straight(ptx.Sqrt), "Exp": straight(ptx.Exp), "Log": straight(ptx.Log),
		"Tanh": straight(ptx.Tanh), "Erf": straight(ptx.Erf), "Sigmoid": straight(ptx.Sigmoid),
		"Less": straight(ptx.Less), "LessOrEqual": straight(ptx.LessEqual), "Greater": straight(ptx.Greater), "GreaterOrEqual": straight(ptx.GreaterOrEqual),
		"Equal": straight(ptx.Equal), "And": straight(ptx.And), "Or": straight(ptx.Or), "Not": straight(ptx.Not), "Where": straight(ptx.Select),
		"IsNaN": straight(ptx.IsNaN),
		"Xor": func(k *building, op *ir.Op) int {
			a, b := k.value(op.Operand(0)), k.value(op.Operand(1))
			both := k.do(ptx.And, ptx.Bool, a, b)
			return k.do(ptx.And, ptx.Bool, k.do(ptx.Or, ptx.Bool, a, b), k.do(ptx.Not, ptx.Bool, both))
		},
		"Cast": straight(ptx.Cast), "Min": folded(ptx.Min), "Max": folded(ptx.Max), "Sum": folded(ptx.Add),
		"Relu": of(func(k *building, op *ir.Op, t ptx.Type, x int) int { return k.do(ptx.Max, t, x, k.constant(t, 0)) }),
		"Reciprocal": of(func(k *building, op *ir.Op, t ptx.Type, x int) int {
			return k.do(ptx.Div, t, k.constant(t, 1), x)
		}),
		"LeakyRelu": of(func(k *building, op *ir.Op, t ptx.Type, x int) int {
			return k.where(t, k.do(ptx.Less, ptx.Bool, x, k.constant(t, 0)), k.do(ptx.Mul, t, x, k.constant(t, attr(op, "alpha", 0.01))), x)
		}),
		"PRelu": func(k *building, op *ir.Op) int {
			t, x := dtypes[op.Result(0).Type.DType], k.value(op.Operand(0))
			return k.where(t, k.do(ptx.Less, ptx.Bool, x, k.constant(t, 0)), k.do(ptx.Mul, t, x, k.value(op.Operand(1))), x)
		},
		"HardSigmoid": of(func(k *building, op *ir.Op, t ptx.Type, x int) int {
			return k.hardSigmoid(t, x, attr(op, "alpha", 0.2), attr(op, "beta", 0.5))
		}),
		"HardSwish": of(func(k *building, op *ir.Op, t ptx.Type, x int) int {
			return k.do(ptx.Mul, t, x, k.hardSigmoid(t, x, 1.0/6, 0.5))
		}),
		"Swish": of(func(k *building, op *ir.Op, t ptx.Type, x int) int {
			s := x
			if alpha := attr(op, "alpha", 1); alpha != 1 {
				s = k.do(ptx.Mul, t, x, k.constant(t, alpha))
			}
			return k.do(ptx.Mul, t, x, k.do(ptx.Sigmoid, t, s))
		}),
		"Gelu": of(gelu),
		"Clip": clip,
		"Pow":  pow,
		"Identity": func(k *building, op *ir.Op) int {
			return k.do(ptx.Cast, dtypes[op.Result(0).Type.DType], k.value(op.Operand(0)))
		},
	}
}

func (k *building) where(t ptx.Type, c, yes, no int) int { return k.do(ptx.Select, t, c, yes, no) }

func (k *building) hardSigmoid(t ptx.Type, x int, alpha, beta float32) int {
	y := k.do(ptx.Add, t, k.do(ptx.Mul, t, x, k.constant(t, alpha)), k.constant(t, beta))
	return k.do(ptx.Max, t, k.do(ptx.Min, t, y, k.constant(t, 1)), k.constant(t, 0))
}

// gelu is x/2 (1 + erf(x / sqrt 2)), or with tanh of sqrt(2/pi) (x + 0.044715 x^3).
func gelu(k *building, op *ir.Op, t ptx.Type, x int) int {
	var e int
	if op.Attrs.Get("approximate") == "tanh" {
		cube := k.do(ptx.Mul, t, k.do(ptx.Mul, t, x, x), x)
		s := k.do(ptx.Add, t, x, k.do(ptx.Mul, t, cube, k.constant(t, 0.044715)))
		e = k.do(ptx.Tanh, t, k.do(ptx.Mul, t, s, k.constant(t, float32(math.Sqrt(2/math.Pi)))))
	} else {
		e = k.do(ptx.Erf, t, k.do(ptx.Mul, t, x, k.constant(t, math.Sqrt2/2)))
	}
	half := k.do(ptx.Mul, t, x, k.constant(t, 0.5))
	return k.do(ptx.Mul, t, half, k.do(ptx.Add, t, e, k.constant(t, 1)))
}

func clip(k *building, op *ir.Op) int {
	t, x := dtypes[op.Result(0).Type.DType], k.value(op.Operand(0))
	for i, o := range []ptx.Op{ptx.Max, ptx.Min} {
		if i+1 < op.NumOperands() && op.Operand(i+1) != nil {
			x = k.do(o, t, x, k.value(op.Operand(i+1)))
		}
	}
	return x
}

// pow has the exponents that are products and roots.
func pow(k *building, op *ir.Op) int {
	t, x := dtypes[op.Result(0).Type.DType], k.value(op.Operand(0))
	d := k.constants[op.Operand(1)]
	if k.trial {
		d = op.Operand(1).Data()
	}
	if d == nil || d.Len() != 1 || d.DType != tensor.Float32 {
		return k.fail("an exponent that is no constant")
	}
	switch e, _, _ := scalar(d); e {
	case 0.5:
		return k.do(ptx.Sqrt, t, x)
	case 1:
		return k.do(ptx.Cast, t, x)
	case 2:
		return k.do(ptx.Mul, t, x, x)
	case 3:
		return k.do(ptx.Mul, t, k.do(ptx.Mul, t, x, x), x)
	default:
		return k.fail("the exponent %v", e)
	}
}
