package tokenize

import (
	"container/heap"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// bpe joins neighbouring symbols, the pair of lowest rank first, until no
// known pair is left (Sennrich et al., "Neural Machine Translation of Rare
// Words with Subword Units", 2016).
type bpe struct {
	vocab
	merges          map[[2]int]merge
	prefix, suffix  string // of symbols inside a word, of a word's last
	unk             int
	hasUnk, fuseUnk bool
	bytes           bool // unknown characters become <0x..> tokens
	wholeFirst      bool // a word that is a token is not split
}

type merge struct{ rank, id int }

func loadBPE(b json.RawMessage) (model, error) {
	var o struct {
		Vocab        vocab
		Merges       []json.RawMessage
		Unk          *string  `json:"unk_token"`
		Prefix       *string  `json:"continuing_subword_prefix"`
		Suffix       *string  `json:"end_of_word_suffix"`
		FuseUnk      bool     `json:"fuse_unk"`
		ByteFallback bool     `json:"byte_fallback"`
		IgnoreMerges bool     `json:"ignore_merges"`
		Dropout      *float64 `json:"dropout"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	if o.Dropout != nil && *o.Dropout != 0 {
		return nil, fmt.Errorf("dropout is for training only")
	}
	m := &bpe{vocab: o.Vocab, merges: make(map[[2]int]merge, len(o.Merges)),
		fuseUnk: o.FuseUnk, bytes: o.ByteFallback, wholeFirst: o.IgnoreMerges}
	if o.Prefix != nil {
		m.prefix = *o.Prefix
	}
	if o.Suffix != nil {
		m.suffix = *o.Suffix
	}
	if err := errors.Join(affix(m.prefix), affix(m.suffix)); err != nil {
		return nil, err
	}
	if o.Unk != nil {
		if m.unk, m.hasUnk = o.Vocab[*o.Unk]; !m.hasUnk {
			return nil, fmt.Errorf("unknown token %.40q is not in the vocabulary", *o.Unk)
		}
	}
	for rank, raw := range o.Merges {
		left, right, err := mergePair(raw)
		if err != nil {
			return nil, fmt.Errorf("merge %d: %w", rank, err)
		}
		a, okA := o.Vocab[left]
		c, okC := o.Vocab[right]
		joined, ok := o.Vocab[left+strings.TrimPrefix(right, m.prefix)]
		if !okA || !okC || !ok {
			return nil, fmt.Errorf("merge %d of %.40q and %.40q is not in the vocabulary", rank, left, right)
		}
		if _, twice := m.merges[[2]int{a, c}]; !twice {
			m.merges[[2]int{a, c}] = merge{rank, joined}
		}
	}
	return m, nil
}

// mergePair reads ["a","b"] or, as older files write it, "a b".
func mergePair(raw json.RawMessage) (string, string, error) {
	var pair []string
	if json.Unmarshal(raw, &pair) != nil {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", "", err
		}
		pair = strings.Split(s, " ")
	}
	if len(pair) != 2 {
		return "", "", fmt.Errorf("%.60s is not a pair", raw)
	}
	return pair[0], pair[1], nil
}

// symbol is a node of the list that a word is while it is merged.
type symbol struct{ id, prev, next int }

// candidate is a pair that can be joined; stale once either side changed.
type candidate struct{ rank, at, left, right, id int }

type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].at < c[j].at
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

func (m *bpe) encode(dst []int, word string) []int {
	if m.wholeFirst {
		if id, ok := m.vocab[word]; ok {
			return append(dst, id)
		}
	}
	syms := m.symbols(word)
	queue := &candidates{}
	consider := func(i int) {
		if i < 0 || syms[i].next < 0 {
			return
		}
		l, r := syms[i].id, syms[syms[i].next].id
		if g, ok := m.merges[[2]int{l, r}]; ok {
			heap.Push(queue, candidate{g.rank, i, l, r, g.id})
		}
	}
	for i := range syms {
		consider(i)
	}
	for queue.Len() > 0 {
		c := heap.Pop(queue).(candidate)
		next := syms[c.at].next
		if syms[c.at].id != c.left || next < 0 || syms[next].id != c.right {
			continue
		}
		syms[c.at].id = c.id
		syms[c.at].next = syms[next].next
		syms[next].id = -1
		if n := syms[c.at].next; n >= 0 {
			syms[n].prev = c.at
		}
		consider(syms[c.at].prev)
		consider(c.at)
	}
	for _, s := range syms {
		if s.id >= 0 {
			dst = append(dst, s.id)
		}
	}
	return dst
}

// symbols returns a word's characters as tokens.
func (m *bpe) symbols(word string) []symbol {
	var ids []int
	lastUnk := false
	for i, r := range word {
		n := len(string(r))
		text := string(r)
		if i > 0 {
			text = m.prefix + text
		}
		if i+n >= len(word) {
			text += m.suffix
		}
		if id, ok := m.vocab[text]; ok {
			ids, lastUnk = append(ids, id), false
			continue
		}
		if m.bytes {
			if more, ok := byteTokens(m.vocab, text); ok {
				ids, lastUnk = append(ids, more...), false
				continue
			}
		}
		if m.hasUnk && !(m.fuseUnk && lastUnk) {
			ids, lastUnk = append(ids, m.unk), true
		}
	}
	syms := make([]symbol, len(ids))
	for i, id := range ids {
		syms[i] = symbol{id, i - 1, i + 1}
	}
	if len(syms) > 0 {
		syms[len(syms)-1].next = -1
	}
	return syms
}

// byteTokens writes text as one token a byte, where the vocabulary has them.
func byteTokens(v vocab, text string) ([]int, bool) {
	ids := make([]int, len(text))
	for i := range ids {
		id, ok := v[fmt.Sprintf("<0x%02X>", text[i])]
		if !ok {
			return nil, false
		}
		ids[i] = id
	}
	return ids, true
}
