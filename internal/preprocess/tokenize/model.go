package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

func loadModel(b json.RawMessage) (model, error) {
	if isNull(b) {
		return nil, errors.New("the file has none")
	}
	k, err := kind(b)
	if err != nil {
		return nil, err
	}
	if k == "" { // older files do not say
		var has struct {
			Merges json.RawMessage
			UnkID  json.RawMessage `json:"unk_id"`
		}
		if err := json.Unmarshal(b, &has); err != nil {
			return nil, err
		}
		switch {
		case has.Merges != nil:
			k = "BPE"
		case has.UnkID != nil:
			k = "Unigram"
		default:
			k = "WordPiece"
		}
	}
	var m model
	switch k {
	case "WordPiece":
		m, err = loadWordPiece(b)
	case "WordLevel":
		m, err = loadWordLevel(b)
	case "BPE":
		m, err = loadBPE(b)
	case "Unigram":
		m, err = loadUnigram(b)
	default:
		return nil, fmt.Errorf("%.60q is not supported", k)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	return m, nil
}

// vocab maps tokens to ids.
type vocab map[string]int

func (v vocab) id(token string) (int, bool) {
	id, ok := v[token]
	return id, ok
}

// affix checks what is put before or after every piece of a word.
func affix(s string) error {
	if len(s) > 64 {
		return fmt.Errorf("prefix or suffix of %d bytes, at most 64 are allowed", len(s))
	}
	return nil
}

// wordPiece takes the longest token that begins a word, then the longest that
// goes on, until the word ends (Schuster and Nakajima, 2012). A word that does
// not come out whole is unknown.
type wordPiece struct {
	vocab
	unk, longest int
	goesOn       string
	maxRunes     int
}

func loadWordPiece(b json.RawMessage) (model, error) {
	o := struct {
		Vocab    vocab
		Unk      string `json:"unk_token"`
		Prefix   string `json:"continuing_subword_prefix"`
		MaxRunes int    `json:"max_input_chars_per_word"`
	}{Unk: "[UNK]", Prefix: "##", MaxRunes: 100}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	if err := affix(o.Prefix); err != nil {
		return nil, err
	}
	w := &wordPiece{vocab: o.Vocab, goesOn: o.Prefix, maxRunes: min(o.MaxRunes, 1000)}
	var ok bool
	if w.unk, ok = o.Vocab[o.Unk]; !ok {
		return nil, fmt.Errorf("unknown token %.40q is not in the vocabulary", o.Unk)
	}
	for t := range o.Vocab {
		w.longest = max(w.longest, len(t))
	}
	return w, nil
}

func (w *wordPiece) encode(dst []int, word string) []int {
	if utf8.RuneCountInString(word) > w.maxRunes {
		return append(dst, w.unk)
	}
	before := len(dst)
	for start := 0; start < len(word); {
		prefix := ""
		if start > 0 {
			prefix = w.goesOn
		}
		end := min(len(word), start+w.longest)
		for ; end > start; end-- {
			if id, ok := w.vocab[prefix+word[start:end]]; ok && (end == len(word) || utf8.RuneStart(word[end])) {
				dst = append(dst, id)
				break
			}
		}
		if end == start {
			return append(dst[:before], w.unk)
		}
		start = end
	}
	return dst
}

// wordLevel has a token for every word that it knows.
type wordLevel struct {
	vocab
	unk    int
	hasUnk bool
}

func loadWordLevel(b json.RawMessage) (model, error) {
	var o struct {
		Vocab vocab
		Unk   string `json:"unk_token"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	w := &wordLevel{vocab: o.Vocab}
	w.unk, w.hasUnk = o.Vocab[o.Unk]
	return w, nil
}

func (w *wordLevel) encode(dst []int, word string) []int {
	if id, ok := w.vocab[word]; ok {
		return append(dst, id)
	}
	if w.hasUnk {
		return append(dst, w.unk)
	}
	return dst
}
