package ir

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// lexer reads IR text from left to right. Its methods stop at the first
// error by panicking with a syntaxError, which catch turns into an error.
type lexer struct {
	src   string
	pos   int
	fresh int // the largest number of a fresh symbol in a type
}

type syntaxError struct{ error }

func (l *lexer) fail(format string, args ...any) {
	line := 1 + strings.Count(l.src[:l.pos], "\n")
	col := l.pos - strings.LastIndexByte(l.src[:l.pos], '\n')
	panic(syntaxError{fmt.Errorf("%d:%d: %s", line, col, fmt.Sprintf(format, args...))})
}

// catch returns the error at which f stopped.
func (l *lexer) catch(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case syntaxError:
			err = r.error
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

// space skips white space and comments.
func (l *lexer) space() {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			l.pos++
		case strings.HasPrefix(l.src[l.pos:], "//"):
			if i := strings.IndexByte(l.src[l.pos:], '\n'); i >= 0 {
				l.pos += i
			} else {
				l.pos = len(l.src)
			}
		default:
			return
		}
	}
}

// peek returns the next byte behind white space, 0 at the end.
func (l *lexer) peek() byte {
	l.space()
	if l.pos == len(l.src) {
		return 0
	}
	return l.src[l.pos]
}

// accept skips s if it is next.
func (l *lexer) accept(s string) bool {
	l.space()
	if strings.HasPrefix(l.src[l.pos:], s) {
		l.pos += len(s)
		return true
	}
	return false
}

func (l *lexer) expect(s string) {
	if !l.accept(s) {
		l.fail("expected %q, found %s", s, l.found())
	}
}

func (l *lexer) found() string {
	l.space()
	rest := l.src[l.pos:]
	if rest == "" {
		return "the end"
	}
	if i := strings.IndexAny(rest, "\n "); i > 0 {
		rest = rest[:i]
	}
	return strconv.Quote(rest[:min(len(rest), 20)])
}

// word reads letters, digits and _.-/.
func (l *lexer) word() string {
	l.space()
	start := l.pos
	for l.pos < len(l.src) && isWord(l.src[l.pos]) {
		l.pos++
	}
	if l.pos == start {
		l.fail("expected a name, found %s", l.found())
	}
	return l.src[start:l.pos]
}

// keyword skips the word if it is next, as a whole.
func (l *lexer) keyword(s string) bool {
	l.space()
	end := l.pos + len(s)
	if !strings.HasPrefix(l.src[l.pos:], s) || end < len(l.src) && isWord(l.src[end]) {
		return false
	}
	l.pos = end
	return true
}

// quoted reads a string in double quotes.
func (l *lexer) quoted() string {
	l.space()
	q, err := strconv.QuotedPrefix(l.src[l.pos:])
	if err != nil || q[0] != '"' {
		l.fail("expected a quoted string, found %s", l.found())
	}
	l.pos += len(q)
	s, err := strconv.Unquote(q)
	if err != nil {
		l.fail("%v", err)
	}
	return s
}

// symbol reads a plain or quoted name.
func (l *lexer) symbol() string {
	if l.peek() == '"' {
		return l.quoted()
	}
	return l.word()
}

// scan reads up to a byte of stops outside of quotes, parentheses and
// brackets.
func (l *lexer) scan(stops string) string {
	l.space()
	start, depth := l.pos, 0
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch {
		case depth == 0 && strings.IndexByte(stops, c) >= 0:
			return strings.TrimSpace(l.src[start:l.pos])
		case c == '"':
			l.quoted()
			continue
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		}
		l.pos++
	}
	l.fail("expected one of %q, found the end", stops)
	return ""
}

func (l *lexer) int(bits int) int64 {
	w := l.word()
	n, err := strconv.ParseInt(w, 10, bits)
	if err != nil {
		l.fail("%q is no integer of %d bits", w, bits)
	}
	return n
}

// separated calls item for each element of a comma-separated list up to end.
func (l *lexer) separated(end string, item func()) {
	if l.accept(end) {
		return
	}
	for {
		item()
		if l.accept(end) {
			return
		}
		l.expect(",")
	}
}

const maxTypeDepth = 16

func (l *lexer) typ(depth int) Type {
	if depth > maxTypeDepth {
		l.fail("type is nested too deep")
	}
	w := l.word()
	switch w {
	case "seq", "optional":
		l.expect("(")
		e := l.typ(depth + 1)
		l.expect(")")
		if w == "seq" {
			return SequenceOf(e)
		}
		return OptionalOf(e)
	case "map":
		l.expect("(")
		k := l.dtype(l.word())
		l.expect(",")
		v := l.typ(depth + 1)
		l.expect(")")
		return MapOf(k, v)
	}
	t := Unranked(l.dtype(w))
	l.expect("[")
	if l.accept("*]") {
		return t
	}
	t.Ranked = true
	l.separated("]", func() {
		d, err := ParseDim(l.scan(",]"))
		if err != nil {
			l.fail("%v", err)
		}
		l.noteFresh(d)
		t.Dims = append(t.Dims, d)
	})
	if l.accept("{") {
		t.Layout = Layout(l.word())
		if t.Layout != C16 {
			l.fail("there is no layout %q", t.Layout)
		}
		l.expect("}")
	}
	return t
}

// noteFresh keeps later fresh symbols apart from those of the text.
func (l *lexer) noteFresh(d Dim) {
	if _, ok := d.Int(); ok {
		return
	}
	for _, s := range d.Symbols() {
		if h, ok := strings.CutPrefix(s, "?"); ok {
			if n, err := strconv.Atoi(h); err == nil && n < 1<<40 {
				l.fresh = max(l.fresh, n)
			}
		}
	}
}

func (l *lexer) dtype(w string) tensor.DType {
	if w == tensor.Undefined.String() {
		return tensor.Undefined
	}
	d, ok := tensor.ParseDType(w)
	if !ok {
		l.pos -= len(w)
		l.fail("there is no element type %q", w)
	}
	return d
}
