package ref

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// Step updates one parameter x, given its gradient g and its states, and
// returns the new parameter and states, element by element.
type Step func(x, g float64, states []float64) (float64, []float64)

// Adagrad adapts the rate to the sum of squared gradients, its only state.
func Adagrad(rate float64, t int64, decay, epsilon, norm float64) Step {
	rate /= 1 + float64(t)*decay
	return func(x, g float64, s []float64) (float64, []float64) {
		g += norm * x
		h := s[0] + g*g
		return x - rate*g/(math.Sqrt(h)+epsilon), []float64{h}
	}
}

// Adam keeps averages of gradients and of their squares (Kingma and Ba 2014).
func Adam(rate float64, t int64, alpha, beta, epsilon, norm, normPost float64) Step {
	if t > 0 {
		rate *= math.Sqrt(1-math.Pow(beta, float64(t))) / (1 - math.Pow(alpha, float64(t)))
	}
	return func(x, g float64, s []float64) (float64, []float64) {
		g += norm * x
		v := alpha*s[0] + (1-alpha)*g
		h := beta*s[1] + (1-beta)*g*g
		x -= rate * v / (math.Sqrt(h) + epsilon)
		return (1 - normPost) * x, []float64{v, h}
	}
}

// Momentum keeps a decaying sum of gradients; Nesterov's variant looks one
// step ahead.
func Momentum(rate float64, t int64, alpha, beta, norm float64, nesterov bool) Step {
	if t == 0 {
		beta = 1
	}
	return func(x, g float64, s []float64) (float64, []float64) {
		g += norm * x
		v := alpha*s[0] + beta*g
		if nesterov {
			return x - rate*(g+alpha*v), []float64{v}
		}
		return x - rate*v, []float64{v}
	}
}

// Apply updates a tensor: x, its gradient and states, all of one shape and
// type. It returns the new x and states.
func (f Step) Apply(x, g *tensor.Tensor, states ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	ins := append([]*tensor.Tensor{x, g}, states...)
	vals := make([][]float64, len(ins))
	for i, t := range ins {
		if t.DType != x.DType || !slices.Equal(t.Shape, x.Shape) {
			return nil, fmt.Errorf("%s does not fit the parameter %s", t, x)
		}
		vals[i] = Float64s(t)
	}
	outs := make([][]float64, 1+len(states))
	for k := range outs {
		outs[k] = make([]float64, len(vals[0]))
	}
	s := make([]float64, len(states))
	for i := range vals[0] {
		for k := range s {
			s[k] = vals[2+k][i]
		}
		p, next := f(vals[0][i], vals[1][i], s)
		outs[0][i] = p
		for k, v := range next {
			outs[1+k][i] = v
		}
	}
	res := make([]*tensor.Tensor, len(outs))
	for k, v := range outs {
		res[k] = fromFloat64s(x.DType, v, x.Shape...)
	}
	return res, nil
}
