package ref

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// ellipsisLabel names the dims that "..." stands for, counted from the last.
const ellipsisLabel = rune(0x100000)

// ParseEinsum returns the labels of each operand's dims and of the result's.
// The dims of an ellipsis have labels of their own, aligned at the last one.
func ParseEinsum(equation string, ranks []int) (ins [][]rune, out []rune, err error) {
	left, right, explicit := strings.Cut(strings.ReplaceAll(equation, " ", ""), "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(ranks) {
		return nil, nil, fmt.Errorf("equation %q has %d terms for %d operands", equation, len(terms), len(ranks))
	}
	wide := 0
	count := map[rune]int{}
	for i, t := range terms {
		n := max(0, ranks[i]-len(strings.Replace(t, "...", "", 1)))
		labels, err := einsumTerm(t, n)
		if err != nil || len(labels) != ranks[i] {
			return nil, nil, fmt.Errorf("term %q of equation %q does not fit an operand of rank %d", t, equation, ranks[i])
		}
		if strings.Contains(t, "...") {
			wide = max(wide, n)
		}
		for _, l := range labels {
			count[l]++
		}
		ins = append(ins, labels)
	}
	if !explicit {
		for l, n := range count {
			if l < ellipsisLabel && n == 1 {
				out = append(out, l)
			}
		}
		slices.Sort(out)
		dots, _ := einsumTerm("...", wide)
		return ins, append(dots, out...), nil
	}
	out, err = einsumTerm(right, wide)
	if err != nil {
		return nil, nil, fmt.Errorf("equation %q: %w", equation, err)
	}
	for i, l := range out {
		if count[l] == 0 || slices.Contains(out[:i], l) {
			return nil, nil, fmt.Errorf("equation %q: a label of the result is unknown or comes twice", equation)
		}
	}
	return ins, out, nil
}

func einsumTerm(s string, dots int) ([]rune, error) {
	var labels []rune
	before, after, ok := strings.Cut(s, "...")
	for i, part := range []string{before, after} {
		if i == 1 && ok {
			for d := dots; d > 0; d-- {
				labels = append(labels, ellipsisLabel+rune(d))
			}
		}
		for _, c := range part {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return nil, fmt.Errorf("%q is no label", c)
			}
			labels = append(labels, c)
		}
	}
	return labels, nil
}

// labelled is a dense array whose dims have names.
type labelled struct {
	labels []rune
	v      []float64
}

// Einsum computes sums of products as the equation says: operand by operand,
// each step a batched matrix product.
func Einsum(equation string, xs ...*tensor.Tensor) (*tensor.Tensor, error) {
	ranks := make([]int, len(xs))
	for i, x := range xs {
		ranks[i] = x.Rank()
		if x.DType != xs[0].DType {
			return nil, fmt.Errorf("operands are %s and %s, want one element type", xs[0], x)
		}
	}
	ins, out, err := ParseEinsum(equation, ranks)
	if err != nil {
		return nil, err
	}
	e := einsum{size: map[rune]int{}}
	for i, x := range xs {
		if err := e.learn(ins[i], x); err != nil {
			return nil, err
		}
	}
	acc := labelled{v: []float64{1}}
	for i, x := range xs {
		// Labels that nobody asks for later are summed now.
		needed := slices.Clone(out)
		for _, later := range ins[i+1:] {
			needed = append(needed, later...)
		}
		if acc, err = e.multiply(acc, e.view(ins[i], x), needed); err != nil {
			return nil, err
		}
	}
	shape := e.shape(out)
	v := e.arrange(acc, out)
	if xs[0].DType.IsInt() {
		return castFloats(v, xs[0].DType, CastOptions{}, shape), nil
	}
	return fromFloat64s(xs[0].DType, v, shape...), nil
}

// einsum knows the size of every label.
type einsum struct{ size map[rune]int }

func (e einsum) learn(labels []rune, x *tensor.Tensor) error {
	for d, l := range labels {
		n, known := e.size[l]
		if known && n != x.Shape[d] && n != 1 && x.Shape[d] != 1 {
			return fmt.Errorf("dim %d of %s is %d where another operand has %d", d, x, x.Shape[d], n)
		}
		if !known || n == 1 {
			e.size[l] = x.Shape[d]
		}
	}
	return nil
}

func (e einsum) shape(labels []rune) []int {
	s := make([]int, len(labels))
	for i, l := range labels {
		s[i] = e.size[l]
	}
	return s
}

// view takes the diagonal of labels that repeat and spreads dims of 1.
func (e einsum) view(labels []rune, x *tensor.Tensor) labelled {
	var once []rune
	var strides []int
	for d, s := range stridesOf(x.Shape) {
		if x.Shape[d] == 1 {
			s = 0
		}
		if i := slices.Index(once, labels[d]); i >= 0 {
			strides[i] += s
		} else {
			once, strides = append(once, labels[d]), append(strides, s)
		}
	}
	in := Float64s(x)
	y := labelled{labels: once}
	for _, o := range offsets(e.shape(once), strides) {
		y.v = append(y.v, in[o])
	}
	return y
}

// arrange permutes the dims into the given order; they are the same dims.
func (e einsum) arrange(x labelled, order []rune) []float64 {
	if slices.Equal(x.labels, order) {
		return x.v
	}
	from := stridesOf(e.shape(x.labels))
	strides := make([]int, len(order))
	for i, l := range order {
		strides[i] = from[slices.Index(x.labels, l)]
	}
	out := make([]float64, 0, len(x.v))
	for _, o := range offsets(e.shape(order), strides) {
		out = append(out, x.v[o])
	}
	return out
}

// multiply returns the product of a and b, summed over the labels that are
// not needed any more.
func (e einsum) multiply(a, b labelled, needed []rune) (labelled, error) {
	a, b = e.sumAlone(a, b.labels, needed), e.sumAlone(b, a.labels, needed)
	var batch, m, k, n []rune
	for _, l := range a.labels {
		switch shared := slices.Contains(b.labels, l); {
		case shared && slices.Contains(needed, l):
			batch = append(batch, l)
		case shared:
			k = append(k, l)
		default:
			m = append(m, l)
		}
	}
	for _, l := range b.labels {
		if !slices.Contains(a.labels, l) {
			n = append(n, l)
		}
	}
	y := labelled{labels: slices.Concat(batch, m, n)}
	av, bv := e.arrange(a, slices.Concat(batch, m, k)), e.arrange(b, slices.Concat(batch, k, n))
	var err error
	if y.v, err = newFloats(e.shape(y.labels)); err != nil {
		return y, err
	}
	rows, depth, cols := product(e.shape(m)), product(e.shape(k)), product(e.shape(n))
	for i := range product(e.shape(batch)) {
		at, bt := av[i*rows*depth:(i+1)*rows*depth], bv[i*depth*cols:(i+1)*depth*cols]
		gemmF64(rows, cols, depth,
			func(dst []float64, i, rows, p, d int) {
				for r := range rows {
					copy(dst[r*d:(r+1)*d], at[(i+r)*depth+p:])
				}
			},
			func(dst []float64, p, d, j, w int) {
				for q := range d {
					copy(dst[q*w:(q+1)*w], bt[(p+q)*cols+j:])
				}
			}, y.v[i*rows*cols:(i+1)*rows*cols])
	}
	return y, nil
}

// sumAlone sums x over labels that neither the other operand nor anybody
// later has.
func (e einsum) sumAlone(x labelled, other, needed []rune) labelled {
	var axes []int
	var kept []rune
	for d, l := range x.labels {
		if slices.Contains(other, l) || slices.Contains(needed, l) {
			kept = append(kept, l)
		} else {
			axes = append(axes, d)
		}
	}
	if axes == nil {
		return x
	}
	return labelled{kept, eachGroup(e.shape(x.labels), axes, x.v, total)}
}
