package ir

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// Text of single elements. Floats print in the fewest digits that read back
// the same bits, always with a point or an exponent, so that they are never
// mistaken for integers; a NaN that is not the usual one shows its bits.
// Types narrower than 32 bits print as their bits.

const (
	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000000
)

func formatF32(f float32) string {
	if f != f {
		if b := math.Float32bits(f); b != nan32 {
			return fmt.Sprintf("nan(%#x)", b)
		}
		return "nan"
	}
	return formatFloat(float64(f), 32)
}

func formatF64(f float64) string {
	if f != f {
		if b := math.Float64bits(f); b != nan64 {
			return fmt.Sprintf("nan(%#x)", b)
		}
		return "nan"
	}
	return formatFloat(f, 64)
}

func formatFloat(f float64, bits int) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'g', -1, bits)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

func parseFloat(s string, bits int) (float64, error) {
	if s == "nan" {
		return math.NaN(), nil
	}
	return strconv.ParseFloat(s, bits)
}

func parseF32(s string) (float32, error) {
	if s == "nan" {
		return math.Float32frombits(nan32), nil
	}
	if h, ok := nanBits(s); ok {
		b, err := strconv.ParseUint(h, 0, 32)
		return math.Float32frombits(uint32(b)), err
	}
	f, err := parseFloat(s, 32)
	return float32(f), err
}

func parseF64(s string) (float64, error) {
	if s == "nan" {
		return math.Float64frombits(nan64), nil
	}
	if h, ok := nanBits(s); ok {
		b, err := strconv.ParseUint(h, 0, 64)
		return math.Float64frombits(b), err
	}
	return parseFloat(s, 64)
}

func nanBits(s string) (string, bool) {
	h, ok := strings.CutPrefix(s, "nan(")
	return strings.TrimSuffix(h, ")"), ok
}

// formatElem writes element i of t.
func formatElem(t *tensor.Tensor, i int) string {
	switch t.DType {
	case tensor.Float32:
		return formatF32(tensor.Part[float32](t, i, i+1)[0])
	case tensor.Float64:
		return formatF64(tensor.Part[float64](t, i, i+1)[0])
	case tensor.String:
		return strconv.Quote(t.Strings[i])
	case tensor.Bool:
		return strconv.FormatBool(t.Data[i] != 0)
	case tensor.Complex64:
		c := tensor.Part[complex64](t, i, i+1)[0]
		return "(" + formatF32(real(c)) + "," + formatF32(imag(c)) + ")"
	case tensor.Complex128:
		c := tensor.Part[complex128](t, i, i+1)[0]
		return "(" + formatF64(real(c)) + "," + formatF64(imag(c)) + ")"
	}
	u := rawElem(t, i)
	switch {
	case t.DType.IsFloat():
		return fmt.Sprintf("%#x", u)
	case t.DType.IsSigned():
		shift := 64 - 8*t.DType.Size()
		return strconv.FormatInt(int64(u<<shift)>>shift, 10)
	}
	return strconv.FormatUint(u, 10)
}

// rawElem returns the bits of element i, for types of up to 8 bytes.
func rawElem(t *tensor.Tensor, i int) uint64 {
	var u uint64
	size := t.DType.Size()
	for k := size - 1; k >= 0; k-- {
		u = u<<8 | uint64(t.Data[i*size+k])
	}
	return u
}

func setRawElem(t *tensor.Tensor, i int, u uint64) {
	size := t.DType.Size()
	for k := range size {
		t.Data[i*size+k] = byte(u >> (8 * k))
	}
}

// parseElem is the inverse of formatElem; strings come unquoted.
func parseElem(t *tensor.Tensor, i int, s string) (err error) {
	switch t.DType {
	case tensor.Float32:
		tensor.Of[float32](t)[i], err = parseF32(s)
	case tensor.Float64:
		tensor.Of[float64](t)[i], err = parseF64(s)
	case tensor.String:
		t.Strings[i] = s
	case tensor.Bool:
		var b bool
		if b, err = strconv.ParseBool(s); b {
			t.Data[i] = 1
		}
	case tensor.Complex64, tensor.Complex128:
		re, im, ok := strings.Cut(strings.Trim(s, "()"), ",")
		if strings.Contains(s, "nan(") { // the parentheses of the NaN are not ours
			re, im, ok = strings.Cut(s[1:len(s)-1], ",")
		}
		if !ok {
			return fmt.Errorf("%q is no complex number", s)
		}
		if t.DType == tensor.Complex64 {
			r, err1 := parseF32(re)
			j, err2 := parseF32(im)
			tensor.Of[complex64](t)[i] = complex(r, j)
			return first(err1, err2)
		}
		r, err1 := parseF64(re)
		j, err2 := parseF64(im)
		tensor.Of[complex128](t)[i] = complex(r, j)
		return first(err1, err2)
	default:
		bits := t.DType.Bits()
		if t.DType.IsSigned() {
			var v int64
			v, err = strconv.ParseInt(s, 0, bits)
			setRawElem(t, i, uint64(v))
		} else {
			var v uint64
			v, err = strconv.ParseUint(s, 0, bits)
			setRawElem(t, i, v)
		}
	}
	return err
}

func first(errs ...error) error {
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}

// formatElems writes the first n elements as a list.
func formatElems(t *tensor.Tensor, n int) string {
	var b strings.Builder
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(formatElem(t, i))
	}
	b.WriteByte(']')
	return b.String()
}
