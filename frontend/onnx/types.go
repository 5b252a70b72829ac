package onnx

import (
	"fmt"
	"strings"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// typeOf translates a type. Dims that the file leaves open become fresh
// symbols of m.
func typeOf(m *ir.Module, t *onnxpb.TypeProto) (ir.Type, error) {
	switch {
	case t == nil:
		return ir.Type{}, nil
	case t.Tensor != nil:
		return tensorType(m, t.Tensor)
	case t.SparseTensor != nil: // dense once it is here
		return tensorType(m, t.SparseTensor)
	case t.Sequence != nil:
		e, err := typeOf(m, t.Sequence.ElemType)
		return ir.SequenceOf(e), err
	case t.Optional != nil:
		e, err := typeOf(m, t.Optional.ElemType)
		return ir.OptionalOf(e), err
	case t.Map != nil:
		k, err := dtypeOf(t.Map.KeyType)
		if err != nil {
			return ir.Type{}, fmt.Errorf("map key: %w", err)
		}
		e, err := typeOf(m, t.Map.ValueType)
		return ir.MapOf(k, e), err
	case len(t.Unknown) > 0:
		return ir.Type{}, fmt.Errorf("the type is opaque or of a kind that is not known")
	}
	return ir.Type{}, nil
}

func tensorType(m *ir.Module, t *onnxpb.TensorTypeProto) (ir.Type, error) {
	if t.ElemType == 0 {
		return ir.Type{}, nil
	}
	d, err := dtypeOf(t.ElemType)
	if err != nil {
		return ir.Type{}, err
	}
	if t.Shape == nil {
		return ir.Unranked(d), nil
	}
	dims := make([]ir.Dim, len(t.Shape.Dim))
	for i, x := range t.Shape.Dim {
		switch {
		case x.Value != nil && *x.Value >= 0:
			dims[i] = ir.Const(*x.Value)
		case x.Value == nil && x.Param != "" && x.Param != "?":
			dims[i] = ir.Sym(dimName(x.Param))
		default: // absent, or the -1 and "?" of some exporters
			dims[i] = m.FreshDim()
		}
	}
	return ir.TensorOf(d, dims...), nil
}

// dimName keeps a file's names apart from those of fresh symbols.
func dimName(s string) string {
	if strings.HasPrefix(s, "?") {
		return "_" + s
	}
	return s
}

// typeProto is the inverse of typeOf. Fresh symbols and expressions have no
// place in ONNX: the former are left open, the latter written as a name.
func typeProto(t ir.Type) *onnxpb.TypeProto {
	switch t.Kind {
	case ir.KindSequence:
		return &onnxpb.TypeProto{Sequence: &onnxpb.ElemTypeProto{ElemType: typeProto(*t.Elem)}}
	case ir.KindOptional:
		return &onnxpb.TypeProto{Optional: &onnxpb.ElemTypeProto{ElemType: typeProto(*t.Elem)}}
	case ir.KindMap:
		return &onnxpb.TypeProto{Map: &onnxpb.MapTypeProto{KeyType: int32(t.DType), ValueType: typeProto(*t.Elem)}}
	}
	p := &onnxpb.TensorTypeProto{ElemType: int32(t.DType)}
	if t.DType == tensor.Undefined {
		p.ElemType = int32(tensor.Float32)
	}
	if t.Ranked {
		p.Shape = &onnxpb.TensorShapeProto{Dim: make([]*onnxpb.DimensionProto, len(t.Dims))}
		for i, d := range t.Dims {
			x := &onnxpb.DimensionProto{}
			if n, ok := d.Int(); ok {
				x.Value = &n
			} else if !d.IsFresh() {
				x.Param = d.String()
				if syms := d.Symbols(); len(syms) == 1 && ir.Sym(syms[0]).Equal(d) {
					x.Param = syms[0] // without quotes
				}
			}
			p.Shape.Dim[i] = x
		}
	}
	return &onnxpb.TypeProto{Tensor: p}
}
