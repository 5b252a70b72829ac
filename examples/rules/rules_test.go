// Package rules_test proves the rules of the example.
package rules_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/passes/rewrite"
)

func TestTheExampleRulesKeepTheMeaning(t *testing.T) {
	text, err := os.ReadFile("mine.rules")
	require.NoError(t, err)
	rules, err := rewrite.Parse("mine.rules", string(text))
	require.NoError(t, err)
	require.Len(t, rules, 3)
	for _, r := range rules {
		t.Run(r.Name, func(t *testing.T) { require.NoError(t, r.Check()) })
	}
}
