package tokenize

import (
	"encoding/json"
	"fmt"
	"math"
	"unicode/utf8"
)

// unigram picks the split of highest total score (Kudo, "Subword
// Regularization", 2018), by Viterbi's algorithm.
type unigram struct {
	vocab
	pieces lexicon
	unk    int
	hasUnk bool
	bytes  bool
	worst  float64 // score of an unknown character
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
	pieces := make([]entry, 0, len(o.Vocab))
	for id, raw := range o.Vocab {
		s := entry{id: id}
		if err := json.Unmarshal(raw[0], &s.text); err != nil {
			return nil, fmt.Errorf("token %d: %w", id, err)
		}
		if err := json.Unmarshal(raw[1], &s.score); err != nil {
			return nil, fmt.Errorf("token %d: %w", id, err)
		}
		m.worst = min(m.worst, s.score)
		m.vocab[s.text] = id
		pieces = append(pieces, s)
	}
	m.worst -= 10
	m.pieces = newLexicon(pieces)
	if o.UnkID != nil {
		if m.unk, m.hasUnk = *o.UnkID, true; m.unk < 0 || m.unk >= len(o.Vocab) {
			return nil, fmt.Errorf("unk_id %d is not in the vocabulary", m.unk)
		}
	}
	return m, nil
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
		m.pieces.prefixes(text[i:], func(t entry) {
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
