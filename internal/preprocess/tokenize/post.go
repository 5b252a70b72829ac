package tokenize

import (
	"encoding/json"
	"fmt"
)

// template says how one or two tokenized texts and special tokens become a
// sequence.
type template []slot

// slot is a text ('A' or 'B') or special tokens, with their type.
type slot struct {
	text   byte
	ids    []int
	typeID int
}

var (
	plainSingle = template{{text: 'A'}}
	plainPair   = template{{text: 'A'}, {text: 'B', typeID: 1}}
)

// special counts the tokens that are not the texts'.
func (t template) special() int {
	n := 0
	for _, s := range t {
		n += len(s.ids)
	}
	return n
}

// count returns how often a text is used.
func (t template) count(text byte) int {
	n := 0
	for _, s := range t {
		if s.text == text {
			n++
		}
	}
	return n
}

func (t template) fill(a, b []int) Encoding {
	e := Encoding{IDs: []int{}, Types: []int{}}
	for _, s := range t {
		ids := s.ids
		switch s.text {
		case 'A':
			ids = a
		case 'B':
			ids = b
		}
		e.IDs = append(e.IDs, ids...)
		for range ids {
			e.Types = append(e.Types, s.typeID)
		}
	}
	return e
}

func (t *Tokenizer) loadPost(b json.RawMessage) error {
	if isNull(b) {
		return nil
	}
	k, err := kind(b)
	if err != nil {
		return err
	}
	switch k {
	case "TemplateProcessing":
		err = t.loadTemplate(b)
	case "BertProcessing":
		err = t.loadClsSep(b, 1, 1)
	case "RobertaProcessing":
		err = t.loadClsSep(b, 2, 0)
	case "ByteLevel": // concerns offsets only
	case "Sequence":
		var o struct{ Processors []json.RawMessage }
		if err = json.Unmarshal(b, &o); err != nil {
			return err
		}
		for _, p := range o.Processors {
			if err = t.loadPost(p); err != nil {
				return err
			}
		}
	default:
		err = fmt.Errorf("%.60q is not supported", k)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", k, err)
	}
	return nil
}

// loadClsSep makes CLS A SEP and CLS A SEP... B SEP, with between separators
// in the middle and the second text of type second.
func (t *Tokenizer) loadClsSep(b json.RawMessage, between, second int) error {
	var o struct{ Sep, Cls [2]json.RawMessage }
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	var sep, cls int
	for raw, id := range map[*json.RawMessage]*int{&o.Sep[1]: &sep, &o.Cls[1]: &cls} {
		if err := json.Unmarshal(*raw, id); err != nil {
			return fmt.Errorf("want a token and its id: %w", err)
		}
	}
	middle := []int{sep, sep}[:between]
	t.single = template{{ids: []int{cls}}, {text: 'A'}, {ids: []int{sep}}}
	t.pair = template{{ids: []int{cls}}, {text: 'A'}, {ids: middle[:1]}, {ids: middle[1:], typeID: second},
		{text: 'B', typeID: second}, {ids: []int{sep}, typeID: second}}
	return nil
}

func (t *Tokenizer) loadTemplate(b json.RawMessage) error {
	type part struct {
		ID     string `json:"id"`
		TypeID int    `json:"type_id"`
	}
	type item struct{ SpecialToken, Sequence *part }
	var o struct {
		Single, Pair  []item
		SpecialTokens map[string]struct{ IDs []int } `json:"special_tokens"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	build := func(items []item) (template, error) {
		var out template
		for _, it := range items {
			switch {
			case it.Sequence != nil && (it.Sequence.ID == "A" || it.Sequence.ID == "B"):
				out = append(out, slot{text: it.Sequence.ID[0], typeID: it.Sequence.TypeID})
			case it.SpecialToken != nil:
				tok, ok := o.SpecialTokens[it.SpecialToken.ID]
				if !ok {
					return nil, fmt.Errorf("special token %.40q has no ids", it.SpecialToken.ID)
				}
				out = append(out, slot{ids: tok.IDs, typeID: it.SpecialToken.TypeID})
			default:
				return nil, fmt.Errorf("an item is neither a special token nor sequence A or B")
			}
		}
		return out, nil
	}
	var err error
	if t.single, err = build(o.Single); err != nil {
		return err
	}
	if t.pair, err = build(o.Pair); err != nil {
		return err
	}
	if t.single.count('A') > 1 || t.single.count('B') > 0 || t.pair.count('A') > 1 || t.pair.count('B') > 1 {
		return fmt.Errorf("a text is used twice, or a second one where there is none")
	}
	return nil
}
