package bisect_test

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/bisect"
	"github.com/hone-ml/hone/passes/rewrite"
	"github.com/hone-ml/hone/tensor"
)

// wrong takes every Relu away. Of the digits model's Relus one would do.
const wrong = `
rule    no-relu
match   Relu(x)
emit    x
example x=f32[2,3]
`

func digits(t *testing.T) (*ir.Module, [][]tensor.Value) {
	m, err := hone.Open("../../testdata/digits/digits.onnx", hone.OpenOptions{Dims: map[string]int64{"N": 2}})
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	var cases [][]tensor.Value
	for range 2 {
		var ins []tensor.Value
		for _, p := range hone.Inputs(m.Module()) {
			shape, ok := p.Type.StaticShape()
			if !ok {
				shape = append([]int{2}, shape1(p.Type)...)
			}
			x := tensor.New(tensor.Float32, shape...)
			for i := range tensor.Of[float32](x) {
				tensor.Of[float32](x)[i] = rng.Float32()
			}
			ins = append(ins, x)
		}
		cases = append(cases, ins)
	}
	return m.Module(), cases
}

// shape1 returns the dims after the batch.
func shape1(t ir.Type) []int {
	var s []int
	for _, d := range t.Dims[1:] {
		n, _ := d.Int()
		s = append(s, int(n))
	}
	return s
}

func run(text string, extra ...passes.Pass) func(*passes.Context, *ir.Module) error {
	return func(c *passes.Context, m *ir.Module) error {
		p, err := passes.ParsePipeline(text)
		if err != nil {
			return err
		}
		_, err = passes.NewPipeline(append([]passes.Pass{p}, extra...)...).Run(c, m)
		return err
	}
}

// A rule that is wrong is caught by the rule check, and where it gets past
// that, bisecting names it among the applications of a whole pipeline.
func TestAWrongRuleIsNamed(t *testing.T) {
	rules, err := rewrite.Parse("wrong.rules", wrong)
	require.NoError(t, err)
	require.ErrorContains(t, rules[0].Check(), "before and")

	m, cases := digits(t)
	before, err := ir.Print(m)
	require.NoError(t, err)
	c, err := bisect.Find(t.Context(), m, bisect.Options{Run: run("O2", rewrite.NewSet(rules).Pass("mine")), Cases: cases, Tolerance: 1e-4})
	require.NoError(t, err)
	require.NotNil(t, c)
	require.Equal(t, "mine", c.Pass)
	require.Equal(t, "no-relu", c.Rule)
	require.Equal(t, "Relu", c.Op)
	require.NotEmpty(t, c.Location, "the op's name in the ONNX file")
	require.ErrorContains(t, c.Broken, "elements differ")
	require.Contains(t, c.String(), "mine, rule no-relu, at Relu")
	after, err := ir.Print(m)
	require.NoError(t, err)
	require.Equal(t, before, after, "the module is left as it was")
}

// The same on real models, where the wrong rule comes behind hundreds of right
// applications; the search runs the model once for each halving.
func TestAWrongRuleIsNamedOnRealModels(t *testing.T) {
	for _, c := range []struct {
		model, op, rule string
		full            bool
	}{
		{"hf_bert", "Gelu", "rule gelu-is-relu\nmatch Gelu(x)\nemit Relu(x)\nexample x=f32[2,3]\n", false},
		{"minilm_l6", "Gelu", "rule gelu-is-relu\nmatch Gelu(x)\nemit Relu(x)\nexample x=f32[2,3]\n", true},
		{"resnet18", "Relu", wrong, true},
	} {
		t.Run(c.model, func(t *testing.T) {
			if c.full && !testenv.Full() {
				t.Skip("with HONE_FULL only")
			}
			rules, err := rewrite.Parse("wrong.rules", c.rule)
			require.NoError(t, err)
			require.ErrorContains(t, rules[0].Check(), "before and")
			oracles := testenv.Oracles(t)
			o := oracles[slices.IndexFunc(oracles, func(o testenv.Oracle) bool { return o.Model == c.model })]
			m, err := hone.Open(testenv.Model(t, c.model))
			require.NoError(t, err)
			defer m.Close()
			inputs, _ := o.Load(t, o.Cases[0])
			var ins []tensor.Value
			for _, p := range hone.Inputs(m.Module()) {
				ins = append(ins, inputs[p.Name])
			}
			found, err := bisect.Find(t.Context(), m.Module(), bisect.Options{
				Run: run("O3", rewrite.NewSet(rules).Pass("mine")), Cases: [][]tensor.Value{ins}, Tolerance: 1e-4,
			})
			require.NoError(t, err)
			require.NotNil(t, found)
			t.Log(found)
			require.Equal(t, []string{"mine", rules[0].Name, c.op}, []string{found.Pass, found.Rule, found.Op})
			require.NotEmpty(t, found.Location)
			require.LessOrEqual(t, found.Runs, 1+bits.Len(uint(found.Total)))
		})
	}
}

// The search must land on the one bad application in the middle of many, and
// not on the first or the last.
func TestTheOneBadApplicationAmongManyIsFound(t *testing.T) {
	m, cases := digits(t)
	var relus []*ir.Op
	m.Main().Body.Walk(func(op *ir.Op) bool {
		if op.Name == "Relu" {
			relus = append(relus, op)
		}
		return true
	})
	require.GreaterOrEqual(t, len(relus), 2)
	for want := range relus {
		n := 0
		sabotage := passes.Func("sabotage", func(c *passes.Context, m *ir.Module) (bool, error) {
			n = 0
			for op := range m.Main().Body.Ops() {
				if op.Name != "Relu" {
					continue
				}
				bad := n == want
				n++
				_, err := c.Apply("touch", op, nil, func(r *passes.Rewriter) []*ir.Value {
					if bad {
						return []*ir.Value{r.Op("Neg", op.Operands())}
					}
					return []*ir.Value{r.Op("Relu", op.Operands())}
				})
				if err != nil {
					return false, err
				}
			}
			return false, nil
		})
		c, err := bisect.Find(t.Context(), m, bisect.Options{
			Run: func(c *passes.Context, m *ir.Module) error {
				_, err := passes.NewPipeline(sabotage).Run(c, m)
				return err
			},
			Cases: cases, Tolerance: 1e-4,
		})
		require.NoError(t, err)
		require.NotNil(t, c)
		require.Equal(t, want, c.Serial)
		require.Equal(t, len(relus), c.Total)
		require.Equal(t, relus[want].Loc, c.Location)
	}
}

func TestAPipelineThatKeepsTheAnswersHasNoCulprit(t *testing.T) {
	m, cases := digits(t)
	c, err := bisect.Find(t.Context(), m, bisect.Options{Run: run("O2"), Cases: cases, Tolerance: 1e-4})
	require.NoError(t, err)
	require.Nil(t, c)
}
