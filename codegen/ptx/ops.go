package ptx

import "slices"

// Op is an operation on elements.
type Op uint8

// The operations. Comparisons and IsNaN give Bool; And, Or and Not take it.
// Arithmetic is for floats; Add, Sub, Mul, Min, Max, Neg and Abs for integers too, which wrap.
const (
	Const Op = iota
	Add
	Sub
	Mul
	Div
	Min // NaN if either is
	Max // NaN if either is
	Neg
	Abs
	Sqrt
	Rsqrt
	Exp
	Log
	Tanh
	Erf
	Sigmoid
	Less
	LessEqual
	Greater
	GreaterOrEqual
	Equal
	And
	Or
	Not
	Select // args: condition, then, else
	Cast
	IsNaN
)

type typing func(result Type, args []Type) bool

// opTable says what there is to know of each op: its name, how many arguments it
// takes of which types, and the most that a float32 result is off, in units in
// the last place of the exact one (0: exact; 0.5: correctly rounded).
var opTable = [...]struct {
	name   string
	arity  int
	ulp    float64
	typing typing
}{
	Const:          {"const", 0, 0, anyResult},
	Add:            {"add", 2, 0.5, sameNumber},
	Sub:            {"sub", 2, 0.5, sameNumber},
	Mul:            {"mul", 2, 0.5, sameNumber},
	Div:            {"div", 2, 0.5, sameFloat},
	Min:            {"min", 2, 0, sameNumber},
	Max:            {"max", 2, 0, sameNumber},
	Neg:            {"neg", 1, 0, sameNumber},
	Abs:            {"abs", 1, 0, sameNumber},
	Sqrt:           {"sqrt", 1, 0.5, sameFloat},
	Rsqrt:          {"rsqrt", 1, 1.5, sameFloat},
	Exp:            {"exp", 1, 1, sameFloat},
	Log:            {"log", 1, 1.5, sameFloat},
	Tanh:           {"tanh", 1, 2, sameFloat},
	Erf:            {"erf", 1, 2, sameFloat},
	Sigmoid:        {"sigmoid", 1, 3, sameFloat},
	Less:           {"less", 2, 0, compares},
	LessEqual:      {"less_equal", 2, 0, compares},
	Greater:        {"greater", 2, 0, compares},
	GreaterOrEqual: {"greater_equal", 2, 0, compares},
	Equal:          {"equal", 2, 0, compares},
	And:            {"and", 2, 0, bools},
	Or:             {"or", 2, 0, bools},
	Not:            {"not", 1, 0, bools},
	Select:         {"select", 3, 0, selects},
	Cast:           {"cast", 1, 0.5, anyCast},
	IsNaN:          {"isnan", 1, 0, asks},
}

func (o Op) String() string { return opTable[o].name }

// Bound is the most that an op's float32 result is off, in units in the last
// place. A half-precision result is off by half a unit of its own type more.
func (o Op) Bound() float64 { return opTable[o].ulp }

func anyResult(Type, []Type) bool { return true }
func anyCast(Type, []Type) bool   { return true }

func sameFloat(result Type, args []Type) bool {
	for _, a := range args {
		if a != result {
			return false
		}
	}
	return result != Bool && !result.integer()
}

func sameNumber(result Type, args []Type) bool {
	return sameFloat(result, args) || result.integer() && !slices.ContainsFunc(args, func(a Type) bool { return a != result })
}

func asks(result Type, args []Type) bool {
	return result == Bool && sameFloat(args[0], args)
}

func compares(result Type, args []Type) bool {
	return result == Bool && args[0] == args[1] && args[0] != Bool
}

func bools(result Type, args []Type) bool {
	for _, a := range args {
		if a != Bool {
			return false
		}
	}
	return result == Bool
}

func selects(result Type, args []Type) bool {
	return args[0] == Bool && args[1] == result && args[2] == result
}
