// Package ops declares every operator once: its schema (taken from ONNX's own
// definitions), its traits, how shapes flow through it, how older forms of it
// become the newest, and the adapter to its reference evaluation in ref.
//
// One family of operators is one file. The package knows the IR and ref; it
// knows nothing of files, passes or targets.
package ops

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hone-ml/hone/ir"
)

// Impl is what hone knows of an operator beyond its schema.
type Impl struct {
	// Infer sets the types of the results. It is total: what can not be known
	// is left unknown, and an error means that the operands contradict the
	// operator's definition. A nil Infer leaves results unranked.
	Infer func(x *Inference) error

	// Eval computes the results on tensors. It never writes to its inputs.
	Eval func(c *Call) error

	Traits Traits

	// Decodes reports whether op restores numbers that are stored in fewer bits;
	// nil means that it never does. Such an op is kept where its operands are
	// constants: what it restores would take the room that the codes save.
	Decodes func(op *ir.Op) bool

	// Upgrades bring forms of older opsets to the newest, in ascending order.
	Upgrades []Upgrade

	// Downgrades undo upgrades on export, in descending order.
	Downgrades []Downgrade
}

// Traits gate what passes may do with an op.
type Traits uint8

const (
	// Random ops give other results each time: never folded, merged or moved
	// across each other.
	Random Traits = 1 << iota
	// Control ops hold regions that run any number of times.
	Control
)

// Upgrade rewrites an op from a model with an opset below To into the form of
// opset To.
type Upgrade struct {
	To int
	Do func(b *ir.Builder, op *ir.Op) error
}

// Downgrade rewrites an op into the form that opset From-1 had, or returns an
// error where that opset has no way to say it.
type Downgrade struct {
	From int
	Do   func(b *ir.Builder, op *ir.Op) error
}

var registry = map[string]*Impl{}

// add registers a family. The key is the op's name in the IR.
func add(family map[string]Impl) {
	for name, impl := range family {
		if registry[name] != nil {
			panic("ops: " + name + " is declared twice")
		}
		registry[name] = &impl
	}
}

// Register adds ops that belong to a target, such as cpu.Conv. Their results
// keep the types that they were built with where Infer is nil.
func Register(family map[string]Impl) { add(family) }

// Lookup returns what is known of an op, nil where there is no such op.
func Lookup(name string) *Impl { return registry[name] }

// Decodes reports whether op restores numbers that are stored in fewer bits.
func Decodes(op *ir.Op) bool {
	impl := Lookup(op.Name)
	return impl != nil && impl.Decodes != nil && impl.Decodes(op)
}

// Names returns the names of all ops, sorted.
func Names() []string { return slices.Sorted(maps.Keys(registry)) }

// domains maps the prefix of an IR name to the ONNX domain.
var domains = []struct{ prefix, domain string }{
	{"", ""},
	{"ml.", "ai.onnx.ml"},
	{"training.", "ai.onnx.preview.training"},
	{"preview.", "ai.onnx.preview"},
}

// IRName returns the IR's name of an ONNX operator, and false where the
// domain is not one of ONNX's.
func IRName(domain, name string) (string, bool) {
	if domain == "ai.onnx" {
		domain = ""
	}
	for _, d := range domains {
		if d.domain == domain {
			return d.prefix + name, true
		}
	}
	return "", false
}

// ONNXName is the inverse of IRName; false for hone's own ops.
func ONNXName(irName string) (domain, name string, ok bool) {
	prefix, rest, dotted := strings.Cut(irName, ".")
	if !dotted {
		return "", irName, true
	}
	for _, d := range domains {
		if d.prefix == prefix+"." {
			return d.domain, rest, true
		}
	}
	return "", "", false
}

// SchemaOf returns the newest schema of an op, nil for hone's own.
func SchemaOf(irName string) *Schema {
	domain, name, ok := ONNXName(irName)
	if !ok {
		return nil
	}
	s, ok := Latest(domain, name)
	if !ok {
		return nil
	}
	return s
}

// Describe names an op for an error: its name and the ONNX nodes it is from.
func Describe(op *ir.Op) string {
	if len(op.Loc) == 0 {
		return op.Name
	}
	return fmt.Sprintf("%s %q", op.Name, strings.Join(op.Loc, "+"))
}
