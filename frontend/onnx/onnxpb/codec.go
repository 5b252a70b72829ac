package onnxpb

import (
	"fmt"
	"io"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// message lists its fields once, by calling a method of the codec for each;
// decoding, sizing and writing all follow that list.
type message interface{ fields(c *codec) }

type mode uint8

const (
	decoding mode = iota
	sizing
	writing
)

// maxDepth bounds the nesting of messages, as other protobuf readers do.
const maxDepth = 100

// codec is one pass over a tree of messages.
type codec struct {
	mode  mode
	err   error
	depth int

	// decoding
	cur    field
	budget int64 // bytes of memory that messages may still take

	// sizing and writing
	size  int   // of the message at hand
	sizes []int // of nested messages, in the order of the list
	next  int   // the first of sizes that is not yet written
	w     io.Writer
	buf   []byte
}

// field is the one that the decoder stands on.
type field struct {
	num  protowire.Number
	typ  protowire.Type
	off  int    // of the payload in the file
	u    uint64 // payload of a number
	b    []byte // payload of a length-delimited field
	raw  []byte // the whole field, its tag included
	done bool   // somebody took it
}

// Error is a defect of encoded bytes: where it is, in bytes from the start
// and as a path of fields, and what it is.
type Error struct {
	Offset int
	Path   string
	Msg    string
}

func (e *Error) Error() string {
	path := e.Path
	if path == "" {
		path = "top level"
	}
	return fmt.Sprintf("at byte %d, %s: %s", e.Offset, path, e.Msg)
}

// unmarshal decodes b into m. The messages keep views into b: it must neither
// change nor go away while they are in use. Memory that decoding takes is
// bounded by a small multiple of len(b).
func unmarshal(m message, b []byte) error {
	c := &codec{budget: 32<<20 + 2*int64(len(b))}
	c.decode(m, b, 0)
	return c.err
}

// decode reads fields from b, which lies at off, into m.
func (c *codec) decode(m message, b []byte, off int) {
	if c.depth++; c.depth > maxDepth {
		c.fail(off, "messages are nested deeper than %d levels", maxDepth)
		return
	}
	defer func(f field) { c.depth--; c.cur = f }(c.cur)
	for len(b) > 0 {
		n := c.parse(b, off)
		if c.err != nil {
			return
		}
		m.fields(c)
		if c.err != nil {
			return
		}
		b, off = b[n:], off+n
	}
}

// parse makes the field at the start of b the current one and returns its
// length.
func (c *codec) parse(b []byte, off int) int {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		c.fail(off, "field tag: %v", reason(n))
		return 0
	}
	f := field{num: num, typ: typ, off: off + n}
	v := b[n:]
	k := 0
	switch typ {
	case protowire.VarintType:
		f.u, k = protowire.ConsumeVarint(v)
	case protowire.Fixed32Type:
		var u uint32
		u, k = protowire.ConsumeFixed32(v)
		f.u = uint64(u)
	case protowire.Fixed64Type:
		f.u, k = protowire.ConsumeFixed64(v)
	case protowire.BytesType:
		f.b, k = protowire.ConsumeBytes(v)
		f.off += k - len(f.b)
	default:
		k = protowire.ConsumeFieldValue(num, typ, v)
	}
	if k < 0 {
		c.fail(off, "field %d: %v (%d bytes left)", num, reason(k), len(v))
		return 0
	}
	f.raw = b[: n+k : n+k]
	c.cur = f
	return n + k
}

// take reports whether the current field is the given one, and claims it.
func (c *codec) take(num protowire.Number, name string, want protowire.Type) bool {
	if c.cur.num != num || c.cur.done || c.err != nil {
		return false
	}
	c.cur.done = true
	if c.cur.typ != want {
		c.fail(c.cur.off, "wire type %d, want %d", c.cur.typ, want)
		c.at(name)
		return false
	}
	return true
}

// fail records the first error.
func (c *codec) fail(off int, format string, args ...any) {
	if c.err == nil {
		c.err = &Error{Offset: off, Msg: fmt.Sprintf(format, args...)}
	}
}

// at prepends an element to the error's path.
func (c *codec) at(elem string) {
	if e, ok := c.err.(*Error); ok {
		if e.Path == "" {
			e.Path = elem
		} else if strings.Count(e.Path, ".") < 24 {
			e.Path = elem + "." + e.Path
		}
	}
}

// charge takes n bytes off the budget.
func (c *codec) charge(n uintptr) bool {
	c.budget -= int64(n)
	if c.budget < 0 {
		c.fail(c.cur.off, "so many messages and lists in so few bytes: refused to spend more memory on them")
	}
	return c.budget >= 0
}

// marshal writes m to w, sizes first and then the bytes, so that no more than
// a small buffer and the largest lazy tensor are in memory at once.
func marshal(w io.Writer, m message) error {
	c := &codec{mode: sizing}
	m.fields(c)
	if c.err == nil && c.size > math.MaxInt32 {
		c.err = fmt.Errorf("message of %d bytes: protobuf ends at 2 GiB", c.size)
	}
	if c.err != nil {
		return c.err
	}
	c.mode, c.w, c.buf = writing, w, make([]byte, 0, 64<<10)
	m.fields(c)
	c.flush()
	return c.err
}

// emit appends to the output through a buffer.
func (c *codec) emit(b []byte) {
	if c.err != nil {
		return
	}
	if len(c.buf)+len(b) > cap(c.buf) {
		c.flush()
	}
	if len(b) > cap(c.buf) {
		if c.err == nil {
			_, c.err = c.w.Write(b)
		}
		return
	}
	c.buf = append(c.buf, b...)
}

func (c *codec) flush() {
	if c.err == nil && len(c.buf) > 0 {
		_, c.err = c.w.Write(c.buf)
		c.buf = c.buf[:0]
	}
}

// varint writes, or counts, a tag followed by an unsigned number.
func (c *codec) varint(num protowire.Number, typ protowire.Type, u uint64) {
	if c.mode == sizing {
		c.size += protowire.SizeTag(num) + protowire.SizeVarint(u)
		return
	}
	var tmp [20]byte
	c.emit(protowire.AppendVarint(protowire.AppendTag(tmp[:0], num, typ), u))
}

// header writes, or counts, the tag and length of n bytes; the bytes count too.
func (c *codec) header(num protowire.Number, n int) {
	c.varint(num, protowire.BytesType, uint64(n))
	if c.mode == sizing {
		c.size += n
	}
}

// reason says what protowire's negative length means.
func reason(n int) string {
	_, text, _ := strings.Cut(protowire.ParseError(n).Error(), "proto:")
	if text = strings.TrimSpace(text); text == "" {
		return protowire.ParseError(n).Error()
	}
	return text
}
