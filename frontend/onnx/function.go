package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/ir"
)

// call inlines a function of the model in the place of node n, and returns
// the values of the function's outputs.
func (sc *scope) call(key funcKey, f *onnxpb.FunctionProto, n *onnxpb.NodeProto, operands []*ir.Value, label string) ([]*ir.Value, error) {
	if slices.Contains(sc.calls, key) {
		return nil, fmt.Errorf("function %s calls itself", key)
	}
	if len(sc.calls) >= maxNesting {
		return nil, fmt.Errorf("functions call each other deeper than %d", maxNesting)
	}
	if len(operands) > len(f.Input) {
		return nil, fmt.Errorf("%d inputs, function %s takes %d", len(operands), key, len(f.Input))
	}
	inner := &scope{
		im: sc.im, block: sc.block, vals: map[string]*ir.Value{}, opsets: map[string]int{},
		attrs: map[string]*onnxpb.AttributeProto{}, calls: append(slices.Clone(sc.calls), key),
		prefix: sc.im.names.unique(label) + "/", depth: sc.depth, infos: map[string]*onnxpb.ValueInfoProto{},
	}
	for d, v := range sc.opsets {
		inner.opsets[d] = v
	}
	for _, o := range f.OpsetImport {
		inner.opsets[standard(o.Domain)] = int(min(o.Version, 1<<30))
	}
	for i, name := range f.Input {
		if _, twice := inner.vals[name]; twice {
			return nil, fmt.Errorf("function %s lists input %q twice", key, name)
		}
		inner.vals[name] = nil
		if i < len(operands) {
			inner.vals[name] = operands[i]
		}
	}
	for _, a := range f.AttributeProto { // defaults
		inner.attrs[a.Name] = a
	}
	for _, a := range n.Attribute {
		if r := sc.resolved(a); r != nil {
			if r.Kind() == onnxpb.AttrGraph {
				return nil, fmt.Errorf("attribute %q: functions with graph attributes are not supported", a.Name)
			}
			inner.attrs[a.Name] = r
		}
	}
	for _, name := range f.Attribute {
		if inner.attrs[name] == nil {
			return nil, fmt.Errorf("attribute %q of function %s is missing", name, key)
		}
	}
	if err := inner.run(f.Node); err != nil {
		return nil, fmt.Errorf("in function %s: %w", key, err)
	}
	results := make([]*ir.Value, len(f.Output))
	for i, name := range f.Output {
		v, ok := inner.vals[name]
		if wanted := i < len(n.Output) && n.Output[i] != ""; !ok && wanted {
			return nil, fmt.Errorf("function %s does not compute its output %q", key, name)
		}
		results[i] = v
		if v != nil && strings.HasPrefix(v.Origin.Name, inner.prefix) {
			v.Origin.Name = "" // the caller's name for it says more
		}
	}
	return results, nil
}
