package onnx

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
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

// definition rewrites one op. Its methods fail as a whole.
type definition struct {
	b   *ir.Builder
	op  *ir.Op
	out []*ir.Value
}

// run replaces the op by what define builds.
func (d *definition) run(define func(*definition)) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case foreignError:
			err = r.err
		default:
			panic(r)
		}
	}()
	d.out = make([]*ir.Value, d.op.NumResults())
	define(d)
	for i, r := range d.op.Results() {
		if d.out[i] == nil {
			if r.NumUses() > 0 {
				return fmt.Errorf("its definition does not compute result %d", i)
			}
			continue
		}
		d.out[i].Type, d.out[i].Origin = r.Type, r.Origin
		r.ReplaceAllUsesWith(d.out[i])
	}
	d.op.Erase()
	return nil
}

func (d *definition) in(i int) *ir.Value { return d.op.Operand(i) }
func (d *definition) set(v ...*ir.Value) { copy(d.out, v) }

func (d *definition) do(name string, operands ...*ir.Value) *ir.Value {
	return d.with(name, operands)
}

func (d *definition) with(name string, operands []*ir.Value, attrs ...ir.Attr) *ir.Value {
	op, err := ops.Build(d.b, name, operands, attrs...)
	if err != nil {
		panic(foreignError{err})
	}
	return op.Result(0)
}

func (d *definition) mul(a, b *ir.Value) *ir.Value { return d.do("Mul", a, b) }

// num is a constant of the element type of like.
func (d *definition) num(like *ir.Value, f float64) *ir.Value {
	c := d.b.Tensor(tensor.Scalar(tensor.Float32, float32(f)))
	switch t := like.Type.DType; t {
	case tensor.Float32:
		return c
	case tensor.Float64:
		return d.b.Tensor(tensor.Scalar(t, f))
	default:
		return d.with("Cast", vals(c), at("to", int64(t)))
	}
}

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
	if d.op.Attrs.Get("approximate") == "tanh" {
		cube := d.mul(x, d.mul(x, x))
		inner := d.do("Add", x, d.mul(cube, d.num(x, 0.044715)))
		d.set(d.mul(half, d.do("Add", one, d.do("Tanh", d.mul(inner, d.num(x, math.Sqrt(2/math.Pi)))))))
		return
	}
	d.set(d.mul(half, d.do("Add", one, d.do("Erf", d.mul(x, d.num(x, math.Sqrt(0.5)))))))
}

func defineHardSwish(d *definition) {
	x := d.in(0)
	d.set(d.mul(x, d.with("HardSigmoid", vals(x), at("alpha", float32(1.0/6)), at("beta", float32(0.5)))))
}

func defineSwish(d *definition) {
	x := d.in(0)
	scaled := x
	if a := attrFloat(d.op, "alpha", 1); a != 1 {
		scaled = d.mul(x, d.num(x, float64(a)))
	}
	d.set(d.mul(x, d.do("Sigmoid", scaled)))
}

// lastAxes returns the axes from the op's axis on.
func (d *definition) lastAxes() []int64 {
	r := int64(d.in(0).Type.Rank())
	axis := attrInt(d.op, "axis", -1)
	if r < 0 && axis != -1 {
		panic(foreignError{fmt.Errorf("the rank of its input is not known")})
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
	if stash := tensor.DType(attrInt(d.op, "stash_type", 1)); (t == tensor.Float16 || t == tensor.BFloat16) && stash != t {
		return d.with("Cast", vals(f(d.with("Cast", vals(x), at("to", int64(stash))))), at("to", int64(t)))
	}
	return f(x)
}

func (d *definition) mean(x *ir.Value, axes []int64) *ir.Value {
	return d.do("ReduceMean", x, d.b.Int64s(axes...))
}

func defineLayerNorm(d *definition) {
	axes := d.lastAxes()
	y := d.stash(d.in(0), func(x *ir.Value) *ir.Value {
		mean := d.mean(x, axes)
		centred := d.do("Sub", x, mean)
		variance := d.mean(d.mul(centred, centred), axes)
		deviation := d.do("Sqrt", d.do("Add", variance, d.num(x, float64(attrFloat(d.op, "epsilon", 1e-5)))))
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
		return d.do("Div", x, d.do("Sqrt", d.do("Add", square, d.num(x, float64(attrFloat(d.op, "epsilon", 1e-5))))))
	})
	d.set(d.mul(y, d.in(1)))
}

// defineShape writes a part of a shape as a slice of it.
func defineShape(d *definition) {
	start, end := attrInt(d.op, "start", 0), attrInt(d.op, "end", math.MaxInt64)
	d.set(d.do("Slice", d.do("Shape", d.in(0)), d.b.Int64s(start), d.b.Int64s(end), d.b.Int64s(0)))
}
