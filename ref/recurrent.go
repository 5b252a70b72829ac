package ref

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// Recurrent holds the operands and attributes that RNN, GRU and LSTM share. X is
// [seq,batch,in], W [dirs,gates*hidden,in], R [dirs,gates*hidden,hidden], B
// [dirs,2*gates*hidden], Lens [batch] and H [dirs,batch,hidden]; the last three may
// be nil. BatchFirst (layout 1) puts batch first in X, H and the results.
type Recurrent struct {
	X, W, R, B, Lens, H *tensor.Tensor

	Direction   string // forward, reverse or bidirectional
	Activations []string
	Alpha, Beta []float64
	Clip        float64 // bound on what activations are given, 0 for none
	BatchFirst  bool
}

// RNN computes ONNX's RNN: H' = f(X W + H R + b). The results are all outputs,
// [seq,dirs,batch,hidden], and the last ones, [dirs,batch,hidden].
func RNN(o Recurrent) (y, last *tensor.Tensor, err error) {
	l, err := o.open(1, []string{"Tanh"})
	if err != nil {
		return nil, nil, err
	}
	l.run(func(d int) cell {
		f := l.act[d][0]
		return func(x, h, _ []float64) {
			l.recur(x, d, 0, h)
			for i, v := range x {
				h[i] = f(v)
			}
		}
	})
	y, last, _ = l.results()
	return y, last, nil
}

// GRU computes ONNX's GRU (Cho et al., 2014), gates z, r, h. With linear, the
// reset gate scales H R + b instead of H.
func GRU(o Recurrent, linear bool) (y, last *tensor.Tensor, err error) {
	l, err := o.open(3, []string{"Sigmoid", "Tanh"})
	if err != nil {
		return nil, nil, err
	}
	n := l.hidden
	l.run(func(d int) cell {
		f, g := l.act[d][0], l.act[d][1]
		reset := make([]float64, n)
		return func(x, h, _ []float64) {
			z, r, c := x[:n], x[n:2*n], x[2*n:]
			l.recur(z, d, 0, h)
			l.recur(r, d, 1, h)
			if linear {
				clear(reset)
				l.recur(reset, d, 2, h)
				for i := range c {
					c[i] += f(r[i]) * reset[i]
				}
			} else {
				for i := range reset {
					reset[i] = f(r[i]) * h[i]
				}
				l.recur(c, d, 2, reset)
			}
			for i := range h {
				u := f(z[i])
				h[i] = (1-u)*g(c[i]) + u*h[i]
			}
		}
	})
	y, last, _ = l.results()
	return y, last, nil
}

// LSTM computes ONNX's LSTM (Hochreiter and Schmidhuber, 1997), gates i, o, f,
// c, with initial cells [dirs,batch,hidden] and peepholes [dirs,3*hidden] (i, o,
// f), both nil for zeros. With couple, f is 1 - i. It also returns the last cells.
func LSTM(o Recurrent, cells, peepholes *tensor.Tensor, couple bool) (y, last, lastCells *tensor.Tensor, err error) {
	l, err := o.open(4, []string{"Sigmoid", "Tanh", "Tanh"})
	if err != nil {
		return nil, nil, nil, err
	}
	if l.c, err = l.initial(cells); err != nil {
		return nil, nil, nil, err
	}
	n := l.hidden
	peep := make([]float64, l.dirs*3*n)
	if peepholes != nil {
		if peep = Float64s(peepholes); len(peep) != l.dirs*3*n {
			return nil, nil, nil, fmt.Errorf("peepholes %s must be [%d,%d]", peepholes, l.dirs, 3*n)
		}
	}
	l.run(func(d int) cell {
		f, g, out := l.act[d][0], l.act[d][1], l.act[d][2]
		pi, po, pf := peep[d*3*n:][:n], peep[d*3*n+n:][:n], peep[d*3*n+2*n:][:n]
		return func(x, h, c []float64) {
			for gate := range 4 {
				l.recur(x[gate*n:(gate+1)*n], d, gate, h)
			}
			for i := range h {
				in := f(x[i] + pi[i]*c[i])
				forget := 1 - in
				if !couple {
					forget = f(x[2*n+i] + pf[i]*c[i])
				}
				c[i] = forget*c[i] + in*g(x[3*n+i])
				h[i] = f(x[n+i]+po[i]*c[i]) * out(c[i])
			}
		}
	})
	y, last, lastCells = l.results()
	return y, last, lastCells, nil
}
