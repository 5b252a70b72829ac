package ir

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Dim is a size: a number, or a polynomial over atoms, which are symbols,
// floor divisions, remainders, minima, maxima and broadcasts. It is immutable,
// cheap to copy, and kept in a normal form, so that Equal finds 2*(N+1) and
// N+2+N equal. The zero value is the number 0. Compare with Equal, never ==.
//
// Symbols range over the integers from 0 on, and a symbol that is 1 may
// broadcast: no simplification assumes anything else. Where a division by zero
// or a mismatch makes an expression undefined, a simpler form of it may have
// a value.
type Dim struct {
	n int64 // the constant part
	e *expr // the rest, nil where there is none
}

// expr is a sum of terms, never empty, in descending order of monomials.
type expr struct {
	terms []term
	text  string
}

// term is a product: a coefficient other than 0 and atoms in ascending order
// of their text. A term without atoms is a constant; none stays in an expr.
type term struct {
	coef  int64
	atoms []*atom
}

type atomKind uint8

const (
	symbol    atomKind = iota
	floorDiv           // args: dividend, divisor; rounds to minus infinity
	mod                // args: dividend, divisor; has the sign of the divisor
	minimum            // args sorted
	maximum            // args sorted
	broadcast          // args sorted
	opaqueAdd          // a sum or a product whose terms would overflow or
	opaqueMul          // grow out of bounds, left alone
)

type atom struct {
	kind atomKind
	name string // of a symbol
	args []Dim
	text string
}

// maxText bounds an expression by the length of its text. What is longer
// becomes a symbol named by a digest of the text, so that equal stays equal.
const maxText = 1024

// bigPrefix begins the names of such symbols, which may be negative.
const bigPrefix = "big!"

// Const returns a number.
func Const(n int64) Dim { return Dim{n: n} }

// Sym returns a symbol. Any name will do; very long ones are replaced by
// their digest.
func Sym(name string) Dim {
	if len(name) > maxText/4 {
		name = digest(name)
	}
	return newAtom(symbol, name).dim()
}

func digest(s string) string {
	h := sha256.Sum256([]byte(s))
	return bigPrefix + hex.EncodeToString(h[:8])
}

func newAtom(k atomKind, name string, args ...Dim) *atom {
	a := &atom{kind: k, name: name, args: args}
	a.text = a.format()
	if len(a.text) > maxText {
		return newAtom(symbol, digest(a.text))
	}
	return a
}

func (a *atom) dim() Dim {
	return Dim{e: &expr{terms: []term{{1, []*atom{a}}}, text: a.text}}
}

// Int returns the number, where d is one; else 0 and false.
func (d Dim) Int() (int64, bool) {
	if d.e != nil {
		return 0, false
	}
	return d.n, true
}

// IsInt reports whether d is the number n.
func (d Dim) IsInt(n int64) bool { return d.e == nil && d.n == n }

// Equal reports whether a and b have the same normal form.
func (a Dim) Equal(b Dim) bool {
	if a.n != b.n || (a.e == nil) != (b.e == nil) {
		return false
	}
	return a.e == b.e || a.e.text == b.e.text
}

// Key returns a string that is the same for equal dims only.
func (d Dim) Key() string { return d.String() }

// Symbols returns the names of the symbols in d, sorted.
func (d Dim) Symbols() []string {
	var names []string
	d.eachAtom(func(a *atom) {
		if a.kind == symbol {
			names = append(names, a.name)
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// IsFresh reports whether FreshDim's symbols have a part in d.
func (d Dim) IsFresh() bool {
	return slices.ContainsFunc(d.Symbols(), func(s string) bool { return strings.HasPrefix(s, "?") })
}

func (d Dim) eachAtom(f func(*atom)) {
	if d.e == nil {
		return
	}
	for _, t := range d.e.terms {
		for _, a := range t.atoms {
			f(a)
			for _, x := range a.args {
				x.eachAtom(f)
			}
		}
	}
}

// only returns the atom of which d consists, nil where d is anything else.
func (d Dim) only() *atom {
	if d.e != nil && d.n == 0 && len(d.e.terms) == 1 && d.e.terms[0].coef == 1 && len(d.e.terms[0].atoms) == 1 {
		return d.e.terms[0].atoms[0]
	}
	return nil
}

// Add returns a + b.
func (a Dim) Add(b Dim) Dim {
	if n, ok := addInt(a.n, b.n); ok {
		switch {
		case b.e == nil:
			return Dim{n, a.e}
		case a.e == nil:
			return Dim{n, b.e}
		}
		if d, ok := sum(append(a.terms(), b.terms()...)); ok {
			return d
		}
	}
	return opaque(opaqueAdd, a, b)
}

// Sub returns a - b.
func (a Dim) Sub(b Dim) Dim {
	if a.e == nil && b.e == nil {
		if n := a.n - b.n; (n < a.n) == (b.n > 0) {
			return Dim{n: n}
		}
	}
	return a.Add(b.Mul(Const(-1)))
}

// Mul returns a * b.
func (a Dim) Mul(b Dim) Dim {
	if a.e == nil && b.e == nil {
		if n, ok := mulInt(a.n, b.n); ok {
			return Dim{n: n}
		}
		return opaque(opaqueMul, a, b)
	}
	if a.IsInt(1) {
		return b
	}
	if b.IsInt(1) {
		return a
	}
	if d, ok := product(a.terms(), b.terms()); ok {
		return d
	}
	return opaque(opaqueMul, a, b)
}

func opaque(k atomKind, a, b Dim) Dim {
	if a.String() > b.String() {
		a, b = b, a
	}
	return newAtom(k, "", a, b).dim()
}

// terms returns the terms of d as a new slice, the constant last.
func (d Dim) terms() []term {
	var ts []term
	if d.e != nil {
		ts = append(ts, d.e.terms...)
	}
	if d.n != 0 {
		ts = append(ts, term{coef: d.n})
	}
	return ts
}

// product multiplies out; false where a coefficient overflows or the result
// gets too long.
func product(as, bs []term) (Dim, bool) {
	if len(as)*len(bs) > maxText/2 {
		return Dim{}, false
	}
	ts := make([]term, 0, len(as)*len(bs))
	for _, a := range as {
		for _, b := range bs {
			c, ok := mulInt(a.coef, b.coef)
			if !ok {
				return Dim{}, false
			}
			ts = append(ts, term{c, mergeAtoms(a.atoms, b.atoms)})
		}
	}
	return sum(ts)
}

func mergeAtoms(a, b []*atom) []*atom {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	m := slices.Concat(a, b)
	slices.SortStableFunc(m, func(x, y *atom) int { return strings.Compare(x.text, y.text) })
	return m
}

// sum puts terms into normal form; false where a coefficient overflows or the
// result gets too long. It may reorder its argument.
func sum(ts []term) (Dim, bool) {
	slices.SortStableFunc(ts, func(a, b term) int { return compareMonomials(a.atoms, b.atoms) })
	out := ts[:0:0]
	for i := 0; i < len(ts); {
		t := ts[i]
		for i++; i < len(ts) && compareMonomials(t.atoms, ts[i].atoms) == 0; i++ {
			c, ok := addInt(t.coef, ts[i].coef)
			if !ok {
				return Dim{}, false
			}
			t.coef = c
		}
		if t.coef != 0 {
			out = append(out, t)
		}
	}
	var d Dim
	if l := len(out); l > 0 && len(out[l-1].atoms) == 0 {
		d.n, out = out[l-1].coef, out[:l-1]
	}
	if len(out) > 0 {
		e := &expr{terms: out}
		if e.text = e.format(); len(e.text) > maxText {
			return Dim{}, false
		}
		d.e = e
	}
	return d, true
}

// compareMonomials orders by falling degree, then by the atoms: a monomial
// order, which the division of polynomials needs.
func compareMonomials(a, b []*atom) int {
	if len(a) != len(b) {
		return len(b) - len(a)
	}
	for i := range a {
		if a[i] != b[i] {
			if c := strings.Compare(a[i].text, b[i].text); c != 0 {
				return c
			}
		}
	}
	return 0
}

func addInt(a, b int64) (int64, bool) {
	s := a + b
	return s, (s > a) == (b > 0)
}

func mulInt(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(abs64(a), abs64(b))
	if hi != 0 || lo > 1<<63 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), true // also where lo is 1<<63
	}
	return int64(lo), lo < 1<<63
}

func abs64(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// floorDivInt rounds to minus infinity; false for a division by zero or an
// overflow.
func floorDivInt(a, b int64) (q, r int64, ok bool) {
	if b == 0 || a == math.MinInt64 && b == -1 {
		return 0, 0, false
	}
	q, r = a/b, a%b
	if r != 0 && (r < 0) != (b < 0) {
		q, r = q-1, r+b
	}
	return q, r, true
}

// Subst replaces symbols by expressions, all at once.
func (d Dim) Subst(m map[string]Dim) Dim {
	if d.e == nil || len(m) == 0 || !slices.ContainsFunc(d.Symbols(), func(s string) bool { _, ok := m[s]; return ok }) {
		return d
	}
	out := Const(d.n)
	for _, t := range d.e.terms {
		p := Const(t.coef)
		for _, a := range t.atoms {
			p = p.Mul(a.subst(m))
		}
		out = out.Add(p)
	}
	return out
}

func (a *atom) subst(m map[string]Dim) Dim {
	if a.kind == symbol {
		if d, ok := m[a.name]; ok {
			return d
		}
		return a.dim()
	}
	args := make([]Dim, len(a.args))
	for i, x := range a.args {
		args[i] = x.Subst(m)
	}
	switch a.kind {
	case floorDiv:
		return args[0].FloorDiv(args[1])
	case mod:
		return args[0].Mod(args[1])
	case opaqueAdd:
		return args[0].Add(args[1])
	case opaqueMul:
		return args[0].Mul(args[1])
	}
	return choose(a.kind, args)
}

// format writes a sum: terms in order, the first sign only where it is minus.
func (e *expr) format() string {
	var b strings.Builder
	for i, t := range e.terms {
		if i > 0 && t.coef > 0 {
			b.WriteByte('+')
		}
		switch {
		case t.coef == -1:
			b.WriteByte('-')
		case t.coef != 1:
			b.WriteString(strconv.FormatInt(t.coef, 10) + "*")
		}
		for j, a := range t.atoms {
			if j > 0 {
				b.WriteByte('*')
			}
			if (a.kind == floorDiv || a.kind == mod) && (t.coef != 1 || len(t.atoms) > 1) {
				b.WriteString("(" + a.text + ")")
			} else {
				b.WriteString(a.text)
			}
		}
		if b.Len() > 2*maxText {
			break // too long in any case
		}
	}
	return b.String()
}
