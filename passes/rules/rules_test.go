package rules

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/passes/rewrite"
)

// Every embedded rule is proved on graphs made from its own patterns.
func TestEveryRuleKeepsTheMeaning(t *testing.T) {
	for _, name := range Names() {
		rules, err := Load(name)
		require.NoError(t, err)
		require.NotEmpty(t, passHelp[name], "%s.rules needs a line of help", name)
		for _, r := range rules {
			t.Run(name+"/"+r.Name, func(t *testing.T) { require.NoError(t, r.Check()) })
		}
	}
}

// The check catches a rule that computes something else.
func TestTheCheckCatchesAWrongRule(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"other value", "rule wrong\nmatch Mul(x, Sigmoid(x))\nemit Sigmoid(x)\nexample x=f32[2,3]", "before and"},
		{"other type", "rule wrong\nmatch Transpose(x) {perm=$p}\nemit x\nexample x=f32[2,3], $p=[1, 0]", "puts f32[2,3] in the place of f32[3,2]"},
		{"matches too much", "rule wrong\nmatch Identity(x)\nemit x\nexample x=f32[2]\nexcept Identity(x)", "matches its except"},
		{"no example", "rule wrong\nmatch Identity(x)\nemit x", "no example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules, err := rewrite.Parse("wrong.rules", c.text)
			require.NoError(t, err)
			require.ErrorContains(t, rules[0].Check(), c.want)
		})
	}
}

func TestMistakesInRulesSayWhere(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown op", "rule r\nmatch Abs(Reluu(x))\nemit x", `t.rules:2:11: there is no operator "Reluu"; did you mean "Relu"?`},
		{"wrong arity", "rule r\nmatch Add(x)\nemit x", "t.rules:2:7: Add takes 2 to 2 operands, found 1"},
		{"unbound hole", "rule r\nmatch Relu(x)\nemit Add(x, y)", "t.rules:3:13: y is not bound by every match"},
		{"unknown condition", "rule r\nmatch Relu(x)\nwhere f32(x), rnk(x, 4)\nemit x", `t.rules:3:15: there is no condition "rnk"; did you mean "rank"?`},
		{"on the next line", "rule r\nmatch Relu(x\n  , y\nemit x", "t.rules:3:6: expected , or )"},
		{"unknown clause", "rule r\nmatches Relu(x)", `there is no clause "matches"`},
		{"two names", "rule r\nmatch Relu(x)\nemit x\nrule r\nmatch Relu(x)\nemit x", "t.rules:4: there are two rules r"},
		{"nothing to emit", "rule r\nmatch Relu(x)", "needs match and emit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rewrite.Parse("t.rules", c.text)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		text, err := files.ReadFile(name + ".rules")
		require.NoError(f, err)
		f.Add(string(text))
	}
	f.Fuzz(func(_ *testing.T, text string) { _, _ = rewrite.Parse("fuzz.rules", text) })
}
