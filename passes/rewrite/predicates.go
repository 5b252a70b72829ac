package rewrite

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// Arg is an argument of a condition: a value that a hole bound (nil for an
// absent operand), or a literal or attribute value.
type Arg struct {
	Value *ir.Value
	Lit   any
}

func (a Arg) int() int64 { n, _ := a.Lit.(int64); return n }

func (a Arg) dims() []ir.Dim {
	if a.Value == nil || !a.Value.Type.Ranked {
		return nil
	}
	return a.Value.Type.Dims
}

// axis counts a negative axis from the end of v's dims; -1 where it is none.
func axis(n int64, v *ir.Value) int {
	r := int64(v.Type.Rank())
	if n < 0 {
		n += r
	}
	if n < 0 || n >= r {
		return -1
	}
	return int(n)
}

// wider are the element types that hold every value of a type.
var wider = map[tensor.DType][]tensor.DType{
	tensor.Bool: {
		tensor.Int8, tensor.Uint8, tensor.Int16, tensor.Uint16, tensor.Int32, tensor.Uint32, tensor.Int64, tensor.Uint64,
		tensor.Float16, tensor.BFloat16, tensor.Float32, tensor.Float64,
	},
	tensor.Int8:     {tensor.Int16, tensor.Int32, tensor.Int64, tensor.Float16, tensor.Float32, tensor.Float64},
	tensor.Uint8:    {tensor.Int16, tensor.Uint16, tensor.Int32, tensor.Uint32, tensor.Int64, tensor.Uint64, tensor.Float16, tensor.Float32, tensor.Float64},
	tensor.Int16:    {tensor.Int32, tensor.Int64, tensor.Float32, tensor.Float64},
	tensor.Int32:    {tensor.Int64, tensor.Float64},
	tensor.Float16:  {tensor.Float32, tensor.Float64},
	tensor.BFloat16: {tensor.Float32, tensor.Float64},
	tensor.Float32:  {tensor.Float64},
}

// zeroPoint returns the constant zero point of a quantization, 0 where it is
// absent.
func zeroPoint(v *ir.Value) (float64, bool) {
	if v == nil {
		return 0, true
	}
	return scalar(v)
}

// predicates are the conditions of where clauses.
var predicates = map[string]func(b *Bindings, a []Arg) bool{
	// f32(x): x is a float32 tensor.
	"f32": func(_ *Bindings, a []Arg) bool {
		return a[0].Value.Type.IsTensor() && a[0].Value.Type.DType == tensor.Float32
	},
	// float(x): x is a tensor of any float type.
	"float": func(_ *Bindings, a []Arg) bool { return a[0].Value.Type.IsTensor() && a[0].Value.Type.DType.IsFloat() },
	// absent(x): the optional operand is not there.
	"absent": func(_ *Bindings, a []Arg) bool { return a[0].Value == nil },
	// rank(x, n): x has n dims.
	"rank": func(_ *Bindings, a []Arg) bool { return a[0].Value.Type.Rank() == int(a[1].int()) },
	// rank-at-least(x, n).
	"rank-at-least": func(_ *Bindings, a []Arg) bool { return a[0].Value.Type.Rank() >= int(a[1].int()) },
	// same-type(x, y): element type and every dim are the same.
	"same-type": func(_ *Bindings, a []Arg) bool {
		return a[0].Value.Type.Ranked && a[0].Value.Type.Equal(a[1].Value.Type)
	},
	// keeps-type(x): x has the type of the value that is replaced.
	"keeps-type": func(b *Bindings, a []Arg) bool {
		return a[0].Value.Type.Ranked && a[0].Value.Type.Equal(b.Root.Result(0).Type)
	},
	// equal(p, q): two literals or attributes are the same.
	"equal": func(_ *Bindings, a []Arg) bool { return sameAttr(a[0].Lit, a[1].Lit) },
	// last-axis(n, x): n is x's last axis.
	"last-axis": func(_ *Bindings, a []Arg) bool {
		r := a[1].Value.Type.Rank()
		return r > 0 && axis(a[0].int(), a[1].Value) == r-1
	},
	// last-axes(l, x): the constant or attribute l names x's last axis alone.
	"last-axes": func(_ *Bindings, a []Arg) bool {
		l, ok := a[0].Lit.([]int64)
		if !ok {
			l, ok = list(a[0].Value)
		}
		r := a[1].Value.Type.Rank()
		return ok && len(l) == 1 && r > 0 && axis(l[0], a[1].Value) == r-1
	},
	// same-axis(p, q, x): the constant lists p and q name the same axis of x, one alone.
	"same-axis": func(_ *Bindings, a []Arg) bool {
		p, ok1 := list(a[0].Value)
		q, ok2 := list(a[1].Value)
		return ok1 && ok2 && len(p) == 1 && len(q) == 1 && axis(p[0], a[2].Value) >= 0 && axis(p[0], a[2].Value) == axis(q[0], a[2].Value)
	},
	// axes-before(p, q): no axis of the constant lists counts from the end, and
	// those of p come before those of q.
	"axes-before": func(_ *Bindings, a []Arg) bool {
		p, ok1 := list(a[0].Value)
		q, ok2 := list(a[1].Value)
		return ok1 && ok2 && len(p) > 0 && len(q) > 0 && slices.Min(p) >= 0 && slices.Max(p) < slices.Min(q)
	},
	// counts(n, l, x): the constant n is how many elements x has along the axes of
	// the constant list l.
	"counts": func(_ *Bindings, a []Arg) bool {
		n, ok := scalar(a[0].Value)
		l, also := list(a[1].Value)
		if !ok || !also || len(l) == 0 {
			return false
		}
		count := int64(1)
		for _, i := range l {
			if i := axis(i, a[2].Value); i < 0 {
				return false
			} else if d, ok := a[2].Value.Type.Dims[i].Int(); !ok || d > 1<<24 || count > 1<<24 {
				return false
			} else {
				count *= d
			}
		}
		return n == float64(count)
	},
	// drops-axes(l, x): what is replaced has x's shape without the axes of the
	// constant list l.
	"drops-axes": func(b *Bindings, a []Arg) bool {
		l, ok := list(a[0].Value)
		left := slices.Clone(a[1].dims())
		gone := make([]bool, len(left))
		for _, n := range l {
			i := axis(n, a[1].Value)
			if i < 0 {
				return false
			}
			gone[i] = true
		}
		i := -1
		left = slices.DeleteFunc(left, func(ir.Dim) bool { i++; return gone[i] })
		t := b.Root.Result(0).Type
		return ok && len(l) > 0 && t.Ranked && slices.EqualFunc(left, t.Dims, ir.Dim.Equal)
	},
	// vector(b, x): b has one dim, the size of x's last.
	"vector": func(_ *Bindings, a []Arg) bool {
		x, v := a[1].dims(), a[0].dims()
		return len(x) > 0 && len(v) == 1 && v[0].Equal(x[len(x)-1])
	},
	// not-centered(x): x is no difference from its own mean, which makes a
	// root mean square a deviation.
	"not-centered": func(_ *Bindings, a []Arg) bool {
		d := a[0].Value.Def()
		if d == nil || d.Name != "Sub" || d.Operand(1).Def() == nil {
			return true
		}
		m := d.Operand(1).Def()
		return m.Name != "ReduceMean" || m.Operand(0) != d.Operand(0)
	},
	// channels(b, x): b broadcasts along every dim of x but the second.
	"channels": func(_ *Bindings, a []Arg) bool {
		x, v := a[1].dims(), a[0].dims()
		if len(x) < 2 || len(v) > len(x) || len(v) < len(x)-1 {
			return false
		}
		for i, d := range v {
			j := len(x) - len(v) + i
			if j == 1 && !d.Equal(x[1]) || j != 1 && !d.IsInt(1) {
				return false
			}
		}
		return true
	},
	// identity-perm(p): the permutation moves nothing.
	"identity-perm": func(_ *Bindings, a []Arg) bool {
		p, ok := a[0].Lit.([]int64)
		for i, n := range p {
			if n != int64(i) {
				return false
			}
		}
		return ok
	},
	// inverse-perms(p, q): one permutation undoes the other.
	"inverse-perms": func(_ *Bindings, a []Arg) bool {
		p, ok1 := a[0].Lit.([]int64)
		q, ok2 := a[1].Lit.([]int64)
		if !ok1 || !ok2 || len(p) != len(q) {
			return false
		}
		for i, n := range p {
			if n < 0 || int(n) >= len(q) || q[n] != int64(i) {
				return false
			}
		}
		return true
	},
	// false(x): x is absent or the constant false.
	"false": func(_ *Bindings, a []Arg) bool {
		if a[0].Value == nil {
			return true
		}
		d := a[0].Value.Data()
		if d == nil || d.DType != tensor.Bool || d.Len() != 1 {
			return false
		}
		t, err := d.Tensor()
		return err == nil && t.Data[0] == 0
	},
	// no-zeros(s): the constant list of sizes has no 0, which would copy a dim.
	"no-zeros": func(_ *Bindings, a []Arg) bool {
		l, ok := list(a[0].Value)
		return ok && !slices.Contains(l, 0)
	},
	// same-dtype(x): x has the element type of the value that is replaced.
	"same-dtype": func(b *Bindings, a []Arg) bool { return a[0].Value.Type.DType == b.Root.Result(0).Type.DType },
	// widens(x, d): the element type of number d holds every value of x's.
	"widens": func(_ *Bindings, a []Arg) bool {
		return a[0].Value.Type.IsTensor() && slices.Contains(wider[a[0].Value.Type.DType], tensor.DType(a[1].int()))
	},
	// other-axes(a, b, x): the constant lists name axes of x, none in both.
	"other-axes": func(_ *Bindings, a []Arg) bool {
		p, ok1 := list(a[0].Value)
		q, ok2 := list(a[1].Value)
		if !ok1 || !ok2 || len(p) == 0 || len(q) == 0 || a[2].Value.Type.Rank() < 1 {
			return false
		}
		seen := map[int]bool{-1: true}
		for _, n := range slices.Concat(p, q) {
			i := axis(n, a[2].Value)
			if seen[i] {
				return false
			}
			seen[i] = true
		}
		return true
	},
	// results(n): the op that is replaced has n results.
	"results": func(b *Bindings, a []Arg) bool { return b.Root.NumResults() == int(a[0].int()) },
	// positive(s): a constant scalar is greater than 0.
	"positive": func(_ *Bindings, a []Arg) bool { f, ok := scalar(a[0].Value); return ok && f > 0 },
	// lowest-code(z): the zero point z of the QuantizeLinear that is replaced is
	// the lowest of its type.
	"lowest-code": func(b *Bindings, a []Arg) bool {
		d := b.Root.Result(0).Type.DType
		least, _ := d.Range()
		z, ok := zeroPoint(a[0].Value)
		return d.IsInt() && ok && z == least
	},
	// holds-codes(lo, hi, s, z): the bounds lo and hi, which may be absent, have
	// the lowest and the highest code that there is, with scale s and zero point z.
	"holds-codes": func(b *Bindings, a []Arg) bool {
		d := b.Root.Result(0).Type.DType
		s, known := scalar(a[2].Value)
		z, also := zeroPoint(a[3].Value)
		if !d.IsInt() || !known || !also || !(s > 0) || a[2].Value.Type.DType != tensor.Float32 || b.Root.Attrs.Has("precision") {
			return false
		}
		code := func(v *ir.Value, absent float64) float64 {
			f, ok := scalar(v)
			if !ok {
				return absent
			}
			return math.RoundToEven(float64(float32(f)/float32(s))) + z
		}
		least, most := d.Range()
		return code(a[0].Value, least) <= least && code(a[1].Value, most) >= most
	},
	// broadcasts-into(b, x): combining b with x gives x's shape.
	"broadcasts-into": func(_ *Bindings, a []Arg) bool {
		v, x := a[0].dims(), a[1].dims()
		if v == nil && a[0].Value.Type.Rank() != 0 || len(v) > len(x) {
			return false
		}
		for i, d := range v {
			if !d.IsInt(1) && !d.Equal(x[len(x)-len(v)+i]) {
				return false
			}
		}
		return true
	},
	// one-of(p, v, ...): a literal or attribute is one of the values.
	"one-of": func(_ *Bindings, a []Arg) bool {
		return slices.ContainsFunc(a[1:], func(v Arg) bool { return sameAttr(a[0].Lit, v.Lit) })
	},
}
