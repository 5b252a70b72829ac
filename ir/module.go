package ir

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Level says which ops a module may hold, and so what may be done with it.
type Level uint8

// Core has ONNX ops and composites with a definition in ONNX ops; export
// starts here. Fused groups them by what a target can fuse. CPU has layouts
// and kernels.
const (
	Core Level = iota
	Fused
	CPU
)

var levelNames = []string{"core", "fused", "cpu"}

func (l Level) String() string { return levelNames[l] }

// Module is a whole model.
type Module struct {
	Name   string
	Level  Level
	Opset  int // the opset that ops of the standard domain mean, always the newest
	Source Source
	Meta   []KeyValue // the model's own metadata, in file order
	Funcs  []*Func    // the first one is the entry
	fresh  int
	owned  []io.Closer
}

// Source is what the file said of itself, kept for export and for reports.
type Source struct {
	IRVersion       int64
	ModelVersion    int64
	Opsets          []Opset
	Producer        string
	ProducerVersion string
	Domain          string
	Doc             string
	Unknown         []byte // fields of a newer format, carried to the export
}

// Opset is one imported operator set.
type Opset struct {
	Domain  string `json:"domain"`
	Version int64  `json:"version"`
}

// KeyValue is one entry of the model's metadata.
type KeyValue struct{ Key, Value string }

// NewModule returns a module with one function without ops.
func NewModule(name string, opset int) *Module {
	m := &Module{Name: name, Opset: opset}
	f := &Func{Name: "main", module: m}
	f.Body = &Block{fn: f}
	m.Funcs = []*Func{f}
	return m
}

// Main returns the entry function.
func (m *Module) Main() *Func { return m.Funcs[0] }

// Own ties what the module's constants view, such as a mapped file, to the
// module: Close closes it.
func (m *Module) Own(c io.Closer) { m.owned = append(m.owned, c) }

// Close releases what the module owns, once. Constants must not be read any
// more then: neither the module's own nor those that its clones share with it.
func (m *Module) Close() error {
	var errs []error
	for _, c := range slices.Backward(m.owned) {
		errs = append(errs, c.Close())
	}
	m.owned = nil
	return errors.Join(errs...)
}

// FreshDim returns a new symbol for a size that only a run will tell.
func (m *Module) FreshDim() Dim {
	m.fresh++
	return Sym(fmt.Sprintf("?%d", m.fresh))
}

// Func is a function. Its parameters are the arguments of Body; Body ends
// with a yield of the results. Outputs holds the results' names.
type Func struct {
	Name    string
	Body    *Block
	Outputs []string
	module  *Module
}

// Module returns the module that holds f.
func (f *Func) Module() *Module { return f.module }

// AddInput appends a parameter.
func (f *Func) AddInput(name string, t Type) *Value {
	v := f.Body.AddArg(name, t)
	v.Origin = Origin{Name: name}
	return v
}

// Return ends the body with a yield of vals under the given names.
func (f *Func) Return(names []string, vals ...*Value) *Op {
	f.Outputs = names
	return AtEnd(f.Body).Op(YieldName, vals, nil)
}

// Results returns the values that the function yields.
func (f *Func) Results() []*Value { return f.Body.Results() }
