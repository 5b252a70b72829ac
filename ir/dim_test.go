package ir

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func parseDim(t *testing.T, s string) Dim {
	t.Helper()
	d, err := ParseDim(s)
	require.NoError(t, err, s)
	return d
}

func TestDimNormalForm(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"0", "0"},
		{"-5", "-5"},
		{"N", "N"},
		{"N+N", "2*N"},
		{"N-N", "0"},
		{"2*(N+1)-2", "2*N"},
		{"W+H*3+1", "3*H+W+1"},
		{"(N+1)*(N-1)", "N*N-1"},
		{"B*A-A*B", "0"},
		{"1-N", "-N+1"},
		// divisions
		{"7/2", "3"},
		{"-7/2", "-3"},
		{"(0-7)/2", "-4"},
		{"2*N/2", "N"},
		{"(2*N+1)/2", "N"},
		{"(H-1)/2+1", "(H+1)/2"},
		{"(H+2*3-7)/2+1", "(H+1)/2"},
		{"((H+1)/2-1)/2+1", "(H+3)/4"},
		{"N/2/3", "N/6"},
		{"(2*N+2)/4", "(N+1)/2"},
		{"(3*N)/2", "N+N/2"},
		{"2*(N/2)", "2*(N/2)"},
		{"B*S*768/(S*768)", "B"},
		{"B*S*768/(S*64)", "12*B"},
		{"B*C*H/(2*B)", "(C*H)/2"},
		{"(A*N+A)/(N+1)", "A"},
		{"(A*N+5)/N", "5/N+A"},
		{"N/0", "N/0"},
		{"5/N", "5/N"},
		{"A-5/N", "-(5/N)+A"},
		{"N/(0-2)", "-N+N/2"},
		// remainders
		{"7%4", "3"},
		{"(0-7)%4", "1"},
		{"(8*N+3)%4", "3"},
		{"(N+4)%4", "N%4"},
		{"(2*N+1)%4", "2*(N%2)+1"},
		{"N%8%4", "N%4"},
		{"N%1", "0"},
		{"N%N", "0"},
		{"(N*M+2)%M", "2%M"},
		// minimum, maximum
		{"min(N,N)", "N"},
		{"min(B,A,min(A,3))", "min(3,A,B)"},
		{"min(N,N+1)", "N"},
		{"max(N,0)", "N"},
		{"max(N,1)", "max(1,N)"},
		{"max(N-3,0)", "max(0,N-3)"},
		{"min(5,3)", "3"},
		{"min(max(A,B),max(A,B)+C)", "max(A,B)"},
		// broadcasting
		{"bcast(1,N)", "N"},
		{"bcast(N,1)", "N"},
		{"bcast(7,N)", "7"},
		{"bcast(0,N)", "0"},
		{"bcast(1,1)", "1"},
		{"bcast(N,M,bcast(N,K))", "bcast(K,M,N)"},
		{"bcast(N+2,M)", "N+2"},
		{"bcast(N+1,M)", "bcast(M,N+1)"},
		{"bcast(2,3)", "bcast(2,3)"},
		// names
		{`"batch size"*2`, `2*"batch size"`},
		{`"N"`, "N"},
		{`"?"+?7+"min"+""`, `""+"?"+"min"+?7`},
		{" N  + 1 ", "N+1"},
		{"a.b_1", "a.b_1"},
	} {
		require.Equal(t, c.want, parseDim(t, c.in).String(), c.in)
	}
}

func TestDimQueries(t *testing.T) {
	var zero Dim
	require.True(t, zero.IsInt(0))
	require.True(t, zero.Equal(Const(0)))
	_, ok := Sym("N").Int()
	require.False(t, ok)
	require.False(t, Sym("N").IsInt(0))
	require.False(t, Sym("N").Equal(Const(0)))
	require.False(t, Sym("5").Equal(Const(5)))
	require.Equal(t, "N/2+1", Sym("N").FloorDiv(Const(2)).Add(Const(1)).Key())
	require.Equal(t, "(N+7)/8", Sym("N").CeilDiv(Const(8)).String())
	require.Equal(t, []string{"A", "B", "C", "batch size"}, parseDim(t, `A*B/2+min(C,"batch size")-A`).Symbols())
	require.Empty(t, Const(3).Symbols())
}

func TestDimParseErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "at the end",
		"N+":                  "at the end",
		"(N":                  "expected )",
		"N)":                  `unexpected ")"`,
		"min(N":               "expected )",
		`"N`:                  "unclosed quote",
		"N M":                 `unexpected "M"`,
		"?":                   "expected a number",
		"9223372036854775808": "does not fit",
		"#":                   `found '#'`,
		strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000): "parentheses",
	} {
		_, err := ParseDim(in)
		require.ErrorContains(t, err, want, in)
	}
}

func TestDimEvalErrors(t *testing.T) {
	vals := map[string]int64{"N": 4, "M": 3, "Z": 0, "H": math.MaxInt64}
	for in, want := range map[string]string{
		"N+X":          "X has no value",
		`"my dim"`:     `"my dim" has no value`,
		"N/Z":          "division by zero",
		"N%Z":          "division by zero",
		"bcast(N,M)":   "3 and 4 do not broadcast",
		"H+1":          "64 bits",
		"H*H":          "64 bits",
		"min(H+N,H*2)": "64 bits",
	} {
		_, err := parseDim(t, in).Eval(vals)
		require.ErrorContains(t, err, want, in)
		require.ErrorContains(t, err, "dim ", in)
	}
}

func TestDimOverflowIsKeptNotWrapped(t *testing.T) {
	big := Const(math.MaxInt64)
	for _, d := range []Dim{
		big.Add(Const(1)), big.Mul(Const(2)), big.Mul(Sym("N")).Mul(Const(3)), big.Mul(Sym("N")).Add(Sym("N")),
		Sym("N").Add(big).Add(big), Const(math.MinInt64).Sub(Const(1)), Const(math.MinInt64).Mul(Const(-1)),
		Const(math.MinInt64).FloorDiv(Const(-1)),
	} {
		require.True(t, parseDim(t, d.String()).Equal(d), d.String())
		_, err := d.Eval(map[string]int64{"N": 1})
		require.ErrorIs(t, err, errOverflow, d.String())
	}
	n, err := big.Mul(Sym("N")).Mul(big).Eval(map[string]int64{"N": 0})
	require.NoError(t, err)
	require.Zero(t, n)
	m := Const(math.MinInt64).Mul(Sym("N")).Add(Const(math.MinInt64))
	require.Equal(t, "-9223372036854775808*N-9223372036854775808", m.String())
	require.True(t, parseDim(t, m.String()).Equal(m))
}

func TestDimGrowthIsBounded(t *testing.T) {
	sum, product, nested := Sym("x"), Sym("x").Add(Sym("y")), Sym("x")
	for i := range 400 {
		sum = sum.Add(Sym(fmt.Sprintf("symbol%d", i)))
		product = product.Mul(product)
		nested = nested.FloorDiv(Sym("y")).Add(nested)
		for _, d := range []Dim{sum, product, nested} {
			require.Less(t, len(d.String()), maxText+32)
			if i%20 == 0 {
				require.True(t, parseDim(t, d.String()).Equal(d))
			}
		}
	}
	a, b := Sym(strings.Repeat("n", 1<<20)), Sym(strings.Repeat("m", 1<<20))
	require.Less(t, len(a.String()), 64)
	require.False(t, a.Equal(b))
	require.False(t, a.NonNegative())
}

func TestConstantDimsDoNotAllocate(t *testing.T) {
	a, b := Const(640), Const(12345678901)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if d := a.Add(b).Sub(b).Mul(b).FloorDiv(a); !d.Equal(b) {
			t.Fatal(d)
		}
	}))
	n := Sym("N")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if d := n.Add(a); d.Equal(n) {
			t.Fatal(d)
		}
	}))
}

// A dimGen makes random expressions together with their plain meaning, which
// it computes in unbounded integers.
type dimGen struct {
	r    *rand.Rand
	vals map[string]int64
	syms map[string]Dim
}

var errUndefined = errors.New("undefined")

func (g *dimGen) make(depth int) (Dim, *big.Int, error) {
	if depth == 0 || g.r.IntN(6) == 0 {
		if g.r.IntN(2) == 0 {
			n := g.r.Int64N(9) - 2
			if g.r.IntN(40) == 0 {
				n = []int64{math.MaxInt64, math.MinInt64, 1 << 40, -1 << 32}[g.r.IntN(4)]
			}
			return Const(n), big.NewInt(n), nil
		}
		names := []string{"A", "B", "N", "batch size", "?3"}
		name := names[g.r.IntN(len(names))]
		return Sym(name), big.NewInt(g.vals[name]), nil
	}
	a, x, err1 := g.make(depth - 1)
	b, y, err2 := g.make(depth - 1)
	err := errors.Join(err1, err2)
	op := g.r.IntN(8)
	if err == nil && (op == 3 || op == 4 || op == 7) && y.Sign() == 0 {
		err = errUndefined
	}
	if err != nil {
		x, y = big.NewInt(1), big.NewInt(1)
	}
	z := new(big.Int)
	switch op {
	case 0:
		return a.Add(b), z.Add(x, y), err
	case 1:
		return a.Sub(b), z.Sub(x, y), err
	case 2:
		return a.Mul(b), z.Mul(x, y), err
	case 3:
		return a.FloorDiv(b), floorBig(x, y), err
	case 4:
		return a.Mod(b), z.Sub(x, z.Mul(y, floorBig(x, y))), err
	case 5:
		if g.r.IntN(2) == 0 {
			x, y = y, x
			a, b = b, a
		}
		if x.Cmp(y) <= 0 {
			return a.Min(b), x, err
		}
		return a.Max(b), x, err
	case 6:
		switch one := big.NewInt(1); {
		case x.Cmp(one) == 0:
			x = y
		case y.Cmp(one) != 0 && x.Cmp(y) != 0:
			err = errUndefined
		}
		return Broadcast(a, b), x, err
	}
	return a.CeilDiv(b), z.Neg(floorBig(z.Neg(x), y)), err
}

func floorBig(x, y *big.Int) *big.Int {
	q, m := new(big.Int).QuoRem(x, y, new(big.Int))
	if m.Sign() != 0 && (m.Sign() < 0) != (y.Sign() < 0) {
		q.Sub(q, big.NewInt(1))
	}
	return q
}

// Whatever the expression: where its plain meaning is defined, Eval gives the
// same or says that a step overflows; text round-trips; substituting the
// symbols by numbers is evaluating.
func TestDimProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	rounds := 60000
	if testing.Short() {
		rounds = 8000
	}
	defined := 0
	for range rounds {
		g := &dimGen{r: r, vals: map[string]int64{}, syms: map[string]Dim{}}
		for _, s := range []string{"A", "B", "N", "batch size", "?3"} {
			g.vals[s] = r.Int64N(7)
			g.syms[s] = Const(g.vals[s])
		}
		d, want, undefined := g.make(1 + r.IntN(4))
		text := d.String()
		back, err := ParseDim(text)
		require.NoError(t, err, text)
		require.Equal(t, text, back.String())
		require.True(t, back.Equal(d))
		require.True(t, d.Subst(map[string]Dim{"A": Sym("A"), "N": Sym("N"), "?3": Sym("?3")}).Equal(d), text)
		if undefined != nil {
			continue
		}
		got, err := d.Eval(g.vals)
		if errors.Is(err, errOverflow) || err != nil && strings.Contains(text, bigPrefix) {
			continue
		}
		require.NoError(t, err, "%s at %v", text, g.vals)
		require.Equal(t, want.String(), fmt.Sprint(got), "%s at %v", text, g.vals)
		if d.NonNegative() {
			require.GreaterOrEqual(t, got, int64(0), text)
		}
		if n, ok := d.Subst(g.syms).Int(); ok {
			require.Equal(t, got, n, text)
		}
		defined++
	}
	require.Greater(t, defined, rounds/2)
}

func TestDimLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	small := func() Dim {
		g := &dimGen{r: r}
		for {
			if d, _, _ := g.make(2); len(d.String()) < 40 && !strings.Contains(d.String(), "000000") {
				return d
			}
		}
	}
	for range 3000 {
		a, b, c := small(), small(), small()
		for _, law := range [][2]Dim{
			{a.Add(b), b.Add(a)},
			{a.Mul(b), b.Mul(a)},
			{a.Add(b).Add(c), a.Add(b.Add(c))},
			{a.Mul(b).Mul(c), a.Mul(b.Mul(c))},
			{a.Mul(b.Add(c)), a.Mul(b).Add(a.Mul(c))},
			{a.Sub(a), Const(0)},
			{a.Min(b), b.Min(a)},
			{a.Min(b).Min(c), a.Min(b.Min(c))},
			{a.Max(b).Max(c), a.Max(b.Max(c))},
			{a.Min(a), a},
			{Broadcast(a, Const(1)), a},
			{Broadcast(a, b), Broadcast(b, a)},
			{a.Mul(Const(6)).FloorDiv(Const(6)), a},
			{a.Mul(Const(6)).Add(Const(5)).Mod(Const(6)), Const(5)},
			{a.Mul(Const(6)).Add(b).FloorDiv(Const(6)), a.Add(b.FloorDiv(Const(6)))},
		} {
			l, right := law[0].String(), law[1].String()
			if max := len(l) + len(right); max < maxText/2 && !strings.Contains(l+right, "((") {
				require.True(t, law[0].Equal(law[1]), "%s and %s, of %s, %s, %s", l, right, a, b, c)
			}
		}
	}
}

func FuzzParseDim(f *testing.F) {
	for _, s := range []string{"N", "2*W+1", "(H-1)/2+1", "min(A,B)", "bcast(A,max(2,B%3))", `"a b"*-3`, "?1-9223372036854775808", "((N)*(M))"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDim(s)
		if err != nil {
			return
		}
		back, err := ParseDim(d.String())
		require.NoError(t, err)
		require.Equal(t, d.String(), back.String())
		_, _ = d.Eval(map[string]int64{"N": 2, "W": 3})
	})
}
