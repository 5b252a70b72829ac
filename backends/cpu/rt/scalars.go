package rt

import (
	"fmt"
	"math"
)

// Elem is an element type of Scalars.
type Elem uint8

const (
	Bool Elem = iota // 0 or 1
	Uint8
	Int32
	Int64
	Float32
)

// Size is an element's bytes.
func (e Elem) Size() int { return [...]int{1, 1, 4, 8, 4}[e] }

// Scalars runs an elementwise operator in plain Go: those on integers and truth values, which masks and positions are made of
// and no time goes into. Operands are seen through strides in elements, as in Map; Out is dense along the innermost
// dimension that is not 1.
type Scalars struct {
	Op   string // as ONNX calls it
	Dims []int
	Elem []Elem // of the operands
	To   Elem   // of the result
	In   []Operand
	Out  Operand
}

// cells computes n results from operands at addresses that move by steps in bytes.
type cells func(n int, dst uintptr, in, step [3]uintptr)

// scalarKey tells operators apart: by name, the first operand's type unless it is a condition, and the result's.
type scalarKey struct {
	op       string
	from, to Elem
}

var scalars = map[scalarKey]cells{}

func init() {
	type b = bool
	logic := map[string]func(x, y b) b{
		"And": func(x, y b) b { return x && y }, "Or": func(x, y b) b { return x || y },
		"Xor": func(x, y b) b { return x != y }, "Equal": func(x, y b) b { return x == y },
	}
	for name, f := range logic {
		scalars[scalarKey{name, Bool, Bool}] = two(f)
	}
	scalars[scalarKey{"Not", Bool, Bool}] = oneOf(func(x b) b { return !x })
	compare[int32](Int32)
	compare[int64](Int64)
	compare[uint8](Uint8)
	compare[float32](Float32)
	arithmetic[int32](Int32)
	arithmetic[int64](Int64)
	scalars[scalarKey{"IsNaN", Float32, Bool}] = oneOf(func(x float32) b { return x != x })
	scalars[scalarKey{"Sin", Float32, Float32}] = oneOf(func(x float32) float32 { return float32(math.Sin(float64(x))) })
	scalars[scalarKey{"Cos", Float32, Float32}] = oneOf(func(x float32) float32 { return float32(math.Cos(float64(x))) })
	casts[int32](Int32)
	casts[int64](Int64)
	casts[uint8](Uint8)
	truths[int32](Int32)
	truths[int64](Int64)
	truths[uint8](Uint8)
	truths[float32](Float32)
	choose[uint8](Bool)
	choose[uint8](Uint8)
	choose[int32](Int32)
	choose[int64](Int64)
	choose[float32](Float32)
}

// number is what arithmetic works on.
type number interface {
	uint8 | int32 | int64 | float32
}

func compare[T number](e Elem) {
	for name, f := range map[string]func(x, y T) bool{
		"Equal": func(x, y T) bool { return x == y }, "Less": func(x, y T) bool { return x < y }, "LessOrEqual": func(x, y T) bool { return x <= y },
		"Greater": func(x, y T) bool { return x > y }, "GreaterOrEqual": func(x, y T) bool { return x >= y },
	} {
		scalars[scalarKey{name, e, Bool}] = two(f)
	}
}

func arithmetic[T int32 | int64](e Elem) {
	for name, f := range map[string]func(x, y T) T{
		"Add": func(x, y T) T { return x + y }, "Sub": func(x, y T) T { return x - y }, "Mul": func(x, y T) T { return x * y },
		"Min": func(x, y T) T { return min(x, y) }, "Max": func(x, y T) T { return max(x, y) },
	} {
		scalars[scalarKey{name, e, e}] = two(f)
	}
	scalars[scalarKey{"Neg", e, e}] = oneOf(func(x T) T { return -x })
	scalars[scalarKey{"Abs", e, e}] = oneOf(func(x T) T { return max(x, -x) })
}

// casts are those from integers, which Go and ONNX do alike.
func casts[T uint8 | int32 | int64](e Elem) {
	scalars[scalarKey{"Cast", e, Uint8}] = oneOf(func(x T) uint8 { return uint8(x) })
	scalars[scalarKey{"Cast", e, Int32}] = oneOf(func(x T) int32 { return int32(x) })
	scalars[scalarKey{"Cast", e, Int64}] = oneOf(func(x T) int64 { return int64(x) })
	scalars[scalarKey{"Cast", e, Float32}] = oneOf(func(x T) float32 { return float32(x) })
}

// truths are the casts to and from truth values.
func truths[T number](e Elem) {
	scalars[scalarKey{"Cast", e, Bool}] = oneOf(func(x T) bool { return x != 0 })
	scalars[scalarKey{"Cast", Bool, e}] = oneOf(func(x bool) T {
		if x {
			return 1
		}
		return 0
	})
}

// choose is Where, whose first operand is the condition.
func choose[T any](e Elem) {
	scalars[scalarKey{"Where", e, e}] = func(n int, dst uintptr, in, step [3]uintptr) {
		for range n {
			from := in[2]
			if *(*bool)(pointer(in[0])) {
				from = in[1]
			}
			*(*T)(pointer(dst)) = *(*T)(pointer(from))
			dst = next[T](dst)
			in[0], in[1], in[2] = in[0]+step[0], in[1]+step[1], in[2]+step[2]
		}
	}
}

func next[T any](a uintptr) uintptr { return at(a, sizeOf[T]()) }

func oneOf[T, R any](f func(x T) R) cells {
	return func(n int, dst uintptr, in, step [3]uintptr) {
		for range n {
			*(*R)(pointer(dst)) = f(*(*T)(pointer(in[0])))
			dst = next[R](dst)
			in[0] += step[0]
		}
	}
}

func two[T, R any](f func(x, y T) R) cells {
	return func(n int, dst uintptr, in, step [3]uintptr) {
		for range n {
			*(*R)(pointer(dst)) = f(*(*T)(pointer(in[0])), *(*T)(pointer(in[1])))
			dst = next[R](dst)
			in[0], in[1] = in[0]+step[0], in[1]+step[1]
		}
	}
}

// HasScalar tells whether Scalars runs an operator on elements of one type to another.
func HasScalar(op string, from, to Elem) bool { return scalars[scalarKey{op, from, to}] != nil }

// Work binds the operator.
func (o *Scalars) Work() (Work, error) {
	if len(o.In) == 0 || len(o.In) > 3 || len(o.Elem) != len(o.In) {
		return Work{}, fmt.Errorf("%s of %d operands", o.Op, len(o.In))
	}
	from := o.Elem[len(o.Elem)-1]
	f := scalars[scalarKey{o.Op, from, o.To}]
	for i, e := range o.Elem {
		if condition := o.Op == "Where" && i == 0; condition && e != Bool || !condition && e != from {
			f = nil
		}
	}
	if f == nil {
		return Work{}, fmt.Errorf("%s of such elements", o.Op)
	}
	operands := append(append([]Operand{}, o.In...), o.Out)
	sizes := make([]int, len(operands))
	for i, e := range append(append([]Elem{}, o.Elem...), o.To) {
		sizes[i] = e.Size()
	}
	sp, err := newSpace(o.Dims, operands)
	if err != nil {
		return Work{}, fmt.Errorf("%s: %w", o.Op, err)
	}
	last, out := len(sp.dims)-1, len(operands)-1
	if sp.strides[out][last] != 1 {
		return Work{}, fmt.Errorf("%s: the result is not dense", o.Op)
	}
	n, rows := sp.dims[last], 1
	for _, d := range sp.dims[:last] {
		rows *= d
	}
	if n == 0 {
		return Work{}, nil
	}
	var step [3]uintptr
	for i := range o.In {
		step[i] = uintptr(sp.strides[i][last] * sizes[i])
	}
	w := eachRow(rows, n, 0, func(row int, _ *Scratch) {
		var a [4]uintptr
		for i := range operands {
			e := 0
			for d, q := last-1, row; d >= 0; d-- {
				e += q % sp.dims[d] * sp.strides[i][d]
				q /= sp.dims[d]
			}
			a[i] = at(addr(operands[i].Ptr), e*sizes[i])
		}
		f(n, a[out], [3]uintptr(a[:3]), step)
	})
	for i, x := range operands {
		w.Touches = append(w.Touches, hull(addr(x.Ptr), sizes[i], o.Dims, x.Strides, i == out))
	}
	w.Moves = true
	return w, nil
}
