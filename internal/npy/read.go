package npy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// ReadFile reads the .npy file at path.
func ReadFile(path string) (*tensor.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Read reads one array, in C order whatever the file's. Memory grows with the
// bytes that r gives, never with what the header claims.
func Read(r io.Reader) (*tensor.Tensor, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	e, err := parseDescr(h.descr)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	t, err := readArray(r, h, e)
	if err != nil {
		return nil, fmt.Errorf("npy: %s%v: %w", h.descr, h.shape, err)
	}
	return t, nil
}

func readHeader(r io.Reader) (header, error) {
	var pre [8]byte
	if _, err := io.ReadFull(r, pre[:]); err != nil || string(pre[:6]) != magic {
		return header{}, fmt.Errorf("not a .npy file: it does not begin with \\x93NUMPY")
	}
	var size int
	switch v := pre[6]; v {
	case 1:
		var b [2]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return header{}, fmt.Errorf("header is cut short")
		}
		size = int(binary.LittleEndian.Uint16(b[:]))
	case 2, 3:
		var b [4]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return header{}, fmt.Errorf("header is cut short")
		}
		n := binary.LittleEndian.Uint32(b[:])
		if n > maxHeader {
			return header{}, fmt.Errorf("header of %d bytes, at most %d are read", n, maxHeader)
		}
		size = int(n)
	default:
		return header{}, fmt.Errorf("format version %d.%d, want 1, 2 or 3", v, pre[7])
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return header{}, fmt.Errorf("header is cut short")
	}
	return parseHeader(string(text))
}

func readArray(r io.Reader, h header, e element) (*tensor.Tensor, error) {
	n, err := tensor.NumElements(h.shape)
	if err != nil {
		return nil, err
	}
	if e.size == 0 && n > 1<<16 {
		return nil, fmt.Errorf("%d elements of no size", n)
	}
	if e.size > 0 && n > math.MaxInt/2/e.size {
		return nil, fmt.Errorf("too large")
	}
	data, err := readN(r, n*e.size)
	if err != nil {
		return nil, err
	}
	swapBytes(data, e.swap)
	if h.fortran {
		data = toRowMajor(data, h.shape, e.size)
	}
	t := &tensor.Tensor{DType: e.dtype, Shape: h.shape, Data: data}
	switch e.dtype {
	case tensor.String:
		t.Data = nil
		if t.Strings, err = stringsOf(data, n, e); err != nil {
			return nil, err
		}
	case tensor.Bool:
		for i, v := range data {
			if v > 1 {
				data[i] = 1
			}
		}
	}
	return t, nil
}

// readN reads n bytes into memory that is aligned for every element type. It
// takes the memory at once only where r is known to hold as much.
func readN(r io.Reader, n int) ([]byte, error) {
	const chunk = 1 << 20
	if left, known := remaining(r); known && int64(n) > left {
		return nil, fmt.Errorf("data takes %d bytes, the file has %d", n, left)
	} else if known || n <= chunk {
		data := tensor.New(tensor.Uint8, n).Data
		if got, err := io.ReadFull(r, data); err != nil {
			return nil, short(n, got, err)
		}
		return data, nil
	}
	var b bytes.Buffer
	got, err := io.Copy(&b, io.LimitReader(r, int64(n)))
	if err != nil || got < int64(n) {
		return nil, short(n, int(got), err)
	}
	data := tensor.New(tensor.Uint8, n).Data
	copy(data, b.Bytes())
	return data, nil
}

func short(want, got int, err error) error {
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("data takes %d bytes, found %d", want, got)
	}
	return err
}

// remaining returns how many bytes r still holds, where that can be known.
func remaining(r io.Reader) (int64, bool) {
	switch r := r.(type) {
	case interface{ Len() int }:
		return int64(r.Len()), true
	case *os.File:
		st, err := r.Stat()
		if err != nil || !st.Mode().IsRegular() {
			return 0, false
		}
		pos, err := r.Seek(0, io.SeekCurrent)
		return st.Size() - pos, err == nil
	}
	return 0, false
}

func swapBytes(data []byte, width int) {
	if width < 2 {
		return
	}
	for i := 0; i+width <= len(data); i += width {
		slices.Reverse(data[i : i+width])
	}
}

// toRowMajor reorders elements of the given size from Fortran to C order.
func toRowMajor(src []byte, shape []int, size int) []byte {
	if len(src) == 0 || len(shape) < 2 {
		return src
	}
	strides := make([]int, len(shape))
	s := size
	for i, d := range shape {
		strides[i] = s
		s *= d
	}
	dst := tensor.New(tensor.Uint8, len(src)).Data
	index := make([]int, len(shape))
	from := 0
	for to := 0; to < len(dst); to += size {
		copy(dst[to:to+size], src[from:from+size])
		for i := len(index) - 1; i >= 0; i-- {
			index[i]++
			from += strides[i]
			if index[i] < shape[i] {
				break
			}
			from -= strides[i] * shape[i]
			index[i] = 0
		}
	}
	return dst
}

// stringsOf decodes fixed-width strings, which numpy pads with NULs.
func stringsOf(data []byte, n int, e element) ([]string, error) {
	out := make([]string, n)
	for i := range out {
		b := data[i*e.size : (i+1)*e.size]
		if e.kind != 'U' {
			out[i] = strings.TrimRight(string(b), "\x00")
			continue
		}
		var s strings.Builder
		for j := 0; j < len(b); j += 4 {
			c := binary.LittleEndian.Uint32(b[j:])
			if c > 0x10ffff {
				return nil, fmt.Errorf("element %d: %#x is no Unicode code point", i, c)
			}
			s.WriteRune(rune(c))
		}
		out[i] = strings.TrimRight(s.String(), "\x00")
	}
	return out, nil
}
