package ir

import (
	"slices"
	"strings"
)

// FloorDiv returns a / b, rounded to minus infinity.
func (a Dim) FloorDiv(b Dim) Dim {
	if k, ok := b.Int(); ok && k < 0 && k != -k {
		return a.Mul(Const(-1)).FloorDiv(Const(-k))
	}
	if a.e == nil && b.e == nil {
		if q, _, ok := floorDivInt(a.n, b.n); ok {
			return Const(q)
		}
	}
	q, r := a.divide(b)
	if r.IsInt(0) && !b.IsInt(0) {
		return q
	}
	if s, ok := simplerDiv(r, b); ok {
		return q.Add(s)
	}
	return q.Add(newAtom(floorDiv, "", r, b).dim())
}

// CeilDiv returns a / b, rounded to plus infinity.
func (a Dim) CeilDiv(b Dim) Dim {
	if b.NonNegative() {
		return a.Add(b).Sub(Const(1)).FloorDiv(b)
	}
	return a.Mul(Const(-1)).FloorDiv(b).Mul(Const(-1))
}

// Mod returns a - b*(a/b), which has the sign of b.
func (a Dim) Mod(b Dim) Dim {
	k, constant := b.Int()
	if constant && k < 0 && k != -k {
		return a.Mul(Const(-1)).Mod(Const(-k)).Mul(Const(-1))
	}
	if constant && a.e == nil {
		if _, r, ok := floorDivInt(a.n, k); ok {
			return Const(r)
		}
	}
	if constant && k > 0 {
		if u, ok := a.unfoldMods(k); ok {
			return u.Mod(b)
		}
	}
	_, r := a.divide(b)
	if r.e == nil && (r.n == 0 || k > 0) && !b.IsInt(0) {
		return r
	}
	if constant && k > 1 {
		// (g*x + c) % (g*k) = g*((x + c/g) % k) + c%g
		if g := r.gcd(k); g > 1 {
			x, _ := r.divide(Const(g))
			_, c, _ := floorDivInt(r.n, g)
			return x.Mod(Const(k / g)).Mul(Const(g)).Add(Const(c))
		}
	}
	return newAtom(mod, "", r, b).dim()
}

// unfoldMods replaces c*(x % m) by c*x where k divides m: the same modulo k.
func (a Dim) unfoldMods(k int64) (Dim, bool) {
	if a.e == nil {
		return a, false
	}
	out, changed := Const(a.n), false
	for _, t := range a.e.terms {
		if len(t.atoms) == 1 && t.atoms[0].kind == mod {
			x := t.atoms[0]
			if m, ok := x.args[1].Int(); ok && m%k == 0 {
				out, changed = out.Add(x.args[0].Mul(Const(t.coef))), true
				continue
			}
		}
		out = out.Add(Dim{e: &expr{terms: []term{t}, text: (&expr{terms: []term{t}}).format()}})
	}
	return out, changed
}

// simplerDiv rewrites a quotient of which nothing divides out.
func simplerDiv(a, b Dim) (Dim, bool) {
	k, constant := b.Int()
	if constant && k > 1 {
		if a.e == nil { // 0 <= a < k
			return Const(0), true
		}
		// (g*x + c) / (g*k) = (x + c/g) / k
		if g := a.gcd(k); g > 1 {
			x, _ := a.divide(Const(g))
			return x.FloorDiv(Const(k / g)), true
		}
		// (x/j + c) / k = (x + c*j) / (j*k)
		if x := (Dim{e: a.e}).only(); x != nil && x.kind == floorDiv {
			if j, ok := x.args[1].Int(); ok && j > 0 {
				c, ok1 := mulInt(a.n, j)
				jk, ok2 := mulInt(j, k)
				if ok1 && ok2 {
					return x.args[0].Add(Const(c)).FloorDiv(Const(jk)), true
				}
			}
		}
		return Dim{}, false
	}
	if b.IsInt(0) {
		return Dim{}, false
	}
	// (g*x) / (g*y) = x / y
	if g := commonFactor(append(a.terms(), b.terms()...)); g.coef > 1 || len(g.atoms) > 0 {
		x, _ := divideTerms(a.terms(), []term{g})
		y, _ := divideTerms(b.terms(), []term{g})
		return x.FloorDiv(y), true
	}
	return Dim{}, false
}

// gcd returns the greatest common divisor of k > 0 and all coefficients but
// the constant.
func (d Dim) gcd(k int64) int64 {
	if d.e != nil {
		for _, t := range d.e.terms {
			k = gcdInt(k, t.coef)
		}
	}
	return k
}

func gcdInt(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}

// commonFactor returns the greatest term that divides all the given ones. Its
// coefficient is 0 where there are none, or where it would not fit.
func commonFactor(ts []term) term {
	if len(ts) == 0 {
		return term{}
	}
	g := term{0, ts[0].atoms}
	for _, t := range ts {
		g.coef = gcdInt(g.coef, t.coef)
		var shared []*atom
		rest := t.atoms
		for _, a := range g.atoms {
			if i := slices.IndexFunc(rest, func(x *atom) bool { return x.text == a.text }); i >= 0 {
				shared = append(shared, a)
				rest = rest[i+1:]
			}
		}
		g.atoms = shared
	}
	if g.coef <= 0 {
		return term{}
	}
	return g
}

// divide returns q and r with a = q*b + r, so that a/b = q + r/b: by long
// division where b is one term, and only where r is 0 where b has more.
func (a Dim) divide(b Dim) (q, r Dim) {
	bs := b.terms()
	if len(bs) == 0 {
		return Const(0), a
	}
	return divideTerms(a.terms(), bs)
}

func divideTerms(as, bs []term) (q, r Dim) {
	whole, _ := sum(slices.Clone(as))
	if len(bs) == 1 {
		var qs, rs []term
		for _, t := range as {
			k, left := divideTerm(t, bs[0])
			qs, rs = append(qs, k), append(rs, left)
		}
		q, ok1 := sum(qs)
		r, ok2 := sum(rs)
		if !ok1 || !ok2 {
			return Const(0), whole
		}
		return q, r
	}
	for rest := whole; !rest.IsInt(0); {
		k, left := divideTerm(rest.terms()[0], bs[0])
		sub, ok := product([]term{k}, bs)
		if k.coef == 0 || left.coef != 0 || !ok || len(q.terms()) > maxQuotient {
			return Const(0), whole // not exact
		}
		one, _ := sum([]term{k})
		q, rest = q.Add(one), rest.Sub(sub)
	}
	return q, Const(0)
}

// maxQuotient bounds the steps of long division by a sum.
const maxQuotient = 16

// divideTerm returns k and left with t = k*by + left.
func divideTerm(t, by term) (k, left term) {
	atoms, ok := without(t.atoms, by.atoms)
	c, rem, fits := floorDivInt(t.coef, by.coef)
	if !ok || !fits {
		return term{}, t
	}
	return term{c, atoms}, term{rem, t.atoms}
}

// without removes the atoms bs from as; false where one is missing.
func without(as, bs []*atom) ([]*atom, bool) {
	var out []*atom
	for _, a := range as {
		if len(bs) > 0 && a.text == bs[0].text {
			bs = bs[1:]
		} else {
			out = append(out, a)
		}
	}
	return out, len(bs) == 0
}

// Min returns the smaller one of a and b.
func (a Dim) Min(b Dim) Dim { return choose(minimum, []Dim{a, b}) }

// Max returns the larger one of a and b.
func (a Dim) Max(b Dim) Dim { return choose(maximum, []Dim{a, b}) }

// Broadcast returns the size that ONNX broadcasting gives for two dims: the
// other one where one is 1, and else both, which must be equal then.
func Broadcast(a, b Dim) Dim { return choose(broadcast, []Dim{a, b}) }

// maxCompared bounds the arguments that are compared with one another.
const maxCompared = 16

// choose makes a minimum, maximum or broadcast.
func choose(k atomKind, args []Dim) Dim {
	var flat []Dim
	for _, d := range args {
		if a := d.only(); a != nil && a.kind == k {
			flat = append(flat, a.args...)
		} else {
			flat = append(flat, d)
		}
	}
	slices.SortStableFunc(flat, func(a, b Dim) int { return strings.Compare(a.String(), b.String()) })
	flat = slices.CompactFunc(flat, Dim.Equal)
	if len(flat) <= maxCompared {
		if k == broadcast {
			flat = undisputed(flat)
		} else {
			flat = undominated(k, flat)
		}
	}
	if len(flat) == 1 {
		return flat[0]
	}
	return newAtom(k, "", flat...).dim()
}

// undominated drops the args that another one makes needless.
func undominated(k atomKind, args []Dim) []Dim {
	var out []Dim
	for i, a := range args {
		if !slices.ContainsFunc(args, func(b Dim) bool {
			if b.Equal(args[i]) {
				return false
			}
			if k == minimum {
				return a.Sub(b).NonNegative()
			}
			return b.Sub(a).NonNegative()
		}) {
			out = append(out, a)
		}
	}
	return out
}

// undisputed drops the args of a broadcast that do not matter: ones, and
// whatever must be 1 or equal to a size that is known to be none.
func undisputed(args []Dim) []Dim {
	var rest, sure, numbers []Dim
	for _, a := range args {
		n, constant := a.Int()
		switch {
		case constant && n == 1, clipped(a, args):
		case constant:
			numbers = append(numbers, a)
		case a.Sub(Const(2)).NonNegative():
			sure = append(sure, a)
		default:
			rest = append(rest, a)
		}
	}
	switch {
	case len(numbers) > 0:
		return numbers
	case len(sure) > 0:
		return sure
	case len(rest) > 0:
		return rest
	}
	return []Dim{Const(1)}
}

// clipped reports whether d is min(c, s) for a number c of 2 or more and an s
// that is among args: where it is not s it is c, which would be neither 1 nor s.
func clipped(d Dim, args []Dim) bool {
	a := d.only()
	if a == nil || a.kind != minimum || len(a.args) != 2 {
		return false
	}
	for i, c := range a.args {
		if n, ok := c.Int(); ok && n >= 2 {
			return slices.ContainsFunc(args, a.args[1-i].Equal)
		}
	}
	return false
}

// NonNegative reports whether d is surely 0 or more: a sum of what is.
func (d Dim) NonNegative() bool {
	if d.n < 0 {
		return false
	}
	if d.e == nil {
		return true
	}
	for _, t := range d.e.terms {
		if t.coef < 0 || slices.ContainsFunc(t.atoms, func(a *atom) bool { return !a.nonNegative() }) {
			return false
		}
	}
	return true
}

func (a *atom) nonNegative() bool {
	switch a.kind {
	case symbol:
		return !strings.HasPrefix(a.name, bigPrefix)
	case mod:
		return a.args[1].NonNegative()
	case maximum:
		return slices.ContainsFunc(a.args, Dim.NonNegative)
	}
	return !slices.ContainsFunc(a.args, func(d Dim) bool { return !d.NonNegative() })
}
