package cpu

import (
	"container/list"
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/hone-ml/hone/backends/cpu/kernels"
	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/tensor"
)

// Options adjust a session.
type Options struct {
	// Threads is the most goroutines that work on one run at a time; 0 means
	// one a core. Results do not depend on it.
	Threads int
	// Tier forces an ISA tier, by name; "" takes the best this CPU offers.
	Tier string
	// CacheBytes bounds the memory of plans that are kept for shapes seen
	// before; 0 means 256 MB.
	CacheBytes int
	// MemoryLimit bounds the bytes of a plan's arena, and of what the reference
	// computes in one go where there is no kernel; 0 is no limit. A run that
	// would take more fails.
	MemoryLimit int
}

const defaultCache = 256 << 20

// defaultThreads is one a core.
func defaultThreads() int { return runtime.GOMAXPROCS(0) }

// Session runs a module of the cpu level. It may be used by many goroutines.
type Session struct {
	module *ir.Module
	set    *rt.Set
	opt    Options
	ahead  *restored

	mu     sync.Mutex
	idle   *list.List // of *plan, the one used last in front
	cached int        // bytes of idle plans
}

// NewSession makes a session for a module that Pipeline has lowered.
func NewSession(m *ir.Module, opt Options) (*Session, error) {
	if m.Level != ir.CPU {
		return nil, fmt.Errorf("the module is at level %s, a session runs level cpu", m.Level)
	}
	set, err := pickSet(opt.Tier)
	if err != nil {
		return nil, err
	}
	if opt.Threads <= 0 {
		opt.Threads = defaultThreads()
	}
	if opt.CacheBytes == 0 {
		opt.CacheBytes = defaultCache
	}
	ahead, err := restore(m)
	if err != nil {
		return nil, err
	}
	return &Session{module: m, set: set, opt: opt, ahead: ahead, idle: list.New()}, nil
}

func pickSet(tier string) (*rt.Set, error) {
	if tier == "" {
		return kernels.Best()
	}
	t, err := rt.ParseTier(tier)
	if err != nil {
		return nil, err
	}
	return kernels.ForTier(t)
}

// Tier returns the name of the ISA tier in use.
func (s *Session) Tier() string { return s.set.Tier.String() }

// Module returns the module that the session runs.
func (s *Session) Module() *ir.Module { return s.module }

// Run computes the outputs from inputs, both in the order of the module's
// signature. The outputs are the caller's.
func (s *Session) Run(ctx context.Context, inputs []tensor.Value) ([]tensor.Value, error) {
	p, err := s.acquire(inputs)
	if err != nil {
		return nil, err
	}
	outs, err := p.runInputs(ctx, s.opt.Threads, inputs, nil)
	s.release(p)
	return outs, err
}

// Prepare makes the plan for inputs of these shapes and types ahead of the
// first run.
func (s *Session) Prepare(inputs []tensor.Value) error {
	p, err := s.acquire(inputs)
	if err == nil {
		s.release(p)
	}
	return err
}

// Shrink frees the memory of every plan that is not running.
func (s *Session) Shrink() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evict(0)
}

// acquire takes an idle plan for the inputs' shapes or makes one.
func (s *Session) acquire(inputs []tensor.Value) (*plan, error) {
	args := s.module.Main().Body.Args
	if len(inputs) != len(args) {
		return nil, fmt.Errorf("%d inputs given, the model takes %d", len(inputs), len(args))
	}
	shapes := make([][]int, len(inputs))
	for i, v := range inputs {
		t, ok := v.(*tensor.Tensor)
		if !ok {
			continue
		}
		if args[i].Type.IsTensor() && t.DType != args[i].Type.DType {
			return nil, fmt.Errorf("input %q is %s, the model takes %s", args[i].Name, t, args[i].Type)
		}
		shapes[i] = t.Shape
		if shapes[i] == nil {
			shapes[i] = []int{}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.idle.Front(); e != nil; e = e.Next() {
		if p := e.Value.(*plan); p.fits(shapes) {
			s.idle.Remove(e)
			s.cached -= p.size()
			return p, nil
		}
	}
	p, err := bind(s.module, s.ahead, machine{s.set, s.opt.MemoryLimit}, shapes)
	if err != nil {
		return nil, err
	}
	p.shapes = shapes
	return p, nil
}

// fits reports whether the plan was made for these shapes.
func (p *plan) fits(shapes [][]int) bool {
	for i, s := range shapes {
		if (s == nil) != (p.shapes[i] == nil) || !slices.Equal(s, p.shapes[i]) {
			return false
		}
	}
	return true
}

func (s *Session) release(p *plan) {
	clear(p.dynamic)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle.PushFront(p)
	s.cached += p.size()
	s.evict(s.opt.CacheBytes)
}

// maxPlans bounds the plans that are kept, whatever little memory they take.
const maxPlans = 32

// evict frees plans, the longest unused first, until those left fit.
func (s *Session) evict(limit int) {
	for e := s.idle.Back(); e != nil && (s.cached > limit && (limit == 0 || s.idle.Len() > 1) || s.idle.Len() > maxPlans); e = s.idle.Back() {
		p := e.Value.(*plan)
		s.idle.Remove(e)
		s.cached -= p.size()
		p.free()
	}
}

// Fallback is an op that the reference evaluates.
type Fallback struct {
	Op    string
	Loc   string
	Why   string
	Count int
}

// Fallbacks lists, for inputs of these shapes, the ops that have no kernel,
// those of one name and reason counted together.
func (s *Session) Fallbacks(inputs []tensor.Value) ([]Fallback, error) {
	p, err := s.acquire(inputs)
	if err != nil {
		return nil, err
	}
	defer s.release(p)
	var list []Fallback
	for st := range p.allSteps() {
		if st.eval == nil {
			continue
		}
		i := slices.IndexFunc(list, func(f Fallback) bool { return f.Op == st.op.Name && f.Why == st.why.Error() })
		if i < 0 {
			list = append(list, Fallback{Op: st.op.Name, Why: st.why.Error(), Loc: strings.Join(st.op.Loc, "+")})
			i = len(list) - 1
		}
		list[i].Count++
	}
	return list, nil
}

// allSteps iterates over the steps, those of regions and of tails bound so
// far included; ops that wait for a first run and have no kernel for any sizes
// stand for the rest.
func (p *plan) allSteps() iter.Seq[*step] {
	return func(yield func(*step) bool) {
		more := func(q *plan) bool {
			for i := range q.steps {
				if !yield(&q.steps[i]) {
					return false
				}
			}
			if q.tail == nil {
				return true
			}
			if e := q.tail.idle.Front(); e != nil {
				for s := range e.Value.(*bound).allSteps() {
					if !yield(s) {
						return false
					}
				}
				return true
			}
			for _, op := range q.tail.ops {
				if !hasKernel(op) && !yield(&step{op: op, eval: &interp.Program{}, why: errNoKernel}) {
					return false
				}
			}
			return true
		}
		if !more(p) {
			return
		}
		for q := range p.regions() {
			if !more(q) {
				return
			}
		}
	}
}

// hasKernel reports whether op has one for some sizes at least.
func hasKernel(op *ir.Op) bool {
	return drivers[op.Name] != nil || selectionOf(op) != nil || op.Name == "Shape" || op.Name == "Size" || isControl(op) || aliases[op.Name] || isPointwise(op) || isScalars(op)
}

// ArenaBytes returns the memory that values take for inputs of these shapes.
func (s *Session) ArenaBytes(inputs []tensor.Value) (int, error) {
	p, err := s.acquire(inputs)
	if err != nil {
		return 0, err
	}
	defer s.release(p)
	return p.size(), nil
}
