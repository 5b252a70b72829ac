package onnx

import (
	"fmt"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// resolved follows a reference to an attribute of the function around the
// node; nil where the call did not give it.
func (sc *scope) resolved(a *onnxpb.AttributeProto) *onnxpb.AttributeProto {
	if a.RefAttrName == "" {
		return a
	}
	v := sc.attrs[a.RefAttrName]
	if v == nil {
		return nil
	}
	c := *v
	c.Name = a.Name
	return &c
}

// attributes gives op the attributes of n; graphs become regions.
func (sc *scope) attributes(op *ir.Op, n *onnxpb.NodeProto) error {
	seen := map[string]bool{}
	for _, a := range n.Attribute {
		if seen[a.Name] {
			return fmt.Errorf("attribute %q is given twice", a.Name)
		}
		seen[a.Name] = true
		r := sc.resolved(a)
		if r == nil {
			continue
		}
		if err := sc.attribute(op, r); err != nil {
			return fmt.Errorf("attribute %q: %w", a.Name, err)
		}
	}
	return nil
}

func (sc *scope) attribute(op *ir.Op, a *onnxpb.AttributeProto) error {
	if a.Kind() == onnxpb.AttrGraph {
		if a.G == nil {
			return fmt.Errorf("the graph is missing")
		}
		inner := &scope{
			im: sc.im, outer: sc, block: op.AddRegion(a.Name), vals: map[string]*ir.Value{}, opsets: sc.opsets,
			attrs: sc.attrs, calls: sc.calls, prefix: sc.prefix, depth: sc.depth + 1,
		}
		return inner.graph(a.G, false)
	}
	v, err := sc.im.attrValue(a)
	if err != nil {
		return err
	}
	op.Attrs.Set(a.Name, v)
	return nil
}

// attrValue translates the value of an attribute that is no graph.
func (im *importer) attrValue(a *onnxpb.AttributeProto) (any, error) {
	lists := a.Lists
	if lists == nil {
		lists = &onnxpb.AttributeLists{}
	}
	switch a.Kind() {
	case onnxpb.AttrFloat:
		return a.F, nil
	case onnxpb.AttrInt:
		return a.I, nil
	case onnxpb.AttrString:
		return a.S, nil
	case onnxpb.AttrFloats:
		return append([]float32{}, a.Floats...), nil
	case onnxpb.AttrInts:
		return append([]int64{}, a.Ints...), nil
	case onnxpb.AttrStrings:
		return append([]string{}, a.Strings...), nil
	case onnxpb.AttrTensor:
		if a.T == nil {
			return nil, fmt.Errorf("the tensor is missing")
		}
		return dataOf(a.T, im.ext)
	case onnxpb.AttrSparseTensor:
		if a.SparseTensor == nil {
			return nil, fmt.Errorf("the sparse tensor is missing")
		}
		return sparseData(a.SparseTensor, im.ext)
	case onnxpb.AttrTensors:
		out := make([]*ir.Data, len(lists.Tensors))
		for i, t := range lists.Tensors {
			d, err := dataOf(t, im.ext)
			if err != nil {
				return nil, fmt.Errorf("tensor %d: %w", i, err)
			}
			out[i] = d
		}
		return out, nil
	case onnxpb.AttrTypeProto:
		return typeOf(im.m, a.TP)
	case onnxpb.AttrTypeProtos:
		out := make([]ir.Type, len(lists.TypeProtos))
		for i, t := range lists.TypeProtos {
			var err error
			if out[i], err = typeOf(im.m, t); err != nil {
				return nil, fmt.Errorf("type %d: %w", i, err)
			}
		}
		return out, nil
	case onnxpb.AttrUndefined:
		return nil, fmt.Errorf("it has no value")
	}
	return nil, fmt.Errorf("attributes of type %d are not supported", a.Kind())
}

// plainConstant leaves a Constant with the attribute "value" only, whichever
// way the node spelled it.
func plainConstant(op *ir.Op) error {
	d, err := ops.ConstantData(op)
	if err != nil {
		return err
	}
	op.Attrs = ir.Attrs{{Name: "value", Value: d}}
	op.Result(0).Type = d.Type()
	return nil
}
