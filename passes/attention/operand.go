package attention

import (
	"cmp"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// form is how a base holds queries, keys or values, from what costs nothing to
// what leaves most ops behind.
type form int

const (
	flat     form = iota // [B,S,heads*size]
	ranged               // [B,S,C], a range of the channels
	seqFirst             // [S,B,C], all channels or a range
	apart                // [B,S,heads,size]
	stacked              // [B,heads,S,size]
)

// layouts says which dims of a base are the batch, the heads (those of three
// dims are in the last one) and the sequence.
var layouts = []struct {
	form                    form
	rank, batch, heads, seq int
}{
	{ranged, 3, 0, 2, 1},
	{seqFirst, 3, 1, 2, 0},
	{apart, 4, 0, 2, 1},
	{stacked, 4, 0, 1, 2},
}

// operand is a base read as queries, keys or values.
type operand struct {
	form        form
	x           *ir.Value
	batch, seq  ir.Dim
	rows        int // the dim of x that is seq
	heads, size int64
	repeat      int64 // how often each head is used in a row
	from        int64 // the first channel
	scale       float64
}

// width is the number of channels.
func (o *operand) width() int64 { return o.heads * o.size }

// channels returns the first channel and how many there are.
func (o *operand) channels() [2]int64 { return [2]int64{o.from, o.width()} }

// reading holds the ways in which an operand of a product of matrices can be
// had: with heads in channels, and as a stack of heads. Either may be nil.
type reading struct{ channels, stack *operand }

// farthest bounds the ops between an operand and its base.
const farthest = 16

// any returns the reading that takes a stack as it is, if there is one.
func (r reading) any() *operand {
	if r.stack != nil {
		return r.stack
	}
	return r.channels
}

// read returns the readings of v, [..,S,size] or, of keys, [..,size,S]. Of
// bases that serve as well the one farthest up leaves the fewest ops. Values
// are not scaled.
func read(v *ir.Value, keys, scale bool) (r reading) {
	var between []*ir.Value
	for x := v; x != nil && len(between) <= farthest; x = moved(x, scale) {
		if w := viewOf(x.Type.Dims, between); w != nil {
			switch o := w.operand(x, keys); {
			case o == nil:
			case o.form == stacked:
				r.stack = o
			case r.channels == nil || o.form <= r.channels.form:
				r.channels = o
			}
		}
		between = slices.Insert(between, 0, x)
	}
	return r
}

// operand finds the layout of which w is the view that attention wants; nil
// where there is none.
func (w *view) operand(x *ir.Value, keys bool) *operand {
	dims, r := x.Type.Dims, len(w.dims)
	if r < 3 {
		return nil
	}
	lead, rows, columns := joined(w.dims[:r-2]...), joined(w.dims[r-2]), joined(w.dims[r-1])
	if keys {
		rows, columns = columns, rows
	}
	// size returns how many positions of a dim some atoms have.
	size := func(atoms []atom, dim int) int64 {
		for _, a := range atoms {
			if n, ok := a.n.Int(); ok && a.dim == dim {
				return n
			}
		}
		return 1
	}
	for _, l := range layouts {
		last := l.rank - 1
		if len(dims) != l.rank {
			continue
		}
		o := &operand{l.form, x, dims[l.batch], dims[l.seq], l.seq, size(lead, l.heads), size(columns, last), size(lead, repeated), w.first[last], w.scale}
		step := int64(1)
		if l.heads == last {
			step = o.size
		} else if !dims[l.heads].IsInt(o.heads) || !dims[last].IsInt(o.size) {
			continue
		}
		if !alikeAtoms(lead, run(atom{l.batch, 1, o.batch}), run(atom{l.heads, step, ir.Const(o.heads)}), run(atom{repeated, 0, ir.Const(o.repeat)})) ||
			!alikeAtoms(rows, run(atom{l.seq, 1, o.seq})) || !alikeAtoms(columns, run(atom{last, 1, ir.Const(o.size)})) || slices.ContainsFunc(w.first[:last], func(n int64) bool { return n != 0 }) {
			continue
		}
		if o.form == ranged && dims[last].IsInt(o.width()) {
			o.form = flat
		}
		return o
	}
	return nil
}

func alikeAtoms(atoms []atom, want ...[]atom) bool {
	return slices.EqualFunc(atoms, slices.Concat(want...), func(a, b atom) bool { return a.dim == b.dim && a.step == b.step && a.n.Equal(b.n) })
}

// channelsOf returns operands as [B,S,heads*size]. Ranges of one base that
// make it up side by side come from one Split.
func channelsOf(r *passes.Rewriter, list ...*operand) []*ir.Value {
	out := make([]*ir.Value, len(list))
	for i, o := range list {
		switch o.form {
		case flat:
			out[i] = o.x
		case apart:
			out[i] = r.Op("Reshape", []*ir.Value{o.x, r.Int64s(0, 0, o.width())})
		default:
			if out[i] == nil {
				cut(r, list, o, out)
			}
		}
	}
	return out
}

// cut cuts the ranges of the base that o is one of.
func cut(r *passes.Rewriter, list []*operand, o *operand, out []*ir.Value) {
	x := o.x
	if o.form == seqFirst {
		x = r.Op("Transpose", []*ir.Value{x}, ir.Attr{Name: "perm", Value: []int64{1, 0, 2}})
	}
	var ranges [][2]int64 // first channels and widths
	for _, p := range list {
		if p.form == o.form && p.x == o.x {
			ranges = append(ranges, p.channels())
		}
	}
	slices.SortFunc(ranges, func(a, b [2]int64) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	ranges = slices.Compact(ranges)
	var sizes []int64
	end := int64(0)
	for _, p := range ranges {
		if p[0] == end {
			sizes = append(sizes, p[1])
			end += p[1]
		}
	}
	parts := map[[2]int64]*ir.Value{}
	switch whole := o.x.Type.Dims[2].IsInt(end) && len(sizes) == len(ranges); {
	case whole && len(ranges) == 1:
		parts[ranges[0]] = x
	case whole:
		for i, y := range r.OpN("Split", len(ranges), []*ir.Value{x, r.Int64s(sizes...)}, ir.Attr{Name: "axis", Value: int64(-1)}) {
			parts[ranges[i]] = y
		}
	default:
		for _, p := range ranges {
			parts[p] = r.Op("Slice", []*ir.Value{x, r.Int64s(p[0]), r.Int64s(p[0] + p[1]), r.Int64s(2)})
		}
	}
	for i, p := range list {
		if p.form == o.form && p.x == o.x {
			out[i] = parts[p.channels()]
		}
	}
}

// stackOf returns an operand as [B,heads,S,size].
func stackOf(r *passes.Rewriter, o *operand) *ir.Value {
	x := o.x
	switch o.form {
	case stacked:
		return x
	case apart:
	default:
		x = r.Op("Reshape", []*ir.Value{channelsOf(r, o)[0], r.Int64s(0, 0, o.heads, o.size)})
	}
	return r.Op("Transpose", []*ir.Value{x}, ir.Attr{Name: "perm", Value: []int64{0, 2, 1, 3}})
}
