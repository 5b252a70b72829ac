package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/backends/cpu/kernels"
	"github.com/hone-ml/hone/internal/nearest"
	"github.com/hone-ml/hone/ir"
)

// sessionFlags are the flags of every command that runs a model on kernels.
type sessionFlags struct{ hone.SessionOptions }

func (f *sessionFlags) add(c *cobra.Command, threads int) {
	c.Flags().IntVar(&f.Threads, "threads", threads, "`N` threads that work on a run; 0 means one a core")
	c.Flags().StringVar(&f.Tier, "cpu", "", "force an ISA `TIER`; hone doctor lists them")
}

// open loads a bundle, or compiles a model in memory.
func (f *sessionFlags) open(cmd *cobra.Command, a *app, path string, mf *modelFlags) (*hone.Session, error) {
	if f.Threads < 0 {
		return nil, usagef("--threads %d: one or more, or 0 for one a core", f.Threads)
	}
	var tiers []string
	for _, t := range kernels.Written() {
		tiers = append(tiers, t.String())
	}
	if f.Tier != "" && !slices.Contains(tiers, f.Tier) {
		return nil, usagef("--cpu %s%s: there are kernels for %s", f.Tier, nearest.Hint(f.Tier, tiers), strings.Join(tiers, ", "))
	}
	m, err := mf.open(a, path)
	if err != nil {
		return nil, err
	}
	f.Warn = func(line string) { fmt.Fprintln(a.err, "warning:", line) }
	if m.Module().Level == ir.CPU {
		return m.Session(f.SessionOptions)
	}
	a.work.at("compiling " + path)
	compiled, err := hone.Compile(cmd.Context(), m, hone.CompileOptions{})
	if err != nil {
		return nil, err
	}
	return compiled.Session(f.SessionOptions)
}
