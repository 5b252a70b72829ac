package ops

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// schemaText holds every schema of ONNX with its history; gen/schemas.py
// writes it and tells the format.
//
//go:generate python3 gen/schemas.py zschemas.txt
//go:embed zschemas.txt
var schemaText string

// Schema is ONNX's own definition of an operator as of one opset.
type Schema struct {
	Name, Domain string
	Since        int // the opset that brought this form
	Inputs       []Param
	Outputs      []Param
	Attrs        []AttrSpec
	// Types lists the types that a type variable allows, as IR text spells
	// them, dims left out: f32, seq(i64), optional(seq(f32)), map(string,f32).
	Types      map[string][]string
	Deprecated bool // of no meaning from Since on
	Function   bool // defined by a graph of simpler operators
}

// Param is a formal input or output.
type Param struct {
	Name, Type    string // Type is a variable of Schema.Types or a type itself
	Optional      bool
	Variadic      bool
	Min           int // the fewest values of a variadic one, 1 otherwise
	Heterogeneous bool
}

// AttrSpec is a formal attribute. Kind is int, float, string, tensor, graph,
// sparse_tensor, type_proto, or the plural of the first three. Default is an
// int64, float32, string or a slice of these; nil where there is none.
type AttrSpec struct {
	Name, Kind string
	Required   bool
	Default    any
}

// MinInputs returns the fewest operands that an op must list.
func (s *Schema) MinInputs() int { return fewest(s.Inputs) }

// MinOutputs returns the fewest results that an op must list.
func (s *Schema) MinOutputs() int { return fewest(s.Outputs) }

func fewest(params []Param) int {
	n, seen := 0, 0
	for _, p := range params {
		if p.Variadic {
			seen += p.Min
		} else {
			seen++
		}
		if !p.Optional && !(p.Variadic && p.Min == 0) {
			n = seen
		}
	}
	return n
}

// Attr returns the formal attribute of that name, nil where there is none; a
// nil schema, of an op that is not ONNX's, has none.
func (s *Schema) Attr(name string) *AttrSpec {
	if s == nil {
		return nil
	}
	for i := range s.Attrs {
		if s.Attrs[i].Name == name {
			return &s.Attrs[i]
		}
	}
	return nil
}

// Allowed returns the types that a parameter may have, as Types spells them.
func (s *Schema) Allowed(p Param) []string {
	if types, ok := s.Types[p.Type]; ok {
		return types
	}
	return []string{p.Type}
}

// SchemaAt returns the form that an operator has in an opset.
func SchemaAt(domain, name string, opset int) (*Schema, bool) {
	entries := schemaIndex().ops[opKey{domain, name}]
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].since <= opset {
			return entries[i].schema(), true
		}
	}
	return nil, false
}

// Latest returns the newest form of an operator.
func Latest(domain, name string) (*Schema, bool) {
	return SchemaAt(domain, name, NewestOpset(domain))
}

// Versions returns the opsets that changed an operator, in ascending order.
func Versions(domain, name string) []int {
	var v []int
	for _, e := range schemaIndex().ops[opKey{domain, name}] {
		v = append(v, e.since)
	}
	return v
}

// NewestOpset returns the newest opset of a domain, 0 where ONNX has no such
// domain.
func NewestOpset(domain string) int { return schemaIndex().newest[domain] }

type opKey struct{ domain, name string }

// schemaEntry is a schema that is parsed when it is first asked for.
type schemaEntry struct {
	since  int
	text   string
	once   sync.Once
	parsed *Schema
}

type schemaTable struct {
	ops    map[opKey][]*schemaEntry
	newest map[string]int
	sets   map[string][]string
}

var schemaIndex = sync.OnceValue(indexSchemas)

// indexSchemas finds where each schema starts, and no more.
func indexSchemas() *schemaTable {
	t := &schemaTable{ops: make(map[opKey][]*schemaEntry, 512), newest: map[string]int{}, sets: map[string][]string{}}
	head, rest, _ := strings.Cut(schemaText, "\nop ")
	for line := range strings.Lines(head) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "set" {
			t.sets["@"+f[1]] = f[2:]
		}
	}
	for rest != "" {
		var body string
		body, rest, _ = strings.Cut(rest, "\nop ")
		line, _, _ := strings.Cut(body, "\n")
		f := strings.Fields(line)
		since, err := strconv.Atoi(f[2])
		if err != nil {
			panic("ops: zschemas.txt: " + line)
		}
		k := opKey{domainOf(f[1]), f[0]}
		t.ops[k] = append(t.ops[k], &schemaEntry{since: since, text: body})
		t.newest[k.domain] = max(t.newest[k.domain], since)
	}
	return t
}

func domainOf(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

func (e *schemaEntry) schema() *Schema {
	e.once.Do(func() { e.parsed = parseSchema(e.text) })
	return e.parsed
}

// parseSchema reads the lines of one schema, the word "op" taken off. The text
// is our own, so that a mistake in it is a panic.
func parseSchema(text string) *Schema {
	s := &Schema{Types: map[string][]string{}}
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		f := strings.Fields(line)
		if i == 0 {
			s.Name, s.Domain = f[0], domainOf(f[1])
			s.Since, _ = strconv.Atoi(f[2])
			s.Function, s.Deprecated = slices.Contains(f, "function"), slices.Contains(f, "deprecated")
			continue
		}
		switch f[0] {
		case "in":
			s.Inputs = append(s.Inputs, parseParam(f))
		case "out":
			s.Outputs = append(s.Outputs, parseParam(f))
		case "attr":
			s.Attrs = append(s.Attrs, parseAttr(f, line))
		case "type":
			s.Types[f[1]] = f[2:]
			if set, ok := schemaIndex().sets[f[2]]; ok {
				s.Types[f[1]] = set
			}
		default:
			panic("ops: zschemas.txt: " + line)
		}
	}
	return s
}

func parseParam(f []string) Param {
	p := Param{Name: f[1], Type: f[2], Min: 1}
	for i, w := range f[3:] {
		switch w {
		case "optional":
			p.Optional = true
		case "variadic":
			p.Variadic = true
			p.Min, _ = strconv.Atoi(f[3+i+1])
		case "heterogeneous":
			p.Heterogeneous = true
		}
	}
	return p
}

func parseAttr(f []string, line string) AttrSpec {
	a := AttrSpec{Name: f[1], Kind: f[2], Required: len(f) > 3 && f[3] == "required"}
	_, value, ok := strings.Cut(line, " = ")
	if !ok {
		return a
	}
	var err error
	switch a.Kind {
	case "int":
		a.Default, err = readJSON[int64](value)
	case "float":
		a.Default, err = readJSON[float32](value)
	case "string":
		a.Default, err = readJSON[string](value)
	case "ints":
		a.Default, err = readJSON[[]int64](value)
	case "floats":
		a.Default, err = readJSON[[]float32](value)
	case "strings":
		a.Default, err = readJSON[[]string](value)
	default:
		err = fmt.Errorf("defaults of kind %s are not known", a.Kind)
	}
	if err != nil {
		panic(fmt.Sprintf("ops: zschemas.txt: %s: %v", line, err))
	}
	return a
}

func readJSON[T any](s string) (v T, err error) {
	err = json.Unmarshal([]byte(s), &v)
	return v, err
}
