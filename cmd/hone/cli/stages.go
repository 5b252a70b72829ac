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
const patience = time.Second

// stages says what long work is at: on a terminal in one line that is kept
// up to date and goes away in the end, else in a line now and then, ever more
// rarely.
type stages struct {
	w        io.Writer
	terminal bool
	start    time.Time
	stop     func()
	stopped  sync.WaitGroup

	mu    sync.Mutex
	stage string
	next  time.Duration // when the next line is due
}

// stages starts to tell about work, until done is called.
func (a *app) stages() *stages {
	p := &stages{w: a.err, start: time.Now(), stop: func() {}, next: patience}
	if f, ok := a.err.(*os.File); ok {
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

// at names the stage that begins.
func (p *stages) at(stage string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage = stage
	if t := time.Since(p.start); !p.terminal && t > p.next {
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
			if time.Since(p.start) > patience {
				fmt.Fprint(p.w, "\r\x1b[K")
			}
			return
		case <-tick.C:
			if t := time.Since(p.start); t > patience {
				p.mu.Lock()
				fmt.Fprintf(p.w, "\r\x1b[K%6.1f s  %s", t.Seconds(), p.stage)
				p.mu.Unlock()
			}
		}
	}
}

// done ends the telling; calling it again does nothing.
func (p *stages) done() {
	p.stop()
	p.stopped.Wait()
}
