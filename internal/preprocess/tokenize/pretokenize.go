package tokenize

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// preTokenizer splits pieces further. first says that the first piece stands
// at the beginning of the text.
type preTokenizer func(pieces []string, first bool) []string

func loadPreTokenizer(b json.RawMessage) (func([]string, bool) []string, error) {
	if isNull(b) {
		return func(p []string, _ bool) []string { return p }, nil
	}
	k, err := kind(b)
	if err != nil {
		return nil, err
	}
	var f preTokenizer
	switch k {
	case "BertPreTokenizer":
		f = each(func(s string) []string { return split(s, unicode.IsSpace, isPunct) })
	case "Whitespace":
		f = each(wordsAndRest)
	case "WhitespaceSplit":
		f = each(func(s string) []string { return split(s, unicode.IsSpace, never) })
	case "ByteLevel":
		f, err = byteLevel(b)
	case "Metaspace":
		f, err = metaspace(b)
	case "Digits":
		f, err = digits(b)
	case "Punctuation":
		f, err = punctuation(b)
	case "Split":
		f, err = splitPattern(b)
	case "Sequence":
		f, err = sequencePreTokenizer(b)
	default:
		err = fmt.Errorf("%.60q is not supported", k)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	return f, nil
}

// each splits every piece by itself.
func each(f func(string) []string) preTokenizer {
	return func(pieces []string, _ bool) []string {
		var out []string
		for _, p := range pieces {
			out = append(out, f(p)...)
		}
		return out
	}
}

func sequencePreTokenizer(b json.RawMessage) (preTokenizer, error) {
	var o struct{ Pretokenizers []json.RawMessage }
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	var parts []preTokenizer
	for _, p := range o.Pretokenizers {
		f, err := loadPreTokenizer(p)
		if err != nil {
			return nil, err
		}
		parts = append(parts, f)
	}
	return func(pieces []string, first bool) []string {
		for _, f := range parts {
			pieces = f(pieces, first)
		}
		return pieces
	}, nil
}

func never(rune) bool { return false }

// split cuts s at runes that drop holds for, which vanish, and around those
// that alone holds for, which stay by themselves.
func split(s string, drop, alone func(rune) bool) []string {
	var out []string
	start := 0
	cut := func(end int) {
		if start < end {
			out = append(out, s[start:end])
		}
	}
	for i, r := range s {
		n := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, n = utf8.DecodeRuneInString(s[i:])
		}
		if drop(r) {
			cut(i)
			start = i + n
		} else if alone(r) {
			cut(i)
			out = append(out, s[i:i+n])
			start = i + n
		}
	}
	cut(len(s))
	return out
}

// runs cuts s where class changes.
func runs(s string, class func(rune) int) []string {
	var out []string
	start, last := 0, 0
	for i, r := range s {
		c := class(r)
		if i > 0 && c != last {
			out = append(out, s[start:i])
			start = i
		}
		last = c
	}
	if start < len(s) {
		out = append(out, s[start:])
	}
	return out
}

// isPunct is BERT's notion: all of ASCII's symbols, and Unicode's punctuation.
func isPunct(r rune) bool {
	return r < 0x80 && (r > ' ' && r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z' && r < 0x7f) || unicode.IsPunct(r)
}

// isWord is \w of Unicode's regular expressions (UTS 18).
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}

func wordsAndRest(s string) []string {
	var out []string
	for _, p := range split(s, unicode.IsSpace, never) {
		out = append(out, runs(p, func(r rune) int {
			if isWord(r) {
				return 1
			}
			return 0
		})...)
	}
	return out
}

func digits(b json.RawMessage) (preTokenizer, error) {
	var o struct {
		Individual bool `json:"individual_digits"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	if o.Individual {
		return each(func(s string) []string { return split(s, never, unicode.IsNumber) }), nil
	}
	return each(func(s string) []string {
		return runs(s, func(r rune) int {
			if unicode.IsNumber(r) {
				return 1
			}
			return 0
		})
	}), nil
}

func punctuation(b json.RawMessage) (preTokenizer, error) {
	o := struct{ Behavior string }{"Isolated"}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	if o.Behavior != "Isolated" {
		return nil, fmt.Errorf("behavior %.40q is not supported", o.Behavior)
	}
	return each(func(s string) []string { return split(s, never, isPunct) }), nil
}

// splitPattern cuts around what a pattern matches.
func splitPattern(b json.RawMessage) (preTokenizer, error) {
	var o struct {
		Pattern  pattern
		Behavior string
		Invert   bool
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	if o.Pattern.Regex != nil && *o.Pattern.Regex == gpt2Pattern && o.Behavior == "Isolated" && !o.Invert {
		return each(gpt2Words), nil
	}
	re, err := o.Pattern.compile()
	if err != nil {
		return nil, err
	}
	join, ok := behaviors[o.Behavior]
	if !ok {
		return nil, fmt.Errorf("behavior %.40q is not supported", o.Behavior)
	}
	return each(func(s string) []string {
		var parts []part
		add := func(from, to int, match bool) {
			if from < to {
				parts = append(parts, part{s[from:to], match != o.Invert})
			}
		}
		start := 0
		for _, m := range re.FindAllStringIndex(s, -1) {
			add(start, m[0], false)
			add(m[0], m[1], true)
			start = m[1]
		}
		add(start, len(s), false)
		return join(parts)
	}), nil
}

// part is a stretch of text that a pattern matches or not.
type part struct {
	text  string
	match bool
}

// behaviors say what becomes of the matches that a text is split at.
var behaviors = map[string]func([]part) []string{
	"Removed": func(parts []part) (out []string) {
		for _, p := range parts {
			if !p.match {
				out = append(out, p.text)
			}
		}
		return out
	},
	"Isolated":           joinWhere(func(a, b part) bool { return false }),
	"MergedWithPrevious": joinWhere(func(a, b part) bool { return !a.match && b.match }),
	"MergedWithNext":     joinWhere(func(a, b part) bool { return a.match && !b.match }),
	"Contiguous":         joinWhere(func(a, b part) bool { return a.match == b.match }),
}

// joinWhere joins neighbours that joins holds for.
func joinWhere(joins func(a, b part) bool) func([]part) []string {
	return func(parts []part) (out []string) {
		for i, p := range parts {
			if i > 0 && joins(parts[i-1], p) {
				out[len(out)-1] += p.text
			} else {
				out = append(out, p.text)
			}
		}
		return out
	}
}

// metaspace makes spaces visible, as SentencePiece does, and cuts before them.
func metaspace(b json.RawMessage) (preTokenizer, error) {
	o := struct {
		Replacement    string
		AddPrefixSpace *bool  `json:"add_prefix_space"`
		PrependScheme  string `json:"prepend_scheme"`
		Split          *bool
	}{Replacement: "▁"}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	if o.PrependScheme == "" {
		o.PrependScheme = "always"
		if o.AddPrefixSpace != nil && !*o.AddPrefixSpace {
			o.PrependScheme = "never"
		}
	}
	mark := o.Replacement
	if utf8.RuneCountInString(mark) != 1 {
		return nil, fmt.Errorf("replacement is %.40q, want one character", mark)
	}
	return func(pieces []string, first bool) []string {
		var out []string
		for i, p := range pieces {
			p = strings.ReplaceAll(p, " ", mark)
			if (o.PrependScheme == "always" || o.PrependScheme == "first" && first && i == 0) && !strings.HasPrefix(p, mark) {
				p = mark + p
			}
			if o.Split != nil && !*o.Split {
				out = append(out, p)
				continue
			}
			for p != "" {
				n := strings.Index(p[len(mark)*btoi(strings.HasPrefix(p, mark)):], mark)
				if n < 0 {
					out = append(out, p)
					break
				}
				n += len(mark) * btoi(strings.HasPrefix(p, mark))
				out = append(out, p[:n])
				p = p[n:]
			}
		}
		return out
	}, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
