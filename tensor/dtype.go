package tensor

import (
	"fmt"
	"math"
)

// DType is an element type. The values are those of onnx.TensorProto.DataType,
// so that decoding and encoding need no table.
type DType uint8

// Every element type of ONNX IR version 14.
const (
	Undefined      DType = 0
	Float32        DType = 1
	Uint8          DType = 2
	Int8           DType = 3
	Uint16         DType = 4
	Int16          DType = 5
	Int32          DType = 6
	Int64          DType = 7
	String         DType = 8
	Bool           DType = 9
	Float16        DType = 10
	Float64        DType = 11
	Uint32         DType = 12
	Uint64         DType = 13
	Complex64      DType = 14
	Complex128     DType = 15
	BFloat16       DType = 16
	Float8E4M3FN   DType = 17
	Float8E4M3FNUZ DType = 18
	Float8E5M2     DType = 19
	Float8E5M2FNUZ DType = 20
	Uint4          DType = 21
	Int4           DType = 22
	Float4E2M1     DType = 23
	Float8E8M0     DType = 24
	Uint2          DType = 25
	Int2           DType = 26
	Float6E2M3     DType = 27
	Float6E3M2     DType = 28
)

type kind uint8

const (
	kindOther kind = iota
	kindFloat
	kindSigned
	kindUnsigned
	kindComplex
)

// dtypes says what there is to know of each type: the name in IR text, bits
// an element on the wire, bytes an element in memory (sub-byte types take
// one), and the kind of number.
var dtypes = [...]struct {
	name string
	bits int
	size int
	kind kind
}{
	Undefined:      {"undefined", 0, 0, kindOther},
	Float32:        {"f32", 32, 4, kindFloat},
	Uint8:          {"u8", 8, 1, kindUnsigned},
	Int8:           {"i8", 8, 1, kindSigned},
	Uint16:         {"u16", 16, 2, kindUnsigned},
	Int16:          {"i16", 16, 2, kindSigned},
	Int32:          {"i32", 32, 4, kindSigned},
	Int64:          {"i64", 64, 8, kindSigned},
	String:         {"string", 0, 0, kindOther},
	Bool:           {"bool", 8, 1, kindOther},
	Float16:        {"f16", 16, 2, kindFloat},
	Float64:        {"f64", 64, 8, kindFloat},
	Uint32:         {"u32", 32, 4, kindUnsigned},
	Uint64:         {"u64", 64, 8, kindUnsigned},
	Complex64:      {"c64", 64, 8, kindComplex},
	Complex128:     {"c128", 128, 16, kindComplex},
	BFloat16:       {"bf16", 16, 2, kindFloat},
	Float8E4M3FN:   {"f8e4m3fn", 8, 1, kindFloat},
	Float8E4M3FNUZ: {"f8e4m3fnuz", 8, 1, kindFloat},
	Float8E5M2:     {"f8e5m2", 8, 1, kindFloat},
	Float8E5M2FNUZ: {"f8e5m2fnuz", 8, 1, kindFloat},
	Uint4:          {"u4", 4, 1, kindUnsigned},
	Int4:           {"i4", 4, 1, kindSigned},
	Float4E2M1:     {"f4e2m1", 4, 1, kindFloat},
	Float8E8M0:     {"f8e8m0", 8, 1, kindFloat},
	Uint2:          {"u2", 2, 1, kindUnsigned},
	Int2:           {"i2", 2, 1, kindSigned},
	Float6E2M3:     {"f6e2m3", 6, 1, kindFloat},
	Float6E3M2:     {"f6e3m2", 6, 1, kindFloat},
}

// Valid reports whether d is a known type other than Undefined.
func (d DType) Valid() bool { return d > Undefined && int(d) < len(dtypes) }

// String returns the name that IR text uses: f32, i64, bf16, string ...
func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// ParseDType is the inverse of String.
func ParseDType(s string) (DType, bool) {
	for d := range dtypes {
		if d != 0 && dtypes[d].name == s {
			return DType(d), true
		}
	}
	return Undefined, false
}

// Bits returns the bits an element takes on the wire; 0 for strings.
func (d DType) Bits() int {
	if !d.Valid() {
		return 0
	}
	return dtypes[d].bits
}

// Size returns the bytes an element takes in a Tensor's memory, where sub-byte
// types take a whole byte; 0 for strings.
func (d DType) Size() int {
	if !d.Valid() {
		return 0
	}
	return dtypes[d].size
}

// IsFloat reports whether d is a real floating point type of any width.
func (d DType) IsFloat() bool { return d.Valid() && dtypes[d].kind == kindFloat }

// IsInt reports whether d is an integer type, signed or not; Bool is none.
func (d DType) IsInt() bool { return d.IsSigned() || d.IsUnsigned() }

// IsSigned reports whether d is a signed integer type.
func (d DType) IsSigned() bool { return d.Valid() && dtypes[d].kind == kindSigned }

// IsUnsigned reports whether d is an unsigned integer type.
func (d DType) IsUnsigned() bool { return d.Valid() && dtypes[d].kind == kindUnsigned }

// Range returns the least and the largest number of an integer type, 0 and 0 of
// any other; those of 64 bits are rounded.
func (d DType) Range() (least, most float64) {
	switch bits := float64(d.Bits()); {
	case d.IsUnsigned():
		return 0, math.Exp2(bits) - 1
	case d.IsSigned():
		return -math.Exp2(bits - 1), math.Exp2(bits-1) - 1
	}
	return 0, 0
}

// IsComplex reports whether d is Complex64 or Complex128.
func (d DType) IsComplex() bool { return d.Valid() && dtypes[d].kind == kindComplex }

// IsSubByte reports whether elements share bytes on the wire.
func (d DType) IsSubByte() bool { return d.Valid() && dtypes[d].bits > 0 && dtypes[d].bits < 8 }

// WireSize returns the bytes that n elements take on the wire, packed as ONNX
// packs raw_data.
func (d DType) WireSize(n int) int { return (n*d.Bits() + 7) / 8 }
