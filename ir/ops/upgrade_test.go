package ops_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/tensor"
)

// Upgrades that rewrite an op by several must keep what it computes.
func TestUpgradesByOtherOps(t *testing.T) {
	f := func(shape []int, v ...float32) *tensor.Tensor { return tensor.Float32s(v, shape...) }
	pair := []int{2}
	for _, c := range []struct {
		name    string
		opset   int
		op      string
		results int
		in      []*tensor.Tensor // %a, %b ...
		want    []*tensor.Tensor
	}{
		{"a scale for each group becomes one for each channel", 18,
			"GroupNormalization(%a, %b, %c) {epsilon=0.0, num_groups=2}", 1,
			[]*tensor.Tensor{f([]int{1, 4, 1}, 1, 3, 5, 9), f(pair, 1, 2), f(pair, 0, 10)},
			[]*tensor.Tensor{f([]int{1, 4, 1}, -1, 1, 8, 12)}},
		{"statistics of each activation", 7,
			"BatchNormalization(%a, %b, %c, %c, %d) {epsilon=0.0, spatial=0}", 1,
			[]*tensor.Tensor{f([]int{2, 1, 2}, 1, 2, 3, 4), f([]int{1, 2}, 1, 10), f([]int{1, 2}, 1, 2), f([]int{1, 2}, 4, 1)},
			[]*tensor.Tensor{f([]int{2, 1, 2}, 1, 2, 2, 22)}},
		{"five results of training", 9,
			"BatchNormalization(%a, %b, %c, %c, %b) {epsilon=0.0, momentum=0.5}", 5,
			[]*tensor.Tensor{f([]int{2, 1}, 1, 3), f([]int{1}, 1), f([]int{1}, 0)},
			[]*tensor.Tensor{f([]int{2, 1}, -1, 1), f([]int{1}, 1), f([]int{1}, 1), f([]int{1}, 2), f([]int{1}, 1)}},
		{"a mask of numbers", 7, "Dropout(%a) {ratio=0.5}", 2,
			[]*tensor.Tensor{f(pair, 3, 4)}, []*tensor.Tensor{f(pair, 3, 4), f(pair, 1, 1)}},
		{"nearest by repeating", 7, "Upsample(%a) {mode=\"nearest\", scales=[1.0, 2.0]}", 1,
			[]*tensor.Tensor{f([]int{1, 2}, 3, 4)}, []*tensor.Tensor{f([]int{1, 4}, 3, 3, 4, 4)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var args string
			for i, x := range c.in {
				args += fmt.Sprintf(", %%%c: %s", 'a'+i, ir.Static(x.DType, x.Shape...))
			}
			var names, types, outs, values string
			for i := range c.results {
				outs += fmt.Sprintf(", y%d: f32[*]", i)
				types += ", f32[*]"
				values += fmt.Sprintf(", %%y#%d", i)
			}
			if names = fmt.Sprintf("%%y:%d", c.results); c.results == 1 {
				names, values = "%y", ", %y"
			}
			m, err := ir.Parse(fmt.Sprintf("module @m opset=28\nfunc @main(%s) -> (%s) {\n%s = %s : %s\nreturn(%s)\n}\n",
				args[2:], outs[2:], names, c.op, types[2:], values[2:]), ir.ParseOptions{})
			require.NoError(t, err)
			op := m.Main().Body.First()
			for at := c.opset; ; {
				ups := ops.Lookup(op.Name).Upgrades
				i := slices.IndexFunc(ups, func(u ops.Upgrade) bool { return u.To > at })
				if i < 0 {
					break
				}
				require.NoError(t, ups[i].Do(ir.Before(op), op))
				at = ups[i].To
			}
			require.NoError(t, ops.InferModule(m))
			ins := make([]tensor.Value, len(c.in))
			for i, x := range c.in {
				ins[i] = x
			}
			got, err := interp.New(m).Run(context.Background(), ins, interp.Options{})
			require.NoError(t, err)
			for i, w := range c.want {
				require.Equal(t, w, got[i])
				require.Equal(t, tensor.Float32, m.Main().Results()[i].Type.DType)
			}
		})
	}
}
