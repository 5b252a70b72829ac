package ptx

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/float16"
)

// Shape is what a launch tells a kernel of its tensors.
type Shape struct {
	N        int // elements of each output
	R        int // length of the vectors of Row inputs; here and below 0 stands for 1
	C, Inner int // length and stride of those of Channel inputs

	// Of Gap inputs: elements of the output for each run that they have, length and number of the runs.
	Gap, GapInner, GapOuter int
}

// whole is the shape with 1 in place of what is not given.
func (s Shape) whole() Shape {
	for _, n := range []*int{&s.R, &s.C, &s.Inner, &s.Gap, &s.GapInner, &s.GapOuter} {
		if *n == 0 {
			*n = 1
		}
	}
	return s
}

// Run computes the kernel on the CPU with the operations that its PTX has, on
// little-endian bytes. It is the reference that GPU results equal bit for bit.
func (k *Kernel) Run(s Shape, inputs [][]byte) (outputs [][]byte, err error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	if err := k.checkSizes(s, inputs); err != nil {
		return nil, err
	}
	p := new(program)
	in := make([]reg, len(k.Inputs))
	for i := range in {
		in[i] = p.fresh()
	}
	out := k.lower(p, in)
	for _, o := range k.Outputs {
		outputs = append(outputs, make([]byte, s.N*k.typeOf(o).Size()))
	}
	r := make([]uint64, p.next)
	s = s.whole()
	for i := range s.N {
		for j, t := range k.Inputs {
			r[in[j]] = load(inputs[j], t.Type, t.Broadcast.index(i, s))
		}
		evaluate(p.code, r)
		for j, o := range k.Outputs {
			store(outputs[j], k.typeOf(o), i, r[out[j]])
		}
	}
	return outputs, nil
}

func (b Broadcast) index(i int, s Shape) int {
	switch b {
	case Scalar:
		return 0
	case Row:
		return i % s.R
	case Channel:
		return i / s.Inner % s.C
	case Gap:
		return i/s.Gap%s.GapOuter*s.GapInner + i%s.GapInner
	}
	return i
}

// elements is how many an input has to hold.
func (b Broadcast) elements(s Shape) int {
	switch b {
	case Scalar:
		return 1
	case Row:
		return s.R
	case Channel:
		return s.C
	case Gap:
		return s.GapOuter * s.GapInner
	}
	return s.N
}

// maxElements is the most that a launch takes: indices are 32 bits and divided as numbers below 2^31.
const maxElements = 1<<31 - 1

func (k *Kernel) checkSizes(s Shape, inputs [][]byte) error {
	s = s.whole()
	for _, n := range []int{s.N, s.R - 1, s.C - 1, s.Inner - 1, s.Gap - 1, s.GapInner - 1, s.GapOuter - 1} {
		if n < 0 || n > maxElements {
			return fmt.Errorf("ptx kernel %q: shape %+v; elements go from 0 to %d, lengths from 1", k.Name, s, maxElements)
		}
	}
	if len(inputs) != len(k.Inputs) {
		return fmt.Errorf("ptx kernel %q: %d inputs given, it has %d", k.Name, len(inputs), len(k.Inputs))
	}
	for i, in := range k.Inputs {
		if want := in.Broadcast.elements(s) * in.Type.Size(); len(inputs[i]) < want {
			return fmt.Errorf("ptx kernel %q: input %d (%s, %s) has %d bytes, needs %d", k.Name, i, in.Type, in.Broadcast, len(inputs[i]), want)
		}
	}
	return nil
}

// Sizes are the bytes of every tensor of a launch, inputs first, once the inputs are seen to fit.
func (k *Kernel) Sizes(s Shape, inputs [][]byte) (sizes []int, err error) {
	if err := k.checkSizes(s, inputs); err != nil {
		return nil, err
	}
	s = s.whole()
	for _, in := range k.Inputs {
		sizes = append(sizes, in.Broadcast.elements(s)*in.Type.Size())
	}
	for _, o := range k.Outputs {
		sizes = append(sizes, s.N*k.typeOf(o).Size())
	}
	return sizes, nil
}

func load(b []byte, t Type, i int) uint64 {
	switch t {
	case I32:
		return uint64(int32(binary.LittleEndian.Uint32(b[4*i:])))
	case I64:
		return binary.LittleEndian.Uint64(b[8*i:])
	case F16:
		return uint64(math.Float32bits(float16.ToFloat32(binary.LittleEndian.Uint16(b[2*i:]))))
	case BF16:
		return uint64(binary.LittleEndian.Uint16(b[2*i:])) << 16
	case Bool:
		if b[i] != 0 {
			return 1
		}
		return 0
	}
	return uint64(binary.LittleEndian.Uint32(b[4*i:]))
}

func store(b []byte, t Type, i int, long uint64) {
	v := uint32(long)
	switch t {
	case I64:
		binary.LittleEndian.PutUint64(b[8*i:], long)
	case F16:
		binary.LittleEndian.PutUint16(b[2*i:], float16.FromFloat32(math.Float32frombits(v)))
	case BF16:
		binary.LittleEndian.PutUint16(b[2*i:], float16.BFloat16FromFloat32(math.Float32frombits(v)))
	case Bool:
		b[i] = byte(v)
	default:
		binary.LittleEndian.PutUint32(b[4*i:], v)
	}
}

// evaluate runs prims on registers.
func evaluate(code []prim, r []uint64) {
	for _, in := range code {
		if in.op >= pLImm {
			r[in.dst] = integer(in.op, r[in.a], r[in.b], r[in.c], in.imm)
			continue
		}
		a, b, c := uint32(r[in.a]), uint32(r[in.b]), uint32(r[in.c])
		x, y, z := math.Float32frombits(a), math.Float32frombits(b), math.Float32frombits(c)
		var v uint32
		switch in.op {
		case pImm:
			v = uint32(in.imm)
		case pIAdd:
			v = a + b
		case pISub:
			v = a - b
		case pIAnd:
			v = a & b
		case pIOr:
			v = a | b
		case pIXor:
			v = a ^ b
		case pShl:
			v = a << in.imm
		case pSar:
			v = uint32(int32(a) >> in.imm)
		case pToF32:
			v = math.Float32bits(float32(int32(a)))
		case pNeg:
			v = a ^ 1<<31
		case pAbs:
			v = a &^ (1 << 31)
		case pLt:
			v = one(x < y)
		case pLe:
			v = one(x <= y)
		case pEq:
			v = one(x == y)
		case pNe:
			v = one(x != y)
		case pSel:
			if v = c; a != 0 {
				v = b
			}
		default:
			v = math.Float32bits(arithmetic(in.op, x, y, z))
		}
		r[in.dst] = uint64(v)
	}
}

func one(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// integer is a prim of 64 bits.
func integer(op primOp, a, b, c, imm uint64) uint64 {
	x, y := int64(a), int64(b)
	switch op {
	case pLImm:
		return imm
	case pLAdd:
		return a + b
	case pLSub:
		return a - b
	case pLMul:
		return a * b
	case pLMin:
		return uint64(min(x, y))
	case pLMax:
		return uint64(max(x, y))
	case pLNeg:
		return -a
	case pLAbs:
		return uint64(max(x, -x))
	case pLWrap:
		return uint64(int32(uint32(a)))
	case pLFromBool:
		return a
	case pLFromF32:
		return uint64(truncate(math.Float32frombits(uint32(a))))
	case pLSel:
		if uint32(a) != 0 {
			return b
		}
		return c
	case pLLt:
		return uint64(one(x < y))
	case pLLe:
		return uint64(one(x <= y))
	case pLEq:
		return uint64(one(x == y))
	case pLNe:
		return uint64(one(x != y))
	case pLToF32:
		return uint64(math.Float32bits(float32(x)))
	}
	panic("ptx: an integer operation without a meaning")
}

// truncate is cvt.rzi.s64.f32: saturated, and the lowest integer for NaN.
func truncate(f float32) int64 {
	switch {
	case f >= 1<<63:
		return math.MaxInt64
	case f >= -1<<63:
		return int64(f)
	}
	return math.MinInt64
}

func arithmetic(op primOp, x, y, z float32) float32 {
	switch op {
	case pAdd:
		return x + y
	case pSub:
		return x - y
	case pMul:
		return float32(x * y)
	case pDiv:
		return x / y
	case pFma:
		return fma32(x, y, z)
	case pSqrt:
		return float32(math.Sqrt(float64(x)))
	case pMin:
		return min(x, y)
	case pMax:
		return max(x, y)
	case pToF16:
		return float16.ToFloat32(float16.FromFloat32(x))
	case pToBF16:
		return float16.BFloat16ToFloat32(float16.BFloat16FromFloat32(x))
	}
	panic("ptx: an operation without a meaning")
}

// fma32 is x*y + z rounded once: the product of two float32 is exact in
// float64; the sum is rounded to odd there, which a second rounding cannot spoil
// (Boldo and Melquiond, 2008).
func fma32(x, y, z float32) float32 {
	product, addend := float64(x)*float64(y), float64(z)
	sum := product + addend
	if math.IsInf(sum, 0) || math.IsNaN(sum) {
		return float32(sum)
	}
	// The part that rounding lost (Knuth's two-sum).
	t := sum - product
	lost := (product - (sum - t)) + (addend - t)
	if bits := math.Float64bits(sum); lost != 0 && bits&1 == 0 {
		if (lost > 0) == (sum > 0) {
			bits++
		} else {
			bits--
		}
		sum = math.Float64frombits(bits)
	}
	return float32(sum)
}
