package cpu

import (
	"context"
	"math"
	"math/bits"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/tensor"
)

// selection computes an op whose results no driver could be given a place for:
// how many elements they have only its operands tell. False leaves this run's
// operands to the reference, which says what is wrong with them.
type selection func(op *ir.Op, ins []*tensor.Tensor) ([]tensor.Value, bool)

// selections are the ops that plain Go selects elements for.
var selections = map[string]selection{
	"NonMaxSuppression": suppress,
	"NonZero":           nonZero,
	"TopK":              topK,
}

// selectionOf returns how an op on elements of these types is computed, nil
// where the reference does.
func selectionOf(op *ir.Op) selection {
	x := op.Operand(0)
	if x == nil || !x.Type.IsTensor() {
		return nil
	}
	switch d := x.Type.DType; op.Name {
	case "NonZero":
		if elems[d] == 0 && d != tensor.Bool {
			return nil
		}
	case "TopK":
		if d != tensor.Float32 && d != tensor.Int32 {
			return nil
		}
	case "NonMaxSuppression":
		if !isF32(x) || !isF32(op.Operand(1)) {
			return nil
		}
	}
	return selections[op.Name]
}

// choose computes a step by its selection.
func (p *plan) choose(ctx context.Context, s *step) error {
	ins := make([]*tensor.Tensor, s.op.NumOperands())
	ok := true
	for i, v := range s.op.Operands() {
		if v != nil {
			var t bool
			ins[i], t = p.value(v).(*tensor.Tensor)
			ok = ok && t
		}
	}
	if ok {
		if outs, ok := s.choose(s.op, ins); ok {
			return p.keepResults(s.op, outs)
		}
	}
	return p.evaluate(ctx, &step{op: s.op, eval: interp.ForOp(s.op)})
}

// nonZero finds the positions of what is not zero.
func nonZero(_ *ir.Op, ins []*tensor.Tensor) ([]tensor.Value, bool) {
	x := ins[0]
	var at []int64
	switch x.DType {
	case tensor.Bool, tensor.Uint8:
		at = positions(x.Data)
	case tensor.Int32:
		at = positions(tensor.Of[int32](x))
	case tensor.Int64:
		at = positions(tensor.Of[int64](x))
	case tensor.Float32:
		at = positions(tensor.Of[float32](x))
	default:
		return nil, false
	}
	y := tensor.New(tensor.Int64, x.Rank(), len(at))
	out := tensor.Of[int64](y)
	for d := x.Rank() - 1; d >= 0; d-- { // the last dim first: what is left of a position is those before it
		row, n := out[d*len(at):], int64(x.Shape[d])
		if d == 0 {
			copy(row, at)
			break
		}
		for i, p := range at {
			row[i], at[i] = p%n, p/n
		}
	}
	return []tensor.Value{y}, true
}

func positions[T comparable](v []T) []int64 {
	var zero T
	var at []int64
	for i, e := range v {
		if e != zero {
			at = append(at, int64(i))
		}
	}
	return at
}

// topK sorts numbers that hold an element's rank in their high and its place in
// their low half, so that of equal elements the first come first.
func topK(op *ir.Op, ins []*tensor.Tensor) ([]tensor.Value, bool) {
	x := ins[0]
	axis := axisAttr(op, -1, x.Rank())
	if ins[1] == nil || ins[1].DType != tensor.Int64 || ins[1].Len() != 1 || axis != x.Rank()-1 || axis < 0 {
		return nil, false
	}
	n := x.Shape[axis]
	k := tensor.Of[int64](ins[1])[0]
	if k < 0 || k > int64(n) || int64(n) > math.MaxUint32 {
		return nil, false
	}
	largest, ok := op.Attrs.Get("largest").(int64)
	var rank func(i int) uint32
	switch x.DType {
	case tensor.Float32:
		v := tensor.Of[float32](x)
		rank = func(i int) uint32 { return rankOf(v[i], math.MaxUint32) }
	case tensor.Int32:
		v := tensor.Of[int32](x)
		rank = func(i int) uint32 { return uint32(v[i]) ^ 1<<31 }
	default:
		return nil, false
	}
	flip := uint32(0)
	if !ok || largest != 0 {
		flip = math.MaxUint32
	}
	shape := slices.Clone(x.Shape)
	shape[axis] = int(k)
	values, indices := tensor.New(x.DType, shape...), tensor.New(tensor.Int64, shape...)
	out, list := tensor.Of[int64](indices), make([]uint64, n)
	for row := range product(x.Shape[:axis]) {
		for i := range list {
			list[i] = uint64(rank(row*n+i)^flip)<<32 | uint64(i)
		}
		smallest(list, int(k))
		for i, e := range list[:k] {
			from, to := row*n+int(uint32(e)), row*int(k)+i
			out[to] = int64(uint32(e))
			copy(values.Data[4*to:4*to+4], x.Data[4*from:])
		}
	}
	return []tensor.Value{values, indices}, true
}

// rankOf is a number that orders as x does among float32 values, zeros being
// equal, and that of a NaN is nan.
func rankOf(x float32, nan uint32) uint32 {
	if x != x {
		return nan
	}
	b := math.Float32bits(x + 0) // -0 + 0 is 0
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

// smallest sorts the k smallest of distinct numbers to the front (Hoare's
// quickselect; where it does not get ahead, all are sorted).
func smallest(v []uint64, k int) {
	lo, hi := 0, len(v) // the k-th is in v[lo:hi]
	for left := 2 * bits.Len(uint(len(v))); hi-lo > 32 && k > lo && k < hi; left-- {
		if left == 0 {
			slices.Sort(v[lo:hi])
			break
		}
		a, b, c := v[lo], v[lo+(hi-lo)/2], v[hi-1]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := lo, hi-1
		for i <= j {
			for v[i] < pivot {
				i++
			}
			for v[j] > pivot {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i, j = i+1, j-1
			}
		}
		if k <= j+1 {
			hi = j + 1
		} else {
			lo = i
			if k <= i {
				break
			}
		}
	}
	if k > lo && k < hi {
		slices.Sort(v[lo:hi])
	}
	slices.Sort(v[:min(k, len(v))])
}

// box is a rectangle by its corners.
type box struct{ x0, y0, x1, y1 float64 }

func (b *box) area() float64 { return (b.x1 - b.x0) * (b.y1 - b.y0) }

// overlaps reports whether the boxes' intersection over union is above a bound.
func (b *box) overlaps(o *box, bound float64) bool {
	w, h := min(b.x1, o.x1)-max(b.x0, o.x0), min(b.y1, o.y1)-max(b.y0, o.y0)
	if w <= 0 || h <= 0 || b.area() <= 0 || o.area() <= 0 {
		return 0 > bound
	}
	return w*h/(b.area()+o.area()-w*h) > bound
}

// suppress computes NonMaxSuppression.
func suppress(op *ir.Op, ins []*tensor.Tensor) ([]tensor.Value, bool) {
	boxes, scores := ins[0], ins[1]
	if boxes.Rank() != 3 || scores.Rank() != 3 || boxes.Shape[2] != 4 || boxes.Shape[0] != scores.Shape[0] || boxes.Shape[1] != scores.Shape[2] || scores.Shape[2] > math.MaxUint32 {
		return nil, false
	}
	most, bound := int64(0), float64(0)
	var least *float32
	for i, t := range ins[2:] {
		switch {
		case t == nil || t.Len() == 0:
		case t.Len() != 1 || (i == 0) != (t.DType == tensor.Int64) || i > 0 && t.DType != tensor.Float32:
			return nil, false
		case i == 0:
			most = tensor.Of[int64](t)[0]
		case i == 1:
			bound = float64(tensor.Of[float32](t)[0])
		default:
			least = &tensor.Of[float32](t)[0]
		}
	}
	centers, _ := op.Attrs.Get("center_point_box").(int64)
	n, classes, count := scores.Shape[0], scores.Shape[1], scores.Shape[2]
	corners := make([]box, n*count)
	for i := range corners {
		corners[i] = boxOf(tensor.Of[float32](boxes)[4*i:], centers != 0)
	}
	var rows []int64
	var order []uint64
	for t := range n * classes {
		image, score := corners[t/classes*count:][:count], tensor.Of[float32](scores)[t*count:(t+1)*count]
		order = order[:0]
		for i, v := range score {
			if least == nil || v > *least {
				order = append(order, uint64(^rankOf(v, 0))<<32|uint64(i))
			}
		}
		slices.Sort(order)
		kept := newBoxes(image, bound)
		for _, e := range order {
			if int64(len(kept.list)) >= most {
				break
			}
			if i := int(uint32(e)); kept.add(&image[i]) {
				rows = append(rows, int64(t/classes), int64(t%classes), int64(i))
			}
		}
	}
	return []tensor.Value{tensor.Int64s(rows, len(rows)/3, 3)}, true
}

func boxOf(v []float32, centers bool) box {
	a, b, c, d := float64(v[0]), float64(v[1]), float64(v[2]), float64(v[3])
	if centers {
		return box{a - c/2, b - d/2, a + c/2, b + d/2}
	}
	return box{min(b, d), min(a, c), max(b, d), max(a, c)}
}

const boxColumns = 512

// boxes are the kept ones of an image, listed by the column in which they
// begin: a box overlaps only those that begin no more columns before it than
// any of them reaches over.
type boxes struct {
	bound       float64
	left, scale float64 // columns from a position; 0 for one column
	reach       int
	list        []*box
	next        []int32 // in the same column, of every box
	head        [boxColumns]int32
}

// newBoxes makes columns for the boxes of an image. With a bound below 0 boxes
// overlap wherever they are.
func newBoxes(image []box, bound float64) *boxes {
	b := &boxes{bound: bound}
	left, right := math.Inf(1), math.Inf(-1)
	for i := range image {
		if x := &image[i]; x.finite() {
			left, right = min(left, x.x0), max(right, x.x1)
		}
	}
	if b.left = left; right > left && bound >= 0 {
		b.scale = boxColumns / (right - left)
	}
	for i := range b.head {
		b.head[i] = -1
	}
	return b
}

func (b *box) finite() bool { w := b.x1 - b.x0; return w-w == 0 }

func (b *boxes) column(x float64) int {
	if b.scale == 0 {
		return 0
	}
	return int(max(0, min((x-b.left)*b.scale, boxColumns-1)))
}

// add keeps a box if it overlaps none that is kept.
func (b *boxes) add(x *box) bool {
	if b.bound >= 0 && !x.finite() { // its share of an overlap is 0 or no number
		b.list, b.next = append(b.list, x), append(b.next, -1)
		return true
	}
	lo, hi := b.column(x.x0), b.column(x.x1)
	for c := max(0, lo-b.reach); c <= hi; c++ {
		for e := b.head[c]; e >= 0; e = b.next[e] {
			if x.overlaps(b.list[e], b.bound) {
				return false
			}
		}
	}
	b.list, b.next = append(b.list, x), append(b.next, b.head[lo])
	b.head[lo], b.reach = int32(len(b.list)-1), max(b.reach, hi-lo)
	return true
}
