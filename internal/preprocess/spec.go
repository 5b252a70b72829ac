// Package preprocess turns pictures, sounds and texts into a model's inputs.
// A Spec says how; it is plain JSON, stored in the artifact, so that running,
// verifying, calibrating and serving a model all see the same numbers.
//
// The package knows tensors but no models: which input a step feeds is a name
// in the Spec. How files are decoded is known by its subpackages.
package preprocess

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// Spec holds the steps that make a model's inputs, each from its own sources.
type Spec struct {
	Images []Image `json:"images,omitempty"`
	Audio  []Audio `json:"audio,omitempty"`
	Texts  []Text  `json:"texts,omitempty"`
}

// Source is one picture, sound or text. Several sources for one step become
// one batch, in the order given.
type Source struct {
	// Input names the step: the model input that it makes, or one of them.
	// It may be empty where the Spec has a single step.
	Input string
	// Reader gives the file's bytes; where nil, Path names the file; where
	// that is empty too, Text is the text itself.
	Reader io.Reader
	Path   string
	Text   string
	// Pair is the second text of a pair, "" for none.
	Pair string
}

// maxText bounds a text file in bytes.
const maxText = 1 << 24

// open returns the source's bytes; name is for messages.
func (s Source) open() (r io.ReadCloser, name string, err error) {
	switch {
	case s.Reader != nil:
		return io.NopCloser(s.Reader), "input", nil
	case s.Path != "":
		f, err := os.Open(s.Path)
		return f, s.Path, err
	}
	return nil, "", errors.New("a picture or sound needs a file")
}

// text returns the source as text.
func (s Source) text() (string, error) {
	if s.Reader == nil && s.Path == "" {
		return s.Text, nil
	}
	r, name, err := s.open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err == nil && len(b) > maxText {
		err = fmt.Errorf("text passes %d bytes", maxText)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return string(b), nil
}

// step is what Image, Audio and Text have in common.
type step interface {
	// outputs names the model inputs that the step makes.
	outputs() []string
	validate() error
	apply([]Source) ([]*tensor.Tensor, error)
}

func (s Spec) steps() []step {
	var out []step
	for i := range s.Images {
		out = append(out, &s.Images[i])
	}
	for i := range s.Audio {
		out = append(out, &s.Audio[i])
	}
	for i := range s.Texts {
		out = append(out, &s.Texts[i])
	}
	return out
}

// Inputs names the model inputs that the Spec makes, in order.
func (s Spec) Inputs() []string {
	var names []string
	for _, st := range s.steps() {
		names = append(names, st.outputs()...)
	}
	return names
}

// Validate checks everything, tokenizers included, so that Apply fails on
// sources only.
func (s Spec) Validate() error {
	if err := s.validate(); err != nil {
		return err
	}
	for i := range s.Texts {
		if _, err := s.Texts[i].tokenizer(); err != nil {
			return fmt.Errorf("preprocessing of %q: %w", s.Texts[i].IDs, err)
		}
	}
	return nil
}

// validate checks all that is cheap to check.
func (s Spec) validate() error {
	seen := map[string]bool{}
	for _, st := range s.steps() {
		name := strings.Join(st.outputs(), ", ")
		if err := st.validate(); err != nil {
			return fmt.Errorf("preprocessing of %q: %w", name, err)
		}
		for _, o := range st.outputs() {
			if o == "" {
				return errors.New("preprocessing: a step names no input")
			}
			if seen[o] {
				return fmt.Errorf("preprocessing: input %q is made twice", o)
			}
			seen[o] = true
		}
	}
	return nil
}

// Parse reads a Spec from JSON. A tokenizer in it is looked at by Validate or
// when it is used first.
func Parse(b []byte) (Spec, error) {
	var s Spec
	err := json.Unmarshal(b, &s)
	return s, err
}

// UnmarshalJSON refuses fields that it does not know, so that a misspelt or a
// newer one is never silently left out, and checks what it read.
func (s *Spec) UnmarshalJSON(b []byte) error {
	type plain Spec
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var p plain
	if err := d.Decode(&p); err != nil {
		return fmt.Errorf("preprocessing spec: %w", err)
	}
	*s = Spec(p)
	for i := range s.Texts {
		s.Texts[i].prepare()
	}
	return s.validate()
}

// Apply makes the inputs that the sources feed, by name. Steps without a
// source make nothing.
func (s Spec) Apply(sources ...Source) (map[string]*tensor.Tensor, error) {
	steps := s.steps()
	given := make([][]Source, len(steps))
	for _, src := range sources {
		i, err := s.find(steps, src.Input)
		if err != nil {
			return nil, err
		}
		given[i] = append(given[i], src)
	}
	made := map[string]*tensor.Tensor{}
	for i, st := range steps {
		if len(given[i]) == 0 {
			continue
		}
		ts, err := st.apply(given[i])
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", st.outputs()[0], err)
		}
		for j, name := range st.outputs() {
			made[name] = ts[j]
		}
	}
	return made, nil
}

func (s Spec) find(steps []step, input string) (int, error) {
	if input == "" && len(steps) == 1 {
		return 0, nil
	}
	for i, st := range steps {
		for _, o := range st.outputs() {
			if o == input {
				return i, nil
			}
		}
	}
	if len(steps) == 0 {
		return 0, errors.New("the model has no preprocessing: give its inputs as tensors (.npy)")
	}
	return 0, fmt.Errorf("no preprocessing for input %q, only for %s", input, strings.Join(s.Inputs(), ", "))
}

// batch joins tensors of one type and shape along a new first dim.
func batch(ts []*tensor.Tensor, what string) (*tensor.Tensor, error) {
	first := ts[0]
	out := tensor.Tensor{DType: first.DType, Shape: append([]int{len(ts)}, first.Shape...), Data: first.Data}
	if len(ts) == 1 {
		return &out, nil
	}
	out.Data = nil
	for _, t := range ts {
		if t.String() != first.String() {
			return nil, fmt.Errorf("%s of different sizes in one batch (%s and %s): give the spec a fixed size", what, first, t)
		}
		out.Data = append(out.Data, t.Data...)
	}
	return &out, nil
}
