// Package codes lets ops that only move or choose elements work on the codes of
// quantized values. DequantizeLinear sinks behind them, where it meets the
// QuantizeLinear that undoes it, or has fewer elements to restore; a target that
// computes in float raises it again. Both are exact: no element is computed.
package codes

import (
	"maps"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "sink-dequantize",
		Help: "move DequantizeLinear behind ops that move or choose elements, which then work on codes",
		Example: `func @main(%x: u8[N,2,4]) -> (y: u8[N,8]) {
  %0 = const f32[] [0.5]
  %1 = DequantizeLinear(%x, %0) : f32[N,2,4]
  %2 = Flatten(%1) : f32[N,8]
  %3 = QuantizeLinear(%2, %0) : u8[N,8]
  return(%3)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return passes.EachNestedOp("sink-dequantize", sink), nil },
	})
}

// move describes an op whose result holds elements of some operands as they are.
type move struct {
	values []int             // those operands; nil: all of them
	late   bool              // only where codes are wanted behind it: the result may be larger, or moves on by itself
	only   func(*ir.Op) bool // in which form, nil: in any
}

// moves are the ops that work on codes as they do on numbers. Scales are
// positive, so that the largest code is that of the largest number.
var moves = map[string]move{
	"Concat":         {},
	"DepthToSpace":   {values: first},
	"Expand":         {values: first, late: true},
	"Flatten":        {values: first},
	"Gather":         {values: first, late: true},
	"GatherElements": {values: first, late: true},
	"GatherND":       {values: first, late: true},
	"Identity":       {values: first},
	"Max":            {},
	"MaxPool":        {values: first},
	"Min":            {},
	"Pad":            {values: []int{0, padding}, late: true},
	"ReduceMax":      {values: first},
	"ReduceMin":      {values: first},
	"Reshape":        {values: first},
	"Resize":         {values: first, late: true, only: nearest},
	"Slice":          {values: first},
	"SpaceToDepth":   {values: first},
	"Split":          {values: first},
	"Squeeze":        {values: first},
	"Tile":           {values: first, late: true},
	"Transpose":      {values: first, late: true},
	"Unsqueeze":      {values: first},
	"Where":          {values: []int{1, 2}},
}

var first = []int{0}

// padding is the operand of a Pad that fills the edge, 0 where it is absent.
const padding = 2

func nearest(op *ir.Op) bool {
	mode, _ := op.Attrs.Get("mode").(string)
	transform, _ := op.Attrs.Get("coordinate_transformation_mode").(string)
	return (mode == "" || mode == "nearest") && transform != "tf_crop_and_resize"
}

// moveOf returns how an op moves elements, false where it computes some.
func moveOf(op *ir.Op) (move, bool) {
	m, ok := moves[op.Name]
	if !ok || m.only != nil && !m.only(op) || len(op.Regions) > 0 {
		return m, false
	}
	if m.values == nil {
		for i := range op.NumOperands() {
			m.values = append(m.values, i)
		}
	}
	return m, true
}

// code is how numbers of float32 are stored in 8 bits, all of a tensor alike.
type code struct {
	dtype       tensor.DType
	scale, zero float32
}

// operands returns those of op, with room for an absent one that it moves.
func (m move) operands(op *ir.Op) []*ir.Value {
	operands := slices.Clone(op.Operands())
	for _, i := range m.values {
		for len(operands) <= i {
			operands = append(operands, nil)
		}
	}
	return operands
}

// codeOf returns the code of a QuantizeLinear or DequantizeLinear.
func codeOf(op *ir.Op, name string) (c code, ok bool) {
	if op == nil || op.Name != name || op.Attrs.Has("precision") || op.Attrs.Has("block_size") {
		return c, false
	}
	number, coded := op.Operand(0), op.Result(0)
	if name == "DequantizeLinear" {
		number, coded = coded, number
	}
	c.dtype = coded.Type.DType
	if !number.Type.IsTensor() || number.Type.DType != tensor.Float32 || c.dtype != tensor.Int8 && c.dtype != tensor.Uint8 {
		return c, false
	}
	if c.scale, ok = scalar(op.Operand(1), tensor.Float32); !ok || !(c.scale >= 0x1p-126) {
		return c, false
	}
	if op.Operand(2) != nil {
		c.zero, ok = scalar(op.Operand(2), c.dtype)
	}
	return c, ok
}

func scalar(v *ir.Value, d tensor.DType) (float32, bool) {
	c := v.Data()
	if c == nil || c.Len() != 1 || c.DType != d {
		return 0, false
	}
	t, err := c.Tensor()
	if err != nil {
		return 0, false
	}
	return float32(ref.Float64s(t)[0]), true
}

// operands are scale and zero point as an op takes them.
func (c code) operands(b *ir.Builder) []*ir.Value {
	operands := []*ir.Value{b.Tensor(tensor.Scalar(tensor.Float32, c.scale)), nil}
	if c.dtype == tensor.Int8 {
		operands[1] = b.Tensor(tensor.Scalar(c.dtype, int8(c.zero)))
	} else {
		operands[1] = b.Tensor(tensor.Scalar(c.dtype, uint8(c.zero)))
	}
	return operands
}

// dequantize inserts what restores the numbers of v.
func (c code) dequantize(b *ir.Builder, v *ir.Value) (*ir.Value, error) {
	op, err := ops.Build(b, "DequantizeLinear", append([]*ir.Value{v}, c.operands(b)...))
	if err != nil {
		return nil, err
	}
	return op.Result(0), nil
}

// mostCoded is the most elements of a constant that is coded anew.
const mostCoded = 1 << 16

// constant returns the codes of a constant, nil where one of its elements has none.
func (c code) constant(v *ir.Value) *tensor.Tensor {
	d := v.Data()
	if d == nil || d.DType != tensor.Float32 || d.Len() > mostCoded {
		return nil
	}
	x, err := d.Tensor()
	if err != nil {
		return nil
	}
	scale := tensor.Scalar(tensor.Float32, c.scale)
	zero, err := ref.Cast(tensor.Scalar(tensor.Float32, c.zero), c.dtype, ref.CastOptions{})
	if err != nil {
		return nil
	}
	q, err := ref.Quantize(x, scale, zero, ref.Granularity{}, c.dtype, tensor.Undefined, true)
	if err != nil {
		return nil
	}
	back, err := ref.Dequantize(q, scale, zero, ref.Granularity{}, tensor.Float32)
	if err != nil || !slices.Equal(tensor.Of[float32](back), tensor.Of[float32](x)) {
		return nil
	}
	return q
}

// sink moves what restores numbers behind an op that moves them.
func sink(c *passes.Context, op *ir.Op) (bool, error) {
	m, ok := moveOf(op)
	if !ok {
		return false, nil
	}
	if d := op.Operand(0).Def(); op.Name == "Transpose" && d != nil && d.Name == "DequantizeLinear" && d.Operand(0).Data() != nil {
		return transposeWeights(c, op, d)
	}
	k, restored, ok := m.coded(op)
	if !ok || !(m.private(op, restored) || k.wanted(op, map[*ir.Op]bool{})) {
		return false, nil
	}
	return c.Apply("sink", op, restored, func(r *passes.Rewriter) []*ir.Value {
		operands := m.operands(op)
		for _, i := range m.values {
			v := op.Operand(i)
			switch {
			case v == nil: // a Pad of zeros
				operands[i] = k.operands(r.Builder)[1]
			case v.Data() != nil:
				operands[i] = r.Tensor(k.constant(v))
			default:
				operands[i] = v.Def().Operand(0)
			}
		}
		moved, err := ops.BuildN(r.Builder, op.Name, op.NumResults(), operands, op.Attrs...)
		if err != nil {
			r.Fail(err)
			return nil
		}
		results := slices.Clone(moved.Results())
		for i, v := range results {
			if op.Result(i).Type.DType != tensor.Float32 {
				continue // the indices of a MaxPool
			}
			if results[i], err = k.dequantize(r.Builder, v); err != nil {
				r.Fail(err)
			}
		}
		return results
	})
}

// transposeWeights transposes the codes of weights, which may have a scale for
// each position along an axis: then constant folding does it.
func transposeWeights(c *passes.Context, op, d *ir.Op) (bool, error) {
	perm, _ := op.Attrs.Get("perm").([]int64)
	axis, ok := d.Attrs.Get("axis").(int64)
	if !ok {
		axis = 1
	}
	rank := int64(len(perm))
	if axis < 0 {
		axis += rank
	}
	if d.Result(0).NumUses() > 1 || d.Block() != op.Block() || d.Operand(1).Type.Rank() > 1 || d.Attrs.Has("block_size") || axis < 0 || axis >= rank {
		return false, nil
	}
	attrs := slices.Clone(d.Attrs)
	attrs.Set("axis", int64(slices.Index(perm, axis)))
	return c.Apply("transpose-weights", op, []*ir.Op{d}, func(r *passes.Rewriter) []*ir.Value {
		operands := slices.Clone(d.Operands())
		operands[0] = r.Op("Transpose", operands[:1], op.Attrs...)
		return []*ir.Value{r.Op("DequantizeLinear", operands, attrs...)}
	})
}

// coded returns the code that all the values that op moves have, and what
// restores them.
func (m move) coded(op *ir.Op) (k code, restored []*ir.Op, ok bool) {
	for _, i := range m.values {
		v := op.Operand(i)
		if v == nil || v.Def() == nil || v.Def().Block() != op.Block() {
			continue
		}
		if c, ok := codeOf(v.Def(), "DequantizeLinear"); ok {
			if len(restored) > 0 && c != k {
				return k, nil, false
			}
			k = c
			if !slices.Contains(restored, v.Def()) {
				restored = append(restored, v.Def())
			}
		}
	}
	if len(restored) == 0 {
		return k, nil, false
	}
	for _, i := range m.values {
		v := op.Operand(i)
		if v != nil && !(v.Def() != nil && slices.Contains(restored, v.Def())) && k.constant(v) == nil {
			return k, nil, false
		}
	}
	return k, restored, true
}

// private reports whether op alone reads what is restored, and gives no more to
// restore.
func (m move) private(op *ir.Op, restored []*ir.Op) bool {
	if m.late || op.NumResults() > 1 {
		return false
	}
	for _, d := range restored {
		for _, u := range d.Result(0).Uses() {
			if u.Op != op {
				return false
			}
		}
	}
	return true
}

// mostMoves bounds the ops between two codings.
const mostMoves = 64

// wanted reports whether all that op moves is coded by k again, at once or behind
// further moves, which seen collects.
func (k code) wanted(op *ir.Op, seen map[*ir.Op]bool) bool {
	if seen[op] {
		return true
	}
	if seen[op] = true; len(seen) > mostMoves {
		return false
	}
	read := false
	for _, v := range op.Results() {
		if v.Type.DType != tensor.Float32 {
			continue
		}
		for _, u := range v.Uses() {
			if u.Op.Block() != op.Block() {
				return false
			}
			read = true
			if c, ok := codeOf(u.Op, "QuantizeLinear"); ok && c == k && u.Index == 0 {
				continue
			}
			m, ok := moveOf(u.Op)
			if !ok || !slices.Contains(m.values, u.Index) || !m.others(u.Op, v, k) || !k.wanted(u.Op, seen) {
				return false
			}
		}
	}
	return read
}

// others reports whether all that op moves besides v is coded by k.
func (m move) others(op *ir.Op, v *ir.Value, k code) bool {
	for _, i := range m.values {
		w := op.Operand(i)
		if w == nil || w == v || k.constant(w) != nil {
			continue
		}
		if c, ok := codeOf(w.Def(), "DequantizeLinear"); !ok || c != k {
			return false
		}
	}
	return true
}

// Moves returns the names of the ops that work on codes as they do on numbers.
func Moves() []string { return slices.Sorted(maps.Keys(moves)) }
