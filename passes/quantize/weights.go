package quantize

import (
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/tensor"
)

// channelwise is a weight in int8, symmetric, with one scale a channel:
// w = q * scale[channel].
type channelwise struct {
	q     *tensor.Tensor
	scale []float32
}

// quantizeWeights rounds weights to -127 ... 127, half to even. A channel of
// zeros has the scale 1.
func quantizeWeights(w []float32, shape []int, axis int) channelwise {
	c := channelwise{tensor.New(tensor.Int8, shape...), make([]float32, shape[axis])}
	layers.Channels(shape, axis, func(i, ch int) {
		c.scale[ch] = max(c.scale[ch], float32(math.Abs(float64(w[i]))))
	})
	for ch, s := range c.scale {
		if c.scale[ch] = s / 127; c.scale[ch] == 0 {
			c.scale[ch] = 1
		}
	}
	q := tensor.Of[int8](c.q)
	layers.Channels(shape, axis, func(i, ch int) {
		q[i] = int8(min(max(math.RoundToEven(float64(w[i])/float64(c.scale[ch])), -127), 127))
	})
	return c
}

// dequantized inserts the DequantizeLinear that restores the weights.
func (c channelwise) dequantized(b *ir.Builder, axis int) (*ir.Value, error) {
	n := len(c.scale)
	operands := []*ir.Value{b.Tensor(c.q), b.Tensor(tensor.Float32s(c.scale, n)), b.Tensor(tensor.New(tensor.Int8, n))}
	op, err := ops.Build(b, "DequantizeLinear", operands, ir.Attr{Name: "axis", Value: int64(axis)})
	if err != nil {
		return nil, err
	}
	return op.Result(0), nil
}

// weightOnly stores the weights of the layers in int8.
func (p *pass) weightOnly(c *passes.Context, found []layers.Layer) (changed bool, err error) {
	for _, l := range found {
		w, err := l.Values()
		if err != nil {
			return changed, err
		}
		ok, err := l.Replace(c, "int8-weights", func(b *ir.Builder) (*ir.Value, error) {
			return quantizeWeights(w, l.Weight.Shape, l.Out).dequantized(b, l.Out)
		})
		changed = changed || ok
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}
