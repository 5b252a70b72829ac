package cpu

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// outline is a piece of a function made a function of its own, so that it can
// be bound by itself: the body of a region, or the ops that wait for a size.
// Its arguments are args, then what the piece reads from outside.
type outline struct {
	ops     []*ir.Op
	args    []*ir.Value
	outer   []*ir.Value // read from outside
	results []*ir.Value
}

// outlineOf finds what ops and results read from outside, in program order.
func outlineOf(list []*ir.Op, args, results []*ir.Value) *outline {
	o := &outline{ops: list, args: args, results: results}
	seen := map[*ir.Value]bool{nil: true}
	for _, a := range args {
		seen[a] = true
	}
	read := func(vs []*ir.Value) {
		for _, v := range vs {
			if !seen[v] {
				seen[v] = true
				o.outer = append(o.outer, v)
			}
		}
	}
	for _, op := range list {
		read(op.Operands())
		read(captured(op))
		for _, r := range op.Results() {
			seen[r] = true
		}
	}
	read(results)
	return o
}

// captured returns the values that the op's regions read from around the op.
func captured(op *ir.Op) []*ir.Value {
	if len(op.Regions) == 0 || op.Name == ops.FusedName {
		return nil
	}
	inside := map[*ir.Value]bool{nil: true}
	var vs []*ir.Value
	for _, r := range op.Regions {
		walkBlock(r, func(b *ir.Block) {
			for _, a := range b.Args {
				inside[a] = true
			}
		})
		r.Walk(func(op *ir.Op) bool {
			for _, v := range op.Operands() {
				if !inside[v] {
					inside[v] = true
					vs = append(vs, v)
				}
			}
			for _, v := range op.Results() {
				inside[v] = true
			}
			return true
		})
	}
	return vs
}

// walkBlock visits a block and the regions below it.
func walkBlock(b *ir.Block, f func(*ir.Block)) {
	f(b)
	for op := range b.Ops() {
		for _, r := range op.Regions {
			walkBlock(r, f)
		}
	}
}

// function writes the piece as a function for arguments of the given types,
// args first. Outer values whose elements are known become constants, and
// are no arguments: it returns those that are.
func (o *outline) function(argTypes []ir.Type, typeOf func(*ir.Value) ir.Type, known map[*ir.Value]*tensor.Tensor, ahead *restored) (*ir.Func, []*ir.Value, *restored, error) {
	m := ir.NewModule("piece", ops.NewestOpset(""))
	m.Level = ir.CPU
	fn := m.Main()
	at := ir.AtEnd(fn.Body)
	inner := map[*ir.Value]*ir.Value{}
	for i, a := range o.args {
		inner[a] = fn.AddInput(fmt.Sprintf("a%d", i), argTypes[i])
	}
	var ins []*ir.Value
	for i, v := range o.outer {
		switch d, t := v.Data(), known[v]; {
		case d != nil:
			inner[v] = at.Constant(d)
		case t != nil:
			inner[v] = at.Tensor(t)
		case ahead.values[v] != nil:
			inner[v] = at.Tensor(ahead.values[v])
		default:
			ins = append(ins, v)
			inner[v] = fn.AddInput(fmt.Sprintf("o%d", i), typeOf(v))
		}
	}
	for _, op := range o.ops {
		at.Clone(op, inner)
	}
	outs := make([]*ir.Value, len(o.results))
	names := make([]string, len(o.results))
	for i, v := range o.results {
		outs[i], names[i] = inner[v], fmt.Sprintf("r%d", i)
	}
	fn.Return(names, outs...)
	return fn, ins, ahead.within(inner), ops.NewShapes(m).Block(fn.Body)
}

// bodyOf outlines the body of a region.
func bodyOf(r *ir.Block) *outline {
	list := slices.Collect(r.Ops())
	return outlineOf(list[:len(list)-1], r.Args, r.Results())
}

// typeOf returns a type with the sizes of a value at hand.
func typeOf(v *ir.Value, shape []int) ir.Type {
	return ir.Static(v.Type.DType, shape...).WithLayout(v.Type.Layout)
}

// shapeOperands are the operands whose elements decide the shape of a result.
var shapeOperands = map[string][]int{
	"Reshape": {1}, "Expand": {1}, "ConstantOfShape": {0}, "Tile": {1}, "Range": {0, 1, 2}, "TopK": {1}, "Slice": {1, 2, 3, 4},
	"Pad": {1, 3}, "Resize": {2, 3}, "Split": {1}, "Squeeze": {1}, "Unsqueeze": {1}, "OneHot": {1}, "MaxUnpool": {2}, "CenterCropPad": {1},
	"ReduceMax": {1}, "ReduceMin": {1}, "ReduceMean": {1}, "ReduceSum": {1}, "ReduceProd": {1}, "ReduceL1": {1}, "ReduceL2": {1},
	"ReduceLogSum": {1}, "ReduceLogSumExp": {1}, "ReduceSumSquare": {1}, "NonMaxSuppression": {2}, "Loop": {0},
}

// mostKnown bounds the elements of a value that a plan is made for.
const mostKnown = 64

// decidesShapes reports whether the elements of v, a small tensor of integers, decide a
// shape, at once or through arithmetic.
func decidesShapes(v *ir.Value, memo map[*ir.Value]bool) bool {
	if yes, ok := memo[v]; ok {
		return yes
	}
	memo[v] = false
	for _, u := range v.Uses() {
		if slices.Contains(shapeOperands[u.Op.Name], u.Index) {
			memo[v] = true
			break
		}
		if len(u.Op.Regions) > 0 || u.Op.Name == ir.YieldName {
			continue
		}
		for _, r := range u.Op.Results() {
			if r.Type.DType.IsInt() && r.Type.Rank() >= 0 && r.Type.Rank() <= 1 && decidesShapes(r, memo) {
				memo[v] = true
			}
		}
	}
	return memo[v]
}

// merge adds what one map knows to another.
func merge(a, b map[*ir.Value]*tensor.Tensor) map[*ir.Value]*tensor.Tensor {
	m := maps.Clone(a)
	maps.Copy(m, b)
	return m
}
