package ref

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/tensor"
)

// Heads holds what attention reads. Q, K and V are [batch,heads,seq,size], or
// [batch,seq,heads*size] with QHeads and KVHeads given; PastK and PastV have four
// dims. Mask broadcasts to [batch,heads,queries,keys], its last dim may be shorter.
// Valid, [batch], counts the keys of a cache that is only partly filled. All but
// Q, K and V may be nil.
type Heads struct {
	Q, K, V, Mask, PastK, PastV, Valid *tensor.Tensor

	QHeads, KVHeads int
}

// Attending is what ONNX's Attention can be told.
type Attending struct {
	Scale       float64 // of the scores, 0 for 1/sqrt(size)
	Softcap     float64 // bound on the scores, 0 for none
	Causal      bool
	Left, Right int          // keys visible before and after the query, -1 for all
	Precision   tensor.DType // of the softmax, Undefined for Q's type
	ScoresMode  int          // what Scores is: the product, softcapped, biased, or probabilities
}

// Attended is what attention gives.
type Attended struct{ Y, PresentK, PresentV, Scores *tensor.Tensor }

// Attention computes ONNX's Attention (Vaswani et al., "Attention Is All You
// Need", 2017; grouped queries: Ainslie et al., 2023). Narrow types are rounded where
// ONNX's definition of the operator makes a tensor.
func Attention(in Heads, o Attending) (*Attended, error) {
	a, err := newAttention(in)
	if err != nil {
		return nil, err
	}
	bias, err := a.newBias(in, o)
	if err != nil {
		return nil, err
	}
	precision := o.Precision
	if precision == tensor.Undefined {
		precision = in.Q.DType
	}
	if err := computable(precision); err != nil {
		return nil, err
	}
	round, roundSoft := rounder(in.Q.DType), rounder(precision)
	q, k := a.scaled(o.Scale, round)
	shown, err := newFloats([]int{a.batch, a.qHeads, a.queries, a.keys})
	if err != nil {
		return nil, err
	}
	y := make([]float64, a.batch*a.qHeads*a.queries*a.vSize)
	parallel(a.batch*a.qHeads, func(t int) {
		scores := a.scores(q, k, t)
		out := shown[t*a.queries*a.keys:][:len(scores)]
		for i := range scores {
			scores[i] = round(scores[i])
		}
		for i := range a.queries {
			row, show := scores[i*a.keys:(i+1)*a.keys], out[i*a.keys:(i+1)*a.keys]
			copy(show, row)
			if o.Softcap > 0 {
				for j, s := range row {
					row[j] = round(math.Tanh(s/o.Softcap) * o.Softcap)
				}
			}
			if o.ScoresMode == 1 {
				copy(show, row)
			}
			open := false
			for j := range row {
				b := bias(t, i, j)
				open = open || !math.IsInf(b, -1)
				row[j] = roundSoft(round(row[j] + b))
			}
			if o.ScoresMode == 2 {
				copy(show, row)
			}
			softmax(row, open, precision)
			for j, p := range row {
				row[j] = round(p)
			}
			if o.ScoresMode == 3 {
				copy(show, row)
			}
		}
		a.apply(y, scores, t)
	})
	shape := []int{a.batch, a.qHeads, a.queries, a.keys}
	return &Attended{
		Y:        a.result(in.Q.DType, y),
		PresentK: fromFloat64s(in.K.DType, a.k, a.batch, a.kvHeads, a.keys, a.size),
		PresentV: fromFloat64s(in.V.DType, a.v, a.batch, a.kvHeads, a.keys, a.vSize),
		Scores:   fromFloat64s(in.Q.DType, shown, shape...),
	}, nil
}

// FlexAttention computes ONNX's FlexAttention (Dong et al., 2024): attention
// whose scores and probabilities, [batch,heads,queries,keys] of type precision, pass
// through functions; either may be nil.
func FlexAttention(q, k, v *tensor.Tensor, scale float64, precision tensor.DType, score, prob func(*tensor.Tensor) (*tensor.Tensor, error)) (*tensor.Tensor, error) {
	if q.Rank() != 4 {
		return nil, fmt.Errorf("Q %s must be [batch,heads,seq,size]", q)
	}
	a, err := newAttention(Heads{Q: q, K: k, V: v})
	if err != nil {
		return nil, err
	}
	if precision == tensor.Undefined {
		if precision = tensor.Float32; q.DType == tensor.Float64 {
			precision = q.DType
		}
	}
	if err := computable(precision); err != nil {
		return nil, err
	}
	shape := []int{a.batch, a.qHeads, a.queries, a.keys}
	all, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	round, size := rounder(q.DType), a.queries*a.keys
	qs, ks := a.scaled(scale, round)
	parallel(a.batch*a.qHeads, func(t int) {
		for i, s := range a.scores(qs, ks, t) {
			all[t*size+i] = round(s)
		}
	})
	through := func(f func(*tensor.Tensor) (*tensor.Tensor, error)) error {
		t := fromFloat64s(precision, all, shape...)
		if f != nil {
			var err error
			if t, err = f(t); err != nil {
				return err
			}
			if err := sameShape("a modified tensor", t, shape); err != nil {
				return err
			}
		}
		readFloat64s(all, t, 0)
		return nil
	}
	if err := through(score); err != nil {
		return nil, err
	}
	for i := 0; i < len(all); i += a.keys {
		softmax(all[i:i+a.keys], true, precision)
	}
	if err := through(prob); err != nil {
		return nil, err
	}
	y := make([]float64, a.batch*a.qHeads*a.queries*a.vSize)
	parallel(a.batch*a.qHeads, func(t int) { a.apply(y, all[t*size:][:size], t) })
	return a.result(v.DType, y), nil
}

// softmax replaces scores by probabilities, rounding each step: all zero where
// no key is open.
func softmax(row []float64, open bool, d tensor.DType) {
	round := rounder(d)
	if !open {
		clear(row)
		return
	}
	largest := Max(row)
	if math.IsInf(largest, -1) {
		clear(row)
		return
	}
	for j, s := range row {
		row[j] = round(math.Exp(round(s - largest)))
	}
	sum := narrowSum(row, d)
	for j := range row {
		row[j] = round(row[j] / sum)
	}
}

// newBias returns what is added to the score of query i and key j of head t,
// -Inf where the query must not see the key.
func (a *attention) newBias(in Heads, o Attending) (func(t, i, j int) float64, error) {
	if o.Left < -1 || o.Right < -1 {
		return nil, fmt.Errorf("window sizes %d and %d must be -1 or not negative", o.Left, o.Right)
	}
	var valid []float64
	if in.Valid != nil {
		if in.PastK != nil {
			return nil, errors.New("nonpad_kv_seqlen and past_key exclude each other")
		}
		if valid = Float64s(in.Valid); len(valid) != a.batch {
			return nil, fmt.Errorf("nonpad_kv_seqlen is %s, must be [%d]", in.Valid, a.batch)
		}
	}
	mask, err := a.newMask(in.Mask)
	if err != nil {
		return nil, err
	}
	forbidden := math.Inf(-1)
	return func(t, i, j int) float64 {
		position := i + a.past
		if valid != nil {
			n := int(valid[t/a.qHeads])
			if j >= n {
				return forbidden
			}
			position = i + n - a.queries
		}
		switch {
		case o.Causal && j > position,
			o.Left >= 0 && position-j > o.Left,
			o.Right >= 0 && j-position > o.Right:
			return forbidden
		}
		return mask(t, i, j)
	}, nil
}

// newMask returns the mask's part of the bias.
func (a *attention) newMask(m *tensor.Tensor) (func(t, i, j int) float64, error) {
	if m == nil {
		return func(t, i, j int) float64 { return 0 }, nil
	}
	full := []int{a.batch, a.qHeads, a.queries, a.keys}
	if m.Rank() < 1 || m.Rank() > 4 {
		return nil, fmt.Errorf("attn_mask %s does not broadcast to %v", m, full)
	}
	cols := m.Shape[m.Rank()-1]
	at, err := broadcastTo(m.Shape, append(append([]int{}, full[:3]...), cols))
	if err != nil || cols > a.keys {
		return nil, fmt.Errorf("attn_mask %s does not broadcast to %v", m, full)
	}
	v := Float64s(m)
	return func(t, i, j int) float64 {
		if j >= cols {
			return math.Inf(-1)
		}
		b := v[at((t*a.queries+i)*cols+j)]
		if m.DType == tensor.Bool {
			if b == 0 {
				return math.Inf(-1)
			}
			return 0
		}
		return b
	}, nil
}

// rounder returns what rounds to the values of a narrow float type; wider ones
// are rounded at the end only.
func rounder(d tensor.DType) func(float64) float64 {
	switch d {
	case tensor.Float16:
		return func(v float64) float64 { return float64(float16.ToFloat32(float16.FromFloat64(v))) }
	case tensor.BFloat16:
		return func(v float64) float64 { return float64(float16.BFloat16ToFloat32(float16.BFloat16FromFloat64(v))) }
	}
	return func(v float64) float64 { return v }
}
