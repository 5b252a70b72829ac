package ops

import (
	"fmt"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// attrs reads an op's attributes. An attribute that is absent has the default
// of its schema, or else the zero value: that required ones are there, and
// that all have the declared kind, is Verify's business.
type attrs struct{ op *ir.Op }

// Op returns the op at hand.
func (a attrs) Op() *ir.Op { return a.op }

// Has reports whether the attribute is given; defaults do not count.
func (a attrs) Has(name string) bool { return a.op.Attrs.Has(name) }

func get[T any](a attrs, name string) (v T) {
	x := a.op.Attrs.Get(name)
	if x == nil {
		if spec := SchemaOf(a.op.Name).Attr(name); spec != nil {
			x = spec.Default
		}
	}
	v, _ = x.(T)
	return v
}

// Int returns an int attribute.
func (a attrs) Int(name string) int64 { return get[int64](a, name) }

// Bool returns an int attribute as a truth value.
func (a attrs) Bool(name string) bool { return a.Int(name) != 0 }

// Float returns a float attribute.
func (a attrs) Float(name string) float32 { return get[float32](a, name) }

// Str returns a string attribute.
func (a attrs) Str(name string) string { return get[string](a, name) }

// Ints returns a list of ints; an empty list reads as nil.
func (a attrs) Ints(name string) []int64 { return get[[]int64](a, name) }

// Floats returns a list of floats.
func (a attrs) Floats(name string) []float32 { return get[[]float32](a, name) }

// Strs returns a list of strings.
func (a attrs) Strs(name string) []string { return get[[]string](a, name) }

// TypeAttr returns a type attribute and whether it is given.
func (a attrs) TypeAttr(name string) (ir.Type, bool) {
	t, ok := a.op.Attrs.Get(name).(ir.Type)
	return t, ok
}

// Tensor returns a tensor attribute, nil where it is absent. Data that can
// not be read (an external file that is gone) fails the op.
func (a attrs) Tensor(name string) *tensor.Tensor {
	d, ok := a.op.Attrs.Get(name).(*ir.Data)
	if !ok {
		return nil
	}
	t, err := d.Tensor()
	if err != nil {
		panic(failure{fmt.Errorf("attribute %s: %w", name, err)})
	}
	return t
}

// failure carries an error through a panic to the guard of this package.
type failure struct{ err error }

// guard turns a panic into an error that names the op: whatever a hostile
// model does to an operator, the caller gets an error.
func guard(op *ir.Op, err *error) {
	switch r := recover().(type) {
	case nil:
		if *err != nil {
			*err = fmt.Errorf("%s: %w", Describe(op), *err)
		}
	case failure:
		*err = fmt.Errorf("%s: %w", Describe(op), r.err)
	default:
		*err = fmt.Errorf("%s: internal error: %v", Describe(op), r)
	}
}
