package quantize

import (
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// formats are the types that numbers are stored in, with the largest that a
// symmetric scale aims at. INT4 and INT8 leave out the lowest integer; E4M3
// ends at 448 (Micikevicius et al., "FP8 formats for deep learning", 2022).
var formats = map[string]format{"int8": {tensor.Int8, 127}, "fp8": {tensor.Float8E4M3FN, 448}, "int4": {tensor.Int4, 7}, "uint8": {tensor.Uint8, 255}}

type format struct {
	dtype tensor.DType
	max   float64
}

// coded is a weight in few bits, symmetric, w = q * scale, with one scale a
// channel, or one for every block of numbers along an axis.
type coded struct {
	q, scale    *tensor.Tensor
	axis, block int
}

// quantizeWeights rounds weights to a format, half to even, with a scale a
// channel along an axis. A channel of zeros has the scale 1.
func quantizeWeights(w []float32, shape []int, axis int, f format) (coded, error) {
	c := coded{scale: tensor.New(tensor.Float32, shape[axis]), axis: axis}
	return c, c.encode(w, shape, f, func(see func(i, scale int)) { layers.Channels(shape, axis, see) })
}

// quantizeBlocks is quantizeWeights with a scale for every block of numbers
// along an axis, whose length is a multiple of the block's.
func quantizeBlocks(w []float32, shape []int, axis, block int, f format) (coded, error) {
	scales := append([]int{}, shape...)
	scales[axis] /= block
	c := coded{scale: tensor.New(tensor.Float32, scales...), axis: axis, block: block}
	inner := 1
	for _, d := range shape[axis+1:] {
		inner *= d
	}
	return c, c.encode(w, shape, f, func(see func(i, scale int)) {
		for i := range w {
			see(i, i/inner/block*inner+i%inner)
		}
	})
}

// encode fills in scales and numbers; each shows every element with its scale.
func (c *coded) encode(w []float32, shape []int, f format, each func(see func(i, scale int))) error {
	scale := tensor.Of[float32](c.scale)
	each(func(i, s int) { scale[s] = max(scale[s], float32(math.Abs(float64(w[i])))) })
	for s := range scale {
		if scale[s] = float32(float64(scale[s]) / f.max); scale[s] == 0 {
			scale[s] = 1
		}
	}
	if f.dtype != tensor.Int8 {
		q, err := ref.Quantize(tensor.From(tensor.Float32, w, shape...), c.scale, nil, ref.Granularity{Axis: c.axis, Block: c.block}, f.dtype, tensor.Undefined, true)
		c.q = q
		return err
	}
	c.q = tensor.New(tensor.Int8, shape...)
	q := tensor.Of[int8](c.q)
	each(func(i, s int) {
		q[i] = int8(min(max(math.RoundToEven(float64(w[i])/float64(scale[s])), -f.max), f.max))
	})
	return nil
}

// dequantized inserts the DequantizeLinear that restores the weights.
func (c coded) dequantized(b *ir.Builder) (*ir.Value, error) {
	attrs := []ir.Attr{{Name: "axis", Value: int64(c.axis)}}
	if c.block > 0 {
		attrs = append(attrs, ir.Attr{Name: "block_size", Value: int64(c.block)})
	}
	operands := []*ir.Value{b.Tensor(c.q), b.Tensor(c.scale), b.Tensor(tensor.New(c.q.DType, c.scale.Shape...))}
	op, err := ops.Build(b, "DequantizeLinear", operands, attrs...)
	if err != nil {
		return nil, err
	}
	return op.Result(0), nil
}

// weightOnly stores the weights of the layers in few bits. INT4 takes blocks,
// of matrices alone; other layers stay as they are, and are named.
func (p *pass) weightOnly(c *passes.Context, found []layers.Layer) (changed bool, err error) {
	f := formats[p.Weights]
	for _, l := range found {
		encode := func(w []float32) (coded, error) { return quantizeWeights(w, l.Weight.Shape, l.Out, f) }
		if p.Weights == "int4" {
			block := p.blockOf(l)
			if block == 0 {
				c.Note("%s keeps its weights: INT4 is for matrices whose columns are a whole number of blocks of %d or 32, its weights are %v", ops.Describe(l.Op), p.Block, l.Weight.Shape)
				continue
			}
			encode = func(w []float32) (coded, error) { return quantizeBlocks(w, l.Weight.Shape, l.In, block, f) }
		}
		w, err := l.Values()
		if err != nil {
			return changed, err
		}
		ok, err := l.Replace(c, p.Weights+"-weights", func(b *ir.Builder) (*ir.Value, error) {
			q, err := encode(w)
			if err != nil {
				return nil, err
			}
			return q.dequantized(b)
		})
		changed = changed || ok
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// blockOf is the size of the blocks of a layer's weights: the one asked for, else 32, else 0.
func (p *pass) blockOf(l layers.Layer) int {
	if len(l.Weight.Shape) != 2 {
		return 0
	}
	for _, block := range []int{p.Block, 32} {
		if l.Weight.Shape[l.In]%block == 0 {
			return block
		}
	}
	return 0
}
