package diff_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/diff"
)

const head = "module @m opset=28\nfunc @main(%x: f32[N,4]) -> (y: f32[N,4]) {\n"

const base = head + `  %0 = const f32[4] [1, 2, 3, 4] origin("w")
  %1 = Mul(%x, %0) : f32[N,4] loc("mul") origin("h")
  %2 = LeakyRelu(%1) {alpha=0.1} : f32[N,4] loc("act") origin("y")
  return(%2)
}
`

func TestModules(t *testing.T) {
	for _, c := range []struct{ name, b, want string }{
		{"the same", base, ""},
		{"an attribute", strings.Replace(base, "alpha=0.1", "alpha=0.2", 1), "~ LeakyRelu \"y\"\n    alpha: 0.1 -> 0.2"},
		{"a constant", strings.Replace(base, "3, 4]", "3, 5]", 1), "~ Constant \"w\"\n    value: #"},
		{"an input", strings.Replace(base, "%x: f32[N,4]", "%x: f32[1,4]", 1), "~ input \"x\"\n    f32[N,4] -> f32[1,4]"},
		{"an op in between", head + `  %0 = const f32[4] [1, 2, 3, 4] origin("w")
  %1 = Mul(%x, %0) : f32[N,4] loc("mul") origin("h")
  %2 = Abs(%1) : f32[N,4] loc("abs") origin("a")
  %3 = LeakyRelu(%2) {alpha=0.1} : f32[N,4] loc("act") origin("y")
  return(%3)
}
`, "+ Abs \"a\"\n    Abs(\"h\") : f32[N,4]\n~ LeakyRelu \"y\"\n    operand 0: \"h\" -> \"a\""},
		{"two ops made one", head + `  %0 = const f32[4] [1, 2, 3, 4] origin("w")
  %1 = PRelu(%x, %0) : f32[N,4] loc("mul", "act") origin("y")
  return(%1)
}
`, "- Mul \"h\"\n    its node is part of PRelu \"y\"\n~ LeakyRelu \"y\"\n    was LeakyRelu(\"h\") : f32[N,4]\n    now PRelu(\"x\", \"w\") : f32[N,4]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := ir.Parse(base, ir.ParseOptions{})
			require.NoError(t, err)
			b, err := ir.Parse(c.b, ir.ParseOptions{})
			require.NoError(t, err)
			changes, err := diff.Modules(a, b)
			require.NoError(t, err)
			var text []string
			for _, ch := range changes {
				text = append(text, ch.String())
			}
			got := strings.Join(text, "\n")
			if strings.HasSuffix(c.want, "#") {
				require.True(t, strings.HasPrefix(got, c.want), got)
				require.Len(t, changes, 1)
				return
			}
			require.Equal(t, c.want, got)
		})
	}
}

// Every value has a name of its own, however its origin repeats.
func TestNamesAreUnique(t *testing.T) {
	m, err := ir.Parse(head+`  %0 = Relu(%x) : f32[N,4] loc("n") origin("x")
  %1 = Relu(%0) : f32[N,4] loc("n")
  %2 = Relu(%1) : f32[N,4] loc("n")
  %3 = Relu(%2) : f32[N,4] origin(scaled "x")
  return(%3)
}
`, ir.ParseOptions{})
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, n := range diff.Names(m.Main()) {
		require.NotEmpty(t, n)
		require.False(t, seen[n], n)
		seen[n] = true
	}
	require.Len(t, seen, 5)
}
