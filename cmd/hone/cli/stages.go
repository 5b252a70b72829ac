package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// patience is how long work goes on without a word.
var patience = time.Second

// stages says what long work is at: on a terminal in one line that is kept
// up to date and goes away when there is something else to say, else in a line
// now and then, ever more rarely.
type stages struct {
	w        io.Writer
	terminal bool
	start    time.Time
	stop     func()
	stopped  sync.WaitGroup

	mu    sync.Mutex // of w and of all that is below
	stage string
	shown bool          // on the terminal
	next  time.Duration // when the next line is due
}

// newStages begins to tell about work, until done is called.
func newStages(w io.Writer) *stages {
	p := &stages{w: w, start: time.Now(), stop: func() {}, next: patience}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if p.terminal {
		stop := make(chan struct{})
		p.stop = sync.OnceFunc(func() { close(stop) })
		p.stopped.Go(func() { p.watch(stop) })
	}
	return p
}

// part names the stage that work is in, with a bar of how much of it is done, 0 to 1.
func (p *stages) part(stage string, done float64) {
	const width = 20
	full := min(max(int(done*width), 0), width)
	p.at(fmt.Sprintf("[%s%s] %3.0f %%  %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), 100*done, stage))
}

// at names the stage that begins; "" where the work is done and only its result is left to be told.
func (p *stages) at(stage string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage = stage
	if stage == "" {
		p.clear()
	} else if t := time.Since(p.start); !p.terminal && t > p.next {
		fmt.Fprintf(p.w, "%6.1f s  %s\n", t.Seconds(), stage)
		p.next = 2 * t
	}
}

func (p *stages) watch(stop <-chan struct{}) {
	tick := time.NewTicker(patience / 5)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			p.mu.Lock()
			if t := time.Since(p.start); t > patience && p.stage != "" {
				p.clear()
				fmt.Fprintf(p.w, "%6.1f s  %s", t.Seconds(), p.stage)
				p.shown = true
			}
			p.mu.Unlock()
		}
	}
}

// clear takes the line off the terminal.
func (p *stages) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// done ends the telling; calling it again does nothing.
func (p *stages) done() {
	p.stop()
	p.stopped.Wait()
	p.at("")
}

// before returns a writer that takes the line off before it writes to w.
func (p *stages) before(w io.Writer) io.Writer { return besides{p, w} }

type besides struct {
	p *stages
	w io.Writer
}

func (b besides) Write(text []byte) (int, error) {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	b.p.clear()
	return b.w.Write(text)
}
