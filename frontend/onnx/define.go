package onnx

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// definitions write operators in older ones, for exports to opsets that came
// before them. They follow the functions of ONNX's own schemas.
var definitions = map[string]func(d *definition){
	"Gelu":               defineGelu,
	"HardSwish":          defineHardSwish,
	"Mish":               func(d *definition) { d.set(d.mul(d.in(0), d.do("Tanh", d.do("Softplus", d.in(0))))) },
	"Swish":              defineSwish,
	"LayerNormalization": defineLayerNorm,
	"RMSNormalization":   defineRMSNorm,
	"GreaterOrEqual":     func(d *definition) { d.set(d.do("Not", d.do("Less", d.in(0), d.in(1)))) },
	"LessOrEqual":        func(d *definition) { d.set(d.do("Not", d.do("Greater", d.in(0), d.in(1)))) },
	"Shape":              defineShape,
}

// definition rewrites one op.
type definition struct {
	formula
	rewritten *ir.Op
	out       []*ir.Value
}

// run replaces the op by what define builds.
func (d *definition) run(define func(*definition)) error {
	d.out = make([]*ir.Value, d.rewritten.NumResults())
	if err := d.attempt(func() { define(d) }); err != nil {
		return err
	}
	for i, r := range d.rewritten.Results() {
		if d.out[i] == nil {
			if r.NumUses() > 0 {
				return fmt.Errorf("its definition does not compute result %d", i)
			}
			continue
		}
		d.out[i].Type, d.out[i].Origin = r.Type, r.Origin
		r.ReplaceAllUsesWith(d.out[i])
	}
	d.rewritten.Erase()
	return nil
}

func (d *definition) in(i int) *ir.Value { return d.rewritten.Operand(i) }
func (d *definition) set(v ...*ir.Value) { copy(d.out, v) }

func attrInt(op *ir.Op, name string, def int64) int64 {
	if v, ok := op.Attrs.Get(name).(int64); ok {
		return v
	}
	return def
}

func attrFloat(op *ir.Op, name string, def float32) float32 {
	if v, ok := op.Attrs.Get(name).(float32); ok {
		return v
	}
	return def
}

func defineGelu(d *definition) {
	x := d.in(0)
	half, one := d.mul(x, d.num(x, 0.5)), d.num(x, 1)
	if d.rewritten.Attrs.Get("approximate") == "tanh" {
		cube := d.mul(x, d.mul(x, x))
		inner := d.do("Add", x, d.mul(cube, d.num(x, 0.044715)))
		d.set(d.mul(half, d.do("Add", one, d.do("Tanh", d.mul(inner, d.num(x, math.Sqrt(2/math.Pi)))))))
		return
	}
	d.set(d.mul(half, d.do("Add", one, d.do("Erf", d.mul(x, d.num(x, math.Sqrt(0.5)))))))
}

func defineHardSwish(d *definition) {
	x := d.in(0)
	d.set(d.mul(x, d.op("HardSigmoid", vals(x), at("alpha", float32(1.0/6)), at("beta", float32(0.5)))))
}

func defineSwish(d *definition) {
	x := d.in(0)
	scaled := x
	if a := attrFloat(d.rewritten, "alpha", 1); a != 1 {
		scaled = d.mul(x, d.num(x, float64(a)))
	}
	d.set(d.mul(x, d.do("Sigmoid", scaled)))
}

// lastAxes returns the axes from the op's axis on.
func (d *definition) lastAxes() []int64 {
	r := int64(d.in(0).Type.Rank())
	axis := attrInt(d.rewritten, "axis", -1)
	if r < 0 && axis != -1 {
		d.fail("the rank of its input is not known")
	}
	if axis >= 0 {
		axis -= r
	}
	var axes []int64
	for a := axis; a < 0; a++ {
		axes = append(axes, a)
	}
	return axes
}

// stash computes f in float32 where the op asks for it.
func (d *definition) stash(x *ir.Value, f func(x *ir.Value) *ir.Value) *ir.Value {
	t := x.Type.DType
	if stash := tensor.DType(attrInt(d.rewritten, "stash_type", 1)); (t == tensor.Float16 || t == tensor.BFloat16) && stash != t {
		return d.cast(f(d.cast(x, stash)), t)
	}
	return f(x)
}

func (d *definition) mean(x *ir.Value, axes []int64) *ir.Value {
	return d.do("ReduceMean", x, d.ints(axes...))
}

func defineLayerNorm(d *definition) {
	axes := d.lastAxes()
	y := d.stash(d.in(0), func(x *ir.Value) *ir.Value {
		mean := d.mean(x, axes)
		centred := d.do("Sub", x, mean)
		variance := d.mean(d.mul(centred, centred), axes)
		deviation := d.do("Sqrt", d.do("Add", variance, d.num(x, float64(attrFloat(d.rewritten, "epsilon", 1e-5)))))
		if len(d.out) > 2 {
			d.out[1], d.out[2] = mean, d.do("Reciprocal", deviation)
		}
		return d.do("Div", centred, deviation)
	})
	y = d.mul(y, d.in(1))
	if d.in(2) != nil {
		y = d.do("Add", y, d.in(2))
	}
	d.set(y)
}

func defineRMSNorm(d *definition) {
	axes := d.lastAxes()
	y := d.stash(d.in(0), func(x *ir.Value) *ir.Value {
		square := d.mean(d.mul(x, x), axes)
		return d.do("Div", x, d.do("Sqrt", d.do("Add", square, d.num(x, float64(attrFloat(d.rewritten, "epsilon", 1e-5))))))
	})
	d.set(d.mul(y, d.in(1)))
}

// defineShape writes a part of a shape as a slice of it.
func defineShape(d *definition) {
	start, end := attrInt(d.rewritten, "start", 0), attrInt(d.rewritten, "end", math.MaxInt64)
	d.set(d.do("Slice", d.do("Shape", d.in(0)), d.ints(start), d.ints(end), d.ints(0)))
}
