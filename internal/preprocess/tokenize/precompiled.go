package tokenize

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// charsmap is SentencePiece's table of replacements: a double-array trie
// (Aoe, 1989, as the Darts-clone library lays it out) from byte strings to
// places in a block of texts that end in NUL.
type charsmap struct {
	trie  []uint32
	texts string
}

func precompiledNormalizer(b json.RawMessage) (normalizer, error) {
	var o struct {
		Map string `json:"precompiled_charsmap"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(o.Map)
	if err != nil {
		return nil, err
	}
	if len(raw) < 4 || int64(binary.LittleEndian.Uint32(raw)) > int64(len(raw)-4) {
		return nil, errors.New("the character map is cut short")
	}
	n := int(binary.LittleEndian.Uint32(raw))
	m := &charsmap{texts: string(raw[4+n:])}
	for i := 4; i+4 <= 4+n; i += 4 {
		m.trie = append(m.trie, binary.LittleEndian.Uint32(raw[i:]))
	}
	return m.normalize, nil
}

// lookup returns the replacement of the shortest prefix of s that has one.
func (m *charsmap) lookup(s string) (string, bool) {
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	if len(m.trie) == 0 {
		return "", false
	}
	pos := offset(m.trie[0])
	for i := range len(s) {
		pos ^= uint32(s[i])
		if s[i] == 0 || int64(pos) >= int64(len(m.trie)) {
			return "", false
		}
		unit := m.trie[pos]
		if unit&(1<<31|0xff) != uint32(s[i]) {
			return "", false
		}
		pos ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if int64(pos) >= int64(len(m.trie)) {
			return "", false
		}
		at := int64(m.trie[pos] &^ (1 << 31))
		if at > int64(len(m.texts)) {
			return "", false
		}
		text, _, _ := strings.Cut(m.texts[at:], "\x00")
		return strings.ToValidUTF8(text, "\ufffd"), true
	}
	return "", false
}

// normalize replaces short clusters of a character and its marks where the map
// has them, else character by character.
func (m *charsmap) normalize(s string) (string, error) {
	var b strings.Builder
	for len(s) > 0 {
		n := cluster(s)
		if text, ok := m.lookup(s[:n]); ok && n < 6 {
			b.WriteString(text)
		} else {
			for i, r := range s[:n] {
				if text, ok := m.lookup(s[i : i+utf8.RuneLen(r)]); ok {
					b.WriteString(text)
				} else {
					b.WriteRune(r)
				}
			}
		}
		if s = s[n:]; b.Len() > maxNormal {
			return "", tooLong()
		}
	}
	return b.String(), nil
}

// cluster returns the length of the first character with its marks.
func cluster(s string) int {
	if strings.HasPrefix(s, "\r\n") {
		return 2
	}
	first, n := utf8.DecodeRuneInString(s)
	if unicode.In(first, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && first != '\u200c' && first != '\u200d' {
		return n // marks do not join these
	}
	for n < len(s) {
		r, k := utf8.DecodeRuneInString(s[n:])
		if !unicode.Is(unicode.M, r) && r != '\u200d' {
			break
		}
		n += k
	}
	return n
}
