package cli

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Without a terminal, short work says nothing and long work ever less.
func TestStagesWithoutTerminal(t *testing.T) {
	var said bytes.Buffer
	p := newStages(&said)
	p.at("reading")
	require.Empty(t, said.String())
	p.start = p.start.Add(-3 * time.Second)
	p.at("packing")
	p.at("writing")
	require.Regexp(t, `^   3\.\d s  packing\n$`, said.String())
	p.start = p.start.Add(-4 * time.Second)
	p.at("checking")
	require.Regexp(t, `\n   7\.\d s  checking\n$`, said.String())
	p.start = p.start.Add(-8 * time.Second)
	p.part("building", 0.5)
	require.Regexp(t, `\n  15\.\d s  \[={10} {10}\]  50 %  building\n$`, said.String())
	p.done()
	p.done()
}

// On a terminal, the line goes away before anything else is written, and in the end.
func TestStagesOnATerminal(t *testing.T) {
	var screen bytes.Buffer
	p := newStages(&screen)
	p.terminal = true
	stop := make(chan struct{})
	p.stop = func() { close(stop) }
	p.start = p.start.Add(-3 * time.Second)
	p.at("packing")
	p.stopped.Go(func() { p.watch(stop) })
	shows := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.shown
	}
	require.Eventually(t, shows, 10*time.Second, time.Millisecond)
	fmt.Fprintln(p.before(&screen), "a table")
	p.done()
	require.Regexp(t, `^(   \d\.\d s  packing\r\x1b\[K)+a table\n(   \d\.\d s  packing\r\x1b\[K)*$`, screen.String())
}
