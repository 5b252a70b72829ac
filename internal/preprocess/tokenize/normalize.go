package tokenize

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites a text before it is split.
type normalizer func(string) (string, error)

// maxNormal bounds the bytes of a normalized text: a file may ask for
// replacements that multiply.
const maxNormal = 1 << 24

// total wraps what can not fail, nor make a text much longer.
func total(f func(string) string) normalizer {
	return func(s string) (string, error) { return f(s), nil }
}

func tooLong() error {
	return fmt.Errorf("the normalized text passes %d bytes", maxNormal)
}

// loadNormalizer returns what a normalizer does to a text.
func loadNormalizer(b json.RawMessage) (normalizer, error) {
	if isNull(b) {
		return total(func(s string) string { return s }), nil
	}
	k, err := kind(b)
	if err != nil {
		return nil, err
	}
	make, ok := normalizers[k]
	if !ok {
		return nil, fmt.Errorf("%.60q is not supported", k)
	}
	f, err := make(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	return f, nil
}

type makeNormalizer func(json.RawMessage) (normalizer, error)

// fixed is a normalizer without options.
func fixed(f func(string) string) makeNormalizer {
	return func(json.RawMessage) (normalizer, error) { return total(f), nil }
}

var normalizers map[string]makeNormalizer

func init() {
	normalizers = map[string]makeNormalizer{
		"BertNormalizer": bertNormalizer,
		"Sequence":       sequenceNormalizer,
		"Lowercase":      fixed(lower),
		"NFC":            fixed(norm.NFC.String),
		"NFD":            fixed(norm.NFD.String),
		"NFKC":           fixed(norm.NFKC.String),
		"NFKD":           fixed(norm.NFKD.String),
		"StripAccents":   fixed(dropMarks),
		"Strip":          stripNormalizer,
		"Replace":        replaceNormalizer,
		"Prepend":        prependNormalizer,
		"Precompiled":    precompiledNormalizer,
	}
}

func sequenceNormalizer(b json.RawMessage) (normalizer, error) {
	var o struct{ Normalizers []json.RawMessage }
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	var parts []normalizer
	for _, n := range o.Normalizers {
		f, err := loadNormalizer(n)
		if err != nil {
			return nil, err
		}
		parts = append(parts, f)
	}
	return func(s string) (string, error) {
		var err error
		for _, f := range parts {
			if s, err = f(s); err != nil {
				return "", err
			}
		}
		return s, nil
	}, nil
}

func stripNormalizer(b json.RawMessage) (normalizer, error) {
	o := struct {
		Left  bool `json:"strip_left"`
		Right bool `json:"strip_right"`
	}{true, true}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	return total(func(s string) string {
		if o.Left {
			s = strings.TrimLeftFunc(s, unicode.IsSpace)
		}
		if o.Right {
			s = strings.TrimRightFunc(s, unicode.IsSpace)
		}
		return s
	}), nil
}

// pattern is a fixed string or a regular expression, as the file writes it.
type pattern struct{ String, Regex *string }

func (p pattern) compile() (*regexp.Regexp, error) {
	switch {
	case p.String != nil:
		return regexp.Compile(regexp.QuoteMeta(*p.String))
	case p.Regex != nil:
		return regexp.Compile(*p.Regex)
	}
	return nil, fmt.Errorf("has neither a String nor a Regex pattern")
}

func replaceNormalizer(b json.RawMessage) (normalizer, error) {
	var o struct {
		Pattern pattern
		Content string
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	if fixed := o.Pattern.String; fixed != nil {
		return func(s string) (string, error) {
			if strings.Count(s, *fixed) > (maxNormal-min(len(s), maxNormal))/max(len(o.Content), 1) {
				return "", tooLong()
			}
			return strings.ReplaceAll(s, *fixed, o.Content), nil
		}, nil
	}
	re, err := o.Pattern.compile()
	if err != nil {
		return nil, err
	}
	return func(s string) (string, error) {
		room := maxNormal - len(s)
		out := re.ReplaceAllStringFunc(s, func(string) string {
			if room -= len(o.Content); room < 0 {
				return ""
			}
			return o.Content
		})
		if room < 0 {
			return "", tooLong()
		}
		return out, nil
	}, nil
}

func prependNormalizer(b json.RawMessage) (normalizer, error) {
	var o struct{ Prepend string }
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	return func(s string) (string, error) {
		if s == "" {
			return s, nil
		}
		if len(s)+len(o.Prepend) > maxNormal {
			return "", tooLong()
		}
		return o.Prepend + s, nil
	}, nil
}

// bertNormalizer cleans, spaces out Chinese characters, drops accents and
// lowers case, in this order, as BERT's own tokenizer does.
func bertNormalizer(b json.RawMessage) (normalizer, error) {
	o := struct {
		CleanText    bool  `json:"clean_text"`
		Chinese      bool  `json:"handle_chinese_chars"`
		StripAccents *bool `json:"strip_accents"`
		Lowercase    bool  `json:"lowercase"`
	}{true, true, nil, true}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	strip := o.Lowercase
	if o.StripAccents != nil {
		strip = *o.StripAccents
	}
	return total(func(s string) string {
		if o.CleanText {
			s = strings.Map(clean, s)
		}
		if o.Chinese {
			s = spaceChinese(s)
		}
		if strip {
			s = dropMarks(norm.NFD.String(s))
		}
		if o.Lowercase {
			s = lower(s)
		}
		return s
	}), nil
}

// clean drops control characters and makes every space a plain one.
func clean(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return ' '
	case r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs):
		return -1
	case unicode.IsSpace(r):
		return ' '
	}
	return r
}

// chinese are the blocks of CJK ideographs that BERT splits one by one.
var chinese = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x3400, Hi: 0x4dbf, Stride: 1}, {Lo: 0x4e00, Hi: 0x9fff, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x20000, Hi: 0x2a6df, Stride: 1}, {Lo: 0x2a700, Hi: 0x2b73f, Stride: 1}, {Lo: 0x2b740, Hi: 0x2b81f, Stride: 1}, {Lo: 0x2b920, Hi: 0x2ceaf, Stride: 1}, {Lo: 0x2f800, Hi: 0x2fa1f, Stride: 1}},
}

func spaceChinese(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.Is(chinese, r) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func dropMarks(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, s)
}

// lower lowers case by Unicode's full mapping, of which one entry is longer
// than the simple one that Go has.
func lower(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "İ", "i̇"))
}
