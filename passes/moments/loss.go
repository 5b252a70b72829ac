package moments

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/ir/ops"
)

// Elimination takes input channels from a layer one after the other, and knows
// what each costs that is left: by how much the outputs would be wrong without
// it, all that stays making up for it as well as it can.
type Elimination struct {
	m      *Moments
	energy float64
	blocks []*eliminated
}

// eliminated is the state of a block: inverse moments and weights, as they are
// without the channels that are gone.
type eliminated struct {
	*block
	v    []float64 // size x size
	w    []float64 // outputs x size; what is last is added to the bias
	gone []bool
	loss []float64 // of each channel; nil when it must be computed
}

// Eliminate begins with all channels of a layer that has the weights w.
func (m *Moments) Eliminate(w []float32) (*Elimination, error) {
	e := &Elimination{m: m}
	outputs := m.layer.Weight.Shape[m.layer.Out]
	for _, b := range m.blocks {
		u, ok := b.inverseFactor(b.order(m, Policy{}))
		if !ok {
			return nil, fmt.Errorf("%s: the calibration data gives its inputs no finite moments", ops.Describe(m.layer.Op))
		}
		n := b.size
		s := &eliminated{block: b, v: squared(u, n), w: make([]float64, outputs*n), gone: make([]bool, b.to-b.from)}
		for o := range outputs {
			row := s.w[o*n : (o+1)*n]
			for k := range n - 1 {
				row[k] = float64(w[m.at(b, o, k)])
			}
			e.energy += b.square(row)
		}
		e.blocks = append(e.blocks, s)
	}
	return e, nil
}

// squared returns U'U of an upper triangular U.
func squared(u []float64, n int) []float64 {
	t, v := make([]float64, n*n), make([]float64, n*n)
	for i := range n {
		for j := i; j < n; j++ {
			t[j*n+i] = u[i*n+j]
		}
	}
	for i := range n {
		for j := range i + 1 {
			v[i*n+j] = dot(t[i*n:i*n+j+1], t[j*n:j*n+j+1])
			v[j*n+i] = v[i*n+j]
		}
	}
	return v
}

// square is the sum of squares of what a row of weights makes of all inputs.
func (b *block) square(row []float64) (sum float64) {
	n := b.size
	for i, x := range row {
		h := b.h[i*n : (i+1)*n]
		sum += x * (h[i]*x + 2*dot(h[i+1:], row[i+1:]))
	}
	return sum
}

// Add adds to losses what each channel that is left costs, over the sum of
// squares of the layer's outputs. Factor channels count as one.
func (e *Elimination) Add(losses []float64, factor int) {
	for _, b := range e.blocks {
		if b.loss == nil {
			b.loss = b.losses(e.m)
		}
		for c, x := range b.loss {
			losses[(b.from+c)/factor] += x / max(e.energy, math.SmallestNonzeroFloat64)
		}
	}
}

// losses computes, with G the entries of a channel and V the inverse moments,
// the sum of w_G' (V_GG)^-1 w_G over all outputs.
func (b *eliminated) losses(m *Moments) []float64 {
	losses, y := make([]float64, len(b.gone)), make([]float64, m.places)
	for c, gone := range b.gone {
		if gone {
			continue
		}
		entries, l := b.entries(m, c), b.factor(m, c)
		p := len(entries)
		for at := 0; at < len(b.w); at += b.size {
			row := b.w[at : at+b.size]
			for i, k := range entries {
				y[i] = (row[k] - dot(l[i*p:i*p+i], y[:i])) / l[i*p+i]
				losses[c] += y[i] * y[i]
			}
		}
	}
	return losses
}

func (b *eliminated) entries(m *Moments, channel int) []int {
	at := make([]int, m.places)
	for i := range at {
		at[i] = i*(b.to-b.from) + channel
	}
	return at
}

// factor is the Cholesky factor of the inverse moments of a channel's entries.
func (b *eliminated) factor(m *Moments, channel int) []float64 {
	at := b.entries(m, channel)
	p, n := len(at), b.size
	l := make([]float64, p*p)
	for i := range p {
		for j := 0; j <= i; j++ {
			s := b.v[at[i]*n+at[j]] - dot(l[i*p:i*p+j], l[j*p:j*p+j])
			if i == j {
				l[i*p+i] = math.Sqrt(max(s, math.SmallestNonzeroFloat64))
			} else {
				l[i*p+j] = s / l[j*p+j]
			}
		}
	}
	return l
}

// Remove takes a channel away, one entry after the other.
func (e *Elimination) Remove(channel int) {
	outputs := e.m.layer.Weight.Shape[e.m.layer.Out]
	for _, b := range e.blocks {
		if channel < b.from || channel >= b.to {
			continue
		}
		n := b.size
		column := make([]float64, n)
		for _, k := range b.entries(e.m, channel-b.from) {
			d := b.v[k*n+k]
			if d <= 0 {
				continue
			}
			copy(column, b.v[k*n:(k+1)*n])
			for o := range outputs {
				row := b.w[o*n : (o+1)*n]
				subtract(row, column, row[k]/d)
				row[k] = 0
			}
			for i, x := range column {
				if x != 0 {
					subtract(b.v[i*n:(i+1)*n], column, x/d)
				}
			}
			for i := range n {
				b.v[i*n+k], b.v[k*n+i] = 0, 0
			}
		}
		b.gone[channel-b.from], b.loss = true, nil
	}
}

func subtract(dst, src []float64, f float64) {
	for i, x := range src {
		dst[i] -= f * x
	}
}
