package ops

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"RandomUniform":     {Infer: inferRandom, Eval: evalRandom, Traits: Random},
		"RandomNormal":      {Infer: inferRandom, Eval: evalRandom, Traits: Random},
		"RandomUniformLike": {Infer: inferRandomLike, Eval: evalRandom, Traits: Random},
		"RandomNormalLike":  {Infer: inferRandomLike, Eval: evalRandom, Traits: Random},
		"Bernoulli":         {Infer: inferRandomLike, Eval: evalBernoulli, Traits: Random},
		"Multinomial":       {Infer: inferMultinomial, Eval: evalMultinomial, Traits: Random},
	})
}

func inferRandom(x *Inference) error {
	d, err := x.namedType("dtype", tensor.Float32)
	x.Set(0, ir.TensorOf(d, constDims(intsOf(x.Ints("shape")))...))
	return err
}

func inferRandomLike(x *Inference) error {
	d, err := x.namedType("dtype", x.In(0).DType)
	x.Set(0, x.In(0).WithDType(d))
	return err
}

func evalRandom(c *Call) error {
	d, shape := tensor.Float32, intsOf(c.Ints("shape"))
	if x := c.In(0); x != nil {
		d, shape = x.DType, x.Shape
	}
	d, err := c.namedType("dtype", d)
	if err != nil {
		return err
	}
	if c.op.Name == "RandomNormal" || c.op.Name == "RandomNormalLike" {
		return c.done(ref.RandomNormal(d, shape, float64(c.Float("mean")), float64(c.Float("scale")), c.Rand()))
	}
	return c.done(ref.RandomUniform(d, shape, float64(c.Float("low")), float64(c.Float("high")), c.Rand()))
}

func evalBernoulli(c *Call) error {
	d, err := c.namedType("dtype", c.In(0).DType)
	if err != nil {
		return err
	}
	return c.done(ref.Bernoulli(c.In(0), d, c.Rand()))
}

func inferMultinomial(x *Inference) error {
	d, err := x.namedType("dtype", tensor.Int32)
	n := x.Fresh()
	if x.In(0).Rank() == 2 {
		n = x.In(0).Dims[0]
	}
	x.Set(0, ir.TensorOf(d, n, ir.Const(x.Int("sample_size"))))
	return err
}

func evalMultinomial(c *Call) error {
	d, err := c.namedType("dtype", tensor.Int32)
	if err != nil {
		return err
	}
	return c.done(ref.Multinomial(c.In(0), int(c.Int("sample_size")), d, c.Rand()))
}
