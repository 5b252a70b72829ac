package ops

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/ir"
)

// SplitDim takes back a file's claim that dims of inputs are equal because
// they have one name: every one after the first gets a symbol of its own, and
// all types are inferred anew. The module must be one that no pass has
// changed, since passes rely on what is claimed.
func SplitDim(m *ir.Module, name string) error {
	taken := map[string]bool{}
	for _, a := range m.Main().Body.Args {
		for _, d := range a.Type.Dims {
			for _, s := range d.Symbols() {
				taken[s] = true
			}
		}
	}
	if !taken[name] {
		return fmt.Errorf("no input has a dim %q", name)
	}
	first := true
	next := 0
	for _, a := range m.Main().Body.Args {
		dims := slices.Clone(a.Type.Dims)
		for i, d := range dims {
			if !d.Equal(ir.Sym(name)) {
				continue
			}
			if first {
				first = false
				continue
			}
			own := ""
			for own == "" || taken[own] {
				next++
				own = fmt.Sprintf("%s.%d", name, next)
			}
			taken[own] = true
			dims[i] = ir.Sym(own)
		}
		if a.Type.Ranked {
			a.Type = a.Type.WithDims(dims...)
		}
	}
	return InferModule(m)
}
