package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hone-ml/hone/ir"
)

// Kind says what became of an op or of a port from one module to the other.
type Kind byte

// The kinds of changes.
const (
	Removed Kind = '-'
	Added   Kind = '+'
	Changed Kind = '~'
)

// Change is one difference. Name is the value that the op computes, or what
// the port is called; Details hold a line each.
type Change struct {
	Kind    Kind
	What    string // the operator, "input", "output" or "module"
	Name    string
	Details []string
}

// String writes the change as text, its details on lines of their own.
func (c Change) String() string {
	s := fmt.Sprintf("%c %s %q", c.Kind, c.What, c.Name)
	for _, d := range c.Details {
		s += "\n    " + d
	}
	return s
}

// Modules compares two modules: ports first, then ops in the order of a, with
// those that only b has behind the op of b that they follow.
func Modules(a, b *ir.Module) ([]Change, error) {
	var out []Change
	if a.Level != b.Level {
		out = append(out, Change{Changed, "module", a.Name, []string{fmt.Sprintf("level: %s -> %s", a.Level, b.Level)}})
	}
	out = append(out, ports("input", args(a), args(b))...)
	out = append(out, ports("output", results(a), results(b))...)
	x, err := records(a)
	if err != nil {
		return nil, err
	}
	y, err := records(b)
	if err != nil {
		return nil, err
	}
	return append(out, compare(x, y)...), nil
}

type port struct{ name, text string }

func args(m *ir.Module) []port {
	var ps []port
	for _, a := range m.Main().Body.Args {
		ps = append(ps, port{a.Name, a.Type.String()})
	}
	return ps
}

func results(m *ir.Module) []port {
	names := Names(m.Main())
	var ps []port
	for i, v := range m.Main().Results() {
		ps = append(ps, port{m.Main().Outputs[i], fmt.Sprintf("%s from %q", v.Type, names[v])})
	}
	return ps
}

func ports(what string, a, b []port) []Change {
	var out []Change
	at := func(ps []port, name string) int {
		return slices.IndexFunc(ps, func(p port) bool { return p.name == name })
	}
	for i, p := range a {
		j := at(b, p.name)
		switch {
		case j < 0:
			out = append(out, Change{Removed, what, p.name, []string{p.text}})
			continue
		case b[j].text != p.text:
			out = append(out, Change{Changed, what, p.name, []string{p.text + " -> " + b[j].text}})
		}
		if i != j {
			out = append(out, Change{Changed, what, p.name, []string{fmt.Sprintf("position: %d -> %d", i, j)}})
		}
	}
	for _, p := range b {
		if at(a, p.name) < 0 {
			out = append(out, Change{Added, what, p.name, []string{p.text}})
		}
	}
	return out
}

// record is an op as it is compared.
type record struct {
	key, op  string
	data     *ir.Data // of a constant
	loc      []string
	operands []string
	attrs    map[string]string
	types    string
}

// records lists the ops of the module's functions and of their regions.
func records(m *ir.Module) ([]record, error) {
	var out []record
	var err error
	for _, f := range m.Funcs {
		names := Names(f)
		f.Body.Walk(func(op *ir.Op) bool {
			if op.NumResults() == 0 {
				return true
			}
			r := record{key: names[op.Result(0)], op: op.Name, loc: op.Loc, attrs: map[string]string{}}
			if f != m.Main() {
				r.key = f.Name + "/" + r.key
			}
			for _, v := range op.Operands() {
				r.operands = append(r.operands, fmt.Sprintf("%q", names[v]))
			}
			for _, v := range op.Results() {
				r.types += " " + v.Type.String()
			}
			r.types = strings.TrimSpace(r.types)
			if r.data = op.Result(0).Data(); r.data == nil {
				for _, a := range op.Attrs {
					if r.attrs[a.Name], err = ir.FormatAttr(a.Value); err != nil {
						return false
					}
				}
			}
			for _, reg := range op.Regions {
				r.attrs["region "+reg.Name] = region(reg, names)
			}
			out = append(out, r)
			return true
		})
	}
	return out, err
}

// region says what a region yields; its ops are compared one by one.
func region(b *ir.Block, names map[*ir.Value]string) string {
	var vs []string
	for _, v := range b.Results() {
		vs = append(vs, fmt.Sprintf("%q", names[v]))
	}
	return "yields " + strings.Join(vs, ", ")
}

func compare(a, b []record) []Change {
	inA, inB, swallowed := map[string]*record{}, map[string]*record{}, map[string]*record{}
	for i := range a {
		inA[a[i].key] = &a[i]
	}
	for i := range b {
		inB[b[i].key] = &b[i]
		for _, l := range b[i].loc {
			if _, ok := swallowed[l]; !ok || len(b[i].loc) > 1 {
				swallowed[l] = &b[i]
			}
		}
	}
	var out []Change
	next := 0
	added := func(until string) { // what only b has, up to an op of both
		for ; next < len(b) && b[next].key != until; next++ {
			if r := b[next]; inA[r.key] == nil {
				out = append(out, Change{Added, r.op, r.key, []string{r.text()}})
			}
		}
	}
	position := map[string]int{}
	for i, r := range b {
		position[r.key] = i
	}
	for i := range a {
		r := &a[i]
		o, ok := inB[r.key]
		if !ok {
			c := Change{Removed, r.op, r.key, nil}
			if len(r.loc) > 0 && r.data == nil {
				if s := swallowed[r.loc[0]]; s != nil {
					c.Details = []string{fmt.Sprintf("its node is part of %s %q", s.op, s.key)}
				}
			}
			out = append(out, c)
			continue
		}
		if position[r.key] >= next {
			added(r.key)
		}
		if d := r.differences(o); len(d) > 0 {
			out = append(out, Change{Changed, r.op, r.key, d})
		}
	}
	added("")
	return out
}

func (r *record) text() string {
	return fmt.Sprintf("%s(%s) : %s", r.op, strings.Join(r.operands, ", "), r.types)
}

// differences lists what differs between two ops of one name.
func (r *record) differences(o *record) []string {
	var d []string
	add := func(what, x, y string) {
		if x != y {
			d = append(d, fmt.Sprintf("%s: %s -> %s", what, x, y))
		}
	}
	if r.op != o.op {
		return []string{"was " + r.text(), "now " + o.text()}
	}
	for i := range max(len(r.operands), len(o.operands)) {
		add(fmt.Sprintf("operand %d", i), at(r.operands, i), at(o.operands, i))
	}
	keys := slices.Concat(slices.Collect(maps.Keys(r.attrs)), slices.Collect(maps.Keys(o.attrs)))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		add(k, or(r.attrs[k]), or(o.attrs[k]))
	}
	add("type", r.types, o.types)
	if r.data != nil && o.data != nil && r.data != o.data {
		x, err := r.data.Digest()
		y, err2 := o.data.Digest()
		if err != nil || err2 != nil {
			return append(d, "value: can not be read")
		}
		add("value", "#"+x, "#"+y)
	}
	return d
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "none"
}

func or(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
