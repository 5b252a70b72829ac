package rewrite

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/internal/nearest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// Rule is one rewrite.
type Rule struct {
	Name     string
	Doc      string
	Pos      string // file:line
	Source   string // its clauses, a line each
	Match    []*expr
	Where    []pred
	Let      []binding
	Emit     *expr
	Examples []example
	Except   []*expr
}

type exprKind uint8

const (
	exprHole exprKind = iota
	exprRest          // name...
	exprNumber
	exprList
	exprOp
)

// expr is a pattern or a replacement.
type expr struct {
	kind     exprKind
	name     string // of a hole, or that an op's result is bound to
	want     string // const, scalar or ""
	optional bool
	number   float64
	list     []int64
	op       string
	args     []*expr
	attrs    []attrExpr
	rest     string // the name that *rest binds
	pos      string // line:column
}

// attrExpr is name=value or name=$variable.
type attrExpr struct {
	name     string
	variable string
	value    any
}

// example gives the holes of a pattern types or constant values, and its
// variables values.
type example struct {
	types  map[string]ir.Type
	consts map[string]any // a number or a list of integers
	vars   map[string]any
}

type binding struct {
	name string
	expr *expr
}

// pred is a condition.
type pred struct {
	name string
	args []predArg
	pos  string
}

// predArg is a hole, a $variable, a number or a list.
type predArg struct {
	hole, variable string
	value          any
}

// Parse reads the rules of a file. Errors begin with file:line:column.
func Parse(file, text string) ([]*Rule, error) {
	var rules []*Rule
	names := map[string]bool{}
	for _, c := range clauses(text) {
		where := fmt.Sprintf("%s:%d", file, c.line)
		if c.word == "rule" {
			r := &Rule{Name: strings.TrimSpace(c.text), Pos: where}
			if r.Name == "" || strings.ContainsAny(r.Name, " \t,{}()=") {
				return nil, fmt.Errorf("%s: %q is no name for a rule", where, r.Name)
			}
			if names[r.Name] {
				return nil, fmt.Errorf("%s: there are two rules %s", where, r.Name)
			}
			names[r.Name] = true
			r.Source = c.source()
			rules = append(rules, r)
			continue
		}
		if len(rules) == 0 {
			return nil, fmt.Errorf("%s: expected rule NAME, found %q", where, c.word)
		}
		r := rules[len(rules)-1]
		if err := r.clause(file, c); err != nil {
			return nil, err
		}
		r.Source += c.source()
	}
	for _, r := range rules {
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// clause is a keyword and the text behind it, continuation lines joined.
type clause struct {
	word, text string
	line, col  int
}

// source writes a clause as it is best read.
func (c clause) source() string {
	return fmt.Sprintf("%-7s %s\n", c.word, strings.Join(strings.Fields(c.text), " "))
}

func clauses(text string) []clause {
	var list []clause
	for i, line := range strings.Split(text, "\n") {
		if h := hashOutsideQuotes(line); h >= 0 {
			line = line[:h]
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if (line[0] == ' ' || line[0] == '\t') && len(list) > 0 {
			list[len(list)-1].text += "\n" + line
			continue
		}
		word, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		list = append(list, clause{word, rest, i + 1, len(word) + 2})
	}
	return list
}

func hashOutsideQuotes(s string) int {
	quoted := false
	for i := range len(s) {
		switch s[i] {
		case '"':
			quoted = !quoted
		case '#':
			if !quoted {
				return i
			}
		}
	}
	return -1
}

func (r *Rule) clause(file string, c clause) (err error) {
	p := &ruleParser{file: file, text: c.text, line: c.line, col: c.col}
	defer func() {
		if e, ok := recover().(ruleError); ok {
			err = e.error
		} else if e := recover(); e != nil {
			panic(e)
		}
	}()
	switch c.word {
	case "doc":
		r.Doc = strings.Join(strings.Fields(c.text), " ")
		return nil
	case "match":
		r.Match = append(r.Match, p.expr(0))
	case "except":
		r.Except = append(r.Except, p.expr(0))
	case "emit":
		if r.Emit != nil {
			p.fail("a rule has one emit")
		}
		r.Emit = p.expr(0)
	case "let":
		name := p.word()
		p.expect("=")
		r.Let = append(r.Let, binding{name, p.expr(0)})
	case "where":
		r.Where = append(r.Where, p.preds()...)
	case "example":
		r.Examples = append(r.Examples, p.example())
	default:
		p.fail("there is no clause %q: expected doc, match, where, let, emit, example or except", c.word)
	}
	p.space()
	if p.pos < len(p.text) {
		p.fail("unexpected %q", p.text[p.pos:])
	}
	return nil
}

type ruleError struct{ error }

type ruleParser struct {
	file      string
	text      string
	pos       int
	line, col int
}

func (p *ruleParser) where() string {
	before := p.text[:p.pos]
	line := p.line + strings.Count(before, "\n")
	col := p.pos + p.col
	if i := strings.LastIndexByte(before, '\n'); i >= 0 {
		col = p.pos - i
	}
	return fmt.Sprintf("%s:%d:%d", p.file, line, col)
}

func (p *ruleParser) fail(format string, args ...any) { failAt(p.where(), format, args...) }

func failAt(where, format string, args ...any) {
	panic(ruleError{fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...))})
}

func (p *ruleParser) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\n\r", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *ruleParser) accept(s string) bool {
	p.space()
	if strings.HasPrefix(p.text[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *ruleParser) expect(s string) {
	if !p.accept(s) {
		p.fail("expected %q", s)
	}
}

func (p *ruleParser) peek() byte {
	p.space()
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *ruleParser) word() string {
	p.space()
	start := p.pos
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		if c == '_' || c == '-' && p.pos > start || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
			c == '.' && !strings.HasPrefix(p.text[p.pos:], "...") {
			p.pos++
			continue
		}
		break
	}
	if p.pos == start {
		p.fail("expected a name")
	}
	return p.text[start:p.pos]
}

func (p *ruleParser) number() float64 {
	p.space()
	start := p.pos
	for p.pos < len(p.text) && strings.IndexByte("+-.0123456789einfa", p.text[p.pos]) >= 0 {
		p.pos++
	}
	f, err := strconv.ParseFloat(p.text[start:p.pos], 64)
	if err != nil {
		p.pos = start
		p.fail("expected a number")
	}
	return f
}

func (p *ruleParser) atNumber() bool {
	c := p.peek()
	return c >= '0' && c <= '9' || c == '-' || c == '+'
}

func (p *ruleParser) list() []int64 {
	list := []int64{}
	p.expect("[")
	for !p.accept("]") {
		f := p.number()
		if f != float64(int64(f)) {
			p.fail("lists hold integers")
		}
		list = append(list, int64(f))
		if !p.accept(",") && p.peek() != ']' {
			p.fail("expected , or ]")
		}
	}
	return list
}

const maxDepth = 64

func (p *ruleParser) expr(depth int) *expr {
	if depth > maxDepth {
		p.fail("nested too deep")
	}
	c := p.peek()
	e := &expr{pos: p.where()}
	switch {
	case c == '[':
		e.kind, e.list = exprList, p.list()
		return e
	case p.atNumber():
		e.kind, e.number = exprNumber, p.number()
		return e
	}
	name := p.word()
	switch {
	case p.accept("@"):
		e.name = name
		e.op = p.word()
		p.expect("(")
	case p.accept("("):
		e.op = name
	case p.accept("..."):
		e.kind, e.name = exprRest, name
		return e
	default:
		e.name = name
		if p.accept(":") {
			e.want = p.word()
			if e.want != "const" && e.want != "scalar" {
				p.fail("a hole is of kind const or scalar, not %q", e.want)
			}
		}
		e.optional = p.accept("?")
		return e
	}
	p.operation(e, depth)
	return e
}

// operation reads an op behind its opening parenthesis.
func (p *ruleParser) operation(e *expr, depth int) {
	e.kind = exprOp
	if ops.Lookup(e.op) == nil {
		failAt(e.pos, "there is no operator %q%s", e.op, nearest.Hint(e.op, ops.Names()))
	}
	for !p.accept(")") {
		e.args = append(e.args, p.expr(depth+1))
		if !p.accept(",") && p.peek() != ')' {
			p.fail("expected , or )")
		}
	}
	if s := ops.SchemaOf(e.op); s != nil {
		variadic := len(s.Inputs) > 0 && s.Inputs[len(s.Inputs)-1].Variadic
		if len(e.args) > len(s.Inputs) && !variadic || len(e.args) < s.MinInputs() && !variadic {
			failAt(e.pos, "%s takes %d to %d operands, found %d", e.op, s.MinInputs(), len(s.Inputs), len(e.args))
		}
	}
	if !p.accept("{") {
		return
	}
	for !p.accept("}") {
		if p.accept("*") {
			e.rest = p.word()
		} else {
			e.attrs = append(e.attrs, p.attr())
		}
		if !p.accept(",") && p.peek() != '}' {
			p.fail("expected , or }")
		}
	}
}

func (p *ruleParser) attr() attrExpr {
	a := attrExpr{name: p.word()}
	p.expect("=")
	if p.accept("$") {
		a.variable = p.word()
	} else {
		a.value = p.value()
	}
	return a
}

// value reads a literal: an attribute's value or a predicate's argument.
func (p *ruleParser) value() any {
	switch c := p.peek(); {
	case c == '"':
		q, err := strconv.QuotedPrefix(p.text[p.pos:])
		if err != nil {
			p.fail("expected a quoted string")
		}
		p.pos += len(q)
		s, _ := strconv.Unquote(q)
		return s
	case c == '[':
		return p.list()
	}
	start := p.pos
	f := p.number()
	if f == float64(int64(f)) && !strings.ContainsAny(p.text[start:p.pos], ".e") {
		return int64(f)
	}
	return float32(f)
}

func (p *ruleParser) preds() []pred {
	var list []pred
	for {
		p.space()
		q := pred{pos: p.where(), name: p.word()}
		if predicates[q.name] == nil {
			failAt(q.pos, "there is no condition %q%s", q.name, nearest.Hint(q.name, slices.Sorted(maps.Keys(predicates))))
		}
		p.expect("(")
		for !p.accept(")") {
			var a predArg
			switch c := p.peek(); {
			case p.accept("$"):
				a.variable = p.word()
			case c == '"' || c == '[' || p.atNumber():
				a.value = p.value()
			default:
				a.hole = p.word()
			}
			q.args = append(q.args, a)
			if !p.accept(",") && p.peek() != ')' {
				p.fail("expected , or )")
			}
		}
		list = append(list, q)
		if !p.accept(",") {
			return list
		}
	}
}

// example reads name=type, name=constant and $variable=value pairs.
func (p *ruleParser) example() example {
	e := example{map[string]ir.Type{}, map[string]any{}, map[string]any{}}
	for {
		if p.accept("$") {
			name := p.word()
			p.expect("=")
			e.vars[name] = p.value()
		} else {
			name := p.word()
			p.expect("=")
			if p.peek() == '[' || p.atNumber() {
				e.consts[name] = p.value()
			} else {
				e.types[name] = p.typ()
			}
		}
		if !p.accept(",") {
			return e
		}
	}
}

func (p *ruleParser) typ() ir.Type {
	p.space()
	start := p.pos
	for p.pos < len(p.text) && p.text[p.pos] != ']' {
		p.pos++
	}
	p.pos = min(p.pos+1, len(p.text))
	t, err := ir.ParseType(p.text[start:p.pos])
	if err != nil {
		p.pos = start
		p.fail("%v", err)
	}
	return t
}

// check finds mistakes that one clause alone does not show.
func (r *Rule) check() error {
	if len(r.Match) == 0 || r.Emit == nil {
		return fmt.Errorf("%s: rule %s needs match and emit", r.Pos, r.Name)
	}
	for _, m := range r.Match {
		if m.kind != exprOp {
			return fmt.Errorf("%s: rule %s: a pattern is an op", m.pos, r.Name)
		}
		bound := map[string]bool{}
		m.names(bound)
		for _, w := range r.Where {
			for _, a := range w.args {
				if a.hole != "" && !bound[a.hole] || a.variable != "" && !bound["$"+a.variable] {
					return fmt.Errorf("%s: rule %s: %s%s is not bound by every match", w.pos, r.Name, a.hole, a.variable)
				}
			}
		}
		for _, l := range r.Let {
			if err := l.expr.uses(bound); err != nil {
				return fmt.Errorf("%w of rule %s", err, r.Name)
			}
			bound[l.name] = true
		}
		if err := r.Emit.uses(bound); err != nil {
			return fmt.Errorf("%w of rule %s", err, r.Name)
		}
	}
	return nil
}

// names adds what a pattern binds: holes by name, variables with $, captured
// attributes with *.
func (e *expr) names(set map[string]bool) {
	if e.name != "" {
		set[e.name] = true
	}
	for _, a := range e.attrs {
		if a.variable != "" {
			set["$"+a.variable] = true
		}
	}
	if e.rest != "" {
		set["*"+e.rest] = true
	}
	for _, a := range e.args {
		a.names(set)
	}
}

// uses checks that everything a replacement reads is bound.
func (e *expr) uses(bound map[string]bool) error {
	if (e.kind == exprHole || e.kind == exprRest) && !bound[e.name] {
		return fmt.Errorf("%s: %s is not bound by every match", e.pos, e.name)
	}
	for _, a := range e.attrs {
		if a.variable != "" && !bound["$"+a.variable] && !bound[a.variable] {
			return fmt.Errorf("%s: $%s is not bound by every match", e.pos, a.variable)
		}
	}
	if e.rest != "" && !bound["*"+e.rest] {
		return fmt.Errorf("%s: *%s is not bound by every match", e.pos, e.rest)
	}
	for _, a := range e.args {
		if err := a.uses(bound); err != nil {
			return err
		}
	}
	return nil
}
