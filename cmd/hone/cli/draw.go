package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/internal/compare"
	"github.com/hone-ml/hone/internal/report"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
)

// drawings are the flags of inspect that write a file each.
type drawings struct {
	html, svg, dot string
	passFlags
}

func (d *drawings) add(c *cobra.Command) {
	c.Flags().StringVar(&d.html, "html", "", "write a page to this `FILE`: the graph before and after each pass")
	c.Flags().StringVar(&d.svg, "svg", "", "write the graph as a picture to this `FILE`")
	c.Flags().StringVar(&d.dot, "dot", "", "write the graph in Graphviz's language to this `FILE`")
	d.choose(c)
}

func (d *drawings) any() bool { return d.html != "" || d.svg != "" || d.dot != "" }

func (d *drawings) write(cmd *cobra.Command, a *app, m *hone.Model) error {
	outs := []struct {
		path string
		draw func(io.Writer) error
	}{
		{d.svg, func(w io.Writer) error {
			a.work.at("drawing with Graphviz")
			return report.Draw(m.Module()).WriteSVG(cmd.Context(), w)
		}},
		{d.dot, func(w io.Writer) error { return report.Draw(m.Module()).WriteDOT(w) }},
		{d.html, func(w io.Writer) error { return d.page(cmd, a, m, w) }},
	}
	for _, o := range outs {
		if o.path == "" {
			continue
		}
		if err := checkOutput(o.path); err != nil {
			return err
		}
		if err := atomicfile.Write(cmd.Context(), o.path, func(f *atomicfile.File) error { return o.draw(f) }); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "wrote %s\n", o.path)
	}
	return nil
}

// page writes the HTML page. A model that is past the core level has no passes
// to show.
func (d *drawings) page(cmd *cobra.Command, a *app, m *hone.Model, w io.Writer) error {
	module := m.Module()
	facts := []report.Fact{{Name: "file", Value: m.Path()}, {Name: "level", Value: module.Level.String()}}
	if module.Level != ir.Core {
		return report.Inspect(module.Name, module, nil, []report.Step{report.Still("as read", module)}, facts...).Write(w)
	}
	pipeline, err := d.pipeline(a)
	if err != nil {
		return err
	}
	steps, after, err := report.History(a.passes(cmd), module, func(c *passes.Context, m *ir.Module) error {
		_, err := pipeline.Run(c, m)
		return err
	})
	if err != nil {
		return err
	}
	facts = append(facts, report.Fact{Name: "passes", Value: pipeline.Name()})
	return report.Inspect(module.Name, module, after, steps, facts...).Write(w)
}

// answersPage shows how far the answers of two models are apart, next to the
// graphs of both, or to that of y alone where it is on another level.
func answersPage(title string, x, y *hone.Model, r *hone.Report) *report.Page {
	columns := []string{"max abs error", "relative to scale", "SNR dB", "cosine", "same top-1 %"}
	row := func(name string, d *compare.Diff) []any {
		return []any{name, d.MaxAbs, d.MaxRel, d.SNR, d.Cosine, 100 * d.Top1}
	}
	outputs := report.Table{Title: "Outputs", Columns: append([]string{"output"}, columns...)}
	for _, o := range r.Outputs {
		outputs.Rows = append(outputs.Rows, row("output "+o.Name, o.Diff))
	}
	layers := report.Table{Title: "Layers", Columns: append([]string{"value"}, columns...)}
	for _, l := range r.Layers {
		layers.Rows = append(layers.Rows, row(l.Origin, l.Diff))
	}
	steps := []report.Step{report.Still("optimized", y.Module())}
	if x.Module().Level == y.Module().Level {
		steps = append([]report.Step{report.Still("original", x.Module())}, steps...)
	}
	page := report.Inspect(title+" "+y.Module().Name, y.Module(), nil, steps,
		report.Fact{Name: "original", Value: x.Path()}, report.Fact{Name: "optimized", Value: y.Path()})
	first := []report.Table{outputs}
	if len(r.Layers) > 0 {
		first = append(first, layers)
	}
	page.Tables = append(first, page.Tables...)
	return page
}

// writePage writes a page to a file.
func writePage(ctx context.Context, path string, page *report.Page) error {
	return atomicfile.Write(ctx, path, func(f *atomicfile.File) error { return page.Write(f) })
}
