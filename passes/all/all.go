// Package all links every pass that comes with hone, and names the pipelines
// of the optimization levels.
package all

import (
	"github.com/hone-ml/hone/passes"

	_ "github.com/hone-ml/hone/passes/attention"
	_ "github.com/hone-ml/hone/passes/batchnorm"
	_ "github.com/hone-ml/hone/passes/cluster"
	_ "github.com/hone-ml/hone/passes/cse"
	_ "github.com/hone-ml/hone/passes/dce"
	_ "github.com/hone-ml/hone/passes/fold"
	_ "github.com/hone-ml/hone/passes/layout"
	_ "github.com/hone-ml/hone/passes/pad"
	_ "github.com/hone-ml/hone/passes/precision"
	_ "github.com/hone-ml/hone/passes/prune"
	_ "github.com/hone-ml/hone/passes/quantize"
	_ "github.com/hone-ml/hone/passes/rules"
)

func init() {
	for _, l := range []struct{ name, text string }{
		{"O0", "dce"},
		{"O1", "fix(fold-constants,simplify,cse,dce)"},
		{"O2", "fix(fold-constants,simplify,recognize,sink-transposes,fold-batchnorm,fold-scale,fold-pad,cse,dce)"},
		{"O3", "O2,recognize-attention,dce,merge-matmuls,fix(fold-constants,cse,dce)"},
	} {
		passes.RegisterLevel(l.name, l.text)
	}
}
