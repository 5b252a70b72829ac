// Package rules embeds hone's own rewrite rules: each .rules file of this
// folder is a pass of its name.
package rules

import (
	"embed"
	"fmt"
	"strings"

	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/rewrite"
)

//go:embed *.rules
var files embed.FS

// passHelp says what each file is for.
var passHelp = map[string]string{
	"simplify":  "remove ops that do nothing and join chains that one op does",
	"recognize": "put operators back together that exporters decompose: Gelu, LayerNormalization, Swish ...",
}

func init() {
	for name, help := range passHelp {
		passes.Register(passes.Spec{Name: name, Help: help, New: func(passes.Options) (passes.Pass, error) {
			rules, err := Load(name)
			if err != nil {
				return nil, err
			}
			return rewrite.NewSet(rules).Pass(name), nil
		}})
	}
}

// Load returns the rules of one file.
func Load(name string) ([]*rewrite.Rule, error) {
	text, err := files.ReadFile(name + ".rules")
	if err != nil {
		return nil, fmt.Errorf("there are no rules %q", name)
	}
	return rewrite.Parse(name+".rules", string(text))
}

// Names returns the names of the files, without their ending.
func Names() []string {
	list, _ := files.ReadDir(".")
	var names []string
	for _, f := range list {
		names = append(names, strings.TrimSuffix(f.Name(), ".rules"))
	}
	return names
}
