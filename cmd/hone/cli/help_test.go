package cli

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every command shows how it is used, with flags that it has.
func TestEveryCommandHasExamples(t *testing.T) {
	for _, c := range (&app{out: io.Discard, err: io.Discard, in: strings.NewReader("")}).root().Commands() {
		t.Run(c.Name(), func(t *testing.T) {
			require.NotEmpty(t, c.Example)
			for line := range strings.Lines(c.Example) {
				require.Contains(t, line, "hone "+c.Name())
				for _, word := range strings.Fields(line) {
					if name, ok := strings.CutPrefix(word, "--"); ok {
						name, _, _ = strings.Cut(name, "=")
						require.NotNil(t, c.Flags().Lookup(name), "%s has no flag %s", c.Name(), word)
					}
				}
			}
		})
	}
}
