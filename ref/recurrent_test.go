package ref

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

func f64(v []float64, shape ...int) *tensor.Tensor { return tensor.From(tensor.Float64, v, shape...) }

// ramps fills a shape with small values that differ everywhere.
func ramps(shape ...int) *tensor.Tensor {
	v := make([]float64, product(shape))
	for i := range v {
		v[i] = math.Sin(float64(i)*1.7 + float64(len(v)))
	}
	return f64(v, shape...)
}

func TestRNNStepByStep(t *testing.T) {
	// h' = Affine(2 x + 3 h + 0.5 + 0.25) = 10*that + 1
	o := Recurrent{X: f64([]float64{1, -1}, 2, 1, 1), W: f64([]float64{2}, 1, 1, 1), R: f64([]float64{3}, 1, 1, 1),
		B: f64([]float64{0.5, 0.25}, 1, 2), H: f64([]float64{1}, 1, 1, 1),
		Activations: []string{"Affine"}, Alpha: []float64{10}, Beta: []float64{1}}
	y, last, err := RNN(o)
	require.NoError(t, err)
	require.Equal(t, []float64{58.5, 1743.5}, tensor.Of[float64](y))
	require.Equal(t, []float64{1743.5}, tensor.Of[float64](last))
	o.Clip = 5
	y, _, err = RNN(o)
	require.NoError(t, err)
	require.Equal(t, []float64{51, 51}, tensor.Of[float64](y))
}

func TestGRUIsItsFormula(t *testing.T) {
	w, r, b := []float64{.1, .2, .3}, []float64{.4, .5, .6}, []float64{.7, .8, .9, -.1, -.2, -.3}
	x, h := 1.5, 0.25
	z := sigmoid(w[0]*x + r[0]*h + b[0] + b[3])
	g := sigmoid(w[1]*x + r[1]*h + b[1] + b[4])
	for linear, c := range map[bool]float64{
		false: math.Tanh(w[2]*x + r[2]*g*h + b[2] + b[5]),
		true:  math.Tanh(w[2]*x + g*(r[2]*h+b[5]) + b[2]),
	} {
		o := Recurrent{X: f64([]float64{x}, 1, 1, 1), W: f64(w, 1, 3, 1), R: f64(r, 1, 3, 1), B: f64(b, 1, 6), H: f64([]float64{h}, 1, 1, 1)}
		y, _, err := GRU(o, linear)
		require.NoError(t, err)
		require.InDelta(t, (1-z)*c+z*h, tensor.Of[float64](y)[0], 1e-12)
	}
}

func TestLSTMIsItsFormula(t *testing.T) {
	w, r := []float64{.1, .2, .3, .4}, []float64{.5, .6, .7, .8}
	p := []float64{.11, .22, .33}
	x, h, c := 1.5, 0.25, -0.5
	in := sigmoid(w[0]*x + r[0]*h + p[0]*c)
	for couple, f := range map[bool]float64{false: sigmoid(w[2]*x + r[2]*h + p[2]*c), true: 1 - in} {
		cell := f*c + in*math.Tanh(w[3]*x+r[3]*h)
		out := sigmoid(w[1]*x + r[1]*h + p[1]*cell)
		o := Recurrent{X: f64([]float64{x}, 1, 1, 1), W: f64(w, 1, 4, 1), R: f64(r, 1, 4, 1), H: f64([]float64{h}, 1, 1, 1)}
		y, last, cells, err := LSTM(o, f64([]float64{c}, 1, 1, 1), f64(p, 1, 3), couple)
		require.NoError(t, err)
		require.InDelta(t, out*math.Tanh(cell), tensor.Of[float64](y)[0], 1e-12)
		require.Equal(t, tensor.Of[float64](y), tensor.Of[float64](last))
		require.InDelta(t, cell, tensor.Of[float64](cells)[0], 1e-12)
	}
}

// Directions, lengths and layouts are the same for all cells: seen on an LSTM.
func TestRecurrentSequences(t *testing.T) {
	const seq, batch, in, n = 4, 2, 3, 2
	o := Recurrent{X: ramps(seq, batch, in), W: ramps(2, 4*n, in), R: ramps(2, 4*n, n), B: ramps(2, 8*n), H: ramps(2, batch, n), Direction: "bidirectional"}
	cells := ramps(2, batch, n)
	lens := []int{3, 4}
	o.Lens = tensor.From(tensor.Int32, []int32{3, 4}, 2)
	y, last, _, err := LSTM(o, cells, nil, false)
	require.NoError(t, err)
	require.Equal(t, []int{seq, 2, batch, n}, y.Shape)

	cut := func(v *tensor.Tensor, from, size int, shape ...int) *tensor.Tensor {
		return f64(tensor.Of[float64](v)[from:from+size], shape...)
	}
	for d, direction := range []string{"forward", "reverse"} {
		for b := range batch { // each sequence alone, in one direction, is the same
			one := Recurrent{W: cut(o.W, d*4*n*in, 4*n*in, 1, 4*n, in), R: cut(o.R, d*4*n*n, 4*n*n, 1, 4*n, n), B: cut(o.B, d*8*n, 8*n, 1, 8*n),
				H: cut(o.H, (d*batch+b)*n, n, 1, 1, n), Direction: direction, X: tensor.New(tensor.Float64, lens[b], 1, in)}
			for s := range lens[b] {
				copy(tensor.Of[float64](one.X)[s*in:(s+1)*in], tensor.Of[float64](o.X)[(s*batch+b)*in:])
			}
			y1, last1, _, err := LSTM(one, cut(cells, (d*batch+b)*n, n, 1, 1, n), nil, false)
			require.NoError(t, err)
			require.Equal(t, tensor.Of[float64](last1), tensor.Of[float64](last)[(d*batch+b)*n:][:n])
			for s := range seq {
				got := tensor.Of[float64](y)[((s*2+d)*batch+b)*n:][:n]
				if s < lens[b] {
					require.Equal(t, tensor.Of[float64](y1)[s*n:][:n], got)
				} else {
					require.Equal(t, make([]float64, n), got)
				}
			}
		}
	}

	first := o
	first.BatchFirst = true
	first.X, first.H = swapped(o.X), swapped(o.H)
	yb, lastb, _, err := LSTM(first, swapped(cells), nil, false)
	require.NoError(t, err)
	require.Equal(t, swapped(last), lastb)
	require.Equal(t, []int{batch, seq, 2, n}, yb.Shape)
	for i, v := range tensor.Of[float64](yb) {
		u, d, s, b := i%n, i/n%2, i/n/2%seq, i/n/2/seq
		require.Equal(t, tensor.Of[float64](y)[((s*2+d)*batch+b)*n+u], v)
	}
}

// swapped exchanges the first two of three dims.
func swapped(t *tensor.Tensor) *tensor.Tensor {
	a, b, n := t.Shape[0], t.Shape[1], t.Shape[2]
	s := tensor.New(tensor.Float64, b, a, n)
	for i := range a {
		for j := range b {
			copy(tensor.Of[float64](s)[(j*a+i)*n:][:n], tensor.Of[float64](t)[(i*b+j)*n:])
		}
	}
	return s
}

func TestRecurrentRefuses(t *testing.T) {
	good := Recurrent{X: ramps(2, 1, 3), W: ramps(1, 4, 3), R: ramps(1, 4, 4)}
	_, _, err := RNN(good)
	require.NoError(t, err)
	for says, change := range map[string]func(*Recurrent){
		"direction":   func(o *Recurrent) { o.Direction = "up" },
		"W":           func(o *Recurrent) { o.W = ramps(1, 4, 2) },
		"B is":        func(o *Recurrent) { o.B = ramps(1, 4) },
		"activation":  func(o *Recurrent) { o.Activations = []string{"Tan"} },
		"needs 1":     func(o *Recurrent) { o.Activations = []string{"Tanh", "Tanh"} },
		"3 steps":     func(o *Recurrent) { o.Lens = f64([]float64{3}, 1) },
		"the initial": func(o *Recurrent) { o.H = ramps(1, 2, 4) },
	} {
		o := good
		change(&o)
		_, _, err := RNN(o)
		require.ErrorContains(t, err, says)
	}
}
