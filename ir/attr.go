package ir

import (
	"slices"
	"strings"
)

// Attr is a named compile-time parameter of an op. Value is one of
//
//	int64, float32, string, []int64, []float32, []string,
//	*Data, []*Data, Type, []Type
//
// Graph attributes are regions, see [Op.Regions].
type Attr struct {
	Name  string
	Value any
}

// Attrs is sorted by name.
type Attrs []Attr

// Get returns the value of the attribute, nil where there is none.
func (a Attrs) Get(name string) any {
	if i, ok := a.find(name); ok {
		return a[i].Value
	}
	return nil
}

// Has reports whether there is such an attribute.
func (a Attrs) Has(name string) bool { _, ok := a.find(name); return ok }

// Set adds the attribute or replaces its value.
func (a *Attrs) Set(name string, value any) {
	i, ok := a.find(name)
	if ok {
		(*a)[i].Value = value
		return
	}
	*a = slices.Insert(*a, i, Attr{name, value})
}

// Delete removes the attribute if it is there.
func (a *Attrs) Delete(name string) {
	if i, ok := a.find(name); ok {
		*a = slices.Delete(*a, i, i+1)
	}
}

// Clone returns a copy; values are shared, being immutable.
func (a Attrs) Clone() Attrs { return slices.Clone(a) }

func (a Attrs) find(name string) (int, bool) {
	return slices.BinarySearchFunc(a, name, func(x Attr, n string) int { return strings.Compare(x.Name, n) })
}
