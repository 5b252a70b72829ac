package ref

import (
	"fmt"
	"math"
)

// What the classifiers and regressors of ai.onnx.ml share. The standard says
// little of two classes with one score; these follow ONNX Runtime.

// Second says what to make of the one score of a classifier of two classes.
type Second int

// NoSecond leaves one score one score; Complement is for a score that is a
// probability, Opposite for one with the sign of the class.
const (
	NoSecond Second = iota
	Complement
	Opposite
)

// postTransform applies NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO or PROBIT to
// the scores of one sample. Where a second score is made, only LOGISTIC and
// PROBIT change the two.
func postTransform(scores []float64, transform string, second Second) ([]float64, error) {
	if len(scores) == 1 && second != NoSecond {
		s := scores[0]
		switch {
		case transform == "LOGISTIC" || second == Opposite:
			scores = []float64{-s, s}
		default:
			scores = []float64{1 - s, s}
		}
		if transform == "SOFTMAX" || transform == "SOFTMAX_ZERO" {
			return scores, nil
		}
	} else if len(scores) == 1 && transform != "PROBIT" {
		return scores, nil
	}
	switch transform {
	case "NONE", "":
	case "LOGISTIC":
		for i, s := range scores {
			scores[i] = logistic(s)
		}
	case "SOFTMAX":
		softmaxScores(scores, false)
	case "SOFTMAX_ZERO":
		softmaxScores(scores, true)
	case "PROBIT":
		for i, s := range scores {
			scores[i] = probit(s)
		}
	default:
		return nil, fmt.Errorf("post_transform %q is not one of NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO, PROBIT", transform)
	}
	return scores, nil
}

func logistic(x float64) float64 {
	v := 1 / (1 + math.Exp(-math.Abs(x)))
	if x < 0 {
		return 1 - v
	}
	return v
}

// softmaxScores normalizes exp(x); scores near 0 stay small where keepZero.
func softmaxScores(x []float64, keepZero bool) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range x {
		if keepZero && math.Abs(v) <= 1e-7 {
			x[i] = v * math.Exp(-top)
		} else {
			x[i] = math.Exp(v - top)
		}
		sum += x[i]
	}
	for i := range x {
		if sum == 0 {
			x[i] = 0.5
		} else {
			x[i] /= sum
		}
	}
}

// probit is the inverse of the normal distribution by Winitzki's
// approximation of the inverse error function (2008) with a = 0.147.
func probit(p float64) float64 {
	const a = 0.147
	x := 2*p - 1
	l := math.Log((1 - x) * (1 + x))
	v := 2/(math.Pi*a) + l/2
	return math.Copysign(math.Sqrt2*math.Sqrt(math.Sqrt(v*v-l/a)-v), x)
}

// argMax returns the place of the first of the largest.
func argMax(x []float64) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
