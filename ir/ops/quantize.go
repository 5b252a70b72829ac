package ops

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	narrow := []Downgrade{
		{From: 23, Do: without("precision", int64(0))},
		{From: 21, Do: each(without("block_size", int64(0)), without("output_dtype", int64(0)))},
		{From: 19, Do: without("saturate", int64(1))},
	}
	add(map[string]Impl{
		"QuantizeLinear": {Infer: inferQuantize, Eval: evalQuantize, Downgrades: narrow},
		"DequantizeLinear": {Infer: inferDequantize, Eval: evalDequantize, Decodes: func(*ir.Op) bool { return true }, Downgrades: []Downgrade{
			{From: 23, Do: without("output_dtype", int64(0))}, {From: 21, Do: without("block_size", int64(0))}}},
		"DynamicQuantizeLinear": {Infer: inferDynamicQuantize, Eval: evalDynamicQuantize},
	})
}

// namedType returns an attribute that names an element type, or the other
// type where the attribute is absent or 0.
func (a attrs) namedType(name string, or tensor.DType) (tensor.DType, error) {
	if a.Int(name) == 0 {
		return or, nil
	}
	return a.typeAttr(name)
}

func (a attrs) granularity() ref.Granularity {
	return ref.Granularity{Axis: int(a.Int("axis")), Block: int(a.Int("block_size"))}
}

func inferQuantize(x *Inference) error {
	d, err := x.namedType("output_dtype", tensor.Uint8)
	if x.HasIn(2) {
		d = x.In(2).DType
	}
	x.Set(0, x.In(0).WithDType(d))
	return err
}

func evalQuantize(c *Call) error {
	to, err := c.namedType("output_dtype", tensor.Uint8)
	if err != nil {
		return err
	}
	if z := c.In(2); z != nil {
		to = z.DType
	}
	precision, err := c.namedType("precision", tensor.Undefined)
	if err != nil {
		return err
	}
	return c.done(ref.Quantize(c.In(0), c.In(1), c.In(2), c.granularity(), to, precision, c.Bool("saturate")))
}

func inferDequantize(x *Inference) error {
	d, err := x.namedType("output_dtype", x.In(1).DType)
	x.Set(0, x.In(0).WithDType(d))
	return err
}

func evalDequantize(c *Call) error {
	to, err := c.namedType("output_dtype", c.In(1).DType)
	if err != nil {
		return err
	}
	return c.done(ref.Dequantize(c.In(0), c.In(1), c.In(2), c.granularity(), to))
}

func inferDynamicQuantize(x *Inference) error {
	x.Set(0, x.In(0).WithDType(tensor.Uint8))
	x.Set(1, ir.TensorOf(tensor.Float32))
	x.Set(2, ir.TensorOf(tensor.Uint8))
	return nil
}

func evalDynamicQuantize(c *Call) error {
	y, scale, zero, err := ref.DynamicQuantize(c.In(0))
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, scale)
	c.Set(2, zero)
	return nil
}
