package ir

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var functionNames = map[atomKind]string{minimum: "min", maximum: "max", broadcast: "bcast"}

// String writes d as ParseDim reads it: N, 2*W+1, (H+1)/2, min(A,B), N%8.
// Names that are no identifiers are quoted as Go strings.
func (d Dim) String() string {
	switch {
	case d.e == nil:
		return strconv.FormatInt(d.n, 10)
	case d.n == 0:
		return d.e.text
	case d.n > 0:
		return d.e.text + "+" + strconv.FormatInt(d.n, 10)
	}
	return d.e.text + strconv.FormatInt(d.n, 10)
}

func (a *atom) format() string {
	switch a.kind {
	case symbol:
		if isPlainName(a.name) {
			return a.name
		}
		return strconv.Quote(a.name)
	case floorDiv:
		return a.args[0].grouped() + "/" + a.args[1].grouped()
	case mod:
		return a.args[0].grouped() + "%" + a.args[1].grouped()
	case opaqueAdd:
		return "((" + a.args[0].String() + ")+(" + a.args[1].String() + "))"
	case opaqueMul:
		return "((" + a.args[0].String() + ")*(" + a.args[1].String() + "))"
	}
	parts := make([]string, len(a.args))
	for i, x := range a.args {
		parts[i] = x.String()
	}
	return functionNames[a.kind] + "(" + strings.Join(parts, ",") + ")"
}

// grouped puts parentheses around whatever is more than one word.
func (d Dim) grouped() string {
	if d.e == nil && d.n >= 0 {
		return d.String()
	}
	if a := d.only(); a != nil && a.kind != floorDiv && a.kind != mod {
		return a.text
	}
	return "(" + d.String() + ")"
}

// isPlainName reports whether a symbol needs no quotes: an identifier, with
// dots inside, that is no function's name, or ? and digits, as fresh symbols
// are called.
func isPlainName(s string) bool {
	if strings.HasPrefix(s, "?") && len(s) > 1 {
		return strings.Trim(s[1:], "0123456789") == ""
	}
	for _, f := range functionNames {
		if s == f {
			return false
		}
	}
	return s != "" && scanName(s) == len(s)
}

// scanName returns the length of the identifier that s starts with.
func scanName(s string) int {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '.' && (c < '0' || c > '9')) {
			return i
		}
	}
	return len(s)
}

// ParseDim reads what String writes. It normalises, so that it reads
// (H-1)/2+1 as (H+1)/2.
func ParseDim(s string) (Dim, error) {
	d, n, err := parseDimPrefix(s)
	if err == nil && n < len(s) {
		err = fmt.Errorf("unexpected %q", s[n:min(len(s), n+20)])
	}
	if err != nil {
		return Dim{}, fmt.Errorf("dim %.40q: %w", s, err)
	}
	return d, nil
}

// parseDimPrefix reads the expression that s starts with and returns its
// length, spaces behind it included.
func parseDimPrefix(s string) (Dim, int, error) {
	p := &dimParser{s: s}
	d, err := p.sum()
	return d, p.i, err
}

type dimParser struct {
	s     string
	i     int
	depth int
}

// maxSource bounds the text of a dim, maxParens the nesting of parentheses.
const (
	maxSource = 8 * maxText
	maxParens = maxText
)

// peek returns the next byte that is no space, 0 at the end.
func (p *dimParser) peek() byte {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t') {
		p.i++
	}
	if p.i == len(p.s) {
		return 0
	}
	return p.s[p.i]
}

func (p *dimParser) accept(c byte) bool {
	if p.peek() == c {
		p.i++
		return true
	}
	return false
}

// sum reads [-]term {(+|-) term}.
func (p *dimParser) sum() (Dim, error) {
	d, err := p.product(p.accept('-'))
	for err == nil {
		var t Dim
		c := p.peek()
		if c != '+' && c != '-' {
			return d, nil
		}
		p.i++
		if t, err = p.product(c == '-'); err == nil {
			d = d.Add(t)
		}
	}
	return Dim{}, err
}

// product reads factor {(*|/|%) factor}, and negates it.
func (p *dimParser) product(negative bool) (Dim, error) {
	d, negated, err := p.factor(negative)
	for err == nil {
		c := p.peek()
		if c != '*' && c != '/' && c != '%' {
			if negative && !negated {
				d = d.Mul(Const(-1))
			}
			return d, nil
		}
		p.i++
		var f Dim
		if f, _, err = p.factor(false); err != nil {
			break
		}
		switch c {
		case '*':
			d = d.Mul(f)
		case '/':
			d = d.FloorDiv(f)
		default:
			d = d.Mod(f)
		}
	}
	return Dim{}, err
}

// factor reads a number, a name, a function or a group. The one number that
// has no positive counterpart is read with its sign.
func (p *dimParser) factor(negative bool) (d Dim, negated bool, err error) {
	c := p.peek()
	if p.i > maxSource {
		return d, false, fmt.Errorf("more than %d bytes", maxSource)
	}
	rest := p.s[p.i:]
	switch {
	case c >= '0' && c <= '9':
		n := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		u, err := strconv.ParseUint(rest[:n], 10, 64)
		p.i += n
		if err == nil && negative && u == 1<<63 {
			return Const(math.MinInt64), true, nil
		}
		if err != nil || u > math.MaxInt64 {
			return d, false, fmt.Errorf("%.40s does not fit into 64 bits", rest[:n])
		}
		return Const(int64(u)), false, nil
	case c == '"' || c == '`':
		q, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return d, false, fmt.Errorf("unclosed quote at byte %d", p.i)
		}
		p.i += len(q)
		name, err := strconv.Unquote(q)
		return Sym(name), false, err
	case c == '?':
		n := len(rest[1:]) - len(strings.TrimLeft(rest[1:], "0123456789"))
		if n == 0 {
			break
		}
		p.i += 1 + n
		return Sym(rest[:1+n]), false, nil
	case c == '(':
		p.i++
		d, err := p.nested(p.sum)
		return d, false, err
	case scanName(rest) > 0:
		name := rest[:scanName(rest)]
		p.i += len(name)
		for kind, f := range functionNames {
			if name == f && p.accept('(') {
				d, err := p.nested(func() (Dim, error) { return p.args(kind) })
				return d, false, err
			}
		}
		return Sym(name), false, nil
	}
	if c == 0 {
		return d, false, fmt.Errorf("expected a number, a name or a group at the end")
	}
	return d, false, fmt.Errorf("expected a number, a name or a group at byte %d, found %q", p.i, c)
}

// nested reads the inside of parentheses and the closing one.
func (p *dimParser) nested(inside func() (Dim, error)) (Dim, error) {
	if p.depth++; p.depth > maxParens {
		return Dim{}, fmt.Errorf("more than %d parentheses are open", maxParens)
	}
	d, err := inside()
	p.depth--
	if err == nil && !p.accept(')') {
		err = fmt.Errorf("expected ) at byte %d", p.i)
	}
	return d, err
}

// args reads the comma-separated arguments of a function.
func (p *dimParser) args(kind atomKind) (Dim, error) {
	var args []Dim
	for {
		d, err := p.sum()
		if err != nil {
			return Dim{}, err
		}
		if args = append(args, d); !p.accept(',') {
			return choose(kind, args), nil
		}
	}
}
