package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Without a terminal, short work says nothing and long work ever less.
func TestStagesWithoutTerminal(t *testing.T) {
	var said bytes.Buffer
	p := (&app{err: &said}).stages()
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
