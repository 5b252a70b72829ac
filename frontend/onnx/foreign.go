package onnx

import (
	"fmt"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// foreign holds the operators of other domains, each with the code that
// writes its definition in ONNX's own operators.
var foreign = map[string]map[string]func(x *foreignNode){"": {}, "com.microsoft": {}}

// foreignNode is one node of a foreign operator, and a builder of its
// definition whose methods fail as a whole.
type foreignNode struct {
	sc   *scope
	b    *ir.Builder
	node *onnxpb.NodeProto
	in   []*ir.Value
	out  []*ir.Value
}

// foreignError carries an error to run.
type foreignError struct{ err error }

func (x *foreignNode) fail(format string, args ...any) {
	panic(foreignError{fmt.Errorf(format, args...)})
}

// run calls expand and returns the results that it set.
func (x *foreignNode) run(expand func(*foreignNode)) (out []*ir.Value, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case foreignError:
			err = r.err
		default:
			panic(r)
		}
	}()
	x.out = make([]*ir.Value, len(x.node.Output))
	expand(x)
	return x.out, nil
}

// op builds an op with one result.
func (x *foreignNode) op(name string, operands []*ir.Value, attrs ...ir.Attr) *ir.Value {
	return x.opN(name, 1, operands, attrs...)[0]
}

// opN builds an op with n results.
func (x *foreignNode) opN(name string, n int, operands []*ir.Value, attrs ...ir.Attr) []*ir.Value {
	if ops.Lookup(name) == nil {
		x.fail("its definition needs operator %s, which is not supported", name)
	}
	op := x.b.Op(name, operands, make([]ir.Type, n), attrs...)
	if err := x.sc.im.shapes.Op(op); err != nil {
		panic(foreignError{err})
	}
	return op.Results()
}

// arg returns operand i, nil where it is absent.
func (x *foreignNode) arg(i int) *ir.Value {
	if i < len(x.in) {
		return x.in[i]
	}
	return nil
}

// need returns operand i.
func (x *foreignNode) need(i int) *ir.Value {
	v := x.arg(i)
	if v == nil {
		x.fail("input %d is missing", i)
	}
	return v
}

// set gives result i, where the node has it.
func (x *foreignNode) set(i int, v *ir.Value) {
	if i < len(x.out) {
		x.out[i] = v
	}
}

// attr returns an attribute, nil where it is absent.
func (x *foreignNode) attr(name string) any {
	for _, a := range x.node.Attribute {
		if a.Name == name {
			if r := x.sc.resolved(a); r != nil {
				v, err := x.sc.im.attrValue(r)
				if err != nil {
					x.fail("attribute %q: %w", name, err)
				}
				return v
			}
		}
	}
	return nil
}

func attrOr[T any](x *foreignNode, name string, def T) T {
	v := x.attr(name)
	if v == nil {
		return def
	}
	t, ok := v.(T)
	if !ok {
		x.fail("attribute %q is a %T, expected a %T", name, v, def)
	}
	return t
}

func (x *foreignNode) int(name string, def int64) int64 { return attrOr(x, name, def) }
func (x *foreignNode) float(name string, def float32) float32 {
	return attrOr(x, name, def)
}
func (x *foreignNode) str(name, def string) string { return attrOr(x, name, def) }

// keepAttrs returns the named attributes as they are, those that are there.
func (x *foreignNode) keepAttrs(names ...string) []ir.Attr {
	var out []ir.Attr
	for _, n := range names {
		if v := x.attr(n); v != nil {
			out = append(out, ir.Attr{Name: n, Value: v})
		}
	}
	return out
}

// rank returns the rank of v, which the definition depends on.
func (x *foreignNode) rank(v *ir.Value) int {
	r := v.Type.Rank()
	if r < 0 {
		x.fail("the rank of %q is not known", v.Origin.Name)
	}
	return r
}

// scalar builds a scalar constant of v's element type.
func (x *foreignNode) scalar(like *ir.Value, f float64) *ir.Value {
	t := tensor.Scalar(tensor.Float32, float32(f))
	if like.Type.DType == tensor.Float32 {
		return x.b.Tensor(t)
	}
	return x.cast(x.b.Tensor(t), like.Type.DType)
}

func (x *foreignNode) ints(v ...int64) *ir.Value { return x.b.Int64s(v...) }

// cast converts v to an element type.
func (x *foreignNode) cast(v *ir.Value, d tensor.DType) *ir.Value {
	if v.Type.DType == d {
		return v
	}
	return x.op("Cast", vals(v), at("to", int64(d)))
}

// vals and at make calls of op short.
func vals(v ...*ir.Value) []*ir.Value { return v }

func at(name string, v any) ir.Attr { return ir.Attr{Name: name, Value: v} }
