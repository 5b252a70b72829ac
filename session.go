package hone

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hone-ml/hone/backends/cpu"
	"github.com/hone-ml/hone/internal/bundle"
	"github.com/hone-ml/hone/internal/nearest"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// SessionOptions adjust a session.
type SessionOptions struct {
	// Threads is the most goroutines that work on one run; 0 means one a core.
	// Results do not depend on it.
	Threads int
	// Tier forces an ISA tier by name; "" takes the best that this CPU has.
	Tier string
	// CacheBytes bounds the memory kept for shapes seen before.
	CacheBytes int
	// MemoryLimit bounds the bytes of the values of a run that are alive at
	// once, as far as they are planned, and of each that is not; 0 is no limit.
	MemoryLimit int
	// Warn, if any, is told what a user should know, a line each.
	Warn func(string)
	// Check reads all weights and compares their checksums before the first
	// run. Always check a file that somebody else could have changed.
	Check bool
}

// Port is an input or output of a model.
type Port struct {
	Name string
	Type ir.Type
}

// Session runs a compiled model. It may be used by many goroutines at once.
type Session struct {
	cpu    *cpu.Session
	bundle *bundle.Bundle

	split  func(ctx context.Context, name string) (*Compiled, error) // nil for a bundle
	opt    SessionOptions
	mu     sync.Mutex
	warned sync.Once
	apart  *Session // for inputs whose sizes differ where the model claims them equal
}

// Load opens a bundle and starts a session on it. Weights stay in the file,
// which must not be changed in place while the session is open; replacing it
// by renaming is fine.
func Load(path string, opt SessionOptions) (*Session, error) {
	b, err := bundle.Open(path)
	if err != nil {
		return nil, inFile(path, err)
	}
	s, err := loadBundle(b, opt)
	if err != nil {
		_ = b.Close()
		return nil, inFile(path, err)
	}
	return s, nil
}

func loadBundle(b *bundle.Bundle, opt SessionOptions) (*Session, error) {
	m, err := b.Module()
	if err != nil {
		return nil, err
	}
	if err := check(m); err != nil {
		return nil, err
	}
	return newSession(m, b, opt)
}

// Session starts a session on a model that was read from a bundle. The two
// share the mapped file: closing either closes it.
func (m *Model) Session(opt SessionOptions) (*Session, error) {
	return newSession(m.module, m.bundle, opt)
}

func newSession(m *ir.Module, b *bundle.Bundle, opt SessionOptions) (*Session, error) {
	if opt.Check && b != nil {
		if err := b.Check(); err != nil {
			return nil, err
		}
	}
	s, err := cpu.NewSession(m, cpu.Options{Threads: opt.Threads, Tier: opt.Tier, CacheBytes: opt.CacheBytes, MemoryLimit: opt.MemoryLimit})
	if err != nil {
		return nil, err
	}
	return &Session{cpu: s, bundle: b}, nil
}

// Inputs returns the model's inputs.
func (s *Session) Inputs() []Port { return Inputs(s.cpu.Module()) }

// Outputs returns the model's outputs.
func (s *Session) Outputs() []Port { return Outputs(s.cpu.Module()) }

// Inputs returns the inputs of a module.
func Inputs(m *ir.Module) []Port {
	var ps []Port
	for _, a := range m.Main().Body.Args {
		ps = append(ps, Port{a.Name, a.Type})
	}
	return ps
}

// Outputs returns the outputs of a module.
func Outputs(m *ir.Module) []Port {
	var ps []Port
	for i, v := range m.Main().Results() {
		ps = append(ps, Port{m.Main().Outputs[i], v.Type})
	}
	return ps
}

// Tier returns the name of the ISA tier in use.
func (s *Session) Tier() string { return s.cpu.Tier() }

// CPU returns the session below, which answers questions about plans.
func (s *Session) CPU() *cpu.Session { return s.cpu }

// Preprocess returns the JSON of the preprocessing stored with the model, nil
// where there is none.
func (s *Session) Preprocess() []byte {
	if s.bundle == nil {
		return nil
	}
	return s.bundle.Section("preprocess")
}

// Run computes the outputs by name from inputs by name.
func (s *Session) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	ins, err := order(s.Inputs(), inputs)
	if err != nil {
		return nil, err
	}
	outs, err := s.run(ctx, ins)
	if err != nil {
		return nil, err
	}
	return named(s.Outputs(), outs)
}

// named gives outputs their names.
func named(ports []Port, outs []tensor.Value) (map[string]*tensor.Tensor, error) {
	m := make(map[string]*tensor.Tensor, len(outs))
	for i, p := range ports {
		t, ok := outs[i].(*tensor.Tensor)
		if !ok {
			return nil, fmt.Errorf("output %q is no tensor but %s: Session.RunValues returns such outputs", p.Name, p.Type)
		}
		m[p.Name] = t
	}
	return m, nil
}

// run runs inputs. Where two have different sizes that the model claims to be
// equal by giving them one name, the model is compiled once more without the
// claim, of which optimizations may have made use.
func (s *Session) run(ctx context.Context, ins []tensor.Value) ([]tensor.Value, error) {
	outs, err := s.cpu.Run(ctx, ins)
	var input *InputError
	if !errors.As(err, &input) || input.Claimed == "" {
		return outs, err
	}
	if s.split == nil {
		input.Problem += fmt.Sprintf("; to let them differ, compile the model again with --split-dim %s", input.Claimed)
		return nil, input
	}
	s.mu.Lock()
	if s.apart == nil {
		c, err := s.split(ctx, input.Claimed)
		if err == nil {
			s.apart, err = c.Session(s.opt)
		}
		if err != nil {
			s.mu.Unlock()
			return nil, fmt.Errorf("%w: without the claim: %w", input, err)
		}
	}
	apart := s.apart
	s.mu.Unlock()
	outs, err = apart.run(ctx, ins)
	if err != nil && ctx.Err() == nil {
		input.Problem += "; without that claim: " + err.Error()
		return nil, input
	}
	if s.opt.Warn != nil {
		s.warned.Do(func() {
			s.opt.Warn(fmt.Sprintf("inputs have different sizes for the dim %s, which the model claims to be one: it was compiled again without the claim", input.Claimed))
		})
	}
	return outs, err
}

// RunValues is Run for models with sequences, optionals or maps; values are in
// the order of Inputs and Outputs.
func (s *Session) RunValues(ctx context.Context, inputs []tensor.Value) ([]tensor.Value, error) {
	return s.run(ctx, inputs)
}

// Shrink frees the memory of every plan that is not running.
func (s *Session) Shrink() { s.cpu.Shrink() }

// Close frees the session's memory. No run may be under way.
func (s *Session) Close() error {
	s.cpu.Shrink()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apart != nil {
		_ = s.apart.Close()
	}
	if s.bundle != nil {
		return s.bundle.Close()
	}
	return nil
}

// InputError is a mistake in the inputs of a run: one is missing, unknown, or
// of another type or shape than the model takes.
type InputError = cpu.InputError

func inputErrorf(input, format string, args ...any) error {
	return &InputError{Input: input, Problem: fmt.Sprintf(format, args...)}
}

// order puts named inputs in the model's order and checks them against its
// signature. The error is an *InputError.
func order(ports []Port, inputs map[string]*tensor.Tensor) ([]tensor.Value, error) {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.Name
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		if !slices.Contains(names, name) {
			return nil, inputErrorf(name, "there is no input %q%s; the model takes %s", name, nearest.Hint(name, names), signature(ports))
		}
	}
	ins := make([]tensor.Value, len(ports))
	for i, p := range ports {
		t := inputs[p.Name]
		if t == nil {
			return nil, inputErrorf(p.Name, "input %q is missing; the model takes %s", p.Name, signature(ports))
		}
		if !takes(p.Type, t) {
			return nil, inputErrorf(p.Name, "input %q is %s, the model takes %s", p.Name, t, p.Type)
		}
		ins[i] = t
	}
	return ins, nil
}

// takes reports whether an input of type typ can be t, as far as the type
// alone tells: symbols are bound when a plan is made.
func takes(typ ir.Type, t *tensor.Tensor) bool {
	if !typ.IsTensor() || typ.DType != t.DType || typ.Ranked && len(typ.Dims) != len(t.Shape) {
		return false
	}
	for i, d := range typ.Dims {
		if n, ok := d.Int(); ok && n != int64(t.Shape[i]) {
			return false
		}
	}
	return true
}

func signature(ports []Port) string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.Name + " " + p.Type.String()
	}
	return strings.Join(names, ", ")
}
