package cpu

import (
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// gates are how many products of the input each recurrent op sums a step.
var gates = map[string]int{"RNN": 1, "GRU": 3, "LSTM": 4}

// expandRecurrent writes a recurrent layer as one product for the input of
// all steps, and a Scan of the steps, for which there are kernels. The formulas are those
// of ONNX's operators.
func expandRecurrent(c *passes.Context, op *ir.Op) (bool, error) {
	if gates[op.Name] == 0 {
		return false, nil
	}
	l := layerOf(op)
	if l == nil {
		return false, nil
	}
	return c.Apply("expand-recurrent", op, nil, l.expand)
}

// layer is a recurrent op with constant weights and the usual activations.
type layer struct {
	op           *ir.Op
	hidden, ins  int
	dirs         int
	reverse      []int64 // 1 for a direction that goes backwards
	first        bool    // batch is the first dim
	w, r, b      []float32
	acts         []string
	resetOutside bool // GRU: the reset gate scales the product, not the state
}

func layerOf(op *ir.Op) *layer {
	x := op.Operand(0)
	w, r := floatsOf(op.Operand(1)), floatsOf(op.Operand(2))
	if !isF32(x) || x.Type.Rank() >= 0 && x.Type.Rank() != 3 || w == nil || r == nil || op.Operand(4) != nil || op.Operand(7) != nil {
		return nil
	}
	for _, name := range []string{"clip", "activation_alpha", "activation_beta"} {
		if op.Attrs.Has(name) {
			return nil
		}
	}
	if n, _ := op.Attrs.Get("input_forget").(int64); n != 0 {
		return nil
	}
	ws, rs := op.Operand(1).Data().Shape, op.Operand(2).Data().Shape
	n := gates[op.Name]
	if len(ws) != 3 || len(rs) != 3 || ws[0] != rs[0] || rs[1] != n*rs[2] || ws[1] != rs[1] {
		return nil
	}
	l := &layer{op: op, hidden: rs[2], ins: ws[2], dirs: ws[0], w: w, r: r, b: make([]float32, ws[0]*2*n*rs[2])}
	if b := op.Operand(3); b != nil {
		if l.b = floatsOf(b); len(l.b) != ws[0]*2*n*rs[2] {
			return nil
		}
	}
	switch d, _ := op.Attrs.Get("direction").(string); d {
	case "", "forward":
		l.reverse = []int64{0}
	case "reverse":
		l.reverse = []int64{1}
	case "bidirectional":
		l.reverse = []int64{0, 1}
	}
	layout, _ := op.Attrs.Get("layout").(int64)
	reset, _ := op.Attrs.Get("linear_before_reset").(int64)
	l.first, l.resetOutside = layout != 0, reset != 0
	usual := map[string][]string{"RNN": {"Tanh"}, "GRU": {"Sigmoid", "Tanh"}, "LSTM": {"Sigmoid", "Tanh", "Tanh"}}[op.Name]
	l.acts, _ = op.Attrs.Get("activations").([]string)
	if len(l.acts) == 0 {
		l.acts = slices.Repeat(usual, l.dirs)
	}
	known := func(a string) bool { return a == "Sigmoid" || a == "Tanh" || a == "Relu" }
	if len(l.reverse) != l.dirs || len(l.acts) != len(usual)*l.dirs || slices.ContainsFunc(l.acts, func(a string) bool { return !known(a) }) {
		return nil
	}
	return l
}

// floatsOf returns the elements of a float32 constant, nil for any other value.
func floatsOf(v *ir.Value) []float32 {
	if v == nil || v.Data() == nil || v.Data().DType != tensor.Float32 {
		return nil
	}
	t, err := v.Data().Tensor()
	if err != nil {
		return nil
	}
	return tensor.Of[float32](t)
}

// expand writes the layer with the rewriter.
func (l *layer) expand(r *passes.Rewriter) []*ir.Value {
	x := l.op.Operand(0)
	if x.Type.Rank() < 0 { // what a branch yields, say
		x = r.Op("Reshape", []*ir.Value{x, r.Int64s(0, 0, int64(l.ins))})
	}
	if l.first {
		x = r.Op("Transpose", []*ir.Value{x}, ir.Attr{Name: "perm", Value: []int64{1, 0, 2}})
	}
	var ys []*ir.Value
	states := make([][]*ir.Value, 2)
	for d := range l.dirs {
		y, last := l.direction(r, x, d)
		ys = append(ys, r.Op("Unsqueeze", []*ir.Value{y, r.Int64s(1)}))
		for i, v := range last {
			states[i] = append(states[i], r.Op("Unsqueeze", []*ir.Value{v, r.Int64s(0)}))
		}
	}
	join := func(vs []*ir.Value, axis int64, perm ...int64) *ir.Value {
		v := vs[0]
		if len(vs) > 1 {
			v = r.Op("Concat", vs, ir.Attr{Name: "axis", Value: axis})
		}
		if l.first {
			v = r.Op("Transpose", []*ir.Value{v}, ir.Attr{Name: "perm", Value: perm})
		}
		return v
	}
	outs := []*ir.Value{join(ys, 1, 2, 0, 1, 3), join(states[0], 0, 1, 0, 2)}
	if len(states[1]) > 0 {
		outs = append(outs, join(states[1], 0, 1, 0, 2))
	}
	return outs[:l.op.NumResults()]
}

// direction writes one direction: the results of all steps, and the last states.
func (l *layer) direction(r *passes.Rewriter, x *ir.Value, d int) (*ir.Value, []*ir.Value) {
	n := gates[l.op.Name] * l.hidden
	b := l.b[d*2*n : (d+1)*2*n]
	bias := tensor.New(tensor.Float32, n)
	inner := tensor.New(tensor.Float32, n) // what stays with the state's product
	for i := range n {
		tensor.Of[float32](bias)[i] = b[i] + b[n+i]
		if l.op.Name == "GRU" && i >= 2*l.hidden {
			tensor.Of[float32](bias)[i], tensor.Of[float32](inner)[i] = b[i], b[n+i]
		}
	}
	g := r.Op("Add", []*ir.Value{r.Op("MatMul", []*ir.Value{x, r.Tensor(turned(l.w[d*n*l.ins:(d+1)*n*l.ins], n, l.ins))}), r.Tensor(bias)})
	count := 1
	if l.op.Name == "LSTM" {
		count = 2
	}
	operands := make([]*ir.Value, count, count+1)
	for i := range operands {
		operands[i] = l.initial(r, x, i, d)
	}
	scan := r.Builder.Op("Scan", append(operands, g), make([]ir.Type, count+1), ir.Attr{Name: "num_scan_inputs", Value: int64(1)},
		ir.Attr{Name: "scan_input_directions", Value: []int64{l.reverse[d]}}, ir.Attr{Name: "scan_output_directions", Value: []int64{l.reverse[d]}})
	body := scan.AddRegion("body")
	for _, v := range operands {
		body.AddArg("", v.Type)
	}
	step := &stepBuilder{ir.AtEnd(body)}
	step.Loc = r.Loc
	in := body.AddArg("", g.Type)
	recurrent := l.r[d*n*l.hidden : (d+1)*n*l.hidden]
	acts := l.acts[d*len(l.acts)/l.dirs:]
	var states []*ir.Value
	switch l.op.Name {
	case "RNN":
		h := step.op("MatMul", body.Args[0], step.Tensor(turned(recurrent, n, l.hidden)))
		states = []*ir.Value{step.op(acts[0], step.op("Add", h, in))}
	case "LSTM":
		z := step.split(step.op("Add", step.op("MatMul", body.Args[0], step.Tensor(turned(recurrent, n, l.hidden))), in), 4)
		for i := range 3 { // input, output and forget gate
			z[i] = step.op(acts[0], z[i])
		}
		cell := step.op("Add", step.op("Mul", z[2], body.Args[1]), step.op("Mul", z[0], step.op(acts[1], z[3])))
		states = []*ir.Value{step.op("Mul", z[1], step.op(acts[2], cell)), cell}
	default:
		states = []*ir.Value{l.gru(step, body.Args[0], in, recurrent, inner, acts)}
	}
	step.Op(ir.YieldName, append(states, states[0]), nil)
	if err := ops.NewShapes(r.Module()).Op(scan); err != nil {
		panic(err) // the layer's own sizes were checked
	}
	return scan.Result(count), scan.Results()[:count]
}

// gru writes a step of a GRU, whose gates are update, reset, hidden.
func (l *layer) gru(step *stepBuilder, h, in *ir.Value, recurrent []float32, inner *tensor.Tensor, acts []string) *ir.Value {
	n := l.hidden
	part := func(first, count int) *ir.Value {
		return step.Tensor(turned(recurrent[first*n*n:(first+count)*n*n], count*n, n))
	}
	x := step.split(in, 3)
	var zr []*ir.Value
	var hidden *ir.Value
	if l.resetOutside {
		hs := step.split(step.op("Add", step.op("MatMul", h, part(0, 3)), step.Tensor(inner)), 3)
		zr = []*ir.Value{step.op(acts[0], step.op("Add", hs[0], x[0])), step.op(acts[0], step.op("Add", hs[1], x[1]))}
		hidden = step.op("Mul", zr[1], hs[2])
	} else {
		hs := step.split(step.op("MatMul", h, part(0, 2)), 2)
		zr = []*ir.Value{step.op(acts[0], step.op("Add", hs[0], x[0])), step.op(acts[0], step.op("Add", hs[1], x[1]))}
		rb := tensor.Float32s(tensor.Of[float32](inner)[2*n:], n)
		hidden = step.op("Add", step.op("MatMul", step.op("Mul", zr[1], h), part(2, 1)), step.Tensor(rb))
	}
	hidden = step.op(acts[1], step.op("Add", x[2], hidden))
	one := step.Tensor(tensor.Scalar(tensor.Float32, float32(1)))
	return step.op("Add", step.op("Mul", step.op("Sub", one, zr[0]), hidden), step.op("Mul", zr[0], h))
}

// initial returns the state before the first step: a slice of the operand, or zeros.
func (l *layer) initial(r *passes.Rewriter, x *ir.Value, i, d int) *ir.Value {
	v := l.op.Operand(5 + i)
	if v == nil {
		batch := r.Op("Shape", []*ir.Value{x}, ir.Attr{Name: "start", Value: int64(1)}, ir.Attr{Name: "end", Value: int64(2)})
		shape := r.Op("Concat", []*ir.Value{batch, r.Int64s(int64(l.hidden))}, ir.Attr{Name: "axis", Value: int64(0)})
		return r.Op("Expand", []*ir.Value{r.Tensor(tensor.New(tensor.Float32, 1, l.hidden)), shape})
	}
	axis := int64(0)
	if l.first {
		axis = 1
	}
	part := r.Op("Slice", []*ir.Value{v, r.Int64s(int64(d)), r.Int64s(int64(d + 1)), r.Int64s(axis)})
	return r.Op("Squeeze", []*ir.Value{part, r.Int64s(axis)})
}

// turned returns a matrix of rows by columns transposed.
func turned(m []float32, rows, columns int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, columns, rows)
	for i := range rows {
		for j := range columns {
			tensor.Of[float32](t)[j*rows+i] = m[i*columns+j]
		}
	}
	return t
}

// stepBuilder writes the body of a Scan; types are inferred with it.
type stepBuilder struct{ *ir.Builder }

func (s *stepBuilder) op(name string, operands ...*ir.Value) *ir.Value {
	return s.Op(name, operands, make([]ir.Type, 1)).Result(0)
}

// split cuts a value into n along its last dim.
func (s *stepBuilder) split(v *ir.Value, n int) []*ir.Value {
	op := s.Op("Split", []*ir.Value{v}, make([]ir.Type, n), ir.Attr{Name: "axis", Value: int64(-1)}, ir.Attr{Name: "num_outputs", Value: int64(n)})
	return slices.Clone(op.Results())
}
