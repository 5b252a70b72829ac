package tokenize

import (
	"slices"
	"sort"
	"strings"
)

// lexicon finds which of its entries a text begins with. It is sorted by
// text, so that prefixes are found by narrowing, one byte after the other.
type lexicon []entry

type entry struct {
	text  string
	id    int
	score float64
}

func newLexicon(entries []entry) lexicon {
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.text == "" })
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.text, b.text) })
	return entries
}

// prefixes calls f for every entry that s begins with, shortest first; of
// equal ones the first.
func (l lexicon) prefixes(s string, f func(entry)) {
	lo, hi := 0, len(l)
	for n := 1; n <= len(s); n++ {
		in := l[lo:hi]
		c := s[n-1]
		// All of in share s[:n-1]; keep those that go on with c.
		from := sort.Search(len(in), func(i int) bool { return len(in[i].text) >= n && in[i].text[n-1] >= c })
		to := sort.Search(len(in), func(i int) bool { return len(in[i].text) >= n && in[i].text[n-1] > c })
		if lo, hi = lo+from, lo+to; lo >= hi {
			return
		}
		if len(l[lo].text) == n {
			f(l[lo])
		}
	}
}
