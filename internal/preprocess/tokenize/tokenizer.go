// Package tokenize turns text into token ids as a Hugging Face tokenizer.json
// says: normalizer, pre-tokenizer, model (WordPiece, BPE, Unigram or
// WordLevel) and post-processor. A part that it does not know is refused by
// name, for a tokenizer that is almost right is wrong. It knows nothing of
// tensors. The format is that of https://github.com/huggingface/tokenizers.
package tokenize

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Tokenizer is safe for concurrent use.
type Tokenizer struct {
	raw, normal  matcher // added tokens sought before and after normalization
	normalize    normalizer
	pretokenize  func(pieces []string, first bool) []string
	model        model
	single, pair template
}

// model turns one pre-tokenized piece into ids, appended to dst.
type model interface {
	encode(dst []int, piece string) []int
	id(token string) (int, bool)
}

// Encoding is a tokenized text or pair. Types says for each token which of the
// two texts it belongs to, as BERT's token_type_ids do.
type Encoding struct {
	IDs, Types []int
}

// Load reads a tokenizer.json.
func Load(b []byte) (*Tokenizer, error) {
	t, err := load(b)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	return t, nil
}

func load(b []byte) (*Tokenizer, error) {
	var file struct {
		AddedTokens   []addedToken    `json:"added_tokens"`
		Normalizer    json.RawMessage `json:"normalizer"`
		PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
		Model         json.RawMessage `json:"model"`
		PostProcessor json.RawMessage `json:"post_processor"`
	}
	if deeper(b, maxDepth) {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	t := &Tokenizer{}
	var err error
	if t.model, err = loadModel(file.Model); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if t.normalize, err = loadNormalizer(file.Normalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if t.pretokenize, err = loadPreTokenizer(file.PreTokenizer); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	t.single, t.pair = plainSingle, plainPair
	if err = t.loadPost(file.PostProcessor); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	var raw, normal []addedToken
	for _, a := range file.AddedTokens {
		if !a.Normalized {
			raw = append(raw, a)
			continue
		}
		if a.Content, err = t.normalize(a.Content); err != nil {
			return nil, fmt.Errorf("added token %d: %w", a.ID, err)
		}
		normal = append(normal, a)
	}
	t.raw, t.normal = newMatcher(raw), newMatcher(normal)
	return t, nil
}

// maxDepth bounds how deep parts lie in parts: each level reads its own again.
const maxDepth = 32

// deeper reports whether brackets are nested more than most deep.
func deeper(b []byte, most int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '['):
			depth++
		case !quoted && (c == '}' || c == ']'):
			depth--
		}
		if depth > most {
			return true
		}
	}
	return false
}

// isNull reports whether a part of the file is absent.
func isNull(b json.RawMessage) bool { return len(b) == 0 || string(b) == "null" }

// kind reads the type field that every part has.
func kind(b json.RawMessage) (string, error) {
	var k struct{ Type string }
	err := json.Unmarshal(b, &k)
	return k.Type, err
}

// ID returns the id of a token, added ones included.
func (t *Tokenizer) ID(token string) (int, bool) {
	for _, m := range []*matcher{&t.raw, &t.normal} {
		if id, ok := m.find(token); ok {
			return id, true
		}
	}
	return t.model.id(token)
}

// Encode tokenizes text and, where hasPair is set, a second text, adds the
// special tokens, and cuts off what passes max tokens (0: nothing). Of a pair
// the longer text is cut first. Bytes that are not UTF-8 count as U+FFFD.
func (t *Tokenizer) Encode(text, pair string, hasPair bool, max int) (Encoding, error) {
	tmpl := t.single
	a, err := t.tokens(text)
	var b []int
	if err == nil && hasPair {
		tmpl = t.pair
		b, err = t.tokens(pair)
	}
	if err != nil {
		return Encoding{}, err
	}
	if max > 0 {
		room := max - tmpl.special()
		if room < 0 {
			return Encoding{}, fmt.Errorf("max length %d leaves no room beside %d special tokens", max, tmpl.special())
		}
		na, nb := share(len(a), len(b), room)
		a, b = a[:na], b[:nb]
	}
	return tmpl.fill(a, b), nil
}

// share divides room between two texts of na and nb tokens, longest first.
func share(na, nb, room int) (int, int) {
	switch {
	case na+nb <= room:
		return na, nb
	case na <= room/2:
		return na, room - na
	case nb <= room/2:
		return room - nb, nb
	case na > nb:
		return room - room/2, room / 2
	}
	return room / 2, room - room/2
}

// tokens returns the ids of a text without special tokens around it.
func (t *Tokenizer) tokens(text string) ([]int, error) {
	var ids []int
	first := true // whether a piece stands at the beginning of the text
	for _, s := range t.raw.split(strings.ToValidUTF8(text, "\ufffd")) {
		if s.id >= 0 {
			ids, first = append(ids, s.id), false
			continue
		}
		text, err := t.normalize(s.text)
		if err != nil {
			return nil, err
		}
		for _, n := range t.normal.split(text) {
			if n.id >= 0 {
				ids, first = append(ids, n.id), false
				continue
			}
			if n.text == "" {
				continue
			}
			for _, piece := range t.pretokenize([]string{n.text}, first) {
				if piece != "" {
					ids = t.model.encode(ids, piece)
				}
			}
			first = false
		}
	}
	return ids, nil
}
