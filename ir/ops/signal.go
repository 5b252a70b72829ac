package ops

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"DFT":             {Infer: inferDFT, Eval: evalDFT, Upgrades: []Upgrade{{To: 20, Do: axisOperand}}},
		"STFT":            {Infer: inferSTFT, Eval: evalSTFT},
		"MelWeightMatrix": {Infer: inferMelWeights, Eval: evalMelWeights},
		"HannWindow":      {Infer: inferWindow, Eval: evalWindow(ref.Hann)},
		"HammingWindow":   {Infer: inferWindow, Eval: evalWindow(ref.Hamming)},
		"BlackmanWindow":  {Infer: inferWindow, Eval: evalWindow(ref.Blackman)},
	})
}

// axisOperand turns DFT's attribute axis, 1 unless given, into an operand.
func axisOperand(b *ir.Builder, op *ir.Op) error {
	axis, ok := op.Attrs.Get("axis").(int64)
	if !ok {
		axis = 1
	}
	for op.NumOperands() < 2 {
		op.AddOperand(nil)
	}
	op.AddOperand(b.Tensor(tensor.Scalar(tensor.Int64, axis)))
	op.Attrs.Delete("axis")
	return nil
}

// size returns the one element of integer operand i where shape arithmetic
// tells it, and whether it does.
func (x *Inference) size(i int) (ir.Dim, bool) {
	if d, ok := x.Contents(i); ok && len(d) == 1 {
		return d[0], true
	}
	return ir.Dim{}, false
}

// number returns the one element of integer operand i, and the standard
// where it is absent.
func (c *Call) number(i, standard int) (int, error) {
	t := c.In(i)
	if t == nil {
		return standard, nil
	}
	if !t.DType.IsInt() || t.Len() != 1 {
		return 0, c.Errorf("operand %d must be one integer, not %s", i, t)
	}
	return intsIn(t)[0], nil
}

func inferDFT(x *Inference) error {
	t := x.In(0)
	if t.Rank() < 0 {
		x.Set(0, t)
		return nil
	}
	dims := slices.Clone(t.Dims)
	rank := len(dims)
	if rank < 2 {
		return x.Errorf("the signal %s must have a dim of real and imaginary parts", t)
	}
	inverse, oneSided := x.Bool("inverse"), x.Bool("onesided")
	dims[rank-1] = ir.Const(2)
	if inverse && oneSided {
		dims[rank-1] = ir.Const(1)
	}
	axis, known := int64(-2), true
	if x.HasIn(2) {
		var d ir.Dim
		if d, known = x.size(2); known {
			axis, known = d.Int()
		}
	}
	if !known {
		for i := range dims[:rank-1] {
			dims[i] = x.Fresh()
		}
		x.Set(0, t.WithDims(dims...))
		return nil
	}
	if axis < 0 {
		axis += int64(rank)
	}
	if axis < 0 || axis >= int64(rank)-1 {
		return x.Errorf("axis %d is not one of %s, or its last", axis, t)
	}
	length := dims[axis]
	switch {
	case x.HasIn(1):
		if length, known = x.size(1); !known {
			length = x.Fresh()
		}
	case inverse && oneSided:
		length = length.Sub(ir.Const(1)).Mul(ir.Const(2))
	}
	if oneSided && !inverse {
		length = length.FloorDiv(ir.Const(2)).Add(ir.Const(1))
	}
	dims[axis] = length
	x.Set(0, t.WithDims(dims...))
	return nil
}

func evalDFT(c *Call) error {
	length, err := c.number(1, -1)
	if err != nil {
		return err
	}
	axis, err := c.number(2, -2)
	if err != nil {
		return err
	}
	if c.In(1) != nil && length < 0 {
		return c.Errorf("a transform of length %d", length)
	}
	return c.done(ref.DFT(c.In(0), length, axis, c.Bool("inverse"), c.Bool("onesided")))
}

func inferSTFT(x *Inference) error {
	t := x.In(0)
	if t.Rank() >= 0 && t.Rank() != 3 {
		return x.Errorf("the signal %s must be [N,L,1] or [N,L,2]", t)
	}
	if t.Rank() < 0 {
		t = x.FreshType(t.DType, 3)
	}
	length, known := t.Dims[1], true
	switch w := x.In(2); {
	case x.HasIn(3):
		length, known = x.size(3)
	case x.HasIn(2) && w.Rank() == 1:
		length = w.Dims[0]
	case x.HasIn(2):
		known = false
	}
	frames, bins := x.Fresh(), x.Fresh()
	if known {
		bins = length
		if x.Bool("onesided") {
			bins = length.FloorDiv(ir.Const(2)).Add(ir.Const(1))
		}
		if step, ok := x.size(1); ok && !step.IsInt(0) {
			frames = t.Dims[1].Sub(length).FloorDiv(step).Add(ir.Const(1)).Max(ir.Const(0))
		}
	}
	x.Set(0, t.WithDims(t.Dims[0], frames, bins, ir.Const(2)))
	return nil
}

func evalSTFT(c *Call) error {
	step, err := c.number(1, 0)
	if err != nil {
		return err
	}
	length, err := c.number(3, -1)
	if err != nil {
		return err
	}
	return c.done(ref.STFT(c.In(0), step, length, c.In(2), c.Bool("onesided")))
}

func inferWindow(x *Inference) error {
	n, ok := x.size(0)
	if !ok {
		n = x.Fresh()
	}
	d, err := x.typeAttr("output_datatype")
	x.Set(0, ir.TensorOf(d, n))
	return err
}

func evalWindow(coefficients []float64) func(c *Call) error {
	return func(c *Call) error {
		n, err := c.number(0, 0)
		if err != nil {
			return err
		}
		d, err := c.typeAttr("output_datatype")
		if err != nil {
			return err
		}
		return c.done(ref.CosineWindow(d, n, c.Bool("periodic"), coefficients...))
	}
}

func inferMelWeights(x *Inference) error {
	rows, bins := x.Fresh(), x.Fresh()
	if d, ok := x.size(1); ok {
		rows = d.FloorDiv(ir.Const(2)).Add(ir.Const(1))
	}
	if d, ok := x.size(0); ok {
		bins = d
	}
	d, err := x.typeAttr("output_datatype")
	x.Set(0, ir.TensorOf(d, rows, bins))
	return err
}

func evalMelWeights(c *Call) error {
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = c.number(i, 0); err != nil {
			return err
		}
	}
	low, err := floatScalar(c.In(3), 0)
	if err != nil {
		return err
	}
	high, err := floatScalar(c.In(4), 0)
	if err != nil {
		return err
	}
	d, err := c.typeAttr("output_datatype")
	if err != nil {
		return err
	}
	return c.done(ref.MelWeightMatrix(d, n[0], n[1], n[2], low, high))
}
