package nearest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/nearest"
)

func TestName(t *testing.T) {
	for _, c := range []struct {
		typed string
		names []string
		want  string
	}{
		{"imag", []string{"mask", "image"}, "image"},       // a letter left out
		{"imagee", []string{"mask", "image"}, "image"},     // one too many
		{"iamge", []string{"mask", "image"}, "image"},      // two swapped
		{"inspekt", []string{"inspect", "run"}, "inspect"}, // another letter
		{"bild", []string{"mask", "image"}, ""},            // nothing is near
		{"ab", []string{"ax", "ay"}, "ax"},                 // the first of equals
		{"", []string{"x"}, ""},                            // a letter of its own is no hint
		{"größe", []string{"grösse", "größen"}, "größen"},  // letters, not bytes
		{"x", nil, ""}, // no names at all
		{"input_id", []string{"input_ids", "input"}, "input_ids"},
	} {
		require.Equal(t, c.want, nearest.Name(c.typed, c.names), "%q among %q", c.typed, c.names)
	}
	require.Equal(t, `; did you mean "image"?`, nearest.Hint("imag", []string{"image"}))
	require.Empty(t, nearest.Hint("logits", []string{"image"}))
}
