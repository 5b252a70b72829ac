package ir

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// PrintOptions adjust the text form.
type PrintOptions struct {
	// Inline is the most elements of a constant that are written out; longer
	// ones print as a digest, and their bytes belong in a side file (see
	// WriteData). 0 means 16, a negative number means no bound.
	Inline int
	// NoLoc leaves out locations and origins.
	NoLoc bool
}

const defaultInline = 16

// Print returns the text form of m. Equal modules print equal, and parsing
// the text gives a module that prints the same.
func Print(m *Module) (string, error) {
	var b strings.Builder
	err := Fprint(&b, m, PrintOptions{})
	return b.String(), err
}

// Fprint writes the text form of m to w.
func Fprint(w io.Writer, m *Module, opt PrintOptions) error {
	if opt.Inline == 0 {
		opt.Inline = defaultInline
	}
	p := &printer{w: bufio.NewWriter(w), opt: opt}
	p.module(m)
	if p.err != nil {
		return p.err
	}
	return p.w.Flush()
}

// FormatOp returns the text of one op on one line, without its regions'
// bodies; values have the numbers that they have in the whole text.
func FormatOp(op *Op) string {
	var b strings.Builder
	p := &printer{w: bufio.NewWriter(&b), opt: PrintOptions{Inline: 8}}
	if op.block != nil && op.block.Func() != nil {
		p.number(op.block.Func())
	}
	p.head(op)
	p.w.Flush()
	return b.String()
}

type printer struct {
	w     *bufio.Writer
	opt   PrintOptions
	names map[*Value]string
	next  int
	err   error
}

func (p *printer) f(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

// commas writes elements with commas between them.
func commas[T any](p *printer, list []T, elem func(i int, v T)) {
	for i, v := range list {
		if i > 0 {
			p.f(", ")
		}
		elem(i, v)
	}
}

func (p *printer) module(m *Module) {
	s := &m.Source
	p.f("module @%s opset=%d", nameText(m.Name), m.Opset)
	if m.Level != Core {
		p.f(" level=%s", m.Level)
	}
	for _, kv := range []struct {
		key   string
		value string
	}{{"producer", s.Producer}, {"producer_version", s.ProducerVersion}, {"domain", s.Domain}, {"doc", s.Doc}, {"unknown", base64.StdEncoding.EncodeToString(s.Unknown)}} {
		if kv.value != "" {
			p.f(" %s=%q", kv.key, kv.value)
		}
	}
	for _, kv := range []struct {
		key   string
		value int64
	}{{"ir_version", s.IRVersion}, {"model_version", s.ModelVersion}} {
		if kv.value != 0 {
			p.f(" %s=%d", kv.key, kv.value)
		}
	}
	p.f("\n")
	for _, o := range s.Opsets {
		p.f("import %q %d\n", o.Domain, o.Version)
	}
	for _, kv := range m.Meta {
		p.f("meta %q %q\n", kv.Key, kv.Value)
	}
	for _, f := range m.Funcs {
		p.fn(f)
	}
}

func (p *printer) fn(f *Func) {
	p.number(f)
	p.f("func @%s(", nameText(f.Name))
	commas(p, f.Body.Args, func(_ int, a *Value) { p.arg(a) })
	p.f(") -> (")
	commas(p, f.Results(), func(i int, v *Value) {
		t := Type{}
		if v != nil {
			t = v.Type
		}
		name := ""
		if i < len(f.Outputs) {
			name = f.Outputs[i]
		}
		p.f("%s: %s", nameText(name), t)
	})
	p.f(") {\n")
	p.block(f.Body, "  ")
	p.f("}\n")
}

// number names every value of the function in program order.
func (p *printer) number(f *Func) {
	p.names, p.next = map[*Value]string{}, 0
	for _, a := range f.Body.Args {
		p.names[a] = "%" + nameText(a.Name)
	}
	p.numberBlock(f.Body)
}

func (p *printer) numberBlock(b *Block) {
	for op := range b.Ops() {
		if len(op.results) > 0 {
			id := "%" + strconv.Itoa(p.next)
			p.next++
			for i, r := range op.results {
				if len(op.results) > 1 {
					p.names[r] = id + "#" + strconv.Itoa(i)
				} else {
					p.names[r] = id
				}
			}
		}
		for _, r := range op.Regions {
			for _, a := range r.Args {
				p.names[a] = "%" + strconv.Itoa(p.next)
				p.next++
			}
			p.numberBlock(r)
		}
	}
}

func (p *printer) name(v *Value) string {
	if v == nil {
		return "_"
	}
	if n, ok := p.names[v]; ok {
		return n
	}
	return "%?" // a value from elsewhere: the verifier says so
}

func (p *printer) arg(a *Value) {
	p.f("%s: %s", p.name(a), a.Type)
	if a.Origin.Name != "" && a.Origin != (Origin{Name: a.Name}) && !p.opt.NoLoc {
		p.f(" origin(%s)", a.Origin)
	}
}

// String writes the origin as text does: "conv1", scaled "conv1".
func (o Origin) String() string {
	if o.Relation == Exact {
		return strconv.Quote(o.Name)
	}
	return string(o.Relation) + " " + strconv.Quote(o.Name)
}

func (p *printer) block(b *Block, indent string) {
	for op := range b.Ops() {
		p.f("%s", indent)
		p.head(op)
		for _, r := range op.Regions {
			p.f(" %s ", nameText(r.Name))
			if len(r.Args) > 0 {
				p.f("(")
				commas(p, r.Args, func(_ int, a *Value) { p.arg(a) })
				p.f(") ")
			}
			p.f("{\n")
			p.block(r, indent+"  ")
			p.f("%s}", indent)
		}
		p.f("\n")
	}
}

// head writes an op up to its regions.
func (p *printer) head(op *Op) {
	if n := len(op.results); n > 0 {
		id, _, _ := strings.Cut(p.name(op.results[0]), "#")
		if n > 1 {
			p.f("%s:%d = ", id, n)
		} else {
			p.f("%s = ", id)
		}
	}
	d, isConst := op.Attrs.Get("value").(*Data)
	if isConst = isConst && op.Name == ConstantName && len(op.Attrs) == 1 && len(op.results) == 1 && len(op.operands) == 0; isConst {
		p.f("const ")
		p.data(d)
	} else {
		p.call(op)
	}
	if p.opt.NoLoc {
		return
	}
	if len(op.Loc) > 0 {
		p.f(" loc(")
		commas(p, op.Loc, func(_ int, l string) { p.f("%q", l) })
		p.f(")")
	}
	p.origins(op)
}

func (p *printer) origins(op *Op) {
	last := -1
	for i, r := range op.results {
		if r.Origin.Name != "" {
			last = i
		}
	}
	if last < 0 {
		return
	}
	p.f(" origin(")
	commas(p, op.results[:last+1], func(_ int, r *Value) {
		if r.Origin.Name == "" {
			p.f("_")
		} else {
			p.f("%s", r.Origin)
		}
	})
	p.f(")")
}

func (p *printer) call(op *Op) {
	if op.Name == YieldName && op.block != nil && op.block.parent == nil {
		p.f("return")
	} else {
		p.f("%s", nameText(op.Name))
	}
	p.f("(")
	commas(p, op.operands, func(_ int, o operand) { p.f("%s", p.name(o.v)) })
	p.f(")")
	if len(op.Attrs) > 0 {
		p.f(" {")
		commas(p, op.Attrs, func(_ int, a Attr) {
			p.f("%s=", nameText(a.Name))
			p.attr(a.Value)
		})
		p.f("}")
	}
	if len(op.results) > 0 {
		p.f(" : ")
		commas(p, op.results, func(_ int, r *Value) { p.f("%s", r.Type) })
	}
}

func (p *printer) attr(v any) {
	switch v := v.(type) {
	case int64:
		p.f("%d", v)
	case float32:
		p.f("%s", formatF32(v))
	case string:
		p.f("%q", v)
	case []int64:
		list(p, "ints", v, func(x int64) { p.f("%d", x) })
	case []float32:
		list(p, "floats", v, func(x float32) { p.f("%s", formatF32(x)) })
	case []string:
		list(p, "strings", v, func(x string) { p.f("%q", x) })
	case *Data:
		p.f("tensor(")
		p.data(v)
		p.f(")")
	case []*Data:
		p.f("tensors(")
		commas(p, v, func(_ int, d *Data) { p.data(d) })
		p.f(")")
	case Type:
		p.f("type(%s)", v)
	case []Type:
		p.f("types(")
		commas(p, v, func(_ int, t Type) { p.f("%s", t) })
		p.f(")")
	default:
		p.err = fmt.Errorf("attribute of type %T has no text form", v)
	}
}

// list writes elements in brackets; an empty list says what it is a list of.
func list[T any](p *printer, kind string, vs []T, elem func(T)) {
	if len(vs) == 0 {
		p.f("%s", kind)
	}
	p.f("[")
	commas(p, vs, func(_ int, v T) { elem(v) })
	p.f("]")
}

func (p *printer) data(d *Data) {
	p.f("%s ", d.Type())
	if p.opt.Inline < 0 || d.Len() <= p.opt.Inline {
		if t, err := d.Tensor(); err == nil {
			p.f("%s", formatElems(t, t.Len()))
			return
		} // the bytes may be elsewhere, and the digest here
	}
	digest, err := d.Digest()
	if err == nil {
		var head string
		head, err = d.firstElems()
		p.f("#%s {head=%s}", digest, head)
	}
	if err != nil {
		p.err = err
	}
}

// nameText writes a name as it is where it is a plain word, else quoted.
func nameText(s string) string {
	for i := range len(s) {
		if c := s[i]; !isWord(c) || i == 0 && (c >= '0' && c <= '9' || c == '.' || c == '-') {
			return strconv.Quote(s)
		}
	}
	if s == "" || s == "_" {
		return strconv.Quote(s)
	}
	return s
}

func isWord(c byte) bool {
	return c == '_' || c == '.' || c == '-' || c == '/' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// FormatAttr returns the text of an attribute's value; constants print as
// digest where they are long. Equal values have equal text.
func FormatAttr(v any) (string, error) {
	var b strings.Builder
	p := &printer{w: bufio.NewWriterSize(&b, 128), opt: PrintOptions{Inline: 16}} // most are short
	p.attr(v)
	p.w.Flush()
	return b.String(), p.err
}
