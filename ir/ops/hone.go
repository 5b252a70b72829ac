package ops

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
)

// hone's own ops of the core and fused levels.
func init() {
	add(map[string]Impl{
		// Fused groups ops that a target computes in one pass over memory. Its
		// region is its meaning: the arguments are the operands.
		FusedName: {Infer: inferFused, Eval: evalFused},
	})
}

// FusedName is the op that holds a group of ops as its region.
const FusedName = "hone.Fused"

// FusedRegion names the region of a fused op.
const FusedRegion = "body"

func inferFused(x *Inference) error {
	args := x.op.Operands()
	types := make([]ir.Type, 0, len(args))
	for i := range args {
		types = append(types, x.In(i))
	}
	outs, err := x.Region(FusedRegion, types...)
	if err != nil {
		return err
	}
	if len(outs) != x.NumOut() {
		return fmt.Errorf("the region yields %d values for %d results", len(outs), x.NumOut())
	}
	for i, t := range outs {
		x.Set(i, t)
	}
	return nil
}

func evalFused(c *Call) error {
	outs, err := c.Run(FusedRegion, c.ins...)
	if err != nil {
		return err
	}
	for i, v := range outs {
		c.Set(i, v)
	}
	return nil
}
