package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// The manual shows what each pass and each rule does, and it is true.
func TestTheManual(t *testing.T) {
	for _, name := range passes.Names() {
		t.Run(name, func(t *testing.T) {
			for _, r := range rulesOf(name) {
				require.NotEmpty(t, r.Doc, "rule %s does not say what it is for", r.Name)
				differs(t, r.Example)
			}
			s, _ := passes.Lookup(name)
			require.NotEmpty(t, s.Help)
			for _, o := range s.Options {
				require.NotEmpty(t, o.Help, o.Name)
			}
			if len(rulesOf(name)) == 0 {
				require.NotEmpty(t, s.Example, "the pass has no example")
				differs(t, s.RunExample)
			}
		})
	}
}

func differs(t *testing.T, example func() (before, after *ir.Module, err error)) {
	t.Helper()
	before, after, err := example()
	require.NoError(t, err)
	x, err := ir.Print(before)
	require.NoError(t, err)
	y, err := ir.Print(after)
	require.NoError(t, err)
	require.NotEqual(t, x, y, "the example stays as it is")
}
