package ops

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
)

func init() {
	add(map[string]Impl{
		"NegativeLogLikelihoodLoss": {Infer: inferLoss, Eval: evalNLL},
		"SoftmaxCrossEntropyLoss":   {Infer: inferLoss, Eval: evalCrossEntropy},
	})
}

func inferLoss(x *Inference) error {
	scores, labels := x.In(0), x.In(1)
	loss := ir.TensorOf(scores.DType)
	if x.Str("reduction") == "none" {
		loss = labels.WithDType(scores.DType)
		if loss.Rank() < 0 && scores.Rank() >= 2 {
			dims := append([]ir.Dim{scores.Dims[0]}, scores.Dims[2:]...)
			loss = ir.TensorOf(scores.DType, dims...)
		}
	}
	x.Set(0, loss)
	x.Set(1, scores)
	return nil
}

func (c *Call) loss() ref.Loss {
	l := ref.Loss{Reduction: c.Str("reduction"), Weight: c.In(2)}
	if c.Has("ignore_index") {
		n := c.Int("ignore_index")
		l.Ignore = &n
	}
	return l
}

func evalNLL(c *Call) error { return c.done(c.loss().NegativeLogLikelihood(c.In(0), c.In(1))) }

func evalCrossEntropy(c *Call) error {
	y, logProbs, err := c.loss().SoftmaxCrossEntropy(c.In(0), c.In(1))
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, logProbs)
	return nil
}
