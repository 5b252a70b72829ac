package preprocess

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hone-ml/hone/internal/preprocess/tokenize"
	"github.com/hone-ml/hone/tensor"
)

// Text says how texts become token ids: one row of each tensor a text.
type Text struct {
	// IDs, Mask and Types name the model inputs to make: token ids, 1 for
	// tokens and 0 for padding, 0 or 1 for the first or second text of a pair.
	// Mask and Types are left out where empty.
	IDs   string `json:"ids"`
	Mask  string `json:"mask,omitempty"`
	Types string `json:"types,omitempty"`
	// Type is the element type: i64 or i32.
	Type string `json:"type"`
	// MaxLength cuts longer texts, in tokens with the special ones; 0 cuts
	// nothing.
	MaxLength int `json:"max_length,omitempty"`
	// Pad brings texts to one length: "longest" to that of the longest in the
	// batch, "max" to MaxLength.
	Pad string `json:"pad"`
	// PadToken fills, "[PAD]" where empty; PadLeft fills before the text.
	PadToken string `json:"pad_token,omitempty"`
	PadLeft  bool   `json:"pad_left,omitempty"`
	// Tokenizer is a Hugging Face tokenizer.json.
	Tokenizer json.RawMessage `json:"tokenizer"`

	// load reads Tokenizer once, when first asked: a large vocabulary takes
	// tens of milliseconds, and opening a model must not.
	load func() (*tokenize.Tokenizer, error)
}

// maxTokens bounds MaxLength.
const maxTokens = 1 << 24

// TextSpec returns a Spec that feeds the named model inputs, as far as they
// have the usual names (input_ids, attention_mask, token_type_ids), with what
// the given tokenizer.json says.
func TextSpec(tokenizer []byte, inputs []string, maxLength int) (Spec, error) {
	t := Text{IDs: "input_ids", Type: "i64", Pad: "longest", MaxLength: maxLength, Tokenizer: tokenizer}
	if !slices.Contains(inputs, t.IDs) {
		return Spec{}, fmt.Errorf("a tokenizer feeds input_ids, but the model's inputs are %v", inputs)
	}
	if slices.Contains(inputs, "attention_mask") {
		t.Mask = "attention_mask"
	}
	if slices.Contains(inputs, "token_type_ids") {
		t.Types = "token_type_ids"
	}
	t.prepare()
	s := Spec{Texts: []Text{t}}
	return s, s.Validate()
}

func (t *Text) prepare() {
	raw := t.Tokenizer
	t.load = sync.OnceValues(func() (*tokenize.Tokenizer, error) { return tokenize.Load(raw) })
}

// tokenizer returns the loaded tokenizer.
func (t *Text) tokenizer() (*tokenize.Tokenizer, error) {
	if t.load == nil {
		return tokenize.Load(t.Tokenizer)
	}
	return t.load()
}

func (t *Text) outputs() []string {
	names := []string{t.IDs}
	for _, n := range []string{t.Mask, t.Types} {
		if n != "" {
			names = append(names, n)
		}
	}
	return names
}

func (t *Text) validate() error {
	switch {
	case t.Type != "i64" && t.Type != "i32":
		return fmt.Errorf("type is %q, want i64 or i32", t.Type)
	case t.MaxLength < 0 || t.MaxLength > maxTokens:
		return fmt.Errorf("max_length is %d, want 0 to %d", t.MaxLength, maxTokens)
	case t.Pad != "longest" && t.Pad != "max":
		return fmt.Errorf("pad is %q, want longest or max", t.Pad)
	case t.Pad == "max" && t.MaxLength == 0:
		return errors.New("pad is max, but there is no max_length")
	}
	return nil
}

func (t *Text) apply(sources []Source) ([]*tensor.Tensor, error) {
	tok, err := t.tokenizer()
	if err != nil {
		return nil, err
	}
	rows := make([]tokenize.Encoding, len(sources))
	length := 0
	for i, s := range sources {
		text, err := s.text()
		if err != nil {
			return nil, err
		}
		if rows[i], err = tok.Encode(text, s.Pair, s.Pair != "", t.MaxLength); err != nil {
			return nil, err
		}
		length = max(length, len(rows[i].IDs))
	}
	if t.Pad == "max" {
		length = t.MaxLength
	}
	pad, err := t.padID(tok, rows, length)
	if err != nil {
		return nil, err
	}
	if _, err := tensor.NumElements([]int{len(rows), length}); err != nil {
		return nil, err
	}
	values := func(fill int, of func(tokenize.Encoding, int) int) *tensor.Tensor {
		flat := make([]int64, 0, len(rows)*length)
		for _, r := range rows {
			before := 0
			if t.PadLeft {
				before = length - len(r.IDs)
			}
			for i := range length {
				v := fill
				if j := i - before; j >= 0 && j < len(r.IDs) {
					v = of(r, j)
				}
				flat = append(flat, int64(v))
			}
		}
		return t.tensor(flat, len(rows), length)
	}
	out := []*tensor.Tensor{values(pad, func(e tokenize.Encoding, i int) int { return e.IDs[i] })}
	if t.Mask != "" {
		out = append(out, values(0, func(tokenize.Encoding, int) int { return 1 }))
	}
	if t.Types != "" {
		out = append(out, values(0, func(e tokenize.Encoding, i int) int { return e.Types[i] }))
	}
	return out, nil
}

// padID returns the id that fills rows; an error only where one is needed.
func (t *Text) padID(tok *tokenize.Tokenizer, rows []tokenize.Encoding, length int) (int, error) {
	name := t.PadToken
	if name == "" {
		name = "[PAD]"
	}
	id, ok := tok.ID(name)
	needed := slices.ContainsFunc(rows, func(r tokenize.Encoding) bool { return len(r.IDs) < length })
	if !ok && needed {
		return 0, fmt.Errorf("padding token %q is not in the vocabulary: set pad_token", name)
	}
	return id, nil
}

func (t *Text) tensor(flat []int64, shape ...int) *tensor.Tensor {
	if t.Type == "i64" {
		return tensor.Int64s(flat, shape...)
	}
	small := make([]int32, len(flat))
	for i, v := range flat {
		small[i] = int32(v)
	}
	return tensor.From(tensor.Int32, small, shape...)
}
