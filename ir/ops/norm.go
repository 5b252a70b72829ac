package ops

import (
	"errors"
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"BatchNormalization": {Infer: inferBatchNorm, Eval: evalBatchNorm,
			Upgrades:   []Upgrade{{To: 9, Do: perActivation}, {To: 14, Do: trainingMode}},
			Downgrades: []Downgrade{{From: 14, Do: each(without("training_mode", int64(0)), oneResult)}, {From: 9, Do: each()}, {From: 7, Do: setAttr("is_test", int64(1))}}},
		"InstanceNormalization": {Infer: asFirst, Eval: evalInstanceNorm, Upgrades: []Upgrade{{To: 6, Do: dropAttrs("consumed_inputs")}}},
		"GroupNormalization": {Infer: asFirst, Eval: evalGroupNorm, Upgrades: []Upgrade{{To: 21, Do: perChannel}},
			Downgrades: []Downgrade{{From: 21, Do: func(*ir.Builder, *ir.Op) error { return errors.New("scales by channel have no older form") }}}},
		"LayerNormalization":        {Infer: inferLayerNorm, Eval: evalLayerNorm},
		"RMSNormalization":          {Infer: inferRMSNorm, Eval: evalRMSNorm},
		"LpNormalization":           {Infer: asFirst, Eval: evalLpNorm},
		"MeanVarianceNormalization": {Infer: asFirst, Eval: evalMeanVarianceNorm},
		"LRN":                       {Infer: asFirst, Eval: evalLRN},
		"Dropout": {Infer: inferDropout, Eval: evalDropout, Traits: Random,
			Upgrades:   []Upgrade{{To: 10, Do: boolMask}, {To: 12, Do: dropAttrs("ratio", "is_test", "consumed_inputs")}},
			Downgrades: []Downgrade{{From: 12, Do: inferenceDropout}, {From: 10, Do: oneResult}, {From: 7, Do: setAttr("is_test", int64(1))}}},
	})
}

func inferBatchNorm(x *Inference) error {
	x.Set(0, x.In(0))
	x.Set(1, x.In(3))
	x.Set(2, x.In(4))
	return nil
}

func evalBatchNorm(c *Call) error {
	stats := ref.Stats{Mean: c.In(3), Var: c.In(4)}
	epsilon := float64(c.Float("epsilon"))
	if !c.Bool("training_mode") {
		return c.done(ref.BatchNorm(c.In(0), c.In(1), c.In(2), stats, epsilon))
	}
	y, stats, err := ref.BatchNormTraining(c.In(0), c.In(1), c.In(2), stats, epsilon, float64(c.Float("momentum")))
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, stats.Mean)
	c.Set(2, stats.Var)
	return nil
}

// perActivation rewrites spatial=0, statistics for every element of an image,
// as a normalization of the flattened image.
func perActivation(b *ir.Builder, op *ir.Op) error {
	spatial, given := op.Attrs.Get("spatial").(int64)
	for _, n := range []string{"spatial", "is_test", "consumed_inputs"} {
		op.Attrs.Delete(n)
	}
	if !given || spatial != 0 {
		return nil
	}
	if op.NumResults() > 1 {
		return fmt.Errorf("training with spatial=0 has no newer form")
	}
	x := op.Operand(0)
	flat, err := Build(b, "Flatten", []*ir.Value{x})
	if err != nil {
		return err
	}
	op.SetOperand(0, flat.Result(0))
	for i := 1; i < 5; i++ {
		r, err := Build(b, "Reshape", []*ir.Value{op.Operand(i), b.Int64s(-1)})
		if err != nil {
			return err
		}
		op.SetOperand(i, r.Result(0))
	}
	return restoreShape(op, x)
}

// trainingMode says by an attribute what the number of results said, and
// computes the statistics of the batch, which had results of their own.
func trainingMode(b *ir.Builder, op *ir.Op) error {
	if op.NumResults() == 1 {
		return nil
	}
	op.Attrs.Set("training_mode", int64(1))
	if op.NumResults() <= 3 {
		return nil
	}
	var err error
	build := func(name string, operands ...*ir.Value) *ir.Value {
		var built *ir.Op
		if err != nil {
			return nil
		}
		if built, err = Build(b, name, operands); err != nil {
			return nil
		}
		if name == "ReduceMean" {
			built.Attrs.Set("keepdims", int64(0))
		}
		return built.Result(0)
	}
	x := build("Reshape", op.Operand(0), b.Int64s(0, 0, -1))
	mean := build("ReduceMean", x, b.Int64s(0, 2))
	diff := build("Sub", x, build("Reshape", mean, b.Int64s(1, -1, 1)))
	variance := build("ReduceMean", build("Mul", diff, diff), b.Int64s(0, 2))
	if err != nil {
		return err
	}
	for i, v := range []*ir.Value{mean, variance} {
		if r := op.Result(3 + i); r != nil {
			r.ReplaceAllUsesWith(v)
		}
	}
	op.TrimResults(3)
	return nil
}

func evalInstanceNorm(c *Call) error {
	groups := 1
	if x := c.In(0); x.Rank() > 1 {
		groups = x.Shape[1]
	}
	return c.done(ref.GroupNorm(c.In(0), c.In(1), c.In(2), groups, float64(c.Float("epsilon"))))
}

func evalGroupNorm(c *Call) error {
	return c.done(ref.GroupNorm(c.In(0), c.In(1), c.In(2), int(c.Int("num_groups")), float64(c.Float("epsilon"))))
}

// perChannel repeats scale and bias, one a group before opset 21, for every
// channel of the group.
func perChannel(b *ir.Builder, op *ir.Op) error {
	groups, _ := op.Attrs.Get("num_groups").(int64)
	channels, err := Build(b, "Shape", []*ir.Value{op.Operand(0)}, ir.Attr{Name: "start", Value: int64(1)}, ir.Attr{Name: "end", Value: int64(2)})
	if err != nil {
		return err
	}
	per, err := Build(b, "Div", []*ir.Value{channels.Result(0), b.Int64s(groups)})
	if err != nil {
		return err
	}
	grid, err := Build(b, "Concat", []*ir.Value{b.Int64s(groups), per.Result(0)}, ir.Attr{Name: "axis", Value: int64(0)})
	if err != nil {
		return err
	}
	for i := 1; i <= 2; i++ {
		v := op.Operand(i)
		for _, step := range []struct {
			name  string
			shape *ir.Value
		}{{"Reshape", b.Int64s(-1, 1)}, {"Expand", grid.Result(0)}, {"Reshape", b.Int64s(-1)}} {
			s, err := Build(b, step.name, []*ir.Value{v, step.shape})
			if err != nil {
				return err
			}
			v = s.Result(0)
		}
		op.SetOperand(i, v)
	}
	return nil
}

func inferLayerNorm(x *Inference) error {
	in := x.In(0)
	x.Set(0, in)
	stash := tensor.DType(x.Int("stash_type"))
	stats := ir.Unranked(stash)
	if rank := in.Rank(); rank >= 0 {
		axis, err := x.axisIn(rank)
		if err != nil {
			return err
		}
		dims := append([]ir.Dim{}, in.Dims...)
		for i := axis; i < rank; i++ {
			dims[i] = ir.Const(1)
		}
		stats = ir.TensorOf(stash, dims...)
	}
	x.Set(1, stats)
	x.Set(2, stats)
	return nil
}

func evalLayerNorm(c *Call) error {
	y, mean, inverse, err := ref.LayerNorm(c.In(0), c.In(1), c.In(2), int(c.Int("axis")), float64(c.Float("epsilon")), tensor.DType(c.Int("stash_type")))
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, mean)
	c.Set(2, inverse)
	return nil
}

func inferRMSNorm(x *Inference) error {
	x.Set(0, x.In(0).WithDType(x.In(1).DType))
	return nil
}

func evalRMSNorm(c *Call) error {
	return c.done(ref.RMSNorm(c.In(0), c.In(1), int(c.Int("axis")), float64(c.Float("epsilon"))))
}

func evalLpNorm(c *Call) error {
	return c.done(ref.LpNorm(c.In(0), int(c.Int("axis")), int(c.Int("p"))))
}

func evalMeanVarianceNorm(c *Call) error {
	return c.done(ref.MeanVarianceNorm(c.In(0), intsOf(c.Ints("axes"))))
}

func evalLRN(c *Call) error {
	return c.done(ref.LRN(c.In(0), int(c.Int("size")), float64(c.Float("alpha")), float64(c.Float("beta")), float64(c.Float("bias"))))
}

func inferDropout(x *Inference) error {
	x.Set(0, x.In(0))
	x.Set(1, x.In(0).WithDType(tensor.Bool))
	return nil
}

func evalDropout(c *Call) error {
	x := c.In(0)
	ratio, err := floatScalar(c.In(1), 0.5)
	if err != nil {
		return err
	}
	train, err := floatScalar(c.In(2), 0)
	if err != nil {
		return err
	}
	if train == 0 {
		ratio = 0
	}
	if ratio == 0 {
		mask := tensor.New(tensor.Bool, x.Shape...)
		for i := range mask.Data {
			mask.Data[i] = 1
		}
		c.Set(0, x)
		c.Set(1, mask)
		return nil
	}
	draw := c.Rand().Float64
	if c.Has("seed") {
		draw = ref.NewMersenneTwister(uint32(c.Int("seed"))).Float64
	}
	y, mask, err := ref.Dropout(x, ratio, draw)
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, mask)
	return nil
}

// boolMask converts the mask of older opsets, which had x's element type.
func boolMask(_ *ir.Builder, op *ir.Op) error {
	mask := op.Result(1)
	if mask == nil || mask.NumUses() == 0 {
		return nil
	}
	like, err := Build(ir.After(op), "CastLike", []*ir.Value{mask, op.Operand(0)})
	if err != nil {
		return err
	}
	mask.ReplaceAllUsesWith(like.Result(0))
	like.SetOperand(0, mask)
	return nil
}

// inferenceDropout drops what only training reads. Before opset 12 a model's
// dropout is taken for what it is at inference, nothing.
func inferenceDropout(_ *ir.Builder, op *ir.Op) error {
	if op.Operand(2) != nil {
		return errors.New("training_mode has no older form")
	}
	op.SetOperands(op.Operand(0))
	op.Attrs.Delete("seed")
	return nil
}
