package ref

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// parametric holds the activations that take parameters, in the order of
// their attributes in [ParametricAttrs].
var parametric = map[string]func(p []float64) func(float64) float64{
	"Celu": func(p []float64) func(float64) float64 {
		return func(x float64) float64 { return max(0, x) + min(0, p[0]*math.Expm1(x/p[0])) }
	},
	"Elu": func(p []float64) func(float64) float64 {
		return func(x float64) float64 { return elu(x, p[0]) }
	},
	"HardSigmoid": func(p []float64) func(float64) float64 {
		return func(x float64) float64 { return max(0, min(1, p[0]*x+p[1])) }
	},
	"LeakyRelu": func(p []float64) func(float64) float64 {
		return func(x float64) float64 {
			if x < 0 {
				return p[0] * x
			}
			return x
		}
	},
	"Selu": func(p []float64) func(float64) float64 {
		return func(x float64) float64 { return p[1] * elu(x, p[0]) }
	},
	"Shrink": func(p []float64) func(float64) float64 {
		return func(x float64) float64 {
			switch {
			case x < -p[1]:
				return x + p[0]
			case x > p[1]:
				return x - p[0]
			}
			return 0
		}
	},
	"Swish": func(p []float64) func(float64) float64 {
		return func(x float64) float64 { return x * sigmoid(p[0]*x) }
	},
	"ThresholdedRelu": func(p []float64) func(float64) float64 {
		return func(x float64) float64 { return threshold(x, p[0]) }
	},
}

// ParametricAttrs names the attributes whose values Parametric takes.
var ParametricAttrs = map[string][]string{
	"Celu":            {"alpha"},
	"Elu":             {"alpha"},
	"HardSigmoid":     {"alpha", "beta"},
	"LeakyRelu":       {"alpha"},
	"Selu":            {"alpha", "gamma"},
	"Shrink":          {"bias", "lambd"},
	"Swish":           {"alpha"},
	"ThresholdedRelu": {"alpha"},
}

// Parametric applies the named activation to every element.
func Parametric(name string, x *tensor.Tensor, p ...float64) (*tensor.Tensor, error) {
	activation := parametric[name]
	if activation == nil || len(p) != len(ParametricAttrs[name]) {
		return nil, fmt.Errorf("there is no activation %s of %d parameters", name, len(p))
	}
	f := activation(p)
	if x.DType.IsFloat() {
		return Map(x, f), nil
	}
	v := append([]float64{}, Float64s(x)...)
	for i := range v {
		v[i] = f(v[i])
	}
	return fromFloat64s(x.DType, v, x.Shape...), nil
}

// GeluScalar returns Gelu's function: x*P(X<=x) of the normal distribution, or
// its approximation by tanh (Hendrycks and Gimpel 2016).
func GeluScalar(approximate string) (func(float64) float64, error) {
	switch approximate {
	case "none":
		return func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }, nil
	case "tanh":
		c := math.Sqrt(2 / math.Pi)
		return func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(c*(x+0.044715*x*x*x))) }, nil
	}
	return nil, fmt.Errorf("approximate is %q, want none or tanh", approximate)
}

// PRelu returns x where it is positive and slope*x elsewhere; slope
// broadcasts to x.
func PRelu(x, slope *tensor.Tensor) (*tensor.Tensor, error) {
	shape, err := broadcastShape(x.Shape, slope.Shape)
	if err != nil {
		return nil, err
	}
	return zipReal(x, slope, shape, func(a, b float64) float64 {
		if a < 0 {
			return a * b
		}
		return a
	})
}

// SwiGLU returns a*sigmoid(alpha*a)*b; the shapes are equal.
func SwiGLU(a, b *tensor.Tensor, alpha float64) (*tensor.Tensor, error) {
	if a.DType != b.DType || sameShape("B", b, a.Shape) != nil {
		return nil, fmt.Errorf("A is %s and B is %s, want equal types and shapes", a, b)
	}
	return zipReal(a, b, a.Shape, func(x, y float64) float64 { return x * sigmoid(alpha*x) * y })
}
