package tokenize

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text before the model sees it.
type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
}

// matcher finds added tokens in a text, the longest first at each place.
type matcher struct {
	tokens []addedToken
	texts  lexicon // ids are places in tokens
}

func newMatcher(tokens []addedToken) matcher {
	entries := make([]entry, len(tokens))
	for i, a := range tokens {
		entries[i] = entry{text: a.Content, id: i}
	}
	return matcher{tokens, newLexicon(entries)}
}

func (m *matcher) find(content string) (int, bool) {
	for _, a := range m.tokens {
		if a.Content == content {
			return a.ID, true
		}
	}
	return 0, false
}

// segment is a stretch of text, or an added token where id is not negative.
type segment struct {
	text string
	id   int
}

func (m *matcher) split(s string) []segment {
	if len(m.texts) == 0 {
		return []segment{{s, -1}}
	}
	var out []segment
	start := 0 // of the text since the last token
	for i := 0; i < len(s); {
		a := m.at(s, i)
		if a == nil {
			i++
			continue
		}
		end := i + len(a.Content)
		text := s[start:i]
		if a.LStrip {
			text = strings.TrimRightFunc(text, unicode.IsSpace)
		}
		if text != "" {
			out = append(out, segment{text, -1})
		}
		out = append(out, segment{"", a.ID})
		if a.RStrip {
			end = len(s) - len(strings.TrimLeftFunc(s[end:], unicode.IsSpace))
		}
		start, i = end, end
	}
	if start < len(s) {
		out = append(out, segment{s[start:], -1})
	}
	return out
}

// at returns the longest token that begins at s[i:], nil for none.
func (m *matcher) at(s string, i int) (found *addedToken) {
	m.texts.prefixes(s[i:], func(e entry) {
		a := &m.tokens[e.id]
		if a.SingleWord {
			before, _ := utf8.DecodeLastRuneInString(s[:i])
			after, _ := utf8.DecodeRuneInString(s[i+len(a.Content):])
			if i > 0 && isWord(before) || i+len(a.Content) < len(s) && isWord(after) {
				return
			}
		}
		found = a
	})
	return found
}
