package ref

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// Loss says how the losses of single predictions become one result. Ignored
// predictions, those of class *Ignore, count with weight 0.
type Loss struct {
	Reduction string         // none, sum or mean, the weighted mean
	Ignore    *int64         // nil: none is ignored
	Weight    *tensor.Tensor // [C], nil: all classes count the same
}

// NegativeLogLikelihood computes the loss of logProbs [N,C,d1...] for the
// classes target [N,d1...]: [N,d1...], or a scalar where it is reduced.
func (l Loss) NegativeLogLikelihood(logProbs, target *tensor.Tensor) (*tensor.Tensor, error) {
	if logProbs.Rank() < 2 || !slices.Equal(target.Shape, append([]int{logProbs.Shape[0]}, logProbs.Shape[2:]...)) {
		return nil, fmt.Errorf("predictions %s and targets %s do not fit: [N,C,d...] and [N,d...]", logProbs, target)
	}
	n, classes, inner := logProbs.Shape[0], logProbs.Shape[1], product(logProbs.Shape[2:])
	var weight []float64
	if l.Weight != nil {
		if weight = Float64s(l.Weight); len(weight) != classes {
			return nil, fmt.Errorf("%d weights for %d classes", len(weight), classes)
		}
	}
	x, labels := Float64s(logProbs), Float64s(target)
	losses := make([]float64, n*inner)
	sum, weights := 0.0, 0.0
	for i, label := range labels {
		if l.Ignore != nil && label == float64(*l.Ignore) {
			continue
		}
		if label < 0 || label >= float64(classes) {
			return nil, fmt.Errorf("target %v is none of %d classes", label, classes)
		}
		w := 1.0
		if weight != nil {
			w = weight[int(label)]
		}
		losses[i] = -w * x[(i/inner*classes+int(label))*inner+i%inner]
		sum += losses[i]
		weights += w
	}
	switch l.Reduction {
	case "none":
		return fromFloat64s(logProbs.DType, losses, target.Shape...), nil
	case "sum":
		return fromFloat64s(logProbs.DType, []float64{sum}), nil
	case "mean":
		return fromFloat64s(logProbs.DType, []float64{sum / weights}), nil
	}
	return nil, fmt.Errorf("reduction %q is not one of none, sum, mean", l.Reduction)
}

// SoftmaxCrossEntropy computes the loss of scores [N,C,d1...], and the
// logarithms of their softmax over axis 1.
func (l Loss) SoftmaxCrossEntropy(scores, labels *tensor.Tensor) (loss, logProbs *tensor.Tensor, err error) {
	if scores.Rank() < 2 {
		return nil, nil, fmt.Errorf("scores %s must be [N,C,d...]", scores)
	}
	classes, inner := scores.Shape[1], product(scores.Shape[2:])
	x := slices.Clone(Float64s(scores))
	for o := range len(x) / max(classes*inner, 1) { // none where there are no classes
		for i := range inner {
			logSoftmax(x[o*classes*inner+i:], classes, inner)
		}
	}
	logProbs = fromFloat64s(scores.DType, x, scores.Shape...)
	loss, err = l.NegativeLogLikelihood(logProbs, labels)
	return loss, logProbs, err
}

// logSoftmax replaces n numbers, a stride apart, by the logarithms of their
// softmax.
func logSoftmax(x []float64, n, stride int) {
	top, sum := math.Inf(-1), 0.0
	for c := range n {
		top = max(top, x[c*stride])
	}
	for c := range n {
		sum += math.Exp(x[c*stride] - top)
	}
	for c := range n {
		x[c*stride] -= top + math.Log(sum)
	}
}
