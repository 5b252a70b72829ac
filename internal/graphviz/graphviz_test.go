package graphviz

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// texts returns the text of an SVG file, one line for each text element, and
// fails where it is not well-formed.
func texts(t *testing.T, svg []byte) string {
	var b strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		require.NoError(t, err)
		if text, ok := token.(xml.CharData); ok && strings.TrimSpace(string(text)) != "" {
			b.WriteString(string(text) + "\n")
		}
	}
}

func TestSVG(t *testing.T) {
	var svg bytes.Buffer
	require.NoError(t, SVG(t.Context(), &svg, []byte(`digraph { a [label="one\ntwo & <three>" shape=box]; a -> b }`)))
	got := texts(t, svg.Bytes())
	for _, w := range []string{"one\n", "two & <three>\n", "b\n"} {
		require.Contains(t, got, w)
	}
}

func TestMistakesAreErrors(t *testing.T) {
	for _, c := range []struct{ dot, says string }{
		{"digraph {", "the graph can not be read: Error: syntax error in line 1"},
		{"", "the graph can not be read"},
		{`digraph { a [image="/etc/passwd"]; a -> b }`, ""}, // a warning; no file is in reach
	} {
		var svg bytes.Buffer
		err := SVG(t.Context(), &svg, []byte(c.dot))
		if c.says == "" {
			require.NoError(t, err)
			require.NotContains(t, svg.String(), "root:")
			continue
		}
		require.ErrorContains(t, err, c.says)
		require.Empty(t, svg.String())
	}
}

// A layout that takes very long ends with its context.
func TestStops(t *testing.T) {
	var dot strings.Builder
	dot.WriteString("digraph {\n")
	for i := range 20_000 {
		fmt.Fprintf(&dot, "n%d -> n%d\n", i*7919%3001, i*104729%2999)
	}
	dot.WriteString("}\n")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	require.ErrorIs(t, SVG(ctx, io.Discard, []byte(dot.String())), context.DeadlineExceeded)
}
