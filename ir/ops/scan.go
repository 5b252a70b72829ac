package ops

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// scanned is how a Scan's operands and results divide.
type scanned struct {
	states, ins, outs int
}

func (a attrs) scanned(ins, outs int) (scanned, bool) {
	n := int(a.Int("num_scan_inputs"))
	s := scanned{states: ins - n, ins: n, outs: outs - (ins - n)}
	return s, n >= 0 && s.states >= 0 && s.outs >= 0
}

// at returns element i of an optional list, 0 where there is none.
func at(list []int64, i int) int {
	if i < len(list) {
		return int(list[i])
	}
	return 0
}

func inferScan(x *Inference) error {
	s, ok := x.scanned(x.NumIn(), x.NumOut())
	if !ok {
		return x.Errorf("%d scan inputs of %d operands and %d results", x.Int("num_scan_inputs"), x.NumIn(), x.NumOut())
	}
	var states, rest []ir.Type
	for i := range s.states {
		states = append(states, x.In(i))
	}
	var length ir.Dim
	known := false
	for i := range s.ins {
		t := x.In(s.states + i)
		if t.Rank() >= 0 {
			axis := at(x.Ints("scan_input_axes"), i)
			if axis < -t.Rank() || axis >= t.Rank() {
				return x.Errorf("scan input %d: axis %d is not one of %s", i, axis, t)
			}
			axis = (axis + t.Rank()) % t.Rank()
			if _, constant := t.Dims[axis].Int(); !known || constant {
				length, known = t.Dims[axis], true
			}
			t = t.WithDims(slices.Delete(slices.Clone(t.Dims), axis, axis+1)...)
		}
		rest = append(rest, t)
	}
	final, scans, err := x.carried(0, nil, states, rest)
	if err != nil {
		return err
	}
	if len(scans) != s.outs {
		return x.Errorf("the body yields %d values for %d results", len(final)+len(scans), x.NumOut())
	}
	for i, t := range final {
		x.Set(i, x.outside(t, states[i]))
	}
	for i, t := range scans {
		if t.Rank() >= 0 {
			if !known {
				length, known = x.Fresh(), true
			}
			t = x.instance(t)
			axis := at(x.Ints("scan_output_axes"), i)
			if axis < -t.Rank()-1 || axis > t.Rank() {
				return x.Errorf("scan output %d: axis %d is not one of %d", i, axis, t.Rank()+1)
			}
			axis = (axis + t.Rank() + 1) % (t.Rank() + 1)
			t = t.WithDims(slices.Insert(slices.Clone(t.Dims), axis, length)...)
		}
		x.Set(s.states+i, t)
	}
	return nil
}

func evalScan(c *Call) error {
	s, ok := c.scanned(c.NumIn(), c.NumOut())
	if !ok {
		return c.Errorf("%d scan inputs of %d operands and %d results", c.Int("num_scan_inputs"), c.NumIn(), c.NumOut())
	}
	length := -1
	slicesOf := make([][]*tensor.Tensor, s.ins)
	for i := range slicesOf {
		t := c.In(s.states + i)
		axis := at(c.Ints("scan_input_axes"), i)
		if axis < -t.Rank() || axis >= t.Rank() {
			return c.Errorf("scan input %d: axis %d is not one of %s", i, axis, t)
		}
		axis = (axis + t.Rank()) % t.Rank()
		n := t.Shape[axis]
		if length >= 0 && n != length {
			return c.Errorf("scan inputs have %d and %d slices", length, n)
		}
		length = n
		parts, err := ref.Split(t, axis, slices.Repeat([]int{1}, n))
		if err != nil {
			return err
		}
		for k, p := range parts {
			parts[k] = ref.Squeezed(p, axis)
		}
		if at(c.Ints("scan_input_directions"), i) == 1 {
			slices.Reverse(parts)
		}
		slicesOf[i] = parts
	}
	states := slices.Clone(c.ins[:s.states])
	scans := make([]stacker, s.outs)
	for k := range length {
		if err := c.Context().Err(); err != nil {
			return err
		}
		args := slices.Clone(states)
		for _, parts := range slicesOf {
			args = append(args, parts[k])
		}
		outs, err := c.Run("body", args...)
		if err != nil {
			return err
		}
		if len(outs) != s.states+s.outs {
			return c.Errorf("the body yields %d values for %d results", len(outs), c.NumOut())
		}
		states = outs[:s.states]
		for i := range scans {
			if err := scans[i].add(outs[s.states+i]); err != nil {
				return err
			}
		}
	}
	for i, v := range states {
		c.Set(i, v)
	}
	for i := range scans {
		y, err := scans[i].stack(at(c.Ints("scan_output_axes"), i), at(c.Ints("scan_output_directions"), i) == 1, c.OutType(s.states+i))
		if err != nil {
			return err
		}
		c.Set(s.states+i, y)
	}
	return nil
}

// unbatchScan brings Scan to its form of opset 9. Before, every operand had
// the batch as axis 0 and the scan went along axis 1, once for each member of
// the batch: a Scan over the batch whose body is the Scan proper.
func unbatchScan(b *ir.Builder, op *ir.Op) error {
	if op.Operand(0) != nil {
		return fmt.Errorf("sequence_lens of opset 8 is not supported")
	}
	operands, body := op.Operands()[1:], op.Region("body")
	n, _ := op.Attrs.Get("num_scan_inputs").(int64)
	states := len(operands) - int(n)
	if body == nil || n < 0 || states < 0 || states > op.NumResults() {
		return fmt.Errorf("%d scan inputs of %d operands", n, len(operands))
	}
	results := make([]ir.Type, op.NumResults())
	outer := b.Op("Scan", operands, results, ir.Attr{Name: "num_scan_inputs", Value: int64(len(operands))})
	member := outer.AddRegion("body")
	args := make([]*ir.Value, len(operands))
	for i, v := range operands {
		t := ir.Unranked(v.Type.DType)
		if v.Type.Rank() > 0 {
			t = v.Type.WithDims(v.Type.Dims[1:]...)
		}
		args[i] = member.AddArg(body.Args[i].Name, t)
	}
	in := ir.AtEnd(member)
	in.Loc = op.Loc
	inner := in.Op("Scan", args, slices.Clone(results), ir.Attr{Name: "num_scan_inputs", Value: n})
	if d := op.Attrs.Get("directions"); d != nil {
		inner.Attrs.Set("scan_input_directions", d)
	}
	body.CloneInto(inner.AddRegion("body"), map[*ir.Value]*ir.Value{})
	in.Op(ir.YieldName, inner.Results(), nil)
	for i, r := range op.Results() {
		w := outer.Result(i)
		w.Type, w.Origin = r.Type, r.Origin
		r.ReplaceAllUsesWith(w)
	}
	op.Erase()
	return nil
}

func inferSequenceMap(x *Inference) error {
	var args []ir.Type
	for i := range x.NumIn() {
		t := x.In(i)
		if t.Kind == ir.KindSequence {
			t = x.elem(i)
		}
		args = append(args, t)
	}
	outs, err := x.Region("body", args...)
	if err != nil {
		return err
	}
	for i, t := range outs {
		x.Set(i, ir.SequenceOf(t))
	}
	return nil
}

func evalSequenceMap(c *Call) error {
	outs := make([]*tensor.Sequence, c.NumOut())
	for i := range outs {
		outs[i] = &tensor.Sequence{}
		if e := c.OutType(i).Elem; e != nil {
			outs[i].Elem = e.DType
		}
	}
	n := len(c.sequence(0).Items)
	for k := range n {
		if err := c.Context().Err(); err != nil {
			return err
		}
		args := slices.Clone(c.ins)
		for i, v := range args {
			if s, ok := v.(*tensor.Sequence); ok {
				if len(s.Items) != n {
					return c.Errorf("sequences of %d and %d elements", n, len(s.Items))
				}
				args[i] = s.Items[k]
			}
		}
		vals, err := c.Run("body", args...)
		if err != nil {
			return err
		}
		if len(vals) != len(outs) {
			return c.Errorf("the body yields %d values for %d results", len(vals), len(outs))
		}
		for i, v := range vals {
			outs[i].Items = append(outs[i].Items, v)
		}
	}
	for i, s := range outs {
		c.Set(i, s)
	}
	return nil
}
