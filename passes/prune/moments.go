package prune

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/tensor"
)

// maxRows bounds how many input vectors of a layer are looked at, a batch.
const maxRows = 8192

// moments are the second moments of what a layer multiplies its weights with:
// vectors of n numbers in the order (place in the kernel, input channel), and
// a one behind them for the bias.
type moments struct {
	layer   layers.Layer
	n       int
	places  int   // of the kernel
	kernel  []int // its sizes; empty for a matrix product
	strides []int
	pads    []int
	dilate  []int
	one     float64   // 1; 0 where there is no bias to change
	h       []float64 // (n+1) x (n+1), the upper triangle
	err     error
}

// newMoments returns nil for a layer that has no such vectors.
func newMoments(l layers.Layer) *moments {
	s := l.Weight.Shape
	m := &moments{layer: l, places: 1}
	switch l.Op.Name {
	case "MatMul", "Gemm":
		if t, _ := l.Op.Attrs.Get("transA").(int64); t != 0 || len(s) != 2 {
			return nil
		}
	case "Conv":
		group, ok := l.Op.Attrs.Get("group").(int64)
		if a, _ := l.Op.Attrs.Get("auto_pad").(string); len(s) != 4 || ok && group != 1 || a != "" && a != "NOTSET" {
			return nil
		}
		m.kernel, m.places = s[2:], s[2]*s[3]
		m.strides, m.dilate, m.pads = attrInts(l.Op, "strides", 1, 2), attrInts(l.Op, "dilations", 1, 2), attrInts(l.Op, "pads", 0, 4)
	default:
		return nil
	}
	m.n = s[l.In] * m.places
	m.h = make([]float64, (m.n+1)*(m.n+1))
	if m.bias() != nil {
		m.one = 1
	}
	return m
}

func attrInts(op *ir.Op, name string, fill, n int) []int {
	v, _ := op.Attrs.Get(name).([]int64)
	out := make([]int, n)
	for i := range out {
		out[i] = fill
		if i < len(v) {
			out[i] = int(v[i])
		}
	}
	return out
}

// observe runs the calibration and sums the products up.
func (m *moments) observe(ctx context.Context, mod *ir.Module, batches []calibrate.Batch) error {
	x := m.layer.Op.Operand(0)
	return calibrate.Each(ctx, mod, batches, func(v *ir.Value, t *tensor.Tensor) {
		if v != x {
			return
		}
		if m.kernel == nil {
			m.rows(t)
		} else {
			m.patches(t)
		}
	})
}

func (m *moments) rows(t *tensor.Tensor) {
	w, row := tensor.Of[float32](t), make([]float64, m.n+1)
	step := max(1, len(w)/m.n/maxRows)
	for r := 0; (r+1)*m.n <= len(w); r += step {
		for i, v := range w[r*m.n : (r+1)*m.n] {
			row[i] = float64(v)
		}
		m.add(row)
	}
}

func (m *moments) patches(t *tensor.Tensor) {
	if len(t.Shape) != 4 {
		return
	}
	x, c, h, w := tensor.Of[float32](t), t.Shape[1], t.Shape[2], t.Shape[3]
	out := func(axis, size int) int {
		return (size+m.pads[axis]+m.pads[axis+2]-m.dilate[axis]*(m.kernel[axis]-1)-1)/m.strides[axis] + 1
	}
	oh, ow := out(0, h), out(1, w)
	row := make([]float64, m.n+1)
	step := max(1, t.Shape[0]*oh*ow/maxRows)
	for p := 0; p < t.Shape[0]*oh*ow; p += step {
		image, oy, ox := p/(oh*ow), p/ow%oh, p%ow
		for k := range m.places {
			y := oy*m.strides[0] - m.pads[0] + k/m.kernel[1]*m.dilate[0]
			z := ox*m.strides[1] - m.pads[1] + k%m.kernel[1]*m.dilate[1]
			inside := y >= 0 && y < h && z >= 0 && z < w
			for ch := range c {
				row[k*c+ch] = 0
				if inside {
					row[k*c+ch] = float64(x[((image*c+ch)*h+y)*w+z])
				}
			}
		}
		m.add(row)
	}
}

func (m *moments) add(row []float64) {
	row[m.n] = m.one
	for i, a := range row {
		if a == 0 {
			continue
		}
		h := m.h[i*(m.n+1):]
		for j := i; j <= m.n; j++ {
			h[j] += a * row[j]
		}
	}
}

// at returns the index in the weights of entry k of output o.
func (m *moments) at(o, k int) int {
	s := m.layer.Weight.Shape
	if m.kernel == nil {
		if m.layer.Out == 0 {
			return o*m.n + k
		}
		return k*s[1] + o
	}
	c := s[1]
	return (o*c+k%c)*m.places + k/c
}

// policy says which entries go: two of every four, those of the input channels
// that drop names, or those below the limit.
type policy struct {
	twoOfFour bool
	limit     float64
	drop      func(channel int) bool
}

// order returns the entries in the order of their visit: those that all
// outputs drop come first, so that all the others make up for them.
func (p policy) order(m *moments) []int {
	order := make([]int, 0, m.n)
	for _, dropped := range []bool{true, false} {
		for k := range m.n {
			if (p.drop != nil && p.drop(k%(m.n/m.places))) == dropped {
				order = append(order, k)
			}
		}
	}
	return order
}

// prune returns the weights without those that the policy names, and lets the others, and the bias if it is a
// constant, take over what they did (Frantar and Alistarh, "SparseGPT", ICML
// 2023): entries are visited in order, and the error of each is spread over
// the ones behind it as the inverse moments tell.
func (m *moments) prune(w []float32, p policy) *tensor.Tensor {
	out := tensor.New(tensor.Float32, m.layer.Weight.Shape...)
	v := tensor.Of[float32](out)
	copy(v, w)
	order := p.order(m)
	u, ok := inverseFactor(m.ordered(order), m.n+1)
	if !ok {
		m.err = fmt.Errorf("%s: the calibration data says nothing of this layer's input", ops.Describe(m.layer.Op))
		return out
	}
	bias := m.bias()
	size := m.n + 1
	row, keep := make([]float64, size), make([]bool, m.n)
	for o := range m.layer.Weight.Shape[m.layer.Out] {
		for k, e := range order {
			row[k] = float64(w[m.at(o, e)])
			keep[k] = math.Abs(row[k]) >= p.limit && (p.drop == nil || !p.drop(e%(m.n/m.places)))
		}
		row[m.n] = 0
		for k, at := range order {
			if p.twoOfFour && k%4 == 0 {
				choose(keep[k:k+4], func(i int) float64 { return math.Abs(row[k+i] / u[(k+i)*size+k+i]) })
			}
			if keep[k] {
				v[m.at(o, at)] = float32(row[k])
				continue
			}
			v[m.at(o, at)] = 0
			e := row[k] / u[k*size+k]
			for j := k + 1; j < size; j++ {
				row[j] -= e * u[k*size+j]
			}
		}
		if bias != nil {
			bias[o] += float32(row[m.n])
		}
	}
	if bias != nil {
		op := m.layer.Op
		b := ir.Before(op).Tensor(tensor.Float32s(bias, op.Operand(2).Data().Shape...))
		b.Origin = op.Operand(2).Origin
		op.SetOperand(2, b)
	}
	return out
}

// ordered returns the upper triangle of the moments of reordered vectors.
func (m *moments) ordered(order []int) []float64 {
	size := m.n + 1
	h, all := make([]float64, size*size), append(slices.Clone(order), m.n)
	for i, a := range all {
		for j := i; j < size; j++ {
			b := all[j]
			h[i*size+j] = m.h[min(a, b)*size+max(a, b)]
		}
	}
	return h
}

// bias returns a copy of the layer's bias, nil where it is not one constant a
// channel.
func (m *moments) bias() []float32 {
	op := m.layer.Op
	d := op.Operand(2).Data()
	if d == nil || d.DType != tensor.Float32 || d.Len() != m.layer.Weight.Shape[m.layer.Out] {
		return nil
	}
	for _, name := range []string{"alpha", "beta"} {
		if f, ok := op.Attrs.Get(name).(float32); ok && f != 1 {
			return nil
		}
	}
	t, err := d.Tensor()
	if err != nil {
		return nil
	}
	return slices.Clone(tensor.Of[float32](t))
}

// choose keeps the two of four with the larger score.
func choose(keep []bool, score func(int) float64) {
	order := []int{0, 1, 2, 3}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := score(a), score(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	for i, k := range order {
		keep[k] = i < 2
	}
}

// inverseFactor returns the upper triangular U with U'U = (H + dI)^-1, where d is
// a thousandth of H's mean diagonal. H is given by its upper triangle.
func inverseFactor(h []float64, n int) ([]float64, bool) {
	mean := 0.0
	for i := range n {
		mean += h[i*n+i] / float64(n)
	}
	if !(mean > 0) || math.IsInf(mean, 0) {
		return nil, false
	}
	// With J the reversal of rows, JHJ = LL' gives H = (JLJ)(JLJ)', an upper
	// times a lower triangle, so that U is the inverse of JLJ.
	l := make([]float64, n*n)
	for i := range n {
		for j := 0; j <= i; j++ {
			s := h[(n-1-i)*n+n-1-j]
			if i == j {
				s += 0.001 * mean
			}
			a, b := l[i*n:i*n+j], l[j*n:j*n+j]
			for k, x := range a {
				s -= x * b[k]
			}
			if i != j {
				l[i*n+j] = s / l[j*n+j]
			} else if s <= 0 {
				return nil, false
			} else {
				l[i*n+i] = math.Sqrt(s)
			}
		}
	}
	u := make([]float64, n*n)
	for col := range n { // R = JLJ is upper triangular; solve R u = e
		for i := col; i >= 0; i-- {
			s := 0.0
			if i == col {
				s = 1
			}
			for k := i + 1; k <= col; k++ {
				s -= l[(n-1-i)*n+n-1-k] * u[k*n+col]
			}
			u[i*n+col] = s / l[(n-1-i)*n+n-1-i]
		}
	}
	return u, true
}
