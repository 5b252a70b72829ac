package passes

import (
	"context"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// RunExample returns the example of a registered pass, before and after it;
// nil where it has none.
func (s Spec) RunExample() (before, after *ir.Module, err error) {
	if s.Example == "" {
		return nil, nil, nil
	}
	if before, err = ir.Parse("module @example opset=28\n"+s.Example, ir.ParseOptions{}); err != nil {
		return nil, nil, err
	}
	if err := ops.InferModule(before); err != nil {
		return nil, nil, err
	}
	p, err := New(s.Name, nil)
	if err != nil {
		return nil, nil, err
	}
	after = before.Clone()
	_, err = NewPipeline(p).Run(NewContext(context.Background()), after)
	return before, after, err
}
