// Package diff compares two modules structurally, in the names that ops and
// values have in the source model. It knows nothing of what they compute.
package diff

import (
	"strconv"
	"strings"

	"github.com/hone-ml/hone/ir"
)

// Names gives every value of a function a name that tells it from the others
// and stays the same as long as passes keep the value: an input's own name,
// the origin, else what the op is and which nodes it came from.
func Names(f *ir.Func) map[*ir.Value]string {
	n := &namer{called: map[*ir.Value]string{}, taken: map[string]bool{}}
	for _, a := range f.Body.Args {
		n.call(a, a.Name)
	}
	n.origins(f.Body, true)
	n.origins(f.Body, false)
	n.rest(f.Body)
	return n.called
}

type namer struct {
	called map[*ir.Value]string
	taken  map[string]bool
}

// call names v unless it or the name is taken.
func (n *namer) call(v *ir.Value, name string) {
	if _, ok := n.called[v]; ok || n.taken[name] {
		return
	}
	n.called[v], n.taken[name] = name, true
}

// origins names values by what they equal exactly, or are akin to.
func (n *namer) origins(b *ir.Block, exact bool) {
	visit := func(v *ir.Value) {
		if v.Origin.Name != "" && (v.Origin.Relation == ir.Exact) == exact {
			name := v.Origin.Name
			if !exact {
				name = string(v.Origin.Relation) + " " + name
			}
			n.call(v, name)
		}
	}
	b.Walk(func(op *ir.Op) bool {
		for _, r := range op.Results() {
			visit(r)
		}
		for _, r := range op.Regions {
			for _, a := range r.Args {
				visit(a)
			}
		}
		return true
	})
}

// rest names what has no origin, or one that another value has too.
func (n *namer) rest(b *ir.Block) {
	b.Walk(func(op *ir.Op) bool {
		for i, r := range op.Results() {
			n.serial(r, base(op, i))
		}
		for _, reg := range op.Regions {
			for i, a := range reg.Args {
				n.serial(a, base(op, 0)+"."+reg.Name+"."+strconv.Itoa(i))
			}
		}
		return true
	})
}

func (n *namer) serial(v *ir.Value, name string) {
	n.call(v, name)
	for i := 2; n.called[v] == ""; i++ {
		n.call(v, name+"·"+strconv.Itoa(i))
	}
}

// base is a name for result i of an op without an origin.
func base(op *ir.Op, i int) string {
	if d := op.Result(0).Data(); d != nil && d.Len() <= 16 {
		if t, err := ir.FormatAttr(d); err == nil {
			return t
		}
	}
	name := op.Name
	if len(op.Loc) > 0 {
		name += "(" + strings.Join(op.Loc, "+") + ")"
	}
	if op.NumResults() > 1 {
		name += "#" + strconv.Itoa(i)
	}
	return name
}
