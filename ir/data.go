package ir

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/hone-ml/hone/tensor"
)

// Data is the data of a constant: an element type, a shape, and bytes that
// are not read before somebody asks for them. It never changes.
type Data struct {
	DType tensor.DType
	Shape []int

	load  func() (*tensor.Tensor, error)
	value *tensor.Tensor

	mu     sync.Mutex // of what is computed once: modules share their constants
	digest string
	head   string // the text of the first elements
}

// NewData returns a constant with the tensor's value, which must not change
// from here on.
func NewData(t *tensor.Tensor) *Data {
	return &Data{DType: t.DType, Shape: t.Shape, value: t}
}

// LazyData returns a constant whose elements are read when they are needed,
// each time anew unless they are a view: load should be cheap for data that
// lies in a mapped file, and is not called before Tensor or Wire is.
func LazyData(d tensor.DType, shape []int, load func() (*tensor.Tensor, error)) *Data {
	return &Data{DType: d, Shape: shape, load: load}
}

// Len returns the number of elements.
func (c *Data) Len() int {
	n := 1
	for _, d := range c.Shape {
		n *= d
	}
	return n
}

// Type returns the constant's type.
func (c *Data) Type() Type { return Static(c.DType, c.Shape...) }

// Tensor returns the elements. They may be shared: do not write to them.
func (c *Data) Tensor() (*tensor.Tensor, error) {
	if c.value != nil {
		return c.value, nil
	}
	t, err := c.load()
	if err != nil {
		return nil, err
	}
	if t.DType != c.DType || t.Len() != c.Len() {
		return nil, fmt.Errorf("constant of type %s holds %s", c.Type(), t)
	}
	return t, nil
}

// Wire returns the elements as bytes: as ONNX packs raw_data, strings each
// behind its length as a varint.
func (c *Data) Wire() ([]byte, error) {
	t, err := c.Tensor()
	if err != nil {
		return nil, err
	}
	return c.wire(t), nil
}

func (c *Data) wire(t *tensor.Tensor) []byte {
	if c.DType != tensor.String {
		return t.Wire()
	}
	var b []byte
	for _, s := range t.Strings {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// DataFromWire is the inverse of Wire. The bytes are shared.
func DataFromWire(d tensor.DType, shape []int, b []byte) (*Data, error) {
	if d != tensor.String {
		t, err := tensor.FromWire(d, shape, b)
		if err != nil {
			return nil, err
		}
		return NewData(t), nil
	}
	n, err := tensor.NumElements(shape)
	if err != nil {
		return nil, err
	}
	if n > len(b) { // every string takes a byte at least
		return nil, fmt.Errorf("%d strings can not lie in %d bytes", n, len(b))
	}
	t := tensor.New(d, shape...)
	for i := range t.Strings {
		l, k := binary.Uvarint(b)
		if k <= 0 || l > uint64(len(b)-k) {
			return nil, fmt.Errorf("string %d is cut off", i)
		}
		t.Strings[i] = string(b[k : k+int(l)])
		b = b[k+int(l):]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%d bytes left behind %d strings", len(b), n)
	}
	return NewData(t), nil
}

// WriteWire writes the elements as Wire has them, and returns the digest. They
// are loaded once, and read once where the digest is not known yet: what text
// shows of them is kept as well.
func (c *Data) WriteWire(w io.Writer) (digest string, err error) {
	const piece = 64 << 10
	t, err := c.Tensor()
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head == "" {
		c.head = formatElems(t, min(headElems, t.Len()))
	}
	b, h := c.wire(t), c.hash()
	for len(b) > 0 {
		n := min(len(b), piece)
		if c.digest == "" {
			h.Write(b[:n])
		}
		if _, err := w.Write(b[:n]); err != nil {
			return "", err
		}
		b = b[n:]
	}
	if c.digest == "" {
		c.digest = hex.EncodeToString(h.Sum(nil)[:8])
	}
	return c.digest, nil
}

// hash begins a digest.
func (c *Data) hash() hash.Hash {
	h := sha256.New()
	fmt.Fprint(h, c.Type().String(), "\n")
	return h
}

// Digest returns the first 16 hex digits of the SHA-256 of type, shape and
// bytes: the name by which text refers to data kept elsewhere.
func (c *Data) Digest() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.digest != "" {
		return c.digest, nil
	}
	b, err := c.Wire()
	if err != nil {
		return "", err
	}
	h := c.hash()
	h.Write(b)
	c.digest = hex.EncodeToString(h.Sum(nil)[:8])
	return c.digest, nil
}

// headElems is how many elements a constant shows whose bytes lie elsewhere.
const headElems = 4

// firstElems returns the text of the first few elements.
func (c *Data) firstElems() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head == "" {
		t, err := c.Tensor()
		if err != nil {
			return "", err
		}
		c.head = formatElems(t, min(headElems, t.Len()))
	}
	return c.head, nil
}
