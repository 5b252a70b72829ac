package ir

import (
	"fmt"
	"strconv"

	"github.com/hone-ml/hone/tensor"
)

// What the values of attributes and constants look like in text.

func (p *parser) attr() any {
	switch c := p.peek(); {
	case c == '"':
		return p.quoted()
	case c == '[':
		return p.attrList()
	}
	if p.accept("ints[]") {
		return []int64{}
	}
	if p.accept("floats[]") {
		return []float32{}
	}
	if p.accept("strings[]") {
		return []string{}
	}
	switch {
	case p.accept("tensor("):
		d := p.data()
		p.expect(")")
		return d
	case p.accept("tensors("):
		ds := []*Data{}
		p.separated(")", func() { ds = append(ds, p.data()) })
		return ds
	case p.accept("type("):
		t := p.typ(0)
		p.expect(")")
		return t
	case p.accept("types("):
		ts := []Type{}
		p.separated(")", func() { ts = append(ts, p.typ(0)) })
		return ts
	}
	return p.number(p.scan(",]} \n"))
}

// number reads an int64, or a float32 where the text says so.
func (p *parser) number(s string) any {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i
	}
	f, err := parseF32(s)
	if err != nil {
		p.fail("%q is no attribute value", s)
	}
	return f
}

func (p *parser) attrList() any {
	p.expect("[")
	var ints []int64
	var floats []float32
	var strs []string
	p.separated("]", func() {
		if p.peek() == '"' {
			strs = append(strs, p.quoted())
			return
		}
		switch v := p.number(p.scan(",]")).(type) {
		case int64:
			ints = append(ints, v)
		case float32:
			floats = append(floats, v)
		}
	})
	switch {
	case strs != nil && ints == nil && floats == nil:
		return strs
	case ints != nil && floats == nil && strs == nil:
		return ints
	case floats != nil && ints == nil && strs == nil:
		return floats
	}
	p.fail("a list holds values of one kind; an empty one says which: ints[], floats[], strings[]")
	return nil
}

// data reads a constant: a static type and its elements or their digest.
func (p *parser) data() *Data {
	t := p.typ(0)
	shape, ok := t.StaticShape()
	if !ok || t.Kind != KindTensor || t.DType == tensor.Undefined || t.Layout != Plain {
		p.fail("a constant needs a static tensor type, found %s", t)
	}
	n, err := tensor.NumElements(shape)
	if err != nil {
		p.fail("%v", err)
	}
	if p.accept("#") {
		return p.remote(t.DType, shape, n)
	}
	p.expect("[")
	if n > len(p.src)-p.pos { // an element takes a byte of text at least
		p.fail("%s has more elements than the text", t)
	}
	v := tensor.New(t.DType, shape...)
	i := 0
	p.separated("]", func() {
		if i >= n {
			p.fail("%s has %d elements, more are given", t, n)
		}
		var s string
		if t.DType == tensor.String {
			s = p.quoted()
		} else {
			s = p.scan(",]")
		}
		if err := parseElem(v, i, s); err != nil {
			p.fail("element %d: %v", i, err)
		}
		i++
	})
	if i < n {
		p.fail("%s has %d elements, %d are given", t, n, i)
	}
	return NewData(v)
}

// remote reads the rest of a constant whose bytes lie elsewhere.
func (p *parser) remote(d tensor.DType, shape []int, n int) *Data {
	digest := p.word()
	p.expect("{")
	p.expect("head")
	p.expect("=")
	p.space()
	start := p.pos
	p.expect("[")
	p.scan("]")
	p.expect("]")
	head := p.src[start:p.pos]
	p.expect("}")
	load := func() (*tensor.Tensor, error) {
		return nil, fmt.Errorf("the bytes of constant #%s are not at hand", digest)
	}
	if p.opt.Data != nil {
		if b, ok := p.opt.Data(digest); ok {
			load = func() (*tensor.Tensor, error) {
				c, err := DataFromWire(d, shape, b)
				if err != nil {
					return nil, fmt.Errorf("constant #%s: %w", digest, err)
				}
				return c.Tensor()
			}
		}
	}
	c := LazyData(d, shape, load)
	c.digest, c.head = digest, head
	return c
}
