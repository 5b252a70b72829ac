package ref

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// groups partitions a tensor's elements: group g holds the elements at
// base[g]+offset[i]. Groups are in row-major order of the dims that are kept,
// elements in row-major order of the others.
type groups struct {
	base, offset []int
}

// groupBy puts elements that differ along the given axes only into one group.
func groupBy(shape, axes []int) groups {
	strides := stridesOf(shape)
	var kept, within [2][]int // shape and strides
	for d, n := range shape {
		to := &kept
		if slices.Contains(axes, d) {
			to = &within
		}
		to[0], to[1] = append(to[0], n), append(to[1], strides[d])
	}
	return groups{offsets(kept[0], kept[1]), offsets(within[0], within[1])}
}

// offsets lists the offsets of all elements of a strided shape.
func offsets(shape, strides []int) []int {
	out := make([]int, 0, product(shape))
	w := newWalk(shape, strides)
	n, s := w.length(), w.step(0)
	w.rows(func(at []int) {
		for k := range n {
			out = append(out, at[0]+k*s)
		}
	})
	return out
}

// Axes makes axes non-negative and checks that none comes twice.
func Axes(axes []int, rank int) ([]int, error) {
	out := make([]int, len(axes))
	for i, a := range axes {
		a, err := axisOf(a, rank)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out[:i], a) {
			return nil, fmt.Errorf("axis %d is listed twice in %v", a, axes)
		}
		out[i] = a
	}
	return out, nil
}

// reducedShape returns the shape of a reduction's result; axes are
// non-negative.
func reducedShape(shape, axes []int, keep bool) []int {
	out := make([]int, 0, len(shape))
	for d, n := range shape {
		switch {
		case !slices.Contains(axes, d):
			out = append(out, n)
		case keep:
			out = append(out, 1)
		}
	}
	return out
}

// reductions are ONNX's, over real numbers in float64.
var reductions = map[string]func(v []float64) float64{
	"ReduceSum":  total,
	"ReduceMean": func(v []float64) float64 { return total(v) / float64(len(v)) },
	"ReduceProd": func(v []float64) float64 {
		p := 1.0
		for _, x := range v {
			p *= x
		}
		return p
	},
	"ReduceMax": func(v []float64) float64 {
		m := math.Inf(-1)
		for _, x := range v {
			m = larger(m, x)
		}
		return m
	},
	"ReduceMin": func(v []float64) float64 {
		m := math.Inf(1)
		for _, x := range v {
			m = smaller(m, x)
		}
		return m
	},
	"ReduceL1": func(v []float64) float64 {
		s := 0.0
		for _, x := range v {
			s += math.Abs(x)
		}
		return s
	},
	"ReduceL2":        func(v []float64) float64 { return math.Sqrt(sumSquares(v)) },
	"ReduceSumSquare": sumSquares,
	"ReduceLogSum":    func(v []float64) float64 { return math.Log(total(v)) },
	"ReduceLogSumExp": func(v []float64) float64 {
		m := math.Inf(-1)
		for _, x := range v {
			m = larger(m, x)
		}
		if math.IsInf(m, 0) {
			return m
		}
		s := 0.0
		for _, x := range v {
			s += math.Exp(x - m)
		}
		return m + math.Log(s)
	},
}

func total(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return s
}

func sumSquares(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x * x
	}
	return s
}

// Reduce applies one of ONNX's reductions, ReduceSum and the like, over the
// axes. Sums and products of integers wrap around; what the other reductions
// give for integers loses its fraction.
func Reduce(name string, x *tensor.Tensor, axes []int, keep bool) (*tensor.Tensor, error) {
	axes, err := Axes(axes, x.Rank())
	if err != nil {
		return nil, err
	}
	f := reductions[name]
	if f == nil {
		return nil, fmt.Errorf("there is no reduction %s", name)
	}
	shape := reducedShape(x.Shape, axes, keep)
	if g := intReduction(name, x.DType); g != nil {
		return castInts(eachGroup(x.Shape, axes, bits64(x), g), x.DType, shape), nil
	}
	in, err := reals(x)
	if err != nil {
		return nil, err
	}
	v := eachGroup(x.Shape, axes, in, f)
	if x.DType == tensor.Bool {
		return castFloats(clampBool(v), x.DType, CastOptions{}, shape), nil
	}
	if x.DType.IsInt() {
		return castFloats(v, x.DType, CastOptions{}, shape), nil
	}
	return fromFloat64s(x.DType, v, shape...), nil
}

// clampBool maps the bounds of an empty reduction to false and true.
func clampBool(v []float64) []float64 {
	for i := range v {
		v[i] = max(v[i], 0)
	}
	return v
}

// eachGroup computes f of every group of elements.
func eachGroup[T any](shape, axes []int, v []T, f func([]T) T) []T {
	g := groupBy(shape, axes)
	out := make([]T, len(g.base))
	const chunk = 64
	parallel((len(out)+chunk-1)/chunk, func(c int) {
		group := make([]T, len(g.offset))
		for i := c * chunk; i < min(len(out), (c+1)*chunk); i++ {
			for j, o := range g.offset {
				group[j] = v[g.base[i]+o]
			}
			out[i] = f(group)
		}
	})
	return out
}

// intReduction returns the reduction over integers, uint64 as its bits; nil
// where it is computed in float64.
func intReduction(name string, d tensor.DType) func([]int64) int64 {
	if !d.IsInt() {
		return nil
	}
	less := func(a, b int64) bool { return a < b }
	if d == tensor.Uint64 {
		less = func(a, b int64) bool { return uint64(a) < uint64(b) }
	}
	lowest, highest := int64(math.MinInt64), int64(math.MaxInt64)
	switch {
	case d == tensor.Uint64:
		lowest, highest = 0, -1
	case d != tensor.Int64:
		lowest, highest = intRange(d)
	}
	fold := func(start int64, f func(a, b int64) int64) func([]int64) int64 {
		return func(v []int64) int64 {
			s := start
			for _, x := range v {
				s = f(s, x)
			}
			return s
		}
	}
	switch name {
	case "ReduceSum":
		return fold(0, func(a, b int64) int64 { return a + b })
	case "ReduceProd":
		return fold(1, func(a, b int64) int64 { return a * b })
	case "ReduceSumSquare":
		return fold(0, func(a, b int64) int64 { return a + b*b })
	case "ReduceL1":
		return fold(0, func(a, b int64) int64 {
			if less(b, 0) {
				b = -b
			}
			return a + b
		})
	case "ReduceMax":
		return fold(lowest, func(a, b int64) int64 {
			if less(a, b) {
				return b
			}
			return a
		})
	case "ReduceMin":
		return fold(highest, func(a, b int64) int64 {
			if less(b, a) {
				return b
			}
			return a
		})
	}
	return nil
}

// ArgBest returns the index, along the axis, of the largest element, or of
// the smallest one; of equal ones the first, or the last.
func ArgBest(x *tensor.Tensor, axis int, largest, last, keep bool) (*tensor.Tensor, error) {
	axis, err := axisOf(axis, x.Rank())
	if err != nil {
		return nil, err
	}
	if x.Shape[axis] == 0 {
		return nil, fmt.Errorf("axis %d of %s is empty", axis, x)
	}
	less, err := order(x)
	if err != nil {
		return nil, err
	}
	g := groupBy(x.Shape, []int{axis})
	y := tensor.New(tensor.Int64, reducedShape(x.Shape, []int{axis}, keep)...)
	out := tensor.Of[int64](y)
	for i, base := range g.base {
		best := 0
		for j, o := range g.offset {
			a, b := base+g.offset[best], base+o
			if largest && less(a, b) || !largest && less(b, a) || last && !less(a, b) && !less(b, a) {
				best = j
			}
		}
		out[i] = int64(best)
	}
	return y, nil
}

// order returns a comparison of a tensor's elements by index; NaN is above all
// numbers.
func order(x *tensor.Tensor) (func(i, j int) bool, error) {
	switch x.DType {
	case tensor.String:
		return func(i, j int) bool { return x.Strings[i] < x.Strings[j] }, nil
	case tensor.Int64:
		v := tensor.Of[int64](x)
		return func(i, j int) bool { return v[i] < v[j] }, nil
	case tensor.Uint64:
		v := tensor.Of[uint64](x)
		return func(i, j int) bool { return v[i] < v[j] }, nil
	}
	v, err := reals(x)
	return func(i, j int) bool { return v[i] < v[j] || v[i] == v[i] && v[j] != v[j] }, err
}

// Softmax returns exp(x)/sum(exp(x)) along one axis. In types narrower than
// float32 every step is rounded, as ONNX's reference does.
func Softmax(x *tensor.Tensor, axis int) (*tensor.Tensor, error) {
	round := rounder(x.DType)
	return alongAxis(x, axis, func(v []float64) {
		m := reductions["ReduceMax"](v)
		for i := range v {
			v[i] = round(math.Exp(round(v[i] - m)))
		}
		sum := narrowSum(v, x.DType)
		for i := range v {
			v[i] /= sum
		}
	})
}

// narrowSum adds up as ONNX's reference does: sums of bfloat16 are rounded at
// every step, those of other types at the end.
func narrowSum(v []float64, d tensor.DType) float64 {
	round := rounder(d)
	if d != tensor.BFloat16 {
		return round(total(v))
	}
	sum := 0.0
	for _, x := range v {
		sum = round(sum + x)
	}
	return sum
}

// LogSoftmax is the logarithm of Softmax.
func LogSoftmax(x *tensor.Tensor, axis int) (*tensor.Tensor, error) {
	return alongAxis(x, axis, func(v []float64) {
		m, sum := reductions["ReduceMax"](v), 0.0
		for i := range v {
			v[i] -= m
			sum += math.Exp(v[i])
		}
		l := math.Log(sum)
		for i := range v {
			v[i] -= l
		}
	})
}

// Hardmax is 1 for the first of the largest elements, 0 for the others.
func Hardmax(x *tensor.Tensor, axis int) (*tensor.Tensor, error) {
	return alongAxis(x, axis, func(v []float64) {
		best := 0
		for i := range v {
			if v[i] > v[best] {
				best = i
			}
		}
		clear(v)
		v[best] = 1
	})
}

// alongAxis lets f rewrite every vector along the axis.
func alongAxis(x *tensor.Tensor, axis int, f func(v []float64)) (*tensor.Tensor, error) {
	axis, err := axisOf(axis, x.Rank())
	if err != nil {
		return nil, err
	}
	in, err := reals(x)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(in))
	scan(x.Shape, axis, in, out, f)
	return fromFloat64s(x.DType, out, x.Shape...), nil
}

// scan copies every vector of in along the axis, lets f rewrite it, and
// stores it in out.
func scan[T any](shape []int, axis int, in, out []T, f func(v []T)) {
	g := groupBy(shape, []int{axis})
	if len(g.offset) == 0 {
		return
	}
	const chunk = 16
	parallel((len(g.base)+chunk-1)/chunk, func(c int) {
		v := make([]T, len(g.offset))
		for _, base := range g.base[c*chunk : min(len(g.base), (c+1)*chunk)] {
			for j, o := range g.offset {
				v[j] = in[base+o]
			}
			f(v)
			for j, o := range g.offset {
				out[base+o] = v[j]
			}
		}
	})
}

// Cumulative applies CumSum or CumProd along the axis, from the end where
// reverse is set; an exclusive one leaves out the element itself.
func Cumulative(name string, x *tensor.Tensor, axis int, exclusive, reverse bool) (*tensor.Tensor, error) {
	axis, err := axisOf(axis, x.Rank())
	if err != nil {
		return nil, err
	}
	prod := name == "CumProd"
	if x.DType.IsInt() {
		out := make([]int64, x.Len())
		scan(x.Shape, axis, bits64(x), out, func(v []int64) { accumulate(v, prod, exclusive, reverse) })
		return castInts(out, x.DType, x.Shape), nil
	}
	return alongAxis(x, axis, func(v []float64) { accumulate(v, prod, exclusive, reverse) })
}

func accumulate[T int64 | float64](v []T, prod, exclusive, reverse bool) {
	if reverse {
		slices.Reverse(v)
		defer slices.Reverse(v)
	}
	var acc T
	if prod {
		acc = 1
	}
	for i, x := range v {
		before := acc
		if prod {
			acc *= x
		} else {
			acc += x
		}
		if v[i] = acc; exclusive {
			v[i] = before
		}
	}
}
