package passes_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/passes"
)

func TestOptionsAreCheckedBeforeThePassSeesThem(t *testing.T) {
	for pipeline, want := range map[string]string{
		"fold-constants{max-growth=-1}":             "fold-constants: max-growth=-1: choose 0 to",
		"fold-constants{max-grow=1}":                `pass fold-constants has no option "max-grow"; did you mean "max-growth"?`,
		"fold-constants{max-growth=1,max-growth=2}": `option "max-growth" is given twice`,
		"fold-constants{max-growth=1":               "expected , or }",
		"prune{method=2:3}":                         "prune: method=2:3: choose among global, layer, 2:4, channels",
		"prune{amount=1}":                           "prune: amount=1: choose a number between 0 and 1",
		"prune{amount=NaN}":                         "prune: amount=NaN: choose a number between 0 and 1",
		"cluster{bits=9}":                           "cluster: bits=9: choose 1 to 8",
		"cluster{bits}":                             "cluster: bits=true: choose 1 to 8",
		"quantize{mode=static}":                     "needs calibration data",
		"fix(cse,dec)":                              `there is no pass "dec"; did you mean "dce"?`,
		"fix(cse":                                   "expected )",
		"cse,":                                      `expected the name of a pass`,
		"cse)":                                      `unexpected ")"`,
	} {
		_, err := passes.ParsePipeline(pipeline)
		require.ErrorContains(t, err, want, pipeline)
	}
	for _, pipeline := range []string{"fold-constants{}", "prune{method=channels, amount=0.25}", " fix( cse , dce ) "} {
		_, err := passes.ParsePipeline(pipeline)
		require.NoError(t, err, pipeline)
	}
}
