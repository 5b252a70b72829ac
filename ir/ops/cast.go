package ops

import (
	"fmt"
	"strings"

	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	add(map[string]Impl{
		"Cast":     {Infer: inferCast, Eval: evalCast, Decodes: castDecodes, Upgrades: []Upgrade{{To: 6, Do: castByNumber}}, Downgrades: []Downgrade{{From: 24, Do: without("round_mode", "up")}, {From: 19, Do: without("saturate", int64(1))}}},
		"CastLike": {Infer: inferCastLike, Eval: evalCastLike, Downgrades: []Downgrade{{From: 24, Do: without("round_mode", "up")}, {From: 19, Do: without("saturate", int64(1))}}},
		"BitCast":  {Infer: inferBitCast, Eval: evalBitCast},
	})
}

// typeAttr returns an int attribute that names an element type.
func (a attrs) typeAttr(name string) (tensor.DType, error) {
	v := a.Int(name)
	if v <= 0 || v > 255 || !tensor.DType(v).Valid() {
		return tensor.Undefined, fmt.Errorf("%s is %d, which is no element type", name, v)
	}
	return tensor.DType(v), nil
}

// fewNumbers is a constant that is not worth to be stored small.
const fewNumbers = 16

// castDecodes is true of a Cast that makes many numbers of at most 16 bits
// wider. Truth values are no codes: masks are folded.
func castDecodes(op *ir.Op) bool {
	from, to := op.Operand(0).Type, op.Result(0).Type.DType
	n, ok := from.NumElements().Int()
	return from.DType != tensor.Bool && from.DType.Bits() > 0 && from.DType.Bits() <= 16 && from.DType.Bits() < to.Bits() && from.Ranked && ok && n >= fewNumbers
}

func inferCast(x *Inference) error {
	to, err := x.typeAttr("to")
	if err != nil {
		return err
	}
	return castTo(x, to)
}

// castTo follows the elements too: sizes survive every type that is wide
// enough for them.
func castTo(x *Inference, to tensor.DType) error {
	x.Set(0, x.In(0).WithDType(to))
	if to == tensor.Int64 || to == tensor.Int32 || to == tensor.Float32 || to == tensor.Float64 {
		if e, ok := x.elems(0); ok {
			x.SetContents(0, e)
		}
	}
	return nil
}

func inferCastLike(x *Inference) error { return castTo(x, x.In(1).DType) }

func (a attrs) castOptions() (ref.CastOptions, error) {
	mode, err := float16.ParseRoundMode(a.Str("round_mode"))
	return ref.CastOptions{Saturate: a.Bool("saturate"), Round: mode}, err
}

func evalCast(c *Call) error {
	to, err := c.typeAttr("to")
	if err != nil {
		return err
	}
	return c.cast(to)
}

func evalCastLike(c *Call) error { return c.cast(c.In(1).DType) }

func (c *Call) cast(to tensor.DType) error {
	o, err := c.castOptions()
	if err != nil {
		return err
	}
	return c.done(ref.Cast(c.In(0), to, o))
}

func inferBitCast(x *Inference) error {
	to, err := x.typeAttr("to")
	x.Set(0, x.In(0).WithDType(to))
	return err
}

func evalBitCast(c *Call) error {
	to, err := c.typeAttr("to")
	if err != nil {
		return err
	}
	return c.done(ref.BitCast(c.In(0), to))
}

// protoNames are the names that onnx.proto gives element types, where they
// are not those of IR text in capitals.
var protoNames = map[string]tensor.DType{
	"FLOAT": tensor.Float32, "DOUBLE": tensor.Float64, "FLOAT16": tensor.Float16, "BFLOAT16": tensor.BFloat16,
	"INT8": tensor.Int8, "INT16": tensor.Int16, "INT32": tensor.Int32, "INT64": tensor.Int64,
	"UINT8": tensor.Uint8, "UINT16": tensor.Uint16, "UINT32": tensor.Uint32, "UINT64": tensor.Uint64,
	"BOOL": tensor.Bool, "STRING": tensor.String, "COMPLEX64": tensor.Complex64, "COMPLEX128": tensor.Complex128,
}

// castByNumber rewrites to="FLOAT" of opset 5 and older as the type's number.
func castByNumber(_ *ir.Builder, op *ir.Op) error {
	name, ok := op.Attrs.Get("to").(string)
	if !ok {
		return nil
	}
	d, ok := protoNames[strings.ToUpper(name)]
	if !ok {
		return fmt.Errorf("to is %q, which is no element type", name)
	}
	op.Attrs.Set("to", int64(d))
	return nil
}
