package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// cell advances one sequence by one step: x holds X W + b for every gate (and
// may be overwritten), h and c are its state.
type cell func(x, h, c []float64)

// layer is a Recurrent with its shapes checked and its numbers at hand.
type layer struct {
	Recurrent
	seq, batch, in, hidden, gates, dirs int

	x    []float64
	w    []float64 // [dirs,gates*hidden,in]
	rt   []float64 // R with each gate's matrix transposed: [dirs,gates,hidden in,hidden out]
	b    []float64 // [dirs,2,gates*hidden]
	lens []int
	act  [][]func(float64) float64 // by direction

	h, c []float64 // [dirs,batch,hidden], whatever the layout
	y    []float64 // as the result lies
	xw   []float64 // X W + b of the direction that runs, [as X lies,gates*hidden]
}

func (o Recurrent) open(gates int, defaults []string) (*layer, error) {
	l := &layer{Recurrent: o, gates: gates, dirs: 1}
	switch o.Direction {
	case "forward", "reverse", "":
	case "bidirectional":
		l.dirs = 2
	default:
		return nil, fmt.Errorf("direction %q is none of forward, reverse and bidirectional", o.Direction)
	}
	if o.X.Rank() != 3 || o.W.Rank() != 3 || o.R.Rank() != 3 {
		return nil, fmt.Errorf("X %s, W %s and R %s must have 3 dims", o.X, o.W, o.R)
	}
	l.seq, l.batch, l.in, l.hidden = o.X.Shape[0], o.X.Shape[1], o.X.Shape[2], o.R.Shape[2]
	if o.BatchFirst {
		l.seq, l.batch = l.batch, l.seq
	}
	rows := gates * l.hidden
	if err := sameShape("W", o.W, []int{l.dirs, rows, l.in}); err != nil {
		return nil, err
	}
	if err := sameShape("R", o.R, []int{l.dirs, rows, l.hidden}); err != nil {
		return nil, err
	}
	l.b = make([]float64, l.dirs*2*rows)
	if o.B != nil {
		if l.b = Float64s(o.B); len(l.b) != l.dirs*2*rows {
			return nil, fmt.Errorf("B is %s, must be [%d,%d]", o.B, l.dirs, 2*rows)
		}
	}
	var err error
	if l.lens, err = l.lengths(); err != nil {
		return nil, err
	}
	if l.h, err = l.initial(o.H); err != nil {
		return nil, err
	}
	if l.act, err = o.activations(defaults, l.dirs); err != nil {
		return nil, err
	}
	l.x, l.w = Float64s(o.X), Float64s(o.W)
	r := Float64s(o.R)
	l.rt = make([]float64, len(r))
	for i := range r { // [gate,out,in] to [gate,in,out]
		in, out := i%l.hidden, i/l.hidden%l.hidden
		l.rt[i-in-out*l.hidden+in*l.hidden+out] = r[i]
	}
	if l.y, err = newFloats([]int{l.seq, l.dirs, l.batch, l.hidden}); err != nil {
		return nil, err
	}
	l.xw, err = newFloats([]int{l.seq, l.batch, rows})
	return l, err
}

func (l *layer) lengths() ([]int, error) {
	lens := make([]int, l.batch)
	for i := range lens {
		lens[i] = l.seq
	}
	if l.Lens == nil {
		return lens, nil
	}
	v := Float64s(l.Lens)
	if len(v) != l.batch {
		return nil, fmt.Errorf("sequence_lens is %s, must be [%d]", l.Lens, l.batch)
	}
	for i, n := range v {
		if n < 0 || n > float64(l.seq) {
			return nil, fmt.Errorf("a sequence of %v steps, where X has %d", n, l.seq)
		}
		lens[i] = int(n)
	}
	return lens, nil
}

// initial returns a state as [dirs,batch,hidden], zeros for nil.
func (l *layer) initial(t *tensor.Tensor) ([]float64, error) {
	s, err := newFloats([]int{l.dirs, l.batch, l.hidden})
	if t == nil || err != nil {
		return s, err
	}
	want := []int{l.dirs, l.batch, l.hidden}
	if l.BatchFirst {
		want[0], want[1] = want[1], want[0]
	}
	if err := sameShape("the initial state", t, want); err != nil {
		return nil, err
	}
	v := Float64s(t)
	for i := range s {
		s[i] = v[l.stateAt(i)]
	}
	return s, nil
}

// stateAt maps a position in [dirs,batch,hidden] to one in the given layout.
func (l *layer) stateAt(i int) int {
	if !l.BatchFirst {
		return i
	}
	u, b, d := i%l.hidden, i/l.hidden%l.batch, i/l.hidden/l.batch
	return (b*l.dirs+d)*l.hidden + u
}

// run takes every sequence of the batch through all its steps, in each
// direction.
func (l *layer) run(cellOf func(direction int) cell) {
	rows := l.gates * l.hidden
	for d := range l.dirs {
		l.project(d)
		reverse := d == 1 || l.Direction == "reverse"
		parallel(l.batch, func(b int) {
			step := cellOf(d)
			h := l.h[(d*l.batch+b)*l.hidden:][:l.hidden]
			var c []float64
			if l.c != nil {
				c = l.c[(d*l.batch+b)*l.hidden:][:l.hidden]
			}
			for i := range l.lens[b] {
				t := i
				if reverse {
					t = l.lens[b] - 1 - i
				}
				step(l.xw[l.xAt(t, b)*rows:][:rows], h, c)
				at := ((t*l.dirs+d)*l.batch + b) * l.hidden
				if l.BatchFirst {
					at = ((b*l.seq+t)*l.dirs + d) * l.hidden
				}
				copy(l.y[at:], h)
			}
		})
	}
}

// xAt returns the row of X that holds step t of sequence b.
func (l *layer) xAt(t, b int) int {
	if l.BatchFirst {
		return b*l.seq + t
	}
	return t*l.batch + b
}

// project computes X W + b for all steps at once.
func (l *layer) project(d int) {
	rows, steps := l.gates*l.hidden, l.seq*l.batch
	for i := range l.xw {
		l.xw[i] = l.b[d*2*rows+i%rows]
	}
	w := l.w[d*rows*l.in:]
	gemmF64(steps, rows, l.in, func(dst []float64, i, n, k, kc int) {
		for r := range n {
			copy(dst[r*kc:(r+1)*kc], l.x[(i+r)*l.in+k:])
		}
	}, func(dst []float64, k, kc, j, cols int) {
		for p := range kc {
			for q := range cols {
				dst[p*cols+q] = w[(j+q)*l.in+k+p]
			}
		}
	}, l.xw)
}

// recur adds h R + b of one gate to dst.
func (l *layer) recur(dst []float64, d, gate int, h []float64) {
	n := l.hidden
	for i, v := range l.b[(2*d+1)*l.gates*n+gate*n:][:n] {
		dst[i] += v
	}
	addRows(dst, h, l.rt[(d*l.gates+gate)*n*n:])
}

// results returns all outputs, the last ones and the last cells.
func (l *layer) results() (y, h, c *tensor.Tensor) {
	shape, state := []int{l.seq, l.dirs, l.batch, l.hidden}, []int{l.dirs, l.batch, l.hidden}
	if l.BatchFirst {
		shape, state = []int{l.batch, l.seq, l.dirs, l.hidden}, []int{l.batch, l.dirs, l.hidden}
	}
	lay := func(s []float64) *tensor.Tensor {
		v := make([]float64, len(s))
		for i, e := range s {
			v[l.stateAt(i)] = e
		}
		return fromFloat64s(l.X.DType, v, state...)
	}
	y, h = fromFloat64s(l.X.DType, l.y, shape...), lay(l.h)
	if l.c != nil {
		c = lay(l.c)
	}
	return y, h, c
}

// activations returns the functions of each direction. Alpha and Beta are
// consumed in order by the functions that have such a parameter.
func (o *Recurrent) activations(defaults []string, dirs int) ([][]func(float64) float64, error) {
	names := o.Activations
	if len(names) == 0 {
		for range dirs {
			names = append(names, defaults...)
		}
	}
	if len(names) != dirs*len(defaults) {
		return nil, fmt.Errorf("activations %v: needs %d for each of %d directions", names, len(defaults), dirs)
	}
	alphas, betas := o.Alpha, o.Beta
	take := func(from *[]float64, standard float64) float64 {
		if len(*from) == 0 {
			return standard
		}
		v := (*from)[0]
		*from = (*from)[1:]
		return v
	}
	acts := make([][]func(float64) float64, dirs)
	for i, name := range names {
		spec, ok := recurrentActivations[name]
		if !ok {
			return nil, fmt.Errorf("activation %q is unknown", name)
		}
		var alpha, beta float64
		if spec.params > 0 {
			alpha = take(&alphas, spec.alpha)
		}
		if spec.params > 1 {
			beta = take(&betas, spec.beta)
		}
		clip := o.Clip
		gate := i%len(defaults) < 2 // what makes h of an LSTM's cell is not clipped, as in ONNX Runtime
		acts[i/len(defaults)] = append(acts[i/len(defaults)], func(x float64) float64 {
			if clip > 0 && gate {
				x = math.Min(math.Max(x, -clip), clip)
			}
			return spec.f(x, alpha, beta)
		})
	}
	return acts, nil
}

// recurrentActivations are the functions that ONNX names, with the number of
// their parameters and the defaults of those.
var recurrentActivations = map[string]struct {
	params      int
	alpha, beta float64
	f           func(x, alpha, beta float64) float64
}{
	"Relu":            {f: func(x, _, _ float64) float64 { return math.Max(x, 0) }},
	"Tanh":            {f: func(x, _, _ float64) float64 { return math.Tanh(x) }},
	"Sigmoid":         {f: func(x, _, _ float64) float64 { return sigmoid(x) }},
	"Softsign":        {f: func(x, _, _ float64) float64 { return x / (1 + math.Abs(x)) }},
	"Softplus":        {f: func(x, _, _ float64) float64 { return math.Log1p(math.Exp(x)) }},
	"Affine":          {2, 1, 0, func(x, a, b float64) float64 { return a*x + b }},
	"ScaledTanh":      {2, 1, 1, func(x, a, b float64) float64 { return a * math.Tanh(b*x) }},
	"HardSigmoid":     {2, 0.2, 0.5, func(x, a, b float64) float64 { return math.Min(math.Max(a*x+b, 0), 1) }},
	"LeakyRelu":       {1, 0.01, 0, func(x, a, _ float64) float64 { return math.Max(x, 0) + a*math.Min(x, 0) }},
	"ThresholdedRelu": {1, 1, 0, func(x, a, _ float64) float64 { return threshold(x, a) }},
	"Elu":             {1, 1, 0, func(x, a, _ float64) float64 { return elu(x, a) }},
}

func threshold(x, alpha float64) float64 {
	if x > alpha {
		return x
	}
	return 0
}

func elu(x, alpha float64) float64 {
	if x < 0 {
		return alpha * math.Expm1(x)
	}
	return x
}
