package passes

import (
	"fmt"
	"slices"
)

// order says that one pass comes before another, and why.
type order struct{ first, then, reason string }

var orders []order

// RegisterOrder declares that, in a named pipeline that has both, pass first
// stands before pass then. It panics where a pass does not exist: orders are
// part of the program.
func RegisterOrder(first, then, reason string) {
	for _, n := range []string{first, then} {
		if _, ok := registry[n]; !ok {
			panic("passes: an order names the pass " + n + ", which is not registered")
		}
	}
	orders = append(orders, order{first, then, reason})
}

// CheckOrder reports the first order that a pipeline breaks: a pass that
// stands before the first place of one that must precede it.
func CheckOrder(p *Pipeline) error {
	names := p.flat()
	for _, o := range orders {
		i, j := slices.Index(names, o.first), slices.Index(names, o.then)
		if i >= 0 && j >= 0 && j < i {
			return fmt.Errorf("pipeline %s: %s stands before %s: %s", p.text, o.then, o.first, o.reason)
		}
	}
	return nil
}

// flat returns the names of the passes in the order of their first run.
func (p *Pipeline) flat() []string {
	var names []string
	for _, s := range p.steps {
		if inner, ok := s.(*Pipeline); ok {
			names = append(names, inner.flat()...)
		} else {
			names = append(names, s.Name())
		}
	}
	return names
}
