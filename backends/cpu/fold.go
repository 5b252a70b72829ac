package cpu

import (
	"context"
	"math/rand/v2"
	"unsafe"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// Once the sizes of inputs are bound, ops that compute with shapes alone give
// the same in every run: positions, masks, conditions. They are evaluated when
// a plan is made, as long as their results are small.
const (
	mostFolded = 1 << 20  // bytes of one result
	budgetFold = 16 << 20 // bytes of all results of a plan
)

// fold evaluates an op whose operands are all known, and places its results.
func (b *binder) fold(op *ir.Op) bool {
	impl := ops.Lookup(op.Name)
	if impl == nil || impl.Eval == nil || impl.Traits != 0 || len(op.Regions) > 0 || op.Name == ir.ConstantName || op.NumOperands() == 0 {
		return false
	}
	ins := make([]tensor.Value, op.NumOperands())
	for i, v := range op.Operands() {
		if v == nil {
			continue
		}
		if ins[i] = b.dataOf(v); ins[i] == (*tensor.Tensor)(nil) {
			return false
		}
	}
	for _, v := range op.Results() {
		n := 1
		if shape, ok := b.shapeOf(v.Type); ok {
			n = product(shape)
		}
		if !v.Type.IsTensor() || v.Type.DType == tensor.String || v.Type.Layout != ir.Plain || n*v.Type.DType.Size() > mostFolded {
			return false
		}
	}
	outs, err := ops.Eval(op, ins, &ops.Env{Context: context.Background(), Rand: rand.New(rand.NewPCG(0, 1))})
	if err != nil {
		return false // the run will say it
	}
	for i, v := range op.Results() {
		t, ok := outs[i].(*tensor.Tensor)
		if !ok {
			if v.NumUses() > 0 {
				return false
			}
			continue
		}
		if b.folded += len(t.Data); t.DType != v.Type.DType || b.folded > budgetFold {
			return false
		}
	}
	for i, v := range op.Results() {
		t, ok := outs[i].(*tensor.Tensor)
		if !ok {
			continue
		}
		p, err := newPlace(v.Type, t.Shape)
		if err != nil {
			return false
		}
		if p.data = t.Clone().Data; p.data == nil {
			p.data = nothing[:0]
		}
		b.places[v] = p
		b.learn(v.Type, t.Shape)
		b.reopen(v)
	}
	return true
}

// dataOf returns a value that is the same in every run, nil where it is not.
func (b *binder) dataOf(v *ir.Value) *tensor.Tensor {
	p := b.places[v]
	if p == nil || p.layout != ir.Plain || p.strides != nil {
		return nil
	}
	r := p.root()
	if r.data == nil || r.argument {
		return nil
	}
	return &tensor.Tensor{DType: p.dtype, Shape: p.shape, Data: unsafe.Slice(unsafe.SliceData(r.data), p.bytes)}
}
