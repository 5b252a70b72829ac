package ops

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
)

func init() {
	// Before opset 7 the first result was optional by an attribute.
	upgrades := []Upgrade{{To: 7, Do: dropAttrs("output_sequence")}}
	downgrades := []Downgrade{{From: 14, Do: without("layout", int64(0))}, {From: 7, Do: setAttr("output_sequence", int64(1))}}
	add(map[string]Impl{
		"RNN":  {Infer: inferRecurrent, Eval: evalRNN, Upgrades: upgrades, Downgrades: downgrades},
		"GRU":  {Infer: inferRecurrent, Eval: evalGRU, Upgrades: upgrades, Downgrades: downgrades},
		"LSTM": {Infer: inferRecurrent, Eval: evalLSTM, Upgrades: upgrades, Downgrades: downgrades},
	})
}

func inferRecurrent(x *Inference) error {
	in, r := x.In(0), x.In(2)
	dirs := ir.Const(1)
	if x.Str("direction") == "bidirectional" {
		dirs = ir.Const(2)
	}
	var hidden ir.Dim
	switch {
	case x.Has("hidden_size"):
		hidden = ir.Const(x.Int("hidden_size"))
	case r.Rank() == 3:
		hidden = r.Dims[2]
	default:
		hidden = x.Fresh()
	}
	if in.Rank() >= 0 && in.Rank() != 3 {
		return x.Errorf("input %s must have 3 dims", in)
	}
	if in.Rank() < 0 {
		in = x.FreshType(in.DType, 3)
	}
	y, state := []ir.Dim{in.Dims[0], dirs, in.Dims[1], hidden}, []ir.Dim{dirs, in.Dims[1], hidden}
	if x.Bool("layout") {
		y, state = []ir.Dim{in.Dims[0], in.Dims[1], dirs, hidden}, []ir.Dim{in.Dims[0], dirs, hidden}
	}
	x.Set(0, ir.TensorOf(in.DType, y...))
	x.Set(1, ir.TensorOf(in.DType, state...))
	x.Set(2, ir.TensorOf(in.DType, state...))
	return nil
}

func (c *Call) recurrent() ref.Recurrent {
	var activations []string // the schema's default counts no directions
	if c.Has("activations") {
		activations = c.Strs("activations")
	}
	return ref.Recurrent{
		X: c.In(0), W: c.In(1), R: c.In(2), B: c.In(3), Lens: c.In(4), H: c.In(5),
		Direction:   c.Str("direction"),
		Activations: activations,
		Alpha:       floatsOf(c.Floats("activation_alpha")),
		Beta:        floatsOf(c.Floats("activation_beta")),
		Clip:        float64(c.Float("clip")),
		BatchFirst:  c.Bool("layout"),
	}
}

func evalRNN(c *Call) error {
	y, last, err := ref.RNN(c.recurrent())
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, last)
	return nil
}

func evalGRU(c *Call) error {
	y, last, err := ref.GRU(c.recurrent(), c.Bool("linear_before_reset"))
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, last)
	return nil
}

func evalLSTM(c *Call) error {
	y, last, cells, err := ref.LSTM(c.recurrent(), c.In(6), c.In(7), c.Bool("input_forget"))
	if err != nil {
		return err
	}
	c.Set(0, y)
	c.Set(1, last)
	c.Set(2, cells)
	return nil
}
