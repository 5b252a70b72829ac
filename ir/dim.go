package ir

import "strconv"

type Dim struct {
	n int64
	s string
}

func Const(n int64) Dim                { return Dim{n: n} }
func Sym(s string) Dim                 { return Dim{s: s} }
func (d Dim) Int() (int64, bool)       { return d.n, d.s == "" }
func (d Dim) Equal(e Dim) bool         { return d == e }
func (d Dim) Mul(e Dim) Dim            { return Dim{n: d.n * e.n} }
func (d Dim) Subst(map[string]Dim) Dim { return d }
func (d Dim) String() string {
	if d.s != "" {
		return d.s
	}
	return strconv.FormatInt(d.n, 10)
}
func ParseDim(s string) (Dim, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Const(n), nil
	}
	return Sym(s), nil
}
func (d Dim) Symbols() []string  { return nil }
func (d Dim) IsInt(n int64) bool { return d.s == "" && d.n == n }
