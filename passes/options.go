package passes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/internal/nearest"
)

// Option declares an option of a pass: name=value, or just name for a bool.
type Option struct {
	Name, Default, Help string
	// Type says which values are right; the zero value takes any text.
	Type OptionType
}

// OptionType is a kind of values. Of options that have one, a pass sees right
// values only.
type OptionType struct {
	want  string // how an error goes on behind "choose"
	right func(value string) bool
}

// Bool takes true and false.
var Bool = OneOf("true", "false")

// OneOf takes the values that are named.
func OneOf(values ...string) OptionType {
	return OptionType{"among " + strings.Join(values, ", "), func(v string) bool { return slices.Contains(values, v) }}
}

// Int takes integers of a range, ends included.
func Int(least, most int) OptionType {
	return OptionType{fmt.Sprintf("%d to %d", least, most), func(v string) bool {
		n, err := strconv.Atoi(v)
		return err == nil && least <= n && n <= most
	}}
}

// Between takes numbers of a range, ends left out.
func Between(low, high float64) OptionType {
	return OptionType{fmt.Sprintf("a number between %g and %g", low, high), func(v string) bool {
		f, err := strconv.ParseFloat(v, 64)
		return err == nil && low < f && f < high
	}}
}

// Options are the options that a pipeline gives to a pass, completed with
// defaults. Values that stand alone read as true.
type Options map[string]string

// Bool returns an option of type Bool.
func (o Options) Bool(name string) bool { return o[name] == "true" }

// Int returns an option of type Int.
func (o Options) Int(name string) int {
	n, _ := strconv.Atoi(o[name]) // checked when the pass was made
	return n
}

// Float returns an option of type Between.
func (o Options) Float(name string) float64 {
	f, _ := strconv.ParseFloat(o[name], 64) // checked when the pass was made
	return f
}

// New makes a registered pass; options that are not given have their defaults.
func New(name string, given Options) (Pass, error) {
	s, ok := registry[name]
	if !ok {
		return nil, fmt.Errorf("there is no pass %q%s; hone passes lists them", name, nearest.Hint(name, Names()))
	}
	all := Options{}
	var names []string
	for _, o := range s.Options {
		names = append(names, o.Name)
		v, ok := given[o.Name]
		if !ok {
			v = o.Default
		}
		if o.Type.right != nil && !o.Type.right(v) {
			return nil, fmt.Errorf("%s: %s=%s: choose %s", name, o.Name, v, o.Type.want)
		}
		all[o.Name] = v
	}
	for n := range given {
		if _, ok := all[n]; !ok {
			return nil, fmt.Errorf("pass %s has no option %q%s", name, n, nearest.Hint(n, names))
		}
	}
	return s.New(all)
}
