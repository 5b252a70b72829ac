// Package all links every pass that comes with hone, and names the pipelines
// of the optimization levels.
package all

import (
	"github.com/hone-ml/hone/passes"

	_ "github.com/hone-ml/hone/passes/attention"
	_ "github.com/hone-ml/hone/passes/batchnorm"
	_ "github.com/hone-ml/hone/passes/cluster"
	_ "github.com/hone-ml/hone/passes/codes"
	_ "github.com/hone-ml/hone/passes/control"
	_ "github.com/hone-ml/hone/passes/cse"
	_ "github.com/hone-ml/hone/passes/dce"
	_ "github.com/hone-ml/hone/passes/fold"
	_ "github.com/hone-ml/hone/passes/layout"
	_ "github.com/hone-ml/hone/passes/pad"
	_ "github.com/hone-ml/hone/passes/precision"
	_ "github.com/hone-ml/hone/passes/prune"
	_ "github.com/hone-ml/hone/passes/quantize"
	_ "github.com/hone-ml/hone/passes/recurrent"
	_ "github.com/hone-ml/hone/passes/rules"
	_ "github.com/hone-ml/hone/passes/shapes"
)

func init() {
	for _, o := range []struct{ first, then, reason string }{
		{"fold-constants", "recognize", "patterns hold constants, which exporters write as ops"},
		{"recognize", "sink-transposes", "patterns look at the last axis, which a Transpose moves"},
		{"sink-transposes", "fold-scale", "a scale reaches the Conv only where no Transpose stands between"},
		{"sink-transposes", "fold-pad", "a Pad reaches the Conv only where no Transpose stands between"},
		{"fold-batchnorm", "fold-scale", "a BatchNormalization that no Conv takes becomes a Mul and an Add, which other weights take"},
		{"fold-scale", "fold-input-scale", "a constant between two ops is folded into the one before, whatever the padding"},
		{"fold-input-scale", "fold-pad", "what is added ahead of a Conv is not folded once the Conv pads"},
		{"recognize", "recognize-attention", "a pattern that ends in a Reshape or Softmax must have what is before it in one piece"},
		{"recognize-attention", "merge-matmuls", "only MatMuls that feed an Attention are merged"},
		{"cse", "dce", "what is computed once leaves ops that nobody reads"},
	} {
		passes.RegisterOrder(o.first, o.then, o.reason)
	}
	for _, l := range []struct{ name, text string }{
		{"O0", "dce"},
		{"O1", "fix(fold-constants,inline-control,simplify,simplify-shapes,sink-dequantize,cse,dce)"},
		{"O2", "fix(fold-constants,inline-control,simplify,simplify-shapes,simplify-recurrent,recognize,sink-transposes,sink-dequantize,fold-batchnorm,fold-scale,fold-pad,cse,dce),recognize-attention,dce,merge-matmuls,fix(fold-constants,simplify,simplify-shapes,sink-transposes,cse,dce)"},
		{"O3", "fix(fold-constants,inline-control{max-ops=4096}),O2"},
	} {
		passes.RegisterLevel(l.name, l.text)
	}
}
