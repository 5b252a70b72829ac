package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone/backends"
	"github.com/hone-ml/hone/passes"

	_ "github.com/hone-ml/hone/backends/tensorrt"
)

// backendFlags choose a target and hold its options: one flag for each that a
// registered backend declares.
type backendFlags struct {
	backend string
	explain bool
	values  map[string]*[]string
}

func (f *backendFlags) add(c *cobra.Command) {
	f.values = map[string]*[]string{}
	c.Flags().StringVar(&f.backend, "backend", "cpu", "what to compile for: "+strings.Join(backends.Names(), ", "))
	c.Flags().BoolVar(&f.explain, "explain", false, "show what the target makes of each operator, and write nothing")
	for _, name := range backends.Names() {
		b, _ := backends.Lookup(name)
		for _, o := range b.Options() {
			f.values[o.Name] = c.Flags().StringArray(o.Name, nil, name+": "+o.Help)
		}
	}
}

// options returns what was given of a backend's options. A flag that is given
// several times is one value, parted by semicolons.
func (f *backendFlags) options(b backends.Backend) passes.Options {
	o := passes.Options{}
	for _, d := range b.Options() {
		o[d.Name] = cmp.Or(strings.Join(*f.values[d.Name], ";"), d.Default)
	}
	return o
}

// runBackend compiles for a target that is not the CPU of this package's
// bundles, or explains.
func (f *compileFlags) runBackend(cmd *cobra.Command, a *app, path string) error {
	b, ok := backends.Lookup(f.backend)
	if !ok {
		return usagef("there is no backend %q: there are %s", f.backend, strings.Join(backends.Names(), ", "))
	}
	pipeline, err := f.pipeline(a)
	if err != nil {
		return err
	}
	m, err := f.open(a, path)
	if err != nil {
		return err
	}
	defer m.Close()
	ctx := f.context(cmd, a)
	if _, err := pipeline.Run(ctx, m.Module()); err != nil {
		return err
	}
	if f.explain {
		text, err := b.Explain(cmd.Context(), m.Module(), f.options(b))
		fmt.Fprint(a.out, text)
		return err
	}
	out := cmp.Or(f.out, strings.TrimSuffix(path, ".onnx")+b.Extension())
	if err := checkOutput(out); err != nil {
		return err
	}
	a.work.at("building " + out)
	s, err := b.Compile(ctx, m.Module(), out, f.options(b), func(stage string, done float64) { a.work.part("building "+out+": "+stage, done) })
	if err != nil {
		return err
	}
	for _, w := range s.Warnings {
		fmt.Fprintln(a.err, "warning:", w)
	}
	for _, n := range s.Notes {
		fmt.Fprintln(a.out, n)
	}
	table := append(rows{{b.Name(), out}}, s.Rows...)
	table.print(a.out)
	return nil
}
