package onnx

import (
	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/ir"
)

// foreign holds the operators of other domains, each with the code that
// writes its definition in ONNX's own operators.
var foreign = map[string]map[string]func(x *foreignNode){"": {}, "com.microsoft": {}}

// foreignNode is one node of a foreign operator and its definition.
type foreignNode struct {
	formula
	sc   *scope
	node *onnxpb.NodeProto
	in   []*ir.Value
	out  []*ir.Value
}

// run calls expand and returns the results that it set.
func (x *foreignNode) run(expand func(*foreignNode)) ([]*ir.Value, error) {
	x.out = make([]*ir.Value, len(x.node.Output))
	err := x.attempt(func() { expand(x) })
	return x.out, err
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
