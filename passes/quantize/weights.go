package quantize

import (
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/passes/moments"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// formats are the types that numbers are stored in, with the largest that a
// symmetric scale aims at. INT8 leaves out the lowest integer; E4M3 ends at 448 (Micikevicius et al., "FP8 formats for deep learning", 2022).
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
	each := func(see func(i, scale int)) { layers.Channels(shape, axis, see) }
	c.widest(w, f, each)
	return c, c.round(w, shape, f, each)
}

// quantizeBlocks is quantizeWeights with a scale for every block of numbers
// along an axis, whose length is a multiple of the block's: the scale of least
// squared error. With moments, each number counts by what it is multiplied
// with, and those that are rounded later make up for the error of those before
// (Frantar et al., "GPTQ", ICLR 2023), as does the bias.
func quantizeBlocks(w []float32, shape []int, axis, block int, f format, mo *moments.Moments) (coded, error) {
	scales := append([]int{}, shape...)
	scales[axis] /= block
	c := coded{scale: tensor.New(tensor.Float32, scales...), axis: axis, block: block}
	inner := 1
	for _, d := range shape[axis+1:] {
		inner *= d
	}
	at := func(i int) int { return i/inner/block*inner + i%inner }
	each := func(see func(i, scale int)) {
		for i := range w {
			see(i, at(i))
		}
	}
	var energy []float64
	if mo != nil {
		energy = mo.Energy()
	}
	c.widest(w, f, each)
	c.fit(w, f, energy, inner)
	if mo != nil {
		scale, bias := tensor.Of[float32](c.scale), mo.Bias()
		var err error
		w, err = mo.Adjust(w, bias, moments.Policy{Together: 1, Set: func(g *moments.Group) {
			g.Value[0] = f.rounded(g.Value[0], scale[at(g.At[0])])
		}})
		if err != nil {
			return c, err
		}
		if bias != nil {
			mo.SetBias(bias)
		}
	}
	return c, c.round(w, shape, f, each)
}

// widest sets scales that hold every number.
func (c *coded) widest(w []float32, f format, each func(see func(i, scale int))) {
	scale := tensor.Of[float32](c.scale)
	each(func(i, s int) { scale[s] = max(scale[s], float32(math.Abs(float64(w[i])))) })
	for s := range scale {
		if scale[s] = float32(float64(scale[s]) / f.max); scale[s] == 0 {
			scale[s] = 1
		}
	}
}

// fit lets the scale of each block be as much smaller as makes the squared
// error least, counted by energy where there is any: what lies outside is cut.
// Numbers of a block lie inner apart.
func (c *coded) fit(w []float32, f format, energy []float64, inner int) {
	scale := tensor.Of[float32](c.scale)
	parts := min(runtime.GOMAXPROCS(0), len(scale))
	var wg sync.WaitGroup
	for part := range parts {
		wg.Go(func() {
			v, counts := make([]float64, c.block), slices.Repeat([]float64{1}, c.block)
			for s := part * len(scale) / parts; s < (part+1)*len(scale)/parts; s++ {
				for k := range v {
					i := s/inner*inner*c.block + s%inner + k*inner
					if v[k] = float64(w[i]); energy != nil {
						counts[k] = energy[i]
					}
				}
				best, least := scale[s], math.Inf(1)
				for sixteenths := float32(16); sixteenths > 8; sixteenths-- {
					try, off := scale[s]*sixteenths/16, 0.0
					for k, x := range v {
						d := x - f.rounded(x, try)
						off += counts[k] * d * d
					}
					if off < least {
						best, least = try, off
					}
				}
				scale[s] = best
			}
		})
	}
	wg.Wait()
}

// rounded is the number of an integer format that is next to v, times the scale.
func (f format) rounded(v float64, scale float32) float64 {
	q := min(max(math.RoundToEven(v/float64(scale)), -f.max-1), f.max)
	return float64(float32(q) * scale)
}

// round fills in the numbers; each shows every element with its scale.
func (c *coded) round(w []float32, shape []int, f format, each func(see func(i, scale int))) error {
	if f.dtype != tensor.Int8 {
		q, err := ref.Quantize(tensor.From(tensor.Float32, w, shape...), c.scale, nil, ref.Granularity{Axis: c.axis, Block: c.block}, f.dtype, tensor.Undefined, true)
		c.q = q
		return err
	}
	scale := tensor.Of[float32](c.scale)
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
func (p *pass) weightOnly(c *passes.Context, m *ir.Module, found []layers.Layer) (changed bool, err error) {
	f := formats[p.Weights]
	var batches []calibrate.Batch
	if p.Weights == "int4" {
		if batches, err = p.batches(m); err != nil {
			return false, err
		}
		found = slices.DeleteFunc(found, func(l layers.Layer) bool {
			if p.blockOf(l) > 0 {
				return false
			}
			c.Note("%s keeps its weights: INT4 is for matrices whose columns are a whole number of blocks of %d or 32, its weights are %v", ops.Describe(l.Op), p.Block, l.Weight.Shape)
			return true
		})
	}
	err = moments.Each(c, m, found, batches, func(l layers.Layer, mo *moments.Moments) error {
		w, err := l.Values()
		if err != nil {
			return err
		}
		ok, err := l.Replace(c, p.Weights+"-weights", func(b *ir.Builder) (v *ir.Value, err error) {
			var q coded
			if p.Weights == "int4" {
				q, err = quantizeBlocks(w, l.Weight.Shape, l.In, p.blockOf(l), f, mo)
			} else {
				q, err = quantizeWeights(w, l.Weight.Shape, l.Out, f)
			}
			if err != nil {
				return nil, err
			}
			return q.dequantized(b)
		})
		changed = changed || ok
		return err
	})
	return changed, err
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
