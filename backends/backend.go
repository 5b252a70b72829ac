// Package backends holds what targets share: the Backend interface and the
// registry. A target knows the IR, the passes that lower to its level, and the
// artifact that it writes; it knows nothing of other targets.
package backends

import (
	"context"
	"maps"
	"slices"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// Backend turns a module of the core level into an artifact for its target.
type Backend interface {
	// Name is how the command line calls the target: cpu, tensorrt.
	Name() string
	// Help is one line.
	Help() string
	// Extension is that of its artifacts, with the dot.
	Extension() string
	// Options are those that it takes.
	Options() []passes.Option
	// Compile writes the artifact to path, whole or not at all. The module is
	// the backend's to change. Passes run in c, whose context ends the work.
	Compile(c *passes.Context, m *ir.Module, path string, o passes.Options, tell Progress) (*Summary, error)
	// Explain says, without compiling, what the target makes of each op. An
	// error that comes with text says what would be refused.
	Explain(ctx context.Context, m *ir.Module, o passes.Options) (string, error)
}

// OptionError is a mistake in the options that a backend was given.
type OptionError struct{ Err error }

func (e *OptionError) Error() string { return e.Err.Error() }
func (e *OptionError) Unwrap() error { return e.Err }

// Progress is told what a compilation is at, and which part of it, 0 to 1, is done.
type Progress func(stage string, done float64)

// Summary is what there is to say of an artifact: rows of a table.
type Summary struct {
	Rows     [][2]string
	Notes    []string // what passes have to tell, a line each
	Warnings []string
}

var registry = map[string]Backend{}

// Register adds a backend. It panics where the name is taken.
func Register(b Backend) {
	if _, ok := registry[b.Name()]; ok {
		panic("backends: " + b.Name() + " is registered twice")
	}
	registry[b.Name()] = b
}

// Lookup returns a registered backend.
func Lookup(name string) (Backend, bool) { b, ok := registry[name]; return b, ok }

// Names returns the names of the registered backends, sorted.
func Names() []string { return slices.Sorted(maps.Keys(registry)) }
