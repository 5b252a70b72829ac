package ir

import (
	"encoding/base64"
	"slices"
	"strconv"
)

// ParseOptions adjust parsing.
type ParseOptions struct {
	// Data finds the bytes of a constant by its digest. Where it is nil or
	// finds nothing, the module can be printed and inspected, and reading the
	// constant is an error.
	Data func(digest string) ([]byte, bool)
}

// Parse reads the text form of a module. Errors begin with line:column.
func Parse(src string, opt ParseOptions) (*Module, error) {
	var m *Module
	p := &parser{lexer: lexer{src: src}, opt: opt}
	if err := p.catch(func() { m = p.module() }); err != nil {
		return nil, err
	}
	if err := Verify(m); err != nil {
		return nil, err
	}
	return m, nil
}

// ParseType reads a type: f32[N,3], seq(f32[*]).
func ParseType(src string) (t Type, err error) {
	l := &lexer{src: src}
	err = l.catch(func() {
		if t = l.typ(0); l.peek() != 0 {
			l.fail("unexpected %s", l.found())
		}
	})
	return t, err
}

type parser struct {
	lexer
	opt    ParseOptions
	m      *Module
	values map[string]*Value
	depth  int
}

const maxRegionDepth = 64

func (p *parser) module() *Module {
	p.expect("module")
	p.expect("@")
	p.m = &Module{Name: p.symbol()}
	p.expect("opset")
	p.expect("=")
	p.m.Opset = int(p.int(32))
	for p.peek() != 0 && !p.atKeyword("func", "import", "meta") {
		p.moduleField(p.word())
	}
	for p.keyword("import") {
		p.m.Source.Opsets = append(p.m.Source.Opsets, Opset{p.quoted(), p.int(64)})
	}
	for p.keyword("meta") {
		p.m.Meta = append(p.m.Meta, KeyValue{p.quoted(), p.quoted()})
	}
	for p.keyword("func") {
		p.fn()
	}
	if p.peek() != 0 {
		p.fail("expected a function, found %s", p.found())
	}
	if len(p.m.Funcs) == 0 {
		p.fail("the module has no function")
	}
	p.m.fresh = p.fresh
	return p.m
}

func (p *parser) atKeyword(words ...string) bool {
	start := p.pos
	for _, w := range words {
		if p.keyword(w) {
			p.pos = start
			return true
		}
	}
	return false
}

func (p *parser) moduleField(key string) {
	p.expect("=")
	s := &p.m.Source
	switch key {
	case "level":
		w := p.word()
		i := slices.Index(levelNames, w)
		if i < 0 {
			p.fail("there is no level %q", w)
		}
		p.m.Level = Level(i)
	case "producer":
		s.Producer = p.quoted()
	case "producer_version":
		s.ProducerVersion = p.quoted()
	case "domain":
		s.Domain = p.quoted()
	case "doc":
		s.Doc = p.quoted()
	case "unknown":
		b, err := base64.StdEncoding.DecodeString(p.quoted())
		if err != nil {
			p.fail("%v", err)
		}
		s.Unknown = b
	case "ir_version":
		s.IRVersion = p.int(64)
	case "model_version":
		s.ModelVersion = p.int(64)
	default:
		p.fail("a module has no field %q", key)
	}
}

func (p *parser) fn() {
	p.expect("@")
	f := &Func{Name: p.symbol(), module: p.m}
	f.Body = &Block{fn: f}
	p.m.Funcs = append(p.m.Funcs, f)
	p.values = map[string]*Value{}
	p.expect("(")
	p.separated(")", func() { p.arg(f.Body, true) })
	p.expect("->")
	p.expect("(")
	p.separated(")", func() {
		f.Outputs = append(f.Outputs, p.symbol())
		p.expect(":")
		p.typ(0) // the types of the values that are returned say it again
	})
	p.expect("{")
	p.block(f.Body)
	if n := len(f.Results()); n != len(f.Outputs) {
		p.fail("@%s has %d outputs and returns %d values", f.Name, len(f.Outputs), n)
	}
}

// valueName reads %name, %"name" or %12 and returns it with the sign, so that
// the quoted and the plain form of a word are the same and a number never
// equals a quoted one.
func (p *parser) valueName() (key, name string) {
	p.expect("%")
	if p.peek() == '"' {
		name = p.quoted()
		return "%" + nameText(name), name
	}
	w := p.word()
	return "%" + w, w
}

func (p *parser) define(key string, v *Value) {
	if p.values[key] != nil {
		p.fail("%s is defined twice", key)
	}
	p.values[key] = v
}

func (p *parser) arg(b *Block, named bool) {
	key, name := p.valueName()
	p.expect(":")
	v := b.AddArg("", p.typ(0))
	if named {
		v.Name, v.Origin = name, Origin{Name: name}
	}
	if p.keyword("origin") {
		p.expect("(")
		v.Origin = p.origin()
		p.expect(")")
	}
	p.define(key, v)
}

func (p *parser) origin() Origin {
	var o Origin
	if p.peek() != '"' {
		w := p.word()
		switch o.Relation = Relation(w); o.Relation {
		case Scaled, Permuted:
		default:
			p.fail("there is no relation %q", w)
		}
	}
	o.Name = p.quoted()
	return o
}

// block reads ops up to the closing brace.
func (p *parser) block(b *Block) {
	if p.depth++; p.depth > maxRegionDepth {
		p.fail("regions are nested too deep")
	}
	for !p.accept("}") {
		if p.peek() == 0 {
			p.fail("expected an op or }, found the end")
		}
		p.op(b)
	}
	p.depth--
}

func (p *parser) op(b *Block) {
	key, n := "", 0
	if p.peek() == '%' {
		key, _ = p.valueName()
		n = 1
		if p.accept(":") {
			if n = int(p.int(32)); n < 2 || n > 1<<16 {
				p.fail("an op can not have %d results", n)
			}
		}
		p.expect("=")
	}
	var op *Op
	if p.keyword("const") {
		if n != 1 {
			p.fail("a constant has one result")
		}
		op = AtEnd(b).Constant(p.data()).def
	} else {
		op = p.call(b, n)
	}
	for {
		if p.keyword("loc") {
			p.expect("(")
			p.separated(")", func() { op.Loc = append(op.Loc, p.quoted()) })
		} else if p.keyword("origin") {
			p.expect("(")
			i := 0
			p.separated(")", func() {
				if i >= n {
					p.fail("more origins than results")
				}
				if !p.keyword("_") {
					op.results[i].Origin = p.origin()
				}
				i++
			})
		} else {
			break
		}
	}
	for p.atRegion() {
		r := op.AddRegion(p.symbol())
		if p.accept("(") {
			p.separated(")", func() { p.arg(r, false) })
		}
		p.expect("{")
		p.block(r)
	}
	for i, r := range op.results {
		if n == 1 {
			p.define(key, r)
		} else {
			p.define(key+"#"+strconv.Itoa(i), r)
		}
	}
}

// atRegion looks ahead: a region is name { or name (%x: type.
func (p *parser) atRegion() bool {
	start := p.pos
	defer func() { p.pos = start }()
	c := p.peek()
	if c != '"' && !isWord(c) {
		return false
	}
	p.symbol()
	if p.accept("{") {
		return true
	}
	if !p.accept("(") || p.peek() != '%' {
		return false
	}
	p.valueName()
	return p.accept(":")
}

func (p *parser) call(b *Block, n int) *Op {
	name := p.symbol()
	if name == "return" {
		name = YieldName
	}
	var operands []*Value
	p.expect("(")
	p.separated(")", func() {
		if p.keyword("_") {
			operands = append(operands, nil)
			return
		}
		key, _ := p.valueName()
		if p.accept("#") {
			key += "#" + p.word()
		}
		v := p.values[key]
		if v == nil {
			p.fail("%s is not defined here", key)
		}
		operands = append(operands, v)
	})
	op := AtEnd(b).Op(name, operands, nil)
	if p.accept("{") {
		p.separated("}", func() {
			a := p.symbol()
			p.expect("=")
			if op.Attrs.Has(a) {
				p.fail("attribute %q is given twice", a)
			}
			op.Attrs.Set(a, p.attr())
		})
	}
	for i := range n {
		if i == 0 {
			p.expect(":")
		} else {
			p.expect(",")
		}
		op.AddResult(p.typ(0))
	}
	return op
}
