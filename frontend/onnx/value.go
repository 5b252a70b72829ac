package onnx

import (
	"fmt"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// ReadValue decodes a value as ONNX's test data files hold it: a TensorProto,
// a SequenceProto, a MapProto or an OptionalProto, whichever t calls for. The
// value may keep views into b.
func ReadValue(b []byte, t ir.Type) (tensor.Value, error) {
	switch t.Kind {
	case ir.KindSequence:
		s, err := onnxpb.DecodeSequence(b)
		if err != nil {
			return nil, err
		}
		return sequenceOf(s, *t.Elem)
	case ir.KindOptional:
		o, err := onnxpb.DecodeOptional(b)
		if err != nil {
			return nil, err
		}
		return optionalOf(o, *t.Elem)
	case ir.KindMap:
		m, err := onnxpb.DecodeMap(b)
		if err != nil {
			return nil, err
		}
		return mapOf(m)
	}
	x, err := onnxpb.DecodeTensor(b)
	if err != nil {
		return nil, err
	}
	return tensorOf(x)
}

// tensorOf decodes a tensor that is not a constant of a model.
func tensorOf(x *onnxpb.TensorProto) (tensor.Value, error) {
	d, err := dataOf(x, nil)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", x.Name, err)
	}
	return d.Tensor()
}

func sparseOf(x *onnxpb.SparseTensorProto) (tensor.Value, error) {
	d, err := sparseData(x, nil)
	if err != nil {
		return nil, err
	}
	return d.Tensor()
}

// leaf returns the element type of the tensors in t, however deep.
func leaf(t ir.Type) tensor.DType {
	for t.Kind != ir.KindTensor {
		t = *t.Elem
	}
	return t.DType
}

func sequenceOf(s *onnxpb.SequenceProto, elem ir.Type) (tensor.Value, error) {
	out := &tensor.Sequence{Elem: leaf(elem)}
	add := func(v tensor.Value, err error) error {
		if err != nil {
			return fmt.Errorf("element %d: %w", len(out.Items), err)
		}
		out.Items = append(out.Items, v)
		return nil
	}
	for _, x := range s.Tensors {
		if err := add(tensorOf(x)); err != nil {
			return nil, err
		}
	}
	for _, x := range s.Sparse {
		if err := add(sparseOf(x)); err != nil {
			return nil, err
		}
	}
	inner := elem
	if elem.Elem != nil {
		inner = *elem.Elem
	}
	for _, x := range s.Seqs {
		if err := add(sequenceOf(x, inner)); err != nil {
			return nil, err
		}
	}
	for _, x := range s.Optional {
		if err := add(optionalOf(x, inner)); err != nil {
			return nil, err
		}
	}
	for _, x := range s.Maps {
		if err := add(mapOf(x)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func optionalOf(o *onnxpb.OptionalProto, elem ir.Type) (tensor.Value, error) {
	out := &tensor.Optional{Type: leaf(elem)}
	inner := elem
	if elem.Elem != nil {
		inner = *elem.Elem
	}
	var err error
	switch {
	case o.Tensor != nil && (o.ElemType == onnxpb.ElemTensor || o.ElemType == onnxpb.ElemUndefined):
		out.Elem, err = tensorOf(o.Tensor)
	case o.ElemType == onnxpb.ElemSparse && o.Sparse != nil:
		out.Elem, err = sparseOf(o.Sparse)
	case o.ElemType == onnxpb.ElemSequence && o.Seq != nil:
		out.Elem, err = sequenceOf(o.Seq, inner)
	case o.ElemType == onnxpb.ElemMap && o.Map != nil:
		out.Elem, err = mapOf(o.Map)
	case o.ElemType == onnxpb.ElemOptional && o.Optional != nil:
		out.Elem, err = optionalOf(o.Optional, inner)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func mapOf(m *onnxpb.MapProto) (tensor.Value, error) {
	out := &tensor.Map{StringKeys: m.StringKeys}
	if m.KeyType != int32(tensor.String) {
		out.StringKeys, out.IntKeys = nil, m.Keys
	}
	n := len(out.StringKeys) + len(out.IntKeys)
	if m.Values == nil || len(m.Values.Tensors) != n {
		return nil, fmt.Errorf("map of %d keys does not have as many values", n)
	}
	for i, x := range m.Values.Tensors {
		v, err := tensorOf(x)
		if err != nil {
			return nil, fmt.Errorf("value %d: %w", i, err)
		}
		t := v.(*tensor.Tensor)
		if out.Values == nil {
			out.Values = tensor.New(t.DType, n)
		}
		if t.DType != out.Values.DType || t.Len() != 1 {
			return nil, fmt.Errorf("value %d of a map is %s", i, t)
		}
		if t.DType == tensor.String {
			out.Values.Strings[i] = t.Strings[0]
		} else {
			copy(out.Values.Data[i*t.DType.Size():], t.Data)
		}
	}
	return out, nil
}

// WriteValue is the inverse of ReadValue for tensors, sequences and optionals.
func WriteValue(v tensor.Value, name string) ([]byte, error) {
	switch v := v.(type) {
	case *tensor.Tensor:
		t, err := protoOf(name, ir.NewData(v))
		if err != nil {
			return nil, err
		}
		return t.Marshal()
	case *tensor.Sequence:
		s, err := sequenceProto(v, name)
		if err != nil {
			return nil, err
		}
		return s.Marshal()
	case *tensor.Optional:
		o := &onnxpb.OptionalProto{Name: name}
		var err error
		switch x := v.Elem.(type) {
		case nil:
		case *tensor.Tensor:
			o.ElemType = onnxpb.ElemTensor
			o.Tensor, err = protoOf("", ir.NewData(x))
		case *tensor.Sequence:
			o.ElemType = onnxpb.ElemSequence
			o.Seq, err = sequenceProto(x, "")
		default:
			err = fmt.Errorf("an optional %T can not be written", x)
		}
		if err != nil {
			return nil, err
		}
		return o.Marshal()
	}
	return nil, fmt.Errorf("a %T can not be written", v)
}

func sequenceProto(v *tensor.Sequence, name string) (*onnxpb.SequenceProto, error) {
	s := &onnxpb.SequenceProto{Name: name, ElemType: onnxpb.ElemTensor}
	for i, x := range v.Items {
		switch x := x.(type) {
		case *tensor.Tensor:
			t, err := protoOf("", ir.NewData(x))
			if err != nil {
				return nil, err
			}
			s.Tensors = append(s.Tensors, t)
		case *tensor.Sequence:
			q, err := sequenceProto(x, "")
			if err != nil {
				return nil, err
			}
			s.ElemType = onnxpb.ElemSequence
			s.Seqs = append(s.Seqs, q)
		default:
			return nil, fmt.Errorf("element %d, a %T, can not be written", i, x)
		}
	}
	return s, nil
}
