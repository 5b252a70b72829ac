// Package npy reads and writes NumPy's .npy files as tensors. The format is
// described in
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
//
// Files may come from anywhere: every size is checked against the bytes that
// are really there before memory is taken for it. Pickled objects and
// structured arrays are refused. The package knows nothing of models.
package npy

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

const (
	magic = "\x93NUMPY"
	// maxHeader is far above any header numpy writes (it reads 10,000 bytes).
	maxHeader = 1 << 16
	// maxRank is numpy's own.
	maxRank = 64
)

// header is what the text at the head of a file says.
type header struct {
	descr   string
	fortran bool
	shape   []int
}

// element is how one array element lies in the file.
type element struct {
	dtype tensor.DType
	kind  byte // numpy's letter
	size  int  // bytes
	swap  int  // width of the units to byte-swap; 0 for none
}

// numbers maps numpy's kind and size to element types.
var numbers = map[string]tensor.DType{
	"b1": tensor.Bool,
	"f2": tensor.Float16, "f4": tensor.Float32, "f8": tensor.Float64,
	"i1": tensor.Int8, "i2": tensor.Int16, "i4": tensor.Int32, "i8": tensor.Int64,
	"u1": tensor.Uint8, "u2": tensor.Uint16, "u4": tensor.Uint32, "u8": tensor.Uint64,
	"c8": tensor.Complex64, "c16": tensor.Complex128,
}

// parseDescr reads a type such as <f4, |b1 or >U12.
func parseDescr(s string) (element, error) {
	bad := func(why string) (element, error) {
		return element{}, fmt.Errorf("element type %.40q %s", s, why)
	}
	if len(s) < 2 || !strings.ContainsRune("<>|=", rune(s[0])) {
		return bad("is not one of numpy's")
	}
	e := element{kind: s[1]}
	if e.kind == 'O' {
		return bad("holds Python objects, which hone does not unpickle: save a plain array")
	}
	n, err := strconv.Atoi(s[2:])
	if err != nil || n < 0 {
		return bad("has no valid size")
	}
	big := s[0] == '>'
	switch e.kind {
	case 'U':
		if n > math.MaxInt32 {
			return bad("is too large")
		}
		e.dtype, e.size = tensor.String, 4*n
	case 'S', 'a':
		e.dtype, e.size = tensor.String, n
	case 'V':
		return bad("is raw bytes (numpy writes bfloat16 and float8 so): save it as float32")
	default:
		d, ok := numbers[s[1:]]
		if !ok {
			return bad("has no counterpart here")
		}
		e.dtype, e.size = d, d.Size()
		if big {
			e.swap = e.size
			if d.IsComplex() {
				e.swap /= 2
			}
		}
	}
	if e.kind == 'U' && big {
		e.swap = 4
	}
	return e, nil
}

// parser reads the Python literal that a header is.
type parser struct {
	s   string
	pos int
}

func (p *parser) space() {
	for p.pos < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.pos]) >= 0 {
		p.pos++
	}
}

// eat skips the token if it comes next.
func (p *parser) eat(tok string) bool {
	p.space()
	if strings.HasPrefix(p.s[p.pos:], tok) {
		p.pos += len(tok)
		return true
	}
	return false
}

func (p *parser) fail(want string) error {
	return fmt.Errorf("header column %d: want %s", p.pos+1, want)
}

func (p *parser) str() (string, error) {
	p.space()
	if p.pos < len(p.s) && (p.s[p.pos] == '\'' || p.s[p.pos] == '"') {
		rest := p.s[p.pos+1:]
		if n := strings.IndexByte(rest, p.s[p.pos]); n >= 0 && !strings.Contains(rest[:n], `\`) {
			p.pos += n + 2
			return rest[:n], nil
		}
	}
	return "", p.fail("a quoted string")
}

func (p *parser) shape() ([]int, error) {
	if !p.eat("(") {
		return nil, p.fail("a tuple of sizes")
	}
	shape := []int{}
	for !p.eat(")") {
		p.space()
		start := p.pos
		for p.pos < len(p.s) && p.s[p.pos] >= '0' && p.s[p.pos] <= '9' {
			p.pos++
		}
		d, err := strconv.Atoi(p.s[start:p.pos])
		if err != nil {
			return nil, p.fail("a size")
		}
		p.eat("L") // Python 2 wrote long integers so
		if shape = append(shape, d); len(shape) > maxRank {
			return nil, fmt.Errorf("more than %d dims", maxRank)
		}
		if !p.eat(",") {
			if p.eat(")") {
				break
			}
			return nil, p.fail("a comma or a closing parenthesis")
		}
	}
	return shape, nil
}

// parseHeader reads {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }.
func parseHeader(s string) (h header, err error) {
	p := &parser{s: s}
	if !p.eat("{") {
		return h, p.fail("a dictionary")
	}
	seen := map[string]bool{}
	for !p.eat("}") {
		key, err := p.str()
		if err != nil {
			return h, err
		}
		if seen[key] || !p.eat(":") {
			return h, p.fail("each key once, and its value")
		}
		seen[key] = true
		switch key {
		case "descr":
			if p.eat("[") {
				return h, errors.New("structured arrays are not supported: save each field as an array")
			}
			h.descr, err = p.str()
		case "fortran_order":
			switch {
			case p.eat("True"):
				h.fortran = true
			case !p.eat("False"):
				err = p.fail("True or False")
			}
		case "shape":
			h.shape, err = p.shape()
		default:
			err = fmt.Errorf("unknown header key %.40q", key)
		}
		if err != nil {
			return h, err
		}
		if !p.eat(",") {
			if p.eat("}") {
				break
			}
			return h, p.fail("a comma or a closing brace")
		}
	}
	if p.space(); p.pos != len(s) {
		return h, p.fail("nothing after the dictionary")
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			return h, fmt.Errorf("header has no %q", key)
		}
	}
	return h, nil
}

// String writes the header as numpy does.
func (h header) String() string {
	order := "False"
	if h.fortran {
		order = "True"
	}
	dims := make([]string, len(h.shape))
	for i, d := range h.shape {
		dims[i] = strconv.Itoa(d)
	}
	tuple := strings.Join(dims, ", ")
	if len(dims) == 1 {
		tuple += ","
	}
	return fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }", h.descr, order, tuple)
}
