package ops

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Arithmetic on the elements of shape tensors, as far as inference follows them.

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

// setElems gives the elements of the first result where it has at most one
// dim.
func (x *Inference) setElems(e []ir.Dim, ok bool) {
	if r := x.types[0].Rank(); ok && (r == 0 || r == 1) {
		x.SetContents(0, e)
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
		if IsUnknown(p) || IsUnknown(q) { // two unknown elements are not equal: their difference is not 0
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

// dimCompare decides a comparison that holds for all sizes.
func dimCompare(name string, p, q ir.Dim) (ir.Dim, bool) {
	if IsUnknown(p) || IsUnknown(q) {
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
