package attention

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// mask is what becomes of the scores before the Softmax: a value is added to
// them, or cond tells where they count, and others are fill.
type mask struct {
	add  *ir.Value
	cond *ir.Value
	not  bool // cond tells where they do not
	fill float64
}

// hiding bounds what a Where may put in the place of scores: so low that a score
// added to it changes nothing, which makes of a row that it fills what the Where
// makes of it.
const hiding = -1e20

// maskOf reads an added mask: Where(cond, 0, fill) is as good as cond.
func maskOf(v *ir.Value) mask {
	if d := v.Def(); d != nil && d.Name == "Where" {
		for i := range 2 {
			open, ok1 := scalar(d.Operand(1 + i))
			fill, ok2 := scalar(d.Operand(2 - i))
			if ok1 && ok2 && open == 0 && fill <= hiding {
				return conditional(d.Operand(0), i == 1, fill)
			}
		}
	}
	return mask{add: v}
}

func conditional(cond *ir.Value, not bool, fill float64) mask {
	for d := cond.Def(); d != nil && d.Name == "Not"; d = cond.Def() {
		cond, not = d.Operand(0), !not
	}
	return mask{cond: cond, not: not, fill: fill}
}

// value returns the mask as it is in the model, nil where there is none.
func (m *mask) value() *ir.Value {
	if m.cond != nil {
		return m.cond
	}
	return m.add
}

// fits reports whether the mask broadcasts to scores of the given dims, its
// last dim excepted, which is that of the keys.
func (m *mask) fits(scores []ir.Dim) bool {
	t := m.value().Type
	if r := t.Rank(); r < 2 || r > len(scores) {
		return false
	}
	scores = scores[len(scores)-t.Rank():]
	for i, d := range t.Dims {
		if !ir.Broadcast(d, scores[i]).Equal(scores[i]) || i == t.Rank()-1 && d.IsInt(1) {
			return false
		}
	}
	return true
}

// exact reports whether Attention answers as the model does to a query that
// sees no key: with zeros where the mask hides keys by minus infinity. Where
// scores are finite the answer is the same in any case, and guarded says that
// the model makes zeros of the NaNs that a Softmax of nothing gives (and of those
// that come from NaNs in queries and keys, which an Attention passes on). What
// comes from outside of the model is not asked.
func (m *mask) exact(guarded bool) bool {
	switch {
	case guarded || m.value() == nil:
		return true
	case m.cond != nil:
		return !math.IsInf(m.fill, -1) || !m.not && seesFirst(m.cond)
	}
	return !hidesByInfinity(m.add, 8) || seesFirst(m.add)
}

// seesFirst reports whether a mask made of constants lets every query see the
// first key.
func seesFirst(v *ir.Value) bool {
	for d := v.Def(); d != nil; d = v.Def() {
		switch d.Name {
		case "Unsqueeze":
		case "Slice": // of the first keys
			starts, ok := ints(d.Operand(1))
			for _, s := range starts {
				ok = ok && s == 0
			}
			if !ok || d.Operand(4) != nil && !ones(d.Operand(4)) {
				return false
			}
		case "Trilu": // what it leaves of the first column are zeros
			k, ok := ints(d.Operand(1))
			upper, _ := d.Attrs.Get("upper").(int64)
			return ok && len(k) == 1 && k[0] > 0 && upper != 0 && v.Type.DType.IsFloat()
		default:
			c := v.Data()
			if c == nil || len(c.Shape) == 0 || c.Len() > largestMask {
				return false
			}
			t, err := c.Tensor()
			if err != nil {
				return false
			}
			n := t.Shape[t.Rank()-1]
			for i, x := range ref.Float64s(t) {
				if i%n == 0 && (math.IsInf(x, -1) || x == 0 && t.DType == tensor.Bool) {
					return false
				}
			}
			return true
		}
		v = d.Operand(0)
	}
	return false
}

func ones(v *ir.Value) bool {
	list, ok := ints(v)
	for _, n := range list {
		ok = ok && n == 1
	}
	return ok
}

// makesMasks are the ops by which masks are made of constants.
var makesMasks = map[string]bool{
	"Add": true, "Cast": true, "Concat": true, "Expand": true, "Gather": true, "Identity": true, "Max": true, "Min": true, "Mul": true,
	"Reshape": true, "Slice": true, "Squeeze": true, "Sub": true, "Tile": true, "Transpose": true, "Trilu": true, "Unsqueeze": true, "Where": true,
}

// hidesByInfinity reports whether v is made of constants among which is minus
// infinity; depth bounds the search.
func hidesByInfinity(v *ir.Value, depth int) bool {
	if v == nil || v.Def() == nil || depth == 0 {
		return false
	}
	c := v.Data()
	if v.Def().Name == "ConstantOfShape" {
		c, _ = v.Def().Attrs.Get("value").(*ir.Data)
	}
	if c != nil {
		if !c.DType.IsFloat() || c.Len() > largestMask {
			return false
		}
		t, err := c.Tensor()
		return err == nil && slices.Contains(ref.Float64s(t), math.Inf(-1))
	}
	return makesMasks[v.Def().Name] && slices.ContainsFunc(v.Def().Operands(), func(o *ir.Value) bool { return hidesByInfinity(o, depth-1) })
}

// largestMask bounds the elements of constants that are looked at.
const largestMask = 1 << 24

// build returns the mask as an operand of an Attention of the given queries:
// booleans, or what is added to the scores. It was that of scores of rank dims,
// which have none for heads where they are three.
func (m *mask) build(r *passes.Rewriter, like tensor.DType, q *operand, rank int) *ir.Value {
	v := m.value()
	switch {
	case v == nil:
		return nil
	case m.cond == nil:
		if x, by := lowestTimes(v); x != nil {
			v = r.Op("Mul", []*ir.Value{x, number(r, like, by/2)})
		}
	case math.IsInf(m.fill, -1):
		if m.not {
			v = r.Op("Not", []*ir.Value{v})
		}
	default:
		open, hidden := number(r, like, 0), number(r, like, max(m.fill, lowest/2))
		if m.not {
			open, hidden = hidden, open
		}
		v = r.Op("Where", []*ir.Value{v, open, hidden})
	}
	if rank == 3 && v.Type.Rank() == 3 && !v.Type.Dims[0].IsInt(1) {
		v = r.Op("Unsqueeze", []*ir.Value{v, r.Int64s(1)})
	}
	return perQuery(r, v, q)
}

// lowest hides keys in many models. Some runtimes take it for minus infinity
// and answer zeros where every key is hidden by it; half of it hides as well.
const lowest = -math.MaxFloat32

// lowestTimes returns the whole numbers that a mask multiplies the lowest
// number with, nil where it is none such.
func lowestTimes(v *ir.Value) (x *ir.Value, by float64) {
	d := v.Def()
	if d == nil || d.Name != "Mul" {
		return nil, 0
	}
	if x, by = scaled(d); x == nil || by != lowest {
		return nil, 0
	}
	for y := x; y.Def() != nil; {
		switch d := y.Def(); d.Name {
		case "Cast":
			t := d.Operand(0).Type
			if t.IsTensor() && (t.DType.IsInt() || t.DType == tensor.Bool) {
				return x, by
			}
			return nil, 0
		case "Unsqueeze", "Expand", "Reshape":
			y = d.Operand(0)
		case "Sub": // from a number
			if one, ok := scalar(d.Operand(0)); !ok || one != math.Trunc(one) {
				return nil, 0
			}
			y = d.Operand(1)
		default:
			return nil, 0
		}
	}
	return nil, 0
}

func number(r *passes.Rewriter, d tensor.DType, x float64) *ir.Value {
	t, err := ref.Cast(tensor.Scalar(tensor.Float64, x), d, ref.CastOptions{})
	if err != nil {
		r.Fail(err)
		return nil
	}
	return r.Tensor(t)
}

// perQuery gives a mask a row for every query, as runtimes want it: an
// exporter's mask is often one row for all. The rows are counted on the mask
// where there are as many queries as keys, so that attentions that share a
// mask share this too.
func perQuery(r *passes.Rewriter, m *ir.Value, q *operand) *ir.Value {
	d := m.Type.Dims
	if !d[len(d)-2].IsInt(1) || q.seq.IsInt(1) {
		return m
	}
	from, axis := q.x, int64(q.rows)
	if d[len(d)-1].Equal(q.seq) {
		from, axis = m, int64(len(d)-1)
	}
	rows := r.Op("Shape", []*ir.Value{from}, ir.Attr{Name: "start", Value: axis}, ir.Attr{Name: "end", Value: axis + 1})
	shape := r.Op("Concat", []*ir.Value{rows, r.Int64s(1)}, ir.Attr{Name: "axis", Value: int64(0)})
	return r.Op("Expand", []*ir.Value{m, shape})
}
