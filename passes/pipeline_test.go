package passes_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/rewrite"
)

func parse(t *testing.T, text string) *passes.Pipeline {
	p, err := passes.ParsePipeline(text)
	require.NoError(t, err)
	return p
}

func TestOrdersAreCheckedWithTheirReason(t *testing.T) {
	require.NoError(t, passes.CheckOrder(parse(t, "fix(fold-constants,recognize,sink-transposes,fold-scale)")))
	require.NoError(t, passes.CheckOrder(parse(t, "fold-scale")), "an order binds only where both are there")
	require.ErrorContains(t, passes.CheckOrder(parse(t, "fix(fold-scale,sink-transposes)")),
		"fold-scale stands before sink-transposes: a scale reaches the Conv only where no Transpose stands between")
	require.PanicsWithValue(t, "passes: bad: pipeline O1,fix(sink-transposes,recognize): sink-transposes stands before recognize: patterns look at the last axis, which a Transpose moves",
		func() { passes.RegisterLevel("bad", "O1,fix(sink-transposes,recognize)") })
	require.Panics(t, func() { passes.RegisterOrder("dce", "no-such-pass", "") })
}

// Rules that undo each other never end: they are named, and nobody else is.
func TestRulesThatUndoEachOtherAreNamed(t *testing.T) {
	for _, c := range []struct{ name, rules, want string }{
		{"a pair", "rule to-sub\nmatch Add(x, y)\nemit Sub(x, Neg(y))\nrule to-add\nmatch Sub(x, Neg(y))\nemit Add(x, y)\nrule once\nmatch Abs(Abs(x))\nemit Abs(x)",
			"rule to-add of pass unstable and rule to-sub of pass unstable undo each other"},
		{"one alone", "rule turn\nmatch Add(x, y)\nemit Add(y, x)", "rule turn of pass unstable matches what it makes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules, err := rewrite.Parse("unstable.rules", c.rules)
			require.NoError(t, err)
			pass := rewrite.NewSet(rules).Pass("unstable")
			m, err := ir.Parse(`module @t opset=28
func @main(%x: f32[4], %y: f32[4]) -> (z: f32[4]) {
  %0 = Abs(%x) : f32[4]
  %1 = Abs(%0) : f32[4]
  %2 = Add(%1, %y) : f32[4]
  return(%2)
}`, ir.ParseOptions{})
			require.NoError(t, err)
			group := passes.Fix(pass)
			_, err = group.Run(passes.NewContext(t.Context()), m)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "once")
		})
	}
}

// However early a run is stopped, what it has done until then is the beginning
// of what the whole run does, and the module is sound.
func TestARunCanBeStoppedBeforeAnyApplication(t *testing.T) {
	source, err := ir.Parse(`module @t opset=28
func @main(%x: f32[4]) -> (z: f32[4]) {
  %0 = Identity(%x) : f32[4]
  %1 = Neg(%0) : f32[4]
  %2 = Neg(%1) : f32[4]
  %3 = Abs(%2) : f32[4]
  %4 = Abs(%2) : f32[4]
  %5 = Add(%3, %4) : f32[4]
  %6 = Exp(%5) : f32[4]
  return(%5)
}`, ir.ParseOptions{})
	require.NoError(t, err)
	run := func(limit int) ([]string, *passes.Context) {
		m, done := source.Clone(), []string{}
		c := passes.NewContext(t.Context())
		require.True(t, c.VerifyEach, "tests check the module after each pass")
		c.Limit = limit
		c.OnApply = func(a passes.Application) {
			require.Equal(t, len(done), a.Serial)
			done = append(done, a.Pass+" "+a.Rule+" "+a.Op.Name)
		}
		_, err := parse(t, "O1").Run(c, m)
		require.NoError(t, err)
		require.Equal(t, len(done), c.Applied)
		agree(t, source, m)
		return done, c
	}
	all, c := run(-1)
	require.GreaterOrEqual(t, len(all), 4)
	sum := 0
	for _, s := range c.Stats {
		sum += s.Applications
	}
	require.Equal(t, len(all), sum, "the counts of the passes add up")
	for limit := range len(all) {
		done, _ := run(limit)
		require.Equal(t, all[:limit], done)
	}
}

// An interrupt ends a pass at its next change.
func TestAnEndedContextEndsThePass(t *testing.T) {
	m, err := ir.Parse("module @t opset=28\nfunc @main(%x: f32[4]) -> (z: f32[4]) {\n  %0 = Neg(%x) : f32[4]\n  %1 = Neg(%0) : f32[4]\n  return(%1)\n}", ir.ParseOptions{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	c := passes.NewContext(ctx)
	pass := passes.Func("slow", func(c *passes.Context, m *ir.Module) (changed bool, err error) {
		for op := range m.Main().Body.Ops() {
			if _, err := c.Change("", op, func() error { cancel(); return nil }); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	_, err = passes.NewPipeline(pass).Run(c, m)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, c.Applied)
}

// A pass that breaks the module is named, where passes are watched.
func TestVerifyEachNamesThePass(t *testing.T) {
	m, err := ir.Parse("module @t opset=28\nfunc @main(%x: f32[4]) -> (z: f32[4]) {\n  %0 = Neg(%x) : f32[4]\n  return(%0)\n}", ir.ParseOptions{})
	require.NoError(t, err)
	breaks := passes.Func("breaks", func(_ *passes.Context, m *ir.Module) (bool, error) {
		m.Main().Body.First().Name = "Negg"
		return true, nil
	})
	_, err = passes.NewPipeline(breaks).Run(passes.NewContext(t.Context()), m)
	require.ErrorContains(t, err, "pass breaks left a broken module: ")
	require.ErrorContains(t, err, "Negg")
}
