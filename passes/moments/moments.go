// Package moments measures what the layers of a model multiply their weights
// with, and lets weights that may still change make up for those that were
// changed: zeroed, cut or rounded.
//
// The error that a change makes in a layer's output is quadratic in the change,
// and the second moments of the layer's inputs are its matrix (LeCun et al.,
// "Optimal Brain Damage", NIPS 1989; Hassibi and Stork, "Optimal Brain
// Surgeon", NIPS 1992).
package moments

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/tensor"
)

// Weights of one output are looked at in blocks of so many, whole channels each,
// as if those of different blocks were independent: it bounds time and memory,
// which grow with the third and the second power.
const maxEntries = 576

// maxWork bounds the multiplications that a block's moments take, as long as
// there are as many input vectors as entries.
const maxWork = 1 << 31

// Moments are those of one layer. Its input vectors have the order (place in
// the kernel, input channel) within each block, and a one behind them for the
// bias.
type Moments struct {
	layer    layers.Layer
	channels int // inputs of one output
	places   int // of the kernel
	kernel   []int
	strides  []int
	pads     []int
	dilate   []int
	biased   bool
	blocks   []*block
	batches  int // that will come
}

// block holds the moments of the channels from ... to.
type block struct {
	from, to int
	size     int       // entries and the one
	h        []float64 // size x size, the upper triangle
}

// New returns the moments of a layer before any input, for so many batches to
// come; nil for a layer that has no such vectors.
func New(l layers.Layer, batches int) *Moments {
	s := l.Weight.Shape
	m := &Moments{layer: l, places: 1, channels: s[l.In], batches: max(batches, 1)}
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
	m.biased = m.Bias() != nil
	width := max(4, maxEntries/m.places/4*4) // fours of channels stay together
	for c := 0; c < m.channels; c += width {
		b := &block{from: c, to: min(c+width, m.channels)}
		b.size = (b.to-b.from)*m.places + 1
		b.h = make([]float64, b.size*b.size)
		m.blocks = append(m.blocks, b)
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

// Add takes the input that the layer has in one batch.
func (m *Moments) Add(t *tensor.Tensor) {
	if t == nil || t.DType != tensor.Float32 {
		return
	}
	count, read := m.rows(t)
	if m.kernel != nil {
		count, read = m.patches(t)
	}
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for _, b := range m.blocks {
		slots <- struct{}{}
		wg.Go(func() {
			b.add(m, count, read)
			<-slots
		})
	}
	wg.Wait()
}

// reader fills dst with the entries of the channels from ... to of a vector.
type reader func(dst []float64, vector, from, to int)

// rows are the vectors of a matrix product.
func (m *Moments) rows(t *tensor.Tensor) (count int, read reader) {
	w, n := tensor.Of[float32](t), m.channels
	return len(w) / n, func(dst []float64, r, from, to int) {
		for i, v := range w[r*n+from : r*n+to] {
			dst[i] = float64(v)
		}
	}
}

// patches are the vectors of a convolution: one for each place of the output.
func (m *Moments) patches(t *tensor.Tensor) (count int, read reader) {
	if len(t.Shape) != 4 {
		return 0, nil
	}
	x, c, h, w := tensor.Of[float32](t), t.Shape[1], t.Shape[2], t.Shape[3]
	out := func(axis, size int) int {
		return (size+m.pads[axis]+m.pads[axis+2]-m.dilate[axis]*(m.kernel[axis]-1)-1)/m.strides[axis] + 1
	}
	oh, ow := out(0, h), out(1, w)
	return t.Shape[0] * oh * ow, func(dst []float64, p, from, to int) {
		image, oy, ox := p/(oh*ow), p/ow%oh, p%ow
		for k := range m.places {
			y := oy*m.strides[0] - m.pads[0] + k/m.kernel[1]*m.dilate[0]
			z := ox*m.strides[1] - m.pads[1] + k%m.kernel[1]*m.dilate[1]
			row := dst[k*(to-from) : (k+1)*(to-from)]
			if y < 0 || y >= h || z < 0 || z >= w {
				clear(row)
				continue
			}
			for i := range row {
				row[i] = float64(x[((image*c+from+i)*h+y)*w+z])
			}
		}
	}
}

// add sums up the products of all entries with each other, of vectors at
// equal distances where there are more than maxWork allows.
func (b *block) add(m *Moments, count int, read reader) {
	if count == 0 {
		return
	}
	n := b.size
	most := max(maxWork/(n*n)/m.batches, n/m.batches, 64)
	step := max(1, (count+most-1)/most)
	const together = 4 // vectors at a time, so that h is read and written less often
	var row [together][]float64
	for i := range row {
		row[i] = make([]float64, n)
	}
	for p := 0; p < count; p += together * step {
		for i := range row {
			if at := p + i*step; at < count {
				read(row[i], at, b.from, b.to)
				row[i][n-1] = 1
				if !m.biased {
					row[i][n-1] = 0
				}
			} else {
				clear(row[i])
			}
		}
		r0, r1, r2, r3 := row[0], row[1], row[2], row[3]
		for i := range n {
			a0, a1, a2, a3 := r0[i], r1[i], r2[i], r3[i]
			if a0 == 0 && a1 == 0 && a2 == 0 && a3 == 0 {
				continue
			}
			h := b.h[i*n+i : (i+1)*n]
			s0, s1, s2, s3 := r0[i:][:len(h)], r1[i:][:len(h)], r2[i:][:len(h)], r3[i:][:len(h)]
			for j := range h {
				h[j] += a0*s0[j] + a1*s1[j] + a2*s2[j] + a3*s3[j]
			}
		}
	}
}

// at returns the index in the weights of entry k of the block for output o.
func (m *Moments) at(b *block, o, k int) int {
	s, width := m.layer.Weight.Shape, b.to-b.from
	place, channel := k/width, b.from+k%width
	switch {
	case m.kernel != nil:
		return (o*m.channels+channel)*m.places + place
	case m.layer.Out == 0:
		return o*m.channels + channel
	}
	return channel*s[1] + o
}

// Channel returns the input channel of the weight that lies at an index.
func (m *Moments) Channel(at int) int {
	inner := 1
	for _, n := range m.layer.Weight.Shape[m.layer.In+1:] {
		inner *= n
	}
	return at / inner % m.channels
}

// Energy returns for every weight the mean square of what it is multiplied
// with, up to a factor that all of them share.
func (m *Moments) Energy() []float64 {
	e := make([]float64, m.layer.Weight.Len())
	for _, b := range m.blocks {
		damp := b.damping()
		for o := range m.layer.Weight.Shape[m.layer.Out] {
			for k := range b.size - 1 {
				e[m.at(b, o, k)] = b.h[k*b.size+k] + damp
			}
		}
	}
	return e
}

// Bias returns a copy of the layer's bias, nil where it is not one constant a
// channel.
func (m *Moments) Bias() []float32 {
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

// SetBias makes the layer read another bias.
func (m *Moments) SetBias(bias []float32) {
	op := m.layer.Op
	b := ir.Before(op).Tensor(tensor.Float32s(bias, op.Operand(2).Data().Shape...))
	b.Origin = op.Operand(2).Origin
	op.SetOperand(2, b)
}

// Policy says what becomes of weights.
type Policy struct {
	// Together is how many entries are decided at a time, 1 or 4: entries of
	// neighbouring input channels at one place of the kernel.
	Together int
	// First names input channels whose weights are visited first, so that all
	// others make up for them; nil for none.
	First func(channel int) bool
	// Set overwrites the weights of an output by what becomes of them, or marks
	// them to be kept, which go on making up for others.
	Set func(g *Group)
}

// Group is weights of one output that are decided together.
type Group struct {
	Output int
	At     []int     // where they lie in the layer's weights
	Value  []float64 // as others have changed them so far
	Cost   []float64 // of the square of a change, when all that follow make up for it
	Keep   []bool
}

// Adjust returns the weights w as the policy changes them one after the other,
// the error of each made up for by those behind it and by the bias, as the
// inverse moments tell (Frantar and Alistarh, "SparseGPT", ICML 2023; Frantar
// et al., "GPTQ", ICLR 2023). bias is overwritten; it may be nil.
func (m *Moments) Adjust(w, bias []float32, p Policy) ([]float32, error) {
	out := make([]float32, len(w))
	for _, b := range m.blocks {
		order := b.order(m, p)
		u, ok := b.inverseFactor(order)
		if !ok {
			return nil, fmt.Errorf("%s: the calibration data gives its inputs no finite moments", ops.Describe(m.layer.Op))
		}
		outputs := m.layer.Weight.Shape[m.layer.Out]
		parts := min(runtime.GOMAXPROCS(0), outputs)
		var wg sync.WaitGroup
		for part := range parts {
			wg.Go(func() {
				for o := part * outputs / parts; o < (part+1)*outputs/parts; o++ {
					d := m.adjust(b, order, u, w, out, o, p)
					if bias != nil {
						bias[o] += float32(d)
					}
				}
			})
		}
		wg.Wait()
	}
	return out, nil
}

// order returns the entries in the order of their visit.
func (b *block) order(m *Moments, p Policy) []int {
	order := make([]int, 0, b.size-1)
	for _, first := range []bool{true, false} {
		for k := range b.size - 1 {
			if (p.First != nil && p.First(b.from+k%(b.to-b.from))) == first {
				order = append(order, k)
			}
		}
	}
	return order
}

// adjust changes the weights of one output, and returns what its bias gets.
func (m *Moments) adjust(b *block, order []int, u []float64, w, out []float32, o int, p Policy) float64 {
	n := b.size
	row, at := make([]float64, n), make([]int, n-1)
	for k, e := range order {
		at[k] = m.at(b, o, e)
		row[k] = float64(w[at[k]])
	}
	g := Group{Output: o, Value: make([]float64, p.Together), Cost: make([]float64, p.Together), Keep: make([]bool, p.Together)}
	for k := 0; k < n-1; k += p.Together {
		g.At = at[k:min(k+p.Together, n-1)]
		for i := range g.At {
			d := u[(k+i)*n+k+i]
			g.Value[i], g.Cost[i], g.Keep[i] = row[k+i], 1/(d*d), false
		}
		p.Set(&g)
		for i, at := range g.At {
			j := k + i
			if g.Keep[i] {
				out[at] = float32(row[j])
				continue
			}
			out[at] = float32(g.Value[i])
			e := (row[j] - g.Value[i]) / u[j*n+j]
			rest := row[j+1:]
			for l, x := range u[j*n+j+1 : (j+1)*n] {
				rest[l] -= e * x
			}
		}
	}
	return row[n-1]
}
