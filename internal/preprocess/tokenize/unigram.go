package tokenize

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// unigram picks the split of highest total score (Kudo, "Subword
// Regularization", 2018), by Viterbi's algorithm.
type unigram struct {
	vocab
	sorted []scored // by text, so that prefixes are found by narrowing
	unk    int
	hasUnk bool
	bytes  bool
	worst  float64 // score of an unknown character
}

type scored struct {
	text  string
	id    int
	score float64
}

func loadUnigram(b json.RawMessage) (model, error) {
	var o struct {
		Vocab        [][2]json.RawMessage
		UnkID        *int `json:"unk_id"`
		ByteFallback bool `json:"byte_fallback"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	m := &unigram{vocab: vocab{}, bytes: o.ByteFallback, worst: math.Inf(1)}
	for id, raw := range o.Vocab {
		s := scored{id: id}
		if err := json.Unmarshal(raw[0], &s.text); err != nil {
			return nil, fmt.Errorf("token %d: %w", id, err)
		}
		if err := json.Unmarshal(raw[1], &s.score); err != nil {
			return nil, fmt.Errorf("token %d: %w", id, err)
		}
		m.worst = min(m.worst, s.score)
		m.vocab[s.text] = id
		if s.text != "" {
			m.sorted = append(m.sorted, s)
		}
	}
	m.worst -= 10
	slices.SortStableFunc(m.sorted, func(a, b scored) int { return strings.Compare(a.text, b.text) })
	if o.UnkID != nil {
		if m.unk, m.hasUnk = *o.UnkID, true; m.unk < 0 || m.unk >= len(o.Vocab) {
			return nil, fmt.Errorf("unk_id %d is not in the vocabulary", m.unk)
		}
	}
	return m, nil
}

// prefixes calls f for every token that s begins with, shortest first.
func (m *unigram) prefixes(s string, f func(scored)) {
	lo, hi := 0, len(m.sorted)
	for n := 1; n <= len(s); n++ {
		in := m.sorted[lo:hi]
		c := s[n-1]
		// All of in share s[:n-1]; keep those that go on with c.
		from := sort.Search(len(in), func(i int) bool { return len(in[i].text) >= n && in[i].text[n-1] >= c })
		to := sort.Search(len(in), func(i int) bool { return len(in[i].text) >= n && in[i].text[n-1] > c })
		if lo, hi = lo+from, lo+to; lo >= hi {
			return
		}
		if len(m.sorted[lo].text) == n {
			f(m.sorted[lo])
		}
	}
}

func (m *unigram) encode(dst []int, text string) []int {
	// best[i] is the best split of text[:i]: its score and its last token.
	type node struct {
		score    float64
		from, id int // id -1 is an unknown character
	}
	best := make([]node, len(text)+1)
	for i := range best[1:] {
		best[i+1].from = -1
	}
	reach := func(from, to, id int, score float64) {
		score += best[from].score
		if b := &best[to]; b.from < 0 || score > b.score {
			*b = node{score, from, id}
		}
	}
	for i := 0; i < len(text); {
		_, n := utf8.DecodeRuneInString(text[i:])
		single := false
		m.prefixes(text[i:], func(t scored) {
			if end := i + len(t.text); end == len(text) || utf8.RuneStart(text[end]) {
				reach(i, end, t.id, t.score)
				single = single || len(t.text) == n
			}
		})
		if !single {
			reach(i, i+n, -1, m.worst)
		}
		i += n
	}
	var path []node
	ends := []int{}
	for i := len(text); i > 0; i = best[i].from {
		path, ends = append(path, best[i]), append(ends, i)
	}
	for k := len(path) - 1; k >= 0; k-- {
		if path[k].id >= 0 {
			dst = append(dst, path[k].id)
			continue
		}
		start := path[k].from // unknown neighbours become one token
		for k > 0 && path[k-1].id < 0 {
			k--
		}
		if ids, ok := byteTokens(m.vocab, text[start:ends[k]]); ok && m.bytes {
			dst = append(dst, ids...)
		} else if m.hasUnk {
			dst = append(dst, m.unk)
		}
	}
	return dst
}
