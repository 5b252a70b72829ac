package onnxpb

import (
	"fmt"
	"math"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// num is a field number.
type num = protowire.Number

func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// integer visits an int32, int64 or enum field; zero is not written.
func integer[T ~int32 | ~int64](c *codec, n num, name string, p *T) { integerIf(c, n, name, p, false) }

// integerIf is integer for a field that is also written zero where always
// says so.
func integerIf[T ~int32 | ~int64](c *codec, n num, name string, p *T, always bool) {
	if c.mode == decoding {
		if c.take(n, name, protowire.VarintType) {
			*p = T(c.cur.u)
		}
	} else if always || *p != 0 {
		c.varint(n, protowire.VarintType, uint64(int64(*p)))
	}
}

// optInteger visits an int64 field whose presence matters.
func optInteger(c *codec, n num, name string, p **int64) {
	if c.mode == decoding {
		if c.take(n, name, protowire.VarintType) {
			v := int64(c.cur.u)
			*p = &v
		}
	} else if *p != nil {
		c.varint(n, protowire.VarintType, uint64(**p))
	}
}

// float visits a float field; it is written where always says so or it is
// not zero.
func float(c *codec, n num, name string, p *float32, always bool) {
	if c.mode == decoding {
		if c.take(n, name, protowire.Fixed32Type) {
			*p = math.Float32frombits(uint32(c.cur.u))
		}
		return
	}
	if always || math.Float32bits(*p) != 0 {
		if c.mode == sizing {
			c.size += protowire.SizeTag(n) + 4
			return
		}
		var tmp [12]byte
		c.emit(protowire.AppendFixed32(protowire.AppendTag(tmp[:0], n, protowire.Fixed32Type), math.Float32bits(*p)))
	}
}

// str visits a string field; the empty one is not written. What is read is a
// copy, unlike a tensor's data: names outlive a mapped file in errors.
func str(c *codec, n num, name string, p *string) { strIf(c, n, name, p, false) }

// strIf is str for a field that is also written empty where always says so.
func strIf(c *codec, n num, name string, p *string, always bool) {
	if c.mode == decoding {
		if c.take(n, name, protowire.BytesType) {
			*p = string(c.cur.b)
		}
	} else if always || *p != "" {
		putString(c, n, *p)
	}
}

func putString(c *codec, n num, s string) {
	c.header(n, len(s))
	if c.mode == writing {
		c.emit(bytesOf(s))
	}
}

// strs visits a repeated string field.
func strs(c *codec, n num, name string, p *[]string) {
	if c.mode == decoding {
		if c.take(n, name, protowire.BytesType) && c.charge(4*unsafe.Sizeof("")) {
			*p = append(*p, string(c.cur.b))
		}
		return
	}
	for _, s := range *p {
		putString(c, n, s)
	}
}

// integers visits a repeated int64 field, read packed or not, written unpacked
// as the schema of ONNX has it.
func integers(c *codec, n num, name string, p *[]int64) {
	if c.mode != decoding {
		for _, v := range *p {
			c.varint(n, protowire.VarintType, uint64(v))
		}
		return
	}
	if c.cur.num == n && c.cur.typ == protowire.BytesType && !c.cur.done {
		c.cur.done = true
		b := c.cur.b
		count := countVarints(b)
		if !c.charge(8 * uintptr(count)) {
			c.at(name)
			return
		}
		out := append(make([]int64, 0, len(*p)+count), *p...)
		for len(b) > 0 {
			v, k := protowire.ConsumeVarint(b)
			if k < 0 {
				c.fail(c.cur.off+len(c.cur.b)-len(b), "packed integers: %v", reason(k))
				c.at(name)
				return
			}
			out = append(out, int64(v))
			b = b[k:]
		}
		*p = out
	} else if c.take(n, name, protowire.VarintType) && c.charge(24) {
		*p = append(*p, int64(c.cur.u))
	}
}

// countVarints counts the bytes that end a varint.
func countVarints(b []byte) int {
	n := 0
	for _, x := range b {
		n += int(x>>7 ^ 1)
	}
	return n
}

// floats visits a repeated float field, read packed or not.
func floats(c *codec, n num, name string, p *[]float32) {
	if c.mode != decoding {
		for i := range *p {
			float(c, n, name, &(*p)[i], true)
		}
		return
	}
	if c.cur.num == n && c.cur.typ == protowire.BytesType && !c.cur.done {
		c.cur.done = true
		b := c.cur.b
		if len(b)%4 != 0 {
			c.fail(c.cur.off, "packed floats take %d bytes, no multiple of 4", len(b))
			c.at(name)
			return
		}
		if !c.charge(uintptr(len(b))) {
			c.at(name)
			return
		}
		out := append(make([]float32, 0, len(*p)+len(b)/4), *p...)
		for ; len(b) > 0; b = b[4:] {
			u, _ := protowire.ConsumeFixed32(b)
			out = append(out, math.Float32frombits(u))
		}
		*p = out
	} else if c.take(n, name, protowire.Fixed32Type) && c.charge(8) {
		*p = append(*p, math.Float32frombits(uint32(c.cur.u)))
	}
}

// pointer is a pointer to a message.
type pointer[T any] interface {
	*T
	message
}

// one visits a field that holds a message; several occurrences merge.
func one[T any, P pointer[T]](c *codec, n num, name string, p **T) {
	if c.mode != decoding {
		if *p != nil {
			put(c, n, P(*p))
		}
		return
	}
	if !c.take(n, name, protowire.BytesType) {
		return
	}
	if *p == nil {
		if !c.charge(unsafe.Sizeof(**p)) {
			return
		}
		*p = new(T)
	}
	c.decode(P(*p), c.cur.b, c.cur.off)
	if c.err != nil {
		c.at(name)
	}
}

// list visits a repeated field of messages.
func list[T any, P pointer[T]](c *codec, n num, name string, p *[]*T) {
	if c.mode != decoding {
		for _, m := range *p {
			put(c, n, P(m))
		}
		return
	}
	if !c.take(n, name, protowire.BytesType) {
		return
	}
	m := new(T)
	if c.charge(unsafe.Sizeof(*m) + 3*unsafe.Sizeof(m)) {
		c.decode(P(m), c.cur.b, c.cur.off)
	}
	if c.err != nil {
		c.at(fmt.Sprintf("%s[%d]", name, len(*p)))
		return
	}
	*p = append(*p, m)
}

// put writes, or sizes, a nested message.
func put(c *codec, n num, m message) {
	if c.mode == sizing {
		if c.depth++; c.depth > maxDepth {
			c.fail(0, "messages are nested deeper than %d levels", maxDepth)
			return
		}
		at := len(c.sizes)
		c.sizes = append(c.sizes, 0)
		outer := c.size
		c.size = 0
		m.fields(c)
		c.sizes[at] = c.size
		inner := c.size
		c.size = outer
		c.header(n, inner)
		c.depth--
		return
	}
	size := c.sizes[c.next]
	c.next++
	c.header(n, size)
	m.fields(c)
}

// Blob is the bytes of a tensor. Size and Load give them without B, when they
// are written; Load is then called once.
type Blob struct {
	B    []byte
	Size int
	Load func() ([]byte, error)
}

// IsSet reports whether there is a blob; an empty one counts.
func (b Blob) IsSet() bool { return b.B != nil || b.Load != nil }

// blob visits a bytes field.
func blob(c *codec, n num, name string, p *Blob) {
	switch {
	case c.mode == decoding:
		if c.take(n, name, protowire.BytesType) {
			p.B = c.cur.b
			if p.B == nil {
				p.B = []byte{}
			}
		}
	case p.Load != nil:
		c.header(n, p.Size)
		if c.mode == writing && c.err == nil {
			b, err := p.Load()
			if err == nil && len(b) != p.Size {
				err = fmt.Errorf("%s has %d bytes, %d were announced", name, len(b), p.Size)
			}
			if err != nil {
				c.err = err
				return
			}
			c.emit(b)
		}
	case p.B != nil:
		c.header(n, len(p.B))
		if c.mode == writing {
			c.emit(p.B)
		}
	}
}

// Raw is fields that are kept as they came, tags included: unknown ones, and
// element lists that nobody needed so far. Each part is a run of whole fields.
type Raw [][]byte

// Len returns the number of bytes.
func (r Raw) Len() int {
	n := 0
	for _, p := range r {
		n += len(p)
	}
	return n
}

// Bytes returns the fields in one piece, without a copy where they lie so.
func (r Raw) Bytes() []byte {
	if len(r) == 1 {
		return r[0]
	}
	b := make([]byte, 0, r.Len())
	for _, p := range r {
		b = append(b, p...)
	}
	return b
}

// keep visits a field of which every occurrence stays undecoded.
func keep(c *codec, n num, p *Raw) {
	if c.mode != decoding {
		putRaw(c, *p)
	} else if c.cur.num == n && !c.cur.done {
		hold(c, p)
	}
}

// rest ends every list of fields: it keeps what no other method took.
func rest(c *codec, p *Raw) {
	if c.mode != decoding {
		putRaw(c, *p)
	} else if !c.cur.done && c.err == nil {
		hold(c, p)
	}
}

func hold(c *codec, p *Raw) {
	c.cur.done = true
	raw := c.cur.raw
	if n := len(*p); n > 0 {
		last := (*p)[n-1]
		end := uintptr(unsafe.Pointer(unsafe.SliceData(last))) + uintptr(len(last))
		if end == uintptr(unsafe.Pointer(unsafe.SliceData(raw))) {
			// Neighbours in one file: the view grows over both.
			l := len(last) + len(raw)
			(*p)[n-1] = unsafe.Slice(unsafe.SliceData(last), l)
			return
		}
	}
	if c.charge(4 * unsafe.Sizeof(raw)) {
		*p = append(*p, raw)
	}
}

func putRaw(c *codec, r Raw) {
	for _, p := range r {
		if c.mode == sizing {
			c.size += len(p)
		} else {
			c.emit(p)
		}
	}
}

// Each calls f for every element of a repeated field: with the payload of a
// packed or length-delimited occurrence, or with a number and nil.
func (r Raw) Each(f func(u uint64, b []byte) error) error {
	for _, part := range r {
		for len(part) > 0 {
			c := codec{}
			n := c.parse(part, 0)
			if c.err != nil {
				return c.err
			}
			b := c.cur.b
			if c.cur.typ == protowire.BytesType && b == nil {
				b = []byte{}
			}
			if err := f(c.cur.u, b); err != nil {
				return err
			}
			part = part[n:]
		}
	}
	return nil
}
