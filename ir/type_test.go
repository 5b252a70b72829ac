package ir

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A type learns from another type of the same value, and forgets nothing.
func TestRefine(t *testing.T) {
	for _, c := range []struct{ of, by, want string }{
		{"f32[*]", "f32[?1,4]", "f32[?1,4]"},
		{"f32[?1,?2]", "f32[N,4]", "f32[N,4]"},
		{"f32[N,4]", "f32[?1,?2]", "f32[N,4]"},
		{"f32[?1,?2]", "f32[?3,?4]", "f32[?1,?2]"},
		{"f32[N,?1]", "f32[*]", "f32[N,?1]"},
		{"seq(f32[*])", "seq(f32[N])", "seq(f32[N])"},
		{"f32[*]", "seq(f32[N])", "f32[*]"},
	} {
		of, err := ParseType(c.of)
		require.NoError(t, err)
		by, err := ParseType(c.by)
		require.NoError(t, err)
		require.Equal(t, c.want, of.Refine(by).String(), "%s by %s", c.of, c.by)
	}
}
