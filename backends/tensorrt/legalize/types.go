package legalize

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// typesPass is the name of the pass Types.
const typesPass = "trt-types"

// Types is the pass that narrows float64 to float32 openly: TensorRT would do
// so by itself and say nothing. Notes of the application name every op.
func Types() passes.Pass {
	return passes.Func(typesPass, func(c *passes.Context, m *ir.Module) (bool, error) {
		narrowed := false
		for _, f := range m.Funcs {
			narrowed = narrowArgs(f.Body) || narrowed
		}
		changed, err := eachOp(m, func(op *ir.Op) (bool, error) {
			if !doubles(op) {
				return false, nil
			}
			return c.Change("", op, func() error { return narrowDoubles(op) })
		})
		return changed || narrowed, err
	})
}

func init() {
	passes.Register(passes.Spec{
		Name: typesPass,
		Help: "narrow float64 to float32, inputs and outputs too",
		Example: `func @main(%x: f64[N]) -> (y: f64[N]) {
  %0 = Exp(%x) : f64[N]
  return(%0)
}
`,
		New: func(passes.Options) (passes.Pass, error) { return Types(), nil },
	})
}

func doubles(op *ir.Op) bool {
	for _, r := range op.Results() {
		if r.Type.IsTensor() && r.Type.DType == tensor.Float64 {
			return true
		}
	}
	for _, r := range op.Regions {
		for _, a := range r.Args {
			if a.Type.DType == tensor.Float64 {
				return true
			}
		}
	}
	return false
}

// narrowArgs makes the float64 arguments of a block float32.
func narrowArgs(b *ir.Block) (changed bool) {
	for _, a := range b.Args {
		if a.Type.DType == tensor.Float64 {
			a.Type = a.Type.WithDType(tensor.Float32)
			changed = true
		}
	}
	return changed
}

func narrowDoubles(op *ir.Op) error {
	for _, r := range op.Results() {
		if r.Type.DType == tensor.Float64 {
			r.Type = r.Type.WithDType(tensor.Float32)
		}
	}
	for _, r := range op.Regions {
		narrowArgs(r)
	}
	for _, name := range []string{"to", "dtype"} {
		if op.Attrs.Get(name) == int64(tensor.Float64) {
			op.Attrs.Set(name, int64(tensor.Float32))
		}
	}
	if d, ok := op.Attrs.Get("value").(*ir.Data); ok && d.DType == tensor.Float64 {
		op.Attrs.Set("value", float32Data(d))
	}
	return nil
}

// float32Data is a constant as float32, rounded when it is read.
func float32Data(d *ir.Data) *ir.Data {
	return ir.LazyData(tensor.Float32, d.Shape, func() (*tensor.Tensor, error) {
		t, err := d.Tensor()
		if err != nil {
			return nil, err
		}
		out := tensor.New(tensor.Float32, d.Shape...)
		for i, f := range ref.Float64s(t) {
			tensor.Of[float32](out)[i] = float32(f)
		}
		return out, nil
	})
}
