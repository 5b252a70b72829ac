package cpu

import (
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/fuse"

	_ "github.com/hone-ml/hone/passes/batchnorm"
	_ "github.com/hone-ml/hone/passes/codes"
	_ "github.com/hone-ml/hone/passes/cse"
	_ "github.com/hone-ml/hone/passes/dce"
	_ "github.com/hone-ml/hone/passes/fold"
)

func init() {
	passes.Register(passes.Spec{
		Name: "fuse",
		Help: "group what the CPU computes in one go: a product or reduction with the elementwise ops behind it, chains of elementwise ops, rows that are looked up, added and normalized",
		Example: `func @main(%x: f32[N,3,8,8], %y: f32[N,1,8,8]) -> (z: f32[N,1,8,8]) {
  %0 = const f32[1,3,1,1] [1.0, 2.0, 3.0]
  %1 = Conv(%x, %0) : f32[N,1,8,8]
  %2 = Add(%1, %y) : f32[N,1,8,8]
  %3 = Relu(%2) : f32[N,1,8,8]
  return(%3)
}
`,
		Options: []passes.Option{
			{Name: "conv-bn", Default: "false", Help: "only this, and what else is named: a Conv takes in the BatchNormalization behind it, as fold-batchnorm does", Type: passes.Bool},
			{Name: "conv-act", Default: "false", Help: "only this, and what else is named: a Conv with the elementwise ops behind it", Type: passes.Bool},
			{Name: "matmul-act", Default: "false", Help: "only this, and what else is named: a MatMul with the elementwise ops behind it", Type: passes.Bool},
			{Name: "elementwise", Default: "false", Help: "only this, and what else is named: chains of elementwise ops", Type: passes.Bool},
			{Name: "embedding", Default: "false", Help: "only this, and what else is named: rows that are looked up and added, and their normalization", Type: passes.Bool},
		},
		New: newFuse,
	})
}

// newFuse makes the pass that groups what its options name; where they name
// nothing, all that the target's table has.
func newFuse(o passes.Options) (passes.Pass, error) {
	anchors := map[string]bool{"Conv": o.Bool("conv-act"), "MatMul": o.Bool("matmul-act")}
	group := anchors["Conv"] || anchors["MatMul"] || o.Bool("elementwise") || o.Bool("embedding")
	if !group && !o.Bool("conv-bn") {
		return fuse.Pass(table), nil
	}
	var steps []passes.Pass
	if o.Bool("conv-bn") {
		fold, err := passes.New("fold-batchnorm", nil)
		if err != nil {
			return nil, err
		}
		steps = append(steps, fold)
	}
	if group {
		some := table
		some.Anchored = !o.Bool("elementwise")
		if !o.Bool("embedding") {
			some.Lookup = nil
		}
		some.Anchor = func(op *ir.Op, behind []*ir.Op) bool { return anchors[op.Name] && table.Anchor(op, behind) }
		steps = append(steps, fuse.Pass(some))
	}
	return passes.Func("fuse", func(c *passes.Context, m *ir.Module) (changed bool, err error) {
		for _, s := range steps {
			ch, err := s.Run(c, m)
			if changed = changed || ch; err != nil {
				return changed, err
			}
		}
		return changed, nil
	}), nil
}

// Pipeline returns the passes that bring a core module to the cpu level. The
// level pipeline that optimizes the core comes before it. Weights that are
// stored as codes stay codes, restored and packed when a session starts.
func Pipeline() *passes.Pipeline {
	return passes.NewPipeline(
		passes.Func("expand-gemm", each(expandGemm)),
		passes.Func("pool-means", each(poolMean)),
		passes.Func("spread-transposed", each(spreadTransposed)),
		passes.Func("expand-reductions", each(expandReduction)),
		mustPass("raise-dequantize", nil),
		passes.Func("round-in-float", each(roundInFloat)),
		passes.Func("share-masks", each(shareMask)),
		mustPass("fold-constants", passes.Options{"decode": "true", "max-growth": "1024"}),
		mustPass("fold-batchnorm", nil), // whose parameters were codes
		mustPass("dce", nil),
		mustPass("fuse", nil), // the fused level is reached; what follows is how the CPU does it
		passes.Func("expand-recurrent", each(expandRecurrent)),
		mustPass("fold-constants", passes.Options{"decode": "true", "max-growth": "1024"}),
		mustPass("dce", nil),
		mustPass("fuse", nil), // what the recurrent layers became
		passes.Func("pack-weights", lowerAnchors),
		passes.Func("pack-transposed", each(lowerTransposed)),
		passes.Func("absorb-relu", each(absorbRelu)),
		mustPass("cse", passes.Options{"only-constants": "true"}),
		passes.Func("assign-layouts", assignLayouts),
		mustPass("dce", nil),
		passes.Func("enter-cpu-level", func(_ *passes.Context, m *ir.Module) (bool, error) {
			m.Level = ir.CPU
			return true, nil
		}),
	)
}

func mustPass(name string, options passes.Options) passes.Pass {
	p, err := passes.New(name, options)
	if err != nil {
		panic(err) // an option that the pass itself refuses
	}
	return p
}

// each makes a pass of a function that looks at one op of the main body and
// of the regions that are bodies of their own.
func each(f func(c *passes.Context, op *ir.Op) (bool, error)) func(*passes.Context, *ir.Module) (bool, error) {
	return func(c *passes.Context, m *ir.Module) (bool, error) {
		changed := false
		err := eachOp(m.Main().Body, func(op *ir.Op) error {
			ok, err := f(c, op)
			changed = changed || ok
			return err
		})
		return changed, err
	}
}

// eachOp visits the ops of a block and of the regions below it, but not what
// is inside of fused ops. The op at hand may be erased.
func eachOp(b *ir.Block, f func(op *ir.Op) error) error {
	for op := range b.Ops() {
		if op.Name != ops.FusedName {
			for _, r := range op.Regions {
				if err := eachOp(r, f); err != nil {
					return err
				}
			}
		}
		if err := f(op); err != nil {
			return err
		}
	}
	return nil
}

// expandGemm turns Gemm into the MatMul and Add that kernels are made for.
func expandGemm(c *passes.Context, op *ir.Op) (bool, error) {
	if op.Name != "Gemm" || !isF32(op.Result(0)) || attrFloat(op, "alpha", 1) != 1 || op.Operand(2) != nil && attrFloat(op, "beta", 1) != 1 {
		return false, nil
	}
	return c.Apply("", op, nil, func(r *passes.Rewriter) []*ir.Value {
		side := func(i int, attr string) *ir.Value {
			if t, _ := op.Attrs.Get(attr).(int64); t == 0 {
				return op.Operand(i)
			}
			return r.Op("Transpose", []*ir.Value{op.Operand(i)}, ir.Attr{Name: "perm", Value: []int64{1, 0}})
		}
		y := r.Op("MatMul", []*ir.Value{side(0, "transA"), side(1, "transB")})
		if b := op.Operand(2); b != nil {
			y = r.Op("Add", []*ir.Value{y, b})
		}
		return []*ir.Value{y}
	})
}

// poolMean turns the mean of whole images into the GlobalAveragePool that has
// kernels on blocks of channels too.
func poolMean(c *passes.Context, op *ir.Op) (bool, error) {
	x := op.Operand(0)
	if op.Name != "ReduceMean" || !isF32(x) || x.Type.Rank() != 4 && x.Type.Rank() != 3 || op.Operand(1) == nil || op.Operand(1).Data() == nil {
		return false, nil
	}
	t, err := op.Operand(1).Data().Tensor()
	if err != nil {
		return false, err
	}
	if first, end, ok := axisRun(intsOf(t), x.Type.Rank()); !ok || first != 2 || end != x.Type.Rank() {
		return false, nil
	}
	return c.Apply("", op, nil, func(r *passes.Rewriter) []*ir.Value {
		y := r.Op("GlobalAveragePool", []*ir.Value{x})
		if keep, ok := op.Attrs.Get("keepdims").(int64); ok && keep == 0 {
			y = r.Op("Flatten", []*ir.Value{y})
		}
		return []*ir.Value{y}
	})
}
