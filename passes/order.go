package passes

import (
	"fmt"
	"slices"
)

// Order says that one pass comes before another, and why.
type Order struct{ First, Then, Reason string }

var orders []Order

// Orders returns the orders that a pass takes part in.
func Orders(pass string) []Order {
	return slices.DeleteFunc(slices.Clone(orders), func(o Order) bool { return o.First != pass && o.Then != pass })
}

// RegisterOrder declares that, in a named pipeline that has both, pass first
// stands before pass then. It panics where a pass does not exist: orders are
// part of the program.
func RegisterOrder(first, then, reason string) {
	for _, n := range []string{first, then} {
		if _, ok := registry[n]; !ok {
			panic("passes: an order names the pass " + n + ", which is not registered")
		}
	}
	orders = append(orders, Order{first, then, reason})
}

// CheckOrder reports the first order that a pipeline breaks: a pass that
// stands before the first place of one that must precede it.
func CheckOrder(p *Pipeline) error {
	names := p.Names()
	for _, o := range orders {
		i, j := slices.Index(names, o.First), slices.Index(names, o.Then)
		if i >= 0 && j >= 0 && j < i {
			return fmt.Errorf("pipeline %s: %s stands before %s: %s", p.text, o.Then, o.First, o.Reason)
		}
	}
	return nil
}

// Names returns the names of the passes in the order of their first run.
func (p *Pipeline) Names() []string {
	var names []string
	for _, s := range p.steps {
		if inner, ok := s.(*Pipeline); ok {
			names = append(names, inner.Names()...)
		} else {
			names = append(names, s.Name())
		}
	}
	return names
}
