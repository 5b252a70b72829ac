package tokenize

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// byteRunes writes each byte as a visible character, as GPT-2 does: printable
// Latin-1 as itself, the rest from U+0100 on.
var byteRunes = func() (t [256]rune) {
	next := rune(0x100)
	for b := range t {
		switch {
		case b >= '!' && b <= '~', b >= 0xa1 && b <= 0xac, b >= 0xae:
			t[b] = rune(b)
		default:
			t[b] = next
			next++
		}
	}
	return t
}()

func byteLevel(b json.RawMessage) (preTokenizer, error) {
	o := struct {
		AddPrefixSpace bool `json:"add_prefix_space"`
		UseRegex       bool `json:"use_regex"`
	}{true, true}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	return each(func(s string) []string {
		if o.AddPrefixSpace && !strings.HasPrefix(s, " ") {
			s = " " + s
		}
		words := []string{s}
		if o.UseRegex {
			words = gpt2Words(s)
		}
		for i, w := range words {
			var v strings.Builder
			for j := range len(w) {
				v.WriteRune(byteRunes[w[j]])
			}
			words[i] = v.String()
		}
		return words
	}), nil
}

// gpt2Pattern is how files write what gpt2Words does; Go's regexp has no
// lookahead.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// gpt2Words cuts text into words with the space before them.
func gpt2Words(s string) []string {
	var out []string
	for s != "" {
		n := gpt2Word(s)
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

// class sorts runes into letters, numbers, spaces and others.
func class(r rune) int {
	switch {
	case unicode.IsLetter(r):
		return 1
	case unicode.IsNumber(r):
		return 2
	case unicode.IsSpace(r):
		return 3
	}
	return 4
}

// gpt2Word returns the length of the first word.
func gpt2Word(s string) int {
	for _, c := range contractions {
		if strings.HasPrefix(s, c) {
			return len(c)
		}
	}
	lead := 0
	if s[0] == ' ' {
		lead = 1
	}
	// end returns where the run of one class that begins at i ends, and where
	// its last rune begins.
	end := func(i int) (n, last, c int) {
		for n = i; n < len(s); {
			r, k := utf8.DecodeRuneInString(s[n:])
			if n > i && class(r) != c {
				break
			}
			c, last = class(r), n
			n += k
		}
		return n, last, c
	}
	if n, _, c := end(lead); lead < len(s) && c != 3 {
		return n
	}
	n, last, _ := end(0)
	if n < len(s) && last > 0 { // leave the last space to the word after it
		return last
	}
	return n
}
