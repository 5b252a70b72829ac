package onnxgo

import (
	"maps"
	"slices"

	"github.com/hone-ml/hone/ir/ops"
)

// domains are those that an operator's name is looked up in, in this order,
// and the opset that is assumed where operators do not tell another: that of
// the time when onnx-go was written, of which its own tests are.
var domains = []struct {
	name  string
	opset int
}{{"", 9}, {"ai.onnx.ml", 1}, {"ai.onnx.preview.training", 1}}

// domainOf finds the domain of an operator, which onnx-go drops.
func domainOf(op string) (string, bool) {
	for _, d := range domains {
		if len(ops.Versions(d.name, op)) > 0 {
			return d.name, true
		}
	}
	return "", false
}

// opsets returns the opset of each domain: the one nearest to the assumed one
// whose forms fit all operations, or the most of them.
func (g *Graph) opsets() map[string]int {
	found := map[string]int{}
	for _, d := range domains {
		if d.name == "" && g.opt.opset > 0 {
			found[d.name] = g.opt.opset
			continue
		}
		var mine []*operation
		for i := range g.ops {
			if domain, _ := domainOf(g.ops[i].Name); domain == d.name {
				mine = append(mine, &g.ops[i])
			}
		}
		found[d.name] = nearestOpset(d.name, d.opset, mine)
	}
	return found
}

func nearestOpset(domain string, assumed int, list []*operation) int {
	votes := map[int]int{}
	newest := ops.NewestOpset(domain)
	for _, op := range list {
		versions := ops.Versions(domain, op.Name)
		for i, since := range versions {
			until := newest + 1
			if i+1 < len(versions) {
				until = versions[i+1]
			}
			if s, ok := ops.SchemaAt(domain, op.Name, since); ok && fits(s, op) {
				for v := since; v < until; v++ {
					votes[v]++
				}
			}
		}
	}
	best := min(assumed, newest)
	for _, v := range slices.Sorted(maps.Keys(votes)) {
		if votes[v] > votes[best] || votes[v] == votes[best] && distance(v, assumed) < distance(best, assumed) {
			best = v
		}
	}
	return best
}

func distance(a, b int) int { return max(a-b, b-a) }

// fits tells whether an operation has a schema's form.
func fits(s *ops.Schema, op *operation) bool {
	if s.Deprecated || !fitsParams(s.Inputs, s.MinInputs(), op.ins) || !fitsParams(s.Outputs, s.MinOutputs(), op.outs) {
		return false
	}
	for name, v := range op.Attributes {
		if a := s.Attr(name); a == nil || !fitsKind(a.Kind, v) {
			return false
		}
	}
	for _, a := range s.Attrs {
		if _, given := op.Attributes[a.Name]; a.Required && !given {
			return false
		}
	}
	return true
}

func fitsParams(params []ops.Param, least int, vals []*value) bool {
	if len(vals) < least {
		return false
	}
	if n := len(params); len(vals) > n && (n == 0 || !params[n-1].Variadic) {
		return false
	}
	for i, v := range vals {
		if i < len(params) && v.name == "" && !params[i].Optional && !params[i].Variadic {
			return false
		}
	}
	return true
}

func fitsKind(kind string, v any) bool {
	switch v.(type) {
	case int64:
		return kind == "int"
	case float32:
		return kind == "float"
	case string:
		return kind == "string"
	case []int64:
		return kind == "ints"
	case []float32:
		return kind == "floats"
	case []string:
		return kind == "strings"
	}
	return true
}
