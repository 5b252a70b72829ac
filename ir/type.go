package ir

import (
	"slices"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// TypeKind says what a value is.
type TypeKind uint8

// The kinds of values that ONNX models pass around.
const (
	KindTensor TypeKind = iota
	KindSequence
	KindOptional
	KindMap
)

// Layout says how a tensor's elements lie in memory, at the cpu level only;
// the dims of the type stay the logical ones.
type Layout string

// Plain is row-major. C16 is NCHWc with blocks of 16 channels: the tensor
// [N,C,H,W] lies as [N][ceil(C/16)][H][W][16], pad lanes zero.
const (
	Plain Layout = ""
	C16   Layout = "c16"
)

// Type is the type of a value. For a tensor, Ranked says whether Dims is
// known. Elem is the element of a sequence, an optional, or the value of a
// map, whose key type is DType.
type Type struct {
	Kind   TypeKind
	DType  tensor.DType
	Ranked bool
	Dims   []Dim
	Layout Layout
	Elem   *Type
}

// TensorOf returns a ranked tensor type.
func TensorOf(d tensor.DType, dims ...Dim) Type {
	return Type{DType: d, Ranked: true, Dims: dims}
}

// Static returns a tensor type with constant dims.
func Static(d tensor.DType, shape ...int) Type {
	dims := make([]Dim, len(shape))
	for i, n := range shape {
		dims[i] = Const(int64(n))
	}
	return TensorOf(d, dims...)
}

// Unranked returns a tensor type of which only the element type is known
// (and not even that where d is tensor.Undefined).
func Unranked(d tensor.DType) Type { return Type{DType: d} }

// SequenceOf returns the type of a list of values of one type.
func SequenceOf(elem Type) Type { return Type{Kind: KindSequence, Elem: &elem} }

// OptionalOf returns the type of a value that may be absent.
func OptionalOf(elem Type) Type { return Type{Kind: KindOptional, Elem: &elem} }

// MapOf returns the type of a dictionary.
func MapOf(key tensor.DType, value Type) Type {
	return Type{Kind: KindMap, DType: key, Elem: &value}
}

// IsTensor reports whether t is a tensor type.
func (t Type) IsTensor() bool { return t.Kind == KindTensor }

// Rank returns the number of dims, -1 where it is not known.
func (t Type) Rank() int {
	if t.Kind != KindTensor || !t.Ranked {
		return -1
	}
	return len(t.Dims)
}

// StaticShape returns the dims as numbers, where all of them are.
func (t Type) StaticShape() ([]int, bool) {
	if t.Rank() < 0 {
		return nil, false
	}
	shape := make([]int, len(t.Dims))
	for i, d := range t.Dims {
		n, ok := d.Int()
		if !ok {
			return nil, false
		}
		shape[i] = int(n)
	}
	return shape, true
}

// NumElements returns the product of the dims of a ranked tensor.
func (t Type) NumElements() Dim {
	n := Const(1)
	for _, d := range t.Dims {
		n = n.Mul(d)
	}
	return n
}

// WithDType returns t with another element type.
func (t Type) WithDType(d tensor.DType) Type { t.DType = d; return t }

// WithDims returns t with other dims.
func (t Type) WithDims(dims ...Dim) Type { t.Ranked, t.Dims = true, dims; return t }

// WithLayout returns t with another layout.
func (t Type) WithLayout(l Layout) Type { t.Layout = l; return t }

// Equal reports whether the two types are the same.
func (t Type) Equal(u Type) bool {
	if t.Kind != u.Kind || t.DType != u.DType || t.Ranked != u.Ranked || t.Layout != u.Layout || len(t.Dims) != len(u.Dims) {
		return false
	}
	for i, d := range t.Dims {
		if !d.Equal(u.Dims[i]) {
			return false
		}
	}
	if t.Elem == nil || u.Elem == nil {
		return t.Elem == u.Elem
	}
	return t.Elem.Equal(*u.Elem)
}

// Refine returns t with what u, another type of the same value, knows beyond
// it: the element type, the rank, sizes for which t has a symbol of its own.
func (t Type) Refine(u Type) Type {
	if t.Kind != u.Kind {
		return t
	}
	if t.Elem != nil && u.Elem != nil {
		e := t.Elem.Refine(*u.Elem)
		t.Elem = &e
	}
	if t.DType == tensor.Undefined {
		t.DType = u.DType
	}
	switch {
	case !t.Ranked:
		t.Ranked, t.Dims = u.Ranked, u.Dims
	case u.Ranked && len(t.Dims) == len(u.Dims):
		dims := slices.Clone(t.Dims)
		for i, d := range dims {
			if d.IsFresh() && !u.Dims[i].IsFresh() {
				dims[i] = u.Dims[i]
			}
		}
		t.Dims = dims
	}
	return t
}

// Subst replaces symbols in every dim.
func (t Type) Subst(m map[string]Dim) Type {
	if len(t.Dims) > 0 {
		dims := make([]Dim, len(t.Dims))
		for i, d := range t.Dims {
			dims[i] = d.Subst(m)
		}
		t.Dims = dims
	}
	if t.Elem != nil {
		e := t.Elem.Subst(m)
		t.Elem = &e
	}
	return t
}

// String writes the type as IR text does: f32[N,3,224,224], i64[] for a
// scalar, f32[*] for an unknown rank, seq(f32[*]), map(i64,f32[*]).
func (t Type) String() string {
	switch t.Kind {
	case KindSequence:
		return "seq(" + t.Elem.String() + ")"
	case KindOptional:
		return "optional(" + t.Elem.String() + ")"
	case KindMap:
		return "map(" + t.DType.String() + "," + t.Elem.String() + ")"
	}
	var b strings.Builder
	b.WriteString(t.DType.String())
	if !t.Ranked {
		b.WriteString("[*]")
		return b.String()
	}
	b.WriteByte('[')
	for i, d := range t.Dims {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(d.String())
	}
	b.WriteByte(']')
	if t.Layout != Plain {
		b.WriteString("{" + string(t.Layout) + "}")
	}
	return b.String()
}
