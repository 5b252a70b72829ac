package cpu

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// packName(w) packs weights that a bundle keeps as codes: it stands between
// what restores them and the op that reads them. Its attributes are those of
// cpu.Conv, of which it needs the sizes and the form.
const packName = "cpu.Pack"

var packForms = append(slices.Clone(convForms), formMatrix, formTransposed)

func init() {
	ops.Register(map[string]ops.Impl{packName: {Infer: inferPack, Eval: evalPack}})
}

// weightShape returns the shape of a float32 value that is known before any
// input is: a constant, or what is restored from codes.
func weightShape(v *ir.Value) ([]int, bool) {
	if v == nil || !isF32(v) {
		return nil, false
	}
	if d := v.Data(); d != nil {
		return d.Shape, d.Len() > 0
	}
	shape, ok := v.Type.StaticShape()
	return shape, ok && v.Def() != nil && restores(v.Def())
}

// packedWeights returns weights in a packed form, for an op that follows at.
// Codes stay what they are.
func packedWeights(at *ir.Op, w *ir.Value, g *geometry) (*ir.Value, error) {
	b := ir.Before(at)
	if w.Data() == nil {
		op, err := ops.Build(b, packName, []*ir.Value{w}, g.attrs()...)
		if err != nil {
			return nil, err
		}
		return op.Result(0), nil
	}
	t, err := w.Data().Tensor()
	if err != nil {
		return nil, err
	}
	return b.Tensor(g.pack(tensor.Of[float32](t))), nil
}

func inferPack(x *ops.Inference) error {
	g, err := geometryOf(x.Op(), packForms...)
	if err != nil {
		return err
	}
	shape, ok := x.In(0).StaticShape()
	n, err := tensor.NumElements(shape)
	if !ok || err != nil || x.In(0).DType != tensor.Float32 || n != g.weights() {
		return fmt.Errorf("operand 0 is %s, expected %d weights", x.In(0), g.weights())
	}
	x.Set(0, ir.Static(tensor.Float32, g.packedShape()...))
	return nil
}

func evalPack(c *ops.Call) error {
	g, err := geometryOf(c.Op(), packForms...)
	if err != nil {
		return err
	}
	if c.In(0).Len() != g.weights() {
		return fmt.Errorf("operand 0 is %s, expected %d weights", c.In(0), g.weights())
	}
	c.Set(0, g.pack(tensor.Of[float32](c.In(0))))
	return nil
}

// The bounds of what is restored when a session starts: ops for one value, and
// bytes of any of them.
const (
	maxRestoring = 64
	maxRestored  = 1 << 31
)

// restores reports whether op computes with constants only, by itself or
// through others like it.
func restores(op *ir.Op) bool {
	left := maxRestoring
	var walk func(op *ir.Op) bool
	walk = func(op *ir.Op) bool {
		left--
		impl := ops.Lookup(op.Name)
		if left < 0 || impl == nil || impl.Eval == nil || impl.Traits != 0 || len(op.Regions) > 0 || op.NumOperands() == 0 || op.NumResults() == 0 {
			return false
		}
		for _, r := range op.Results() {
			shape, ok := r.Type.StaticShape()
			if n, err := tensor.NumElements(shape); !ok || !r.Type.IsTensor() || r.Type.DType == tensor.String || err != nil || n > maxRestored/8 {
				return false
			}
		}
		for _, v := range op.Operands() {
			if v != nil && v.Data() == nil && (v.Def() == nil || !walk(v.Def())) {
				return false
			}
		}
		return true
	}
	return walk(op)
}

// restored are the values that are computed once, when a session starts.
type restored struct {
	ops    map[*ir.Op]bool // which no plan runs
	values map[*ir.Value]*tensor.Tensor
}

// restore computes what depends on constants alone and is read by other ops.
// Each value is computed on its own, so that what lies between lives shortly.
func restore(m *ir.Module) (*restored, error) {
	r := &restored{map[*ir.Op]bool{}, map[*ir.Value]*tensor.Tensor{}}
	var wanted []*ir.Value
	walkBlock(m.Main().Body, func(body *ir.Block) {
		if p := body.Parent(); p != nil && p.Name == ops.FusedName {
			return
		}
		for op := range body.Ops() {
			if op.Name != ir.ConstantName && op.Name != ir.YieldName && restores(op) {
				r.ops[op] = true
			}
		}
		for op := range body.Ops() {
			if !r.ops[op] {
				continue
			}
			for _, v := range op.Results() {
				for _, u := range v.Uses() {
					if u.Op.Block() != body || !r.ops[u.Op] {
						wanted = append(wanted, v)
						break
					}
				}
			}
		}
	})
	results, errs := make([]*tensor.Tensor, len(wanted)), make([]error, len(wanted))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, v := range wanted {
		slots <- struct{}{}
		wg.Go(func() {
			results[i], errs[i] = restoredValue(v)
			<-slots
		})
	}
	wg.Wait()
	for i, v := range wanted {
		if errs[i] != nil {
			return nil, fmt.Errorf("%s: %w", ops.Describe(v.Def()), errs[i])
		}
		r.values[v] = results[i]
	}
	return r, nil
}

// within returns what is known of the copies of values that inner maps.
func (r *restored) within(inner map[*ir.Value]*ir.Value) *restored {
	c := &restored{map[*ir.Op]bool{}, map[*ir.Value]*tensor.Tensor{}}
	for op := range r.ops {
		for _, v := range op.Results() {
			if w := inner[v]; w != nil && w.Def() != nil && w.Def().Name == op.Name {
				c.ops[w.Def()] = true
			}
		}
	}
	for v, t := range r.values {
		if w := inner[v]; w != nil {
			c.values[w] = t
		}
	}
	return c
}

func restoredValue(v *ir.Value) (*tensor.Tensor, error) {
	if d := v.Data(); d != nil {
		return d.Tensor()
	}
	op := v.Def()
	ins := make([]tensor.Value, op.NumOperands())
	for i, o := range op.Operands() {
		if o == nil {
			continue
		}
		t, err := restoredValue(o)
		if err != nil {
			return nil, err
		}
		ins[i] = t
	}
	outs, err := ops.Eval(op, ins, &ops.Env{Context: context.Background()})
	if err != nil {
		return nil, err
	}
	t, ok := outs[v.Index()].(*tensor.Tensor)
	if !ok {
		return nil, fmt.Errorf("the result is no tensor")
	}
	return t, nil
}
