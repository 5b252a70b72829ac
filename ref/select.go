package ref

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// NonZero returns the coordinates of the elements that are not zero, one row a
// dim, in row-major order.
func NonZero(x *tensor.Tensor) (*tensor.Tensor, error) {
	v, err := reals(x)
	if x.DType == tensor.String {
		v, err = make([]float64, x.Len()), nil
		for i, s := range x.Strings {
			if s != "" {
				v[i] = 1
			}
		}
	}
	if err != nil {
		return nil, err
	}
	var at []int
	for i, e := range v {
		if e != 0 {
			at = append(at, i)
		}
	}
	y := tensor.New(tensor.Int64, x.Rank(), len(at))
	out := tensor.Of[int64](y)
	for d, s := range stridesOf(x.Shape) {
		for i, p := range at {
			out[d*len(at)+i] = int64(p / s % x.Shape[d])
		}
	}
	return y, nil
}

// OneHot puts a new axis of the given depth; along it values[1] stands where
// the index is, values[0] elsewhere and where the index is out of range.
func OneHot(indices *tensor.Tensor, depth int, values *tensor.Tensor, axis int) (*tensor.Tensor, error) {
	axis, err := axisOf(axis, indices.Rank()+1)
	if err != nil {
		return nil, err
	}
	if depth < 0 || values.Len() != 2 {
		return nil, fmt.Errorf("depth is %d and values are %s, want a depth of at least 0 and two values", depth, values)
	}
	shape := slices.Insert(slices.Clone(indices.Shape), axis, depth)
	if err := checkSize(shape...); err != nil {
		return nil, err
	}
	from := make([]int, product(shape))
	inner := product(indices.Shape[axis:])
	for i, f := range Float64s(indices) {
		p := int(f)
		if p < 0 {
			p += depth
		}
		if p >= 0 && p < depth {
			from[(i/inner*depth+p)*inner+i%inner] = 1
		}
	}
	return take(values, from, 1, shape...), nil
}

// TopK returns the k largest or smallest elements along the axis, sorted, and
// their indices; of equal ones the first come first.
func TopK(x *tensor.Tensor, k, axis int, largest bool) (values, indices *tensor.Tensor, err error) {
	if axis, err = axisOf(axis, x.Rank()); err != nil {
		return nil, nil, err
	}
	if k < 0 || k > x.Shape[axis] {
		return nil, nil, fmt.Errorf("k is %d for %d elements", k, x.Shape[axis])
	}
	less, err := order(x)
	if err != nil {
		return nil, nil, err
	}
	shape := slices.Clone(x.Shape)
	shape[axis] = k
	indices = tensor.New(tensor.Int64, shape...)
	out := tensor.Of[int64](indices)
	from := make([]int, len(out))
	g, to := groupBy(x.Shape, []int{axis}), groupBy(shape, []int{axis})
	rank := make([]int, len(g.offset))
	for i, base := range g.base {
		for j := range rank {
			rank[j] = j
		}
		slices.SortStableFunc(rank, func(a, b int) int {
			p, q := base+g.offset[a], base+g.offset[b]
			if largest {
				p, q = q, p
			}
			switch {
			case less(p, q):
				return -1
			case less(q, p):
				return 1
			}
			return 0
		})
		for j, o := range to.offset {
			out[to.base[i]+o] = int64(rank[j])
			from[to.base[i]+o] = base + g.offset[rank[j]]
		}
	}
	return take(x, from, 1, shape...), indices, nil
}

// Uniques is what Unique returns.
type Uniques struct {
	Y       *tensor.Tensor // the distinct elements or slices
	First   *tensor.Tensor // where each comes first in x
	Inverse *tensor.Tensor // for each of x, its place in Y
	Counts  *tensor.Tensor
}

// Unique finds distinct elements of x, or distinct slices along the axis
// where axis is not nil, in ascending order or in that of their first place.
func Unique(x *tensor.Tensor, axis *int, sorted bool) (*Uniques, error) {
	a := 0
	if axis == nil {
		x = x.Reshaped(x.Len())
	} else {
		var err error
		if a, err = axisOf(*axis, x.Rank()); err != nil {
			return nil, err
		}
	}
	less, err := order(x)
	if err != nil {
		return nil, err
	}
	// All dims but the axis: the base of a group is where a slice starts.
	others := make([]int, 0, x.Rank())
	for d := range x.Rank() {
		if d != a {
			others = append(others, d)
		}
	}
	g := groupBy(x.Shape, others)
	compare := func(i, j int) int {
		for _, o := range g.offset {
			switch p, q := g.base[i]+o, g.base[j]+o; {
			case less(p, q):
				return -1
			case less(q, p):
				return 1
			}
		}
		return 0
	}
	byValue := make([]int, len(g.base))
	for i := range byValue {
		byValue[i] = i
	}
	slices.SortStableFunc(byValue, compare)
	var first []int // of each distinct slice, in ascending order of value
	inverse := make([]int, len(byValue))
	for i, s := range byValue {
		if i == 0 || compare(byValue[i-1], s) != 0 {
			first = append(first, s)
		}
		inverse[s] = len(first) - 1
	}
	if !sorted {
		first, inverse = byPlace(first, inverse)
	}
	u := &Uniques{First: tensor.New(tensor.Int64, len(first)), Inverse: tensor.New(tensor.Int64, len(inverse)), Counts: tensor.New(tensor.Int64, len(first))}
	for i, s := range first {
		tensor.Of[int64](u.First)[i] = int64(s)
	}
	for i, p := range inverse {
		tensor.Of[int64](u.Inverse)[i] = int64(p)
		tensor.Of[int64](u.Counts)[p]++
	}
	u.Y, err = Gather(x, u.First, a)
	return u, err
}

// byPlace brings distinct slices in the order of their first place.
func byPlace(first, inverse []int) (f, inv []int) {
	order := make([]int, len(first))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return first[i] - first[j] })
	place := make([]int, len(first))
	for to, from := range order {
		f = append(f, first[from])
		place[from] = to
	}
	for _, p := range inverse {
		inv = append(inv, place[p])
	}
	return f, inv
}

// Compress keeps the slices along the axis for which condition is true; of
// the flattened x where axis is nil. Conditions past the end count as false.
func Compress(x, condition *tensor.Tensor, axis *int) (*tensor.Tensor, error) {
	a := 0
	if axis == nil {
		x = x.Reshaped(x.Len())
	} else {
		a = *axis
	}
	n, err := axisOf(a, x.Rank())
	if err != nil {
		return nil, err
	}
	if condition.DType != tensor.Bool || condition.Rank() != 1 || condition.Len() > x.Shape[n] {
		return nil, fmt.Errorf("condition is %s for axis %d of %s, want at most as many bools", condition, a, x)
	}
	var keep []int64
	for i, c := range condition.Data {
		if c != 0 {
			keep = append(keep, int64(i))
		}
	}
	return Gather(x, tensor.Int64s(keep, len(keep)), a)
}

// EyeLike returns a matrix with ones on the k-th diagonal.
func EyeLike(d tensor.DType, rows, cols, k int) (*tensor.Tensor, error) {
	one, err := Cast(tensor.Int64s([]int64{1}), d, CastOptions{})
	if err != nil {
		return nil, err
	}
	y, err := newResult(d, rows, cols)
	if err != nil {
		return nil, err
	}
	unit := []int{1}
	for i := range rows {
		if j := i + k; j >= 0 && j < cols {
			copyStrided(y, i*cols+j, unit, one, 0, unit, unit)
		}
	}
	return y, nil
}

// rangeLen returns the number of elements of Range.
func rangeLen(start, limit, delta float64) (int, error) {
	if delta == 0 || delta != delta {
		return 0, fmt.Errorf("a range in steps of %v", delta)
	}
	n := math.Ceil((limit - start) / delta)
	if n != n || n > maxResult {
		return 0, fmt.Errorf("a range from %v to %v in steps of %v is too long", start, limit, delta)
	}
	return max(0, int(n)), nil
}

// Range returns start, start+delta, ... below limit (above it for a negative
// delta).
func Range(start, limit, delta *tensor.Tensor) (*tensor.Tensor, error) {
	if start.Len() != 1 || limit.Len() != 1 || delta.Len() != 1 || start.DType != limit.DType || start.DType != delta.DType {
		return nil, fmt.Errorf("operands are %s, %s and %s, want scalars of one type", start, limit, delta)
	}
	if start.DType.IsInt() {
		s, l, d := bits64(start)[0], bits64(limit)[0], bits64(delta)[0]
		n, err := rangeLen(0, float64(l)-float64(s), float64(d))
		if err != nil {
			return nil, err
		}
		v := make([]int64, n)
		for i := range v {
			v[i] = s + int64(i)*d
		}
		return castInts(v, start.DType, []int{n}), nil
	}
	s, l, d := Float64s(start)[0], Float64s(limit)[0], Float64s(delta)[0]
	n, err := rangeLen(s, l, d)
	if err != nil {
		return nil, err
	}
	v := make([]float64, n)
	for i := range v {
		v[i] = s + float64(i)*d
	}
	return fromFloat64s(start.DType, v, n), nil
}
