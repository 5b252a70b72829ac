package ref

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/tensor"
)

// CastOptions are what Cast's attributes say. The zero value lets float8
// values overflow to infinity or NaN; saturate is ONNX's default.
type CastOptions struct {
	Saturate bool
	Round    float16.RoundMode // for float8e8m0 only
}

// small holds the types of 8 bits and fewer with a sign, exponent and mantissa.
var small = map[tensor.DType]float16.Format{
	tensor.Float8E4M3FN:   float16.E4M3FN,
	tensor.Float8E4M3FNUZ: float16.E4M3FNUZ,
	tensor.Float8E5M2:     float16.E5M2,
	tensor.Float8E5M2FNUZ: float16.E5M2FNUZ,
	tensor.Float6E2M3:     float16.E2M3,
	tensor.Float6E3M2:     float16.E3M2,
	tensor.Float4E2M1:     float16.E2M1,
}

// reals returns the elements of a tensor of any type that has an order: bool
// and every integer and float type. The result is for reading.
func reals(t *tensor.Tensor) ([]float64, error) {
	switch d := t.DType; {
	case d == tensor.String || d.IsComplex() || !d.Valid():
		return nil, fmt.Errorf("%s elements are not real numbers", d)
	case !isSmallFloat(d):
		return Float64s(t), nil
	}
	value := float16.E8M0ToFloat32
	if f, ok := small[t.DType]; ok {
		value = f.ToFloat32
	}
	v := make([]float64, t.Len())
	for i, c := range t.Data {
		v[i] = float64(value(c))
	}
	return v, nil
}

func isSmallFloat(d tensor.DType) bool { return d.IsFloat() && d.Bits() <= 8 }

// fromReals makes a tensor of any integer or float type, rounding to nearest
// even; integers saturate.
func fromReals(d tensor.DType, v []float64, o CastOptions, shape ...int) *tensor.Tensor {
	if !isSmallFloat(d) && !d.IsSubByte() {
		return fromFloat64s(d, v, shape...)
	}
	t := tensor.New(d, shape...)
	if d.IsInt() {
		lo, hi := intRange(d)
		for i, x := range v {
			t.Data[i] = byte(int8(min(max(math.RoundToEven(x), float64(lo)), float64(hi))))
		}
		return t
	}
	f, ok := small[d]
	for i, x := range v {
		if ok {
			t.Data[i] = f.FromFloat32(float32(x), o.Saturate)
		} else {
			t.Data[i] = float16.E8M0FromFloat32(float32(x), o.Saturate, o.Round)
		}
	}
	return t
}

// intRange returns the bounds of an integer type of up to 32 bits.
func intRange(d tensor.DType) (lo, hi int64) {
	if d.IsUnsigned() {
		return 0, 1<<d.Bits() - 1
	}
	return -1 << (d.Bits() - 1), 1<<(d.Bits()-1) - 1
}

// Cast converts element types as ONNX's Cast does. Floats become integers by
// dropping the fraction, integers become narrower ones by dropping high bits;
// what a float holds beyond int64's range becomes its nearest bound first.
func Cast(x *tensor.Tensor, to tensor.DType, o CastOptions) (*tensor.Tensor, error) {
	from := x.DType
	switch {
	case !to.Valid():
		return nil, fmt.Errorf("there is no element type %d", to)
	case from == to:
		return x, nil
	case from.IsComplex() || to.IsComplex():
		return nil, fmt.Errorf("%s does not cast to %s", from, to)
	case from == tensor.String:
		return parseStrings(x, to, o)
	case to == tensor.String:
		return formatElements(x), nil
	case from.IsFloat():
		v, err := reals(x)
		if err != nil {
			return nil, err
		}
		return castFloats(v, to, o, x.Shape), nil
	case to == tensor.Float32 && from.Bits() == 64: // once rounded, not twice
		y := tensor.New(to, x.Shape...)
		out := tensor.Of[float32](y)
		for i, v := range bits64(x) {
			if from.IsUnsigned() {
				out[i] = float32(uint64(v))
			} else {
				out[i] = float32(v)
			}
		}
		return y, nil
	case to.IsFloat():
		return fromReals(to, Float64s(x), o, x.Shape...), nil
	}
	return castInts(bits64(x), to, x.Shape), nil
}

// bits64 returns the elements of an integer or bool tensor, widened to 64
// bits; uint64 as its bits.
func bits64(t *tensor.Tensor) []int64 {
	switch t.DType {
	case tensor.Int64, tensor.Uint64:
		return tensor.Of[int64](t)
	}
	v := make([]int64, t.Len())
	for i, x := range Float64s(t) {
		v[i] = int64(x)
	}
	return v
}

func castFloats(v []float64, to tensor.DType, o CastOptions, shape []int) *tensor.Tensor {
	switch {
	case to.IsFloat():
		return fromReals(to, v, o, shape...)
	case to == tensor.Bool:
		y := tensor.New(to, shape...)
		for i, x := range v {
			if x != 0 {
				y.Data[i] = 1
			}
		}
		return y
	}
	w := make([]int64, len(v))
	for i, x := range v {
		switch {
		case x >= 1<<63 && to == tensor.Uint64 && x < 1<<64:
			w[i] = int64(uint64(x))
		case x >= 1<<63:
			w[i] = math.MaxInt64
		case x <= -1<<63:
			w[i] = math.MinInt64
		case x == x:
			w[i] = int64(x)
		}
	}
	return castInts(w, to, shape)
}

func castInts(v []int64, to tensor.DType, shape []int) *tensor.Tensor {
	y := tensor.New(to, shape...)
	switch {
	case to == tensor.Bool:
		for i, x := range v {
			if x != 0 {
				y.Data[i] = 1
			}
		}
	case to.IsSubByte():
		unused := 8 - to.Bits()
		for i, x := range v {
			if to.IsSigned() {
				y.Data[i] = byte(int8(x) << unused >> unused)
			} else {
				y.Data[i] = byte(x) << unused >> unused
			}
		}
	case to.Size() == 1:
		truncate(tensor.Of[uint8](y), v)
	case to.Size() == 2:
		truncate(tensor.Of[uint16](y), v)
	case to.Size() == 4:
		truncate(tensor.Of[uint32](y), v)
	default:
		truncate(tensor.Of[uint64](y), v)
	}
	return y
}

func truncate[T integer](dst []T, src []int64) {
	for i, x := range src {
		dst[i] = T(x)
	}
}

func parseStrings(x *tensor.Tensor, to tensor.DType, o CastOptions) (*tensor.Tensor, error) {
	if to == tensor.Int64 || to == tensor.Uint64 {
		w := make([]int64, x.Len())
		exact := true
		for i, s := range x.Strings {
			n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
			if err != nil && to == tensor.Uint64 {
				var u uint64
				u, err = strconv.ParseUint(strings.TrimSpace(s), 10, 64)
				n = int64(u)
			}
			exact = exact && err == nil
			w[i] = n
		}
		if exact {
			return castInts(w, to, x.Shape), nil
		}
	}
	v := make([]float64, x.Len())
	for i, s := range x.Strings {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, fmt.Errorf("element %d, %q, is no number", i, s)
		}
		v[i] = f
	}
	return castFloats(v, to, o, x.Shape), nil
}

func formatElements(x *tensor.Tensor) *tensor.Tensor {
	y := tensor.New(tensor.String, x.Shape...)
	switch {
	case x.DType == tensor.Bool:
		for i, v := range x.Data {
			y.Strings[i] = "False"
			if v != 0 {
				y.Strings[i] = "True"
			}
		}
	case x.DType == tensor.Uint64:
		for i, v := range tensor.Of[uint64](x) {
			y.Strings[i] = strconv.FormatUint(v, 10)
		}
	case x.DType.IsInt():
		for i, v := range bits64(x) {
			y.Strings[i] = strconv.FormatInt(v, 10)
		}
	default:
		v, _ := reals(x)
		for i, f := range v {
			y.Strings[i] = formatFloat(f, x.DType)
		}
	}
	return y
}

// formatFloat writes the fewest digits that tell the value from its
// neighbours, as NumPy does: positional from 1e-4 to 1e16, scientific
// elsewhere.
func formatFloat(f float64, d tensor.DType) string {
	switch {
	case f != f:
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	digits := -1
	bits := 64
	switch d {
	case tensor.Float64:
	case tensor.Float32:
		bits = 32
	default:
		bits, digits = 32, fewestDigits(f, d)
	}
	sci := strconv.FormatFloat(f, 'e', digits, bits)
	mant, exp, _ := strings.Cut(sci, "e")
	e, _ := strconv.Atoi(exp)
	if f != 0 && (e < -4 || e >= 16) {
		return mant + "e" + exp
	}
	decimals := max(0, len(strings.TrimPrefix(strings.Replace(mant, ".", "", 1), "-"))-1-e)
	s := strconv.FormatFloat(f, 'f', decimals, bits)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// fewestDigits returns the digits behind the point of a scientific notation
// that still rounds to f in a type narrower than float32.
func fewestDigits(f float64, d tensor.DType) int {
	for n := range 9 {
		g, err := strconv.ParseFloat(strconv.FormatFloat(f, 'e', n, 64), 64)
		back, _ := reals(fromReals(d, []float64{g}, CastOptions{}, 1))
		if err == nil && back[0] == f {
			return n
		}
	}
	return -1
}

// BitCast reads the bits of x as another type of the same width.
func BitCast(x *tensor.Tensor, to tensor.DType) (*tensor.Tensor, error) {
	if !to.Valid() || to == tensor.String || x.DType == tensor.String || x.DType.Bits() != to.Bits() {
		return nil, fmt.Errorf("the bits of %s are not those of a %s", x.DType, to)
	}
	y := *x
	y.DType = to
	if to == tensor.Bool {
		return castInts(bits64(x), to, x.Shape), nil
	}
	if !to.IsSubByte() || to.IsSigned() == x.DType.IsSigned() {
		return &y, nil
	}
	unused := 8 - to.Bits() // the sign fills the rest of the byte, or zeros do
	y.Data = make([]byte, len(x.Data))
	for i, b := range x.Data {
		if to.IsSigned() {
			y.Data[i] = byte(int8(b<<unused) >> unused)
		} else {
			y.Data[i] = b << unused >> unused
		}
	}
	return &y, nil
}
