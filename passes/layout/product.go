package layout

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// product replaces Transpose(x)·w by Transpose(x·w) for a matrix w of weights,
// where the Transpose leaves the rows in one piece and meets another one behind
// the product and its bias.
func product(c *passes.Context, op *ir.Op) (bool, error) {
	x, w := op.Operand(0), op.Operand(1)
	p := perm(x)
	if p == nil || p[len(p)-1] != int64(len(p)-1) || x.NumUses() != 1 || x.Block() != op.Block() || w.Data() == nil || w.Type.Rank() != 2 {
		return false, nil
	}
	y := op.Result(0)
	if y.NumUses() == 1 && y.Uses()[0].Op.Name == "Add" {
		y = y.Uses()[0].Op.Result(0)
	}
	if y.NumUses() != 1 || perm(y.Uses()[0].Op.Result(0)) == nil {
		return false, nil
	}
	return c.Apply("product", op, nil, func(r *passes.Rewriter) []*ir.Value {
		y := r.Op("MatMul", []*ir.Value{x.Def().Operand(0), w})
		if y != nil && op.Result(0).Origin.Name != "" {
			y.Origin = ir.Origin{Name: op.Result(0).Origin.Name, Relation: ir.Permuted}
		}
		r.Loc = x.Def().Loc
		return []*ir.Value{r.Op("Transpose", []*ir.Value{y}, ir.Attr{Name: "perm", Value: p})}
	})
}
