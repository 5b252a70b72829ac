// Package fold evaluates at compile time what does not depend on the inputs:
// ops whose operands are constants, and shape arithmetic whose elements shape
// inference knows.
package fold

import (
	"context"
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "fold-constants",
		Help: "evaluate ops whose operands are constants, and shape arithmetic that is known",
		Options: []passes.Option{
			{Name: "max-growth", Default: "65536", Type: passes.Int(0, math.MaxInt), Help: "bytes by which a result may be larger than the constants it is computed from"},
			{Name: "decode", Default: "false", Type: passes.Bool, Help: "evaluate what restores numbers from codes, too: DequantizeLinear, and Cast from at most 16 bits"},
		},
		Example: `func @main(%x: f32[N,3]) -> (y: f32[N,3]) {
  %0 = const f32[3] [1.0, 2.0, 3.0]
  %1 = const f32[] [0.5]
  %2 = Mul(%0, %1) : f32[3]
  %3 = Add(%x, %2) : f32[N,3]
  return(%3)
}
`,
		New: func(o passes.Options) (passes.Pass, error) {
			return passes.Func("fold-constants", func(c *passes.Context, m *ir.Module) (bool, error) {
				f := &folder{Context: c, shapes: ops.NewShapes(m), growth: int64(o.Int("max-growth")), decode: o.Bool("decode")}
				for _, fn := range m.Funcs {
					if err := f.block(fn.Body); err != nil {
						return f.changed, err
					}
				}
				return f.changed, nil
			}), nil
		},
	})
}

type folder struct {
	*passes.Context
	shapes  *ops.Shapes
	growth  int64
	decode  bool
	changed bool
}

func (f *folder) block(b *ir.Block) error {
	for op := range b.Ops() {
		for _, r := range op.Regions {
			if err := f.block(r); err != nil {
				return err
			}
		}
		vals := f.fold(op)
		if vals == nil {
			continue
		}
		ok, err := f.Apply("", op, nil, func(r *passes.Rewriter) []*ir.Value {
			vs := make([]*ir.Value, len(vals))
			for i, t := range vals {
				if t != nil {
					vs[i] = r.Tensor(t)
				}
			}
			return vs
		})
		if err != nil {
			return err
		}
		f.changed = f.changed || ok
	}
	return nil
}

// fold returns the results of op where they can be known, else nil.
func (f *folder) fold(op *ir.Op) []*tensor.Tensor {
	impl := ops.Lookup(op.Name)
	if op.Name == ir.YieldName || impl == nil || impl.Traits != 0 || len(op.Regions) > 0 || op.NumResults() == 0 || isConstant(op) {
		return nil
	}
	if t := f.arithmetic(op); t != nil {
		return t
	}
	if ops.Decodes(op) && !f.decode {
		return nil
	}
	ins := make([]tensor.Value, op.NumOperands())
	size := f.growth
	for i, v := range op.Operands() {
		if v == nil {
			continue
		}
		d := v.Data()
		if d == nil {
			return nil
		}
		t, err := d.Tensor()
		if err != nil {
			return nil
		}
		ins[i] = t
		size += int64(len(t.Data))
	}
	for _, r := range op.Results() {
		if n, ok := r.Type.NumElements().Int(); ok && r.Type.Ranked && n > size/int64(max(1, r.Type.DType.Size())) {
			return nil
		} else if !r.Type.IsTensor() || !r.Type.Ranked || !ok {
			return nil // unknown size: not worth the risk of an unbounded one
		}
	}
	outs, err := ops.Eval(op, ins, &ops.Env{Context: context.Background()})
	if err != nil {
		return nil // fails at run time too, where the error belongs
	}
	vals := make([]*tensor.Tensor, len(outs))
	for i, o := range outs {
		if o == nil && op.Result(i).NumUses() == 0 {
			continue
		}
		t, ok := o.(*tensor.Tensor)
		if !ok {
			return nil
		}
		vals[i] = t
	}
	return vals
}

func isConstant(op *ir.Op) bool { return op.Name == ir.ConstantName && op.Result(0).Data() != nil }

// arithmetic folds an op whose only result is a small integer tensor with
// known elements, though its operands may not be constants: Shape of a tensor
// with static dims.
func (f *folder) arithmetic(op *ir.Op) []*tensor.Tensor {
	if op.NumResults() != 1 {
		return nil
	}
	t := op.Result(0).Type
	shape, ok := t.StaticShape()
	if !ok || !(t.DType == tensor.Int64 || t.DType == tensor.Int32) {
		return nil
	}
	elems, ok := f.shapes.Contents(op.Result(0))
	if !ok {
		return nil
	}
	out := tensor.New(t.DType, shape...)
	if out.Len() != len(elems) {
		return nil
	}
	for i, e := range elems {
		n, ok := e.Int()
		if !ok {
			return nil
		}
		if t.DType == tensor.Int32 {
			tensor.Of[int32](out)[i] = int32(n)
		} else {
			tensor.Of[int64](out)[i] = n
		}
	}
	return []*tensor.Tensor{out}
}
