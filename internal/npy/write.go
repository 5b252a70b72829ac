package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// descrs is the inverse of numbers; integers of fewer than eight bits lie in
// a tensor's memory one a byte, and are written so.
var descrs = map[tensor.DType]string{
	tensor.Int4: "|i1", tensor.Int2: "|i1", tensor.Uint4: "|u1", tensor.Uint2: "|u1",
}

func init() {
	for name, d := range numbers {
		order := "<"
		if d.Size() == 1 {
			order = "|"
		}
		descrs[d] = order + name
	}
}

// Write writes t as a version 1 file, little endian, in C order. Element types
// that numpy lacks are written as the narrowest type that holds them exactly:
// bfloat16, float8, float6 and float4 as float32, 4-bit and 2-bit integers as int8 or
// uint8. Strings are written as Unicode, or as bytes where they are not UTF-8.
func Write(w io.Writer, t *tensor.Tensor) error {
	if err := write(w, t); err != nil {
		return fmt.Errorf("npy: %w", err)
	}
	return nil
}

func write(w io.Writer, t *tensor.Tensor) error {
	n, err := tensor.NumElements(t.Shape)
	if err != nil {
		return err
	}
	if t, err = widened(t); err != nil {
		return err
	}
	if t.DType == tensor.String {
		return writeStrings(w, t, n)
	}
	descr, ok := descrs[t.DType]
	if !ok {
		return fmt.Errorf("%s has no numpy type", t.DType)
	}
	if len(t.Data) != n*t.DType.Size() {
		return fmt.Errorf("%s holds %d bytes", t, len(t.Data))
	}
	if err := writeHeader(w, descr, t.Shape); err != nil {
		return err
	}
	_, err = w.Write(t.Data)
	return err
}

func writeHeader(w io.Writer, descr string, shape []int) error {
	text := header{descr: descr, shape: shape}.String()
	// The data begin at a multiple of 64, so that they can be mapped.
	const pre = len(magic) + 4
	pad := 63 - (pre+len(text))%64
	text += strings.Repeat(" ", pad) + "\n"
	if len(text) > 0xffff {
		return fmt.Errorf("%d dims are too many", len(shape))
	}
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	_, err := w.Write(append(b, text...))
	return err
}

// widened returns t with floats that numpy lacks as float32.
func widened(t *tensor.Tensor) (*tensor.Tensor, error) {
	if !t.DType.IsFloat() || descrs[t.DType] != "" {
		return t, nil
	}
	return ref.Cast(t, tensor.Float32, ref.CastOptions{})
}

func writeStrings(w io.Writer, t *tensor.Tensor, n int) error {
	if len(t.Strings) != n {
		return fmt.Errorf("%s holds %d strings", t, len(t.Strings))
	}
	text, width := true, 1
	for i, s := range t.Strings {
		if strings.HasSuffix(s, "\x00") {
			return fmt.Errorf("element %d ends in NUL, which numpy's strings can not", i)
		}
		text = text && utf8.ValidString(s)
	}
	for _, s := range t.Strings {
		if text {
			width = max(width, utf8.RuneCountInString(s))
		} else {
			width = max(width, len(s))
		}
	}
	unit, descr := 1, fmt.Sprintf("|S%d", width)
	if text {
		unit, descr = 4, fmt.Sprintf("<U%d", width)
	}
	if err := writeHeader(w, descr, t.Shape); err != nil {
		return err
	}
	row := make([]byte, width*unit)
	for _, s := range t.Strings {
		clear(row)
		if text {
			i := 0
			for _, c := range s {
				binary.LittleEndian.PutUint32(row[i:], uint32(c))
				i += 4
			}
		} else {
			copy(row, s)
		}
		if _, err := w.Write(row); err != nil {
			return err
		}
	}
	return nil
}
