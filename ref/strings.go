package ref

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/hone-ml/hone/tensor"
)

// StringConcat joins the strings of a and b, which broadcast.
func StringConcat(a, b *tensor.Tensor) (*tensor.Tensor, error) {
	shape, err := broadcastShape(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	y, err := newResult(tensor.String, shape...)
	if err != nil {
		return nil, err
	}
	zip(y.Strings, shape, a.Strings, a.Shape, b.Strings, b.Shape, func(p, q string) string { return p + q })
	return y, nil
}

// StringSplit cuts each string at the delimiter, or at runs of white space
// where that is empty, at most maxSplit times (-1: everywhere). It returns
// the pieces [..., most], missing ones empty, and how many there are [...].
func StringSplit(x *tensor.Tensor, delimiter string, maxSplit int) (pieces, counts *tensor.Tensor, err error) {
	split := make([][]string, len(x.Strings))
	counts = tensor.New(tensor.Int64, x.Shape...)
	most := 0
	for i, s := range x.Strings {
		if delimiter == "" {
			split[i] = fields(s, maxSplit)
		} else if maxSplit < 0 {
			split[i] = strings.Split(s, delimiter)
		} else {
			split[i] = strings.SplitN(s, delimiter, maxSplit+1)
		}
		tensor.Of[int64](counts)[i] = int64(len(split[i]))
		most = max(most, len(split[i]))
	}
	shape := append(append([]int{}, x.Shape...), most)
	if _, err := tensor.NumElements(shape); err != nil {
		return nil, nil, err
	}
	pieces = tensor.New(tensor.String, shape...)
	for i, parts := range split {
		copy(pieces.Strings[i*most:], parts)
	}
	return pieces, counts, nil
}

// fields splits at runs of white space, n times at most; white space around
// the pieces does not count, but the last piece of n+1 keeps its end.
func fields(s string, n int) []string {
	if n < 0 {
		return strings.Fields(s)
	}
	var out []string
	for s = strings.TrimLeftFunc(s, unicode.IsSpace); s != ""; s = strings.TrimLeftFunc(s, unicode.IsSpace) {
		end := strings.IndexFunc(s, unicode.IsSpace)
		if len(out) == n || end < 0 {
			return append(out, s)
		}
		out = append(out, s[:end])
		s = s[end:]
	}
	return out
}

// StringNormalizer drops the stop words from a list [C] or [1,C] and changes
// the case of the rest: LOWER, UPPER or NONE. Where nothing is left, the
// result is one empty string.
func StringNormalizer(x *tensor.Tensor, action string, caseSensitive bool, stopWords []string) (*tensor.Tensor, error) {
	if x.Rank() != 1 && (x.Rank() != 2 || x.Shape[0] != 1) {
		return nil, fmt.Errorf("%s must be [C] or [1,C]", x)
	}
	fold := func(s string) string {
		if caseSensitive {
			return s
		}
		return strings.ToLower(s)
	}
	stop := map[string]bool{}
	for _, w := range stopWords {
		stop[fold(w)] = true
	}
	kept := []string{}
	for _, s := range x.Strings {
		if stop[fold(s)] {
			continue
		}
		switch action {
		case "LOWER":
			s = strings.ToLower(s)
		case "UPPER":
			s = strings.ToUpper(s)
		case "NONE", "":
		default:
			return nil, fmt.Errorf("case_change_action %q is not one of LOWER, UPPER, NONE", action)
		}
		kept = append(kept, s)
	}
	if len(kept) == 0 {
		kept = []string{""}
	}
	if x.Rank() == 2 {
		return tensor.StringsOf(kept, 1, len(kept)), nil
	}
	return tensor.StringsOf(kept, len(kept)), nil
}

// RegexFullMatch reports for each string whether the pattern, in RE2's
// syntax, matches all of it.
func RegexFullMatch(x *tensor.Tensor, pattern string) (*tensor.Tensor, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, err
	}
	y := tensor.New(tensor.Bool, x.Shape...)
	for i, s := range x.Strings {
		tensor.Of[bool](y)[i] = re.MatchString(s)
	}
	return y, nil
}

// NGrams is a vocabulary of n-grams: Pool has all of them one behind the
// other, unigrams first; Counts[n-1] is where the n-grams start; Indexes[i] is
// the column of the i-th one.
type NGrams struct {
	Pool            []string // tokens; integers as decimals
	Counts, Indexes []int64
	Weights         []float32
	MinLen, MaxLen  int
	MaxSkip         int    // tokens that may lie between two of an n-gram
	Mode            string // TF, IDF or TFIDF
	columns         int
	columnOf        map[string]int
	largest         int
}

// index fills the table of the n-grams whose length is asked for.
func (g *NGrams) index() error {
	if len(g.Counts) == 0 || len(g.Indexes) == 0 || g.MinLen < 1 || g.MaxLen < g.MinLen || g.MaxSkip < 0 {
		return fmt.Errorf("n-grams of %d to %d tokens, %d skipped, %d in the pool", g.MinLen, g.MaxLen, g.MaxSkip, len(g.Indexes))
	}
	for _, c := range g.Indexes {
		if c < 0 || c > 1<<24 {
			return fmt.Errorf("column %d", c)
		}
		g.columns = max(g.columns, int(c)+1)
	}
	g.columnOf = map[string]int{}
	id := 0
	for i, from := range g.Counts {
		n, to := i+1, int64(len(g.Pool))
		if i+1 < len(g.Counts) {
			to = g.Counts[i+1]
		}
		if from < 0 || to < from || to > int64(len(g.Pool)) || (to-from)%int64(n) != 0 {
			return fmt.Errorf("%d-grams from %d to %d in a pool of %d", n, from, to, len(g.Pool))
		}
		for p := int(from); p < int(to); p += n {
			if id >= len(g.Indexes) {
				return fmt.Errorf("more n-grams than the %d indexes", len(g.Indexes))
			}
			if n >= g.MinLen && n <= g.MaxLen {
				g.columnOf[gramKey(g.Pool, p, n, 1)] = int(g.Indexes[id])
				g.largest = n
			}
			id++
		}
	}
	return nil
}

// gramKey joins n tokens, step apart, so that no two n-grams agree.
func gramKey(tokens []string, at, n, step int) string {
	var b strings.Builder
	for i := range n {
		t := tokens[at+i*step]
		b.WriteString(strconv.Itoa(len(t)) + ":" + t)
	}
	return b.String()
}

// TfIdfVectorizer counts the n-grams in rows of tokens, [C] or [N,C], of
// strings or integers, and gives f32[columns] or f32[N,columns].
func TfIdfVectorizer(x *tensor.Tensor, g NGrams) (*tensor.Tensor, error) {
	if err := g.index(); err != nil {
		return nil, err
	}
	if x.Rank() != 1 && x.Rank() != 2 {
		return nil, fmt.Errorf("%s must be [C] or [N,C]", x)
	}
	if len(g.Weights) > 0 && len(g.Weights) < g.columns {
		return nil, fmt.Errorf("%d weights for %d columns", len(g.Weights), g.columns)
	}
	tokens := x.Strings
	if x.DType != tensor.String {
		for _, n := range Ints(x) {
			tokens = append(tokens, strconv.Itoa(n))
		}
	}
	shape := append(append([]int{}, x.Shape[:x.Rank()-1]...), g.columns)
	y, err := newResult(tensor.Float32, shape...)
	if err != nil {
		return nil, err
	}
	out, c := tensor.Of[float32](y), x.Shape[x.Rank()-1]
	for r := 0; r*g.columns < len(out); r++ {
		row := out[r*g.columns:][:g.columns]
		g.count(row, tokens[r*c:(r+1)*c])
		for i, f := range row {
			if g.Mode == "IDF" && f > 0 {
				f = 1
			}
			if g.Mode != "TF" && len(g.Weights) > 0 {
				f *= g.Weights[i]
			}
			row[i] = f
		}
	}
	return y, nil
}

func (g *NGrams) count(row []float32, tokens []string) {
	for n := g.MinLen; n <= min(g.MaxLen, g.largest); n++ {
		for step := 1; step <= g.MaxSkip+1; step++ {
			if n == 1 && step > 1 || (n-1)*step >= len(tokens) {
				break
			}
			for at := 0; at+(n-1)*step < len(tokens); at++ {
				if col, ok := g.columnOf[gramKey(tokens, at, n, step)]; ok {
					row[col]++
				}
			}
		}
	}
}
