package rt

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Work is a bound operation: a number of independent tiles. How it is cut into tiles depends on shapes alone, never on
// the number of threads, and each tile writes memory that no other tile of the same Work touches: so results are the
// same bits for any number of threads.
type Work struct {
	Tiles   int                        // number of tiles, 0 or more
	Scratch int                        // bytes of scratch memory that a tile needs
	Run     func(tile int, s *Scratch) // computes one tile; allocates nothing on Go's heap

	Touches []Range // memory that Go code touches, scratch memory apart: see Check
	Moves   bool    // nothing but Touches is touched, by kernels neither
	own     []Range // tables of the driver that kernels read
}

// Scratch is one worker's private memory: bytes outside Go's heap and the kernel arguments that tiles fill in
// (kept here because a pointer passed to an indirect call would make a local variable escape to the heap).
type Scratch struct {
	mem  Mem
	Args Args
	cur  cursor
	dry  bool // a Check's: what Go code would copy to it stays away
}

// Bytes is the scratch memory, aligned to Align, its content undefined.
func (s *Scratch) Bytes() []byte { return s.mem.Bytes() }

// at is the address off bytes into the scratch memory.
func (s *Scratch) at(off int) uintptr { return at(addr(s.mem.Ptr()), off) }

// Grow makes at least n bytes available; it may move the memory.
func (s *Scratch) Grow(n int) error {
	if s.mem.Len() >= n {
		return nil
	}
	m, err := Alloc(n)
	if err != nil {
		return err
	}
	old := s.mem
	s.mem = m
	return old.Free()
}

// Free releases the scratch memory.
func (s *Scratch) Free() error { return s.mem.Free() }

// Pool lends idle workers to runs. One serves a process: see SharedPool.
type Pool struct {
	idle chan *worker
	size int
}

type worker struct {
	wake    chan *Run
	scratch Scratch
	gen     uint64 // of the run it was lent to
	need    int    // scratch bytes of that run
}

// SharedPool is the process's pool, with one worker fewer than GOMAXPROCS had when it was first asked for:
// the goroutine that calls Run works too.
var SharedPool = sync.OnceValue(func() *Pool { return NewPool(runtime.GOMAXPROCS(0) - 1) })

// NewPool starts n workers; they sleep until a run takes them.
func NewPool(n int) *Pool {
	p := &Pool{idle: make(chan *worker, max(n, 0)), size: max(n, 0)}
	for range p.size {
		w := &worker{wake: make(chan *Run, 1)}
		go p.loop(w)
		p.idle <- w
	}
	return p
}

// Close ends the workers, waiting for those that a run still holds.
func (p *Pool) Close() {
	for range p.size {
		w := <-p.idle
		close(w.wake)
	}
}

func (p *Pool) loop(w *worker) {
	for r := range w.wake {
		r.serve(w)
		p.idle <- w
	}
	_ = w.scratch.Free()
}

// Run executes Works one after another, each on the calling goroutine and the workers it took at Begin.
// A Run is reused from one execution to the next and allocates nothing; it serves one goroutine at a time.
//
//	err := run.Begin(pool, threads, scratchBytes)
//	for i := range works { err = run.Do(&works[i]) }
//	run.End()
type Run struct {
	// ticket is generation<<48 | epoch<<32 | tiles not yet taken. A tile is claimed by lowering it with compare-and-swap,
	// so a claim is valid whatever the claimer saw before, and work below cannot change until every claimed tile is done.
	ticket  atomic.Uint64
	done    atomic.Int64
	work    *Work
	scratch Scratch
	failed  atomic.Pointer[error]
}

const (
	genShift, epochShift = 48, 32
	tilesMask            = 1<<epochShift - 1
	epochMask            = 1<<genShift - 1<<epochShift
	genMask              = ^uint64(1<<genShift - 1)
	epochOne             = 1 << epochShift

	spinsBeforeYield = 2000 // polls of the ticket before a waiter yields between them
	yieldsBeforeNap  = 2000 // yields before an idle worker naps between polls: a long serial stretch
	nap              = 50 * time.Microsecond
)

// Begin takes up to threads-1 idle workers of p (nil: none) and makes scratch bytes of memory ready for each.
// It never waits for a worker.
func (r *Run) Begin(p *Pool, threads, scratch int) error {
	if err := r.scratch.Grow(scratch); err != nil {
		return err
	}
	r.failed.Store(nil)
	if p == nil {
		return nil
	}
	gen := r.ticket.Load() >> genShift
	for range threads - 1 {
		select {
		case w := <-p.idle:
			w.gen, w.need = gen, scratch
			w.wake <- r
		default:
			return nil
		}
	}
	return nil
}

// End gives the workers back. It does not wait for them: they leave when they see the new generation.
func (r *Run) End() {
	t := r.ticket.Load()
	r.ticket.Store((t>>genShift + 1) << genShift)
	r.work = nil
}

// Free releases the caller's scratch memory; call it between End and Begin only.
func (r *Run) Free() error { return r.scratch.Free() }

// Do runs every tile of w and returns when all are done. A panic in a tile comes back as an error.
func (r *Run) Do(w *Work) error {
	switch {
	case w.Tiles <= 0:
		return nil
	case w.Tiles == 1:
		r.tile(w, 0, &r.scratch)
	default:
		r.work = w
		r.done.Store(0)
		t := r.ticket.Load()
		r.ticket.Store(t&genMask | (t+epochOne)&epochMask | uint64(w.Tiles))
		for r.claim(&r.scratch) {
		}
		for spins := 0; r.done.Load() < int64(w.Tiles); spins++ {
			if spins > spinsBeforeYield {
				runtime.Gosched()
			}
		}
	}
	if e := r.failed.Load(); e != nil {
		return *e
	}
	return nil
}

// claim takes one tile of the current work and runs it; false if none is left.
func (r *Run) claim(s *Scratch) bool {
	for {
		t := r.ticket.Load()
		left := int(t & tilesMask)
		if left == 0 {
			return false
		}
		if r.ticket.CompareAndSwap(t, t-1) {
			w := r.work
			r.tile(w, w.Tiles-left, s)
			r.done.Add(1)
			return true
		}
	}
}

func (r *Run) tile(w *Work, i int, s *Scratch) {
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("tile %d: %v", i, p)
			r.failed.CompareAndSwap(nil, &err)
		}
	}()
	w.Run(i, s)
}

// serve works for r until its generation ends. A worker that cannot get its scratch memory leaves at once.
func (r *Run) serve(w *worker) {
	if w.scratch.Grow(w.need) != nil {
		return
	}
	for spins := 0; r.ticket.Load()>>genShift == w.gen; spins++ {
		if r.claim(&w.scratch) {
			spins = 0
		} else if spins > spinsBeforeYield+yieldsBeforeNap {
			time.Sleep(nap)
		} else if spins > spinsBeforeYield {
			runtime.Gosched()
		}
	}
}
