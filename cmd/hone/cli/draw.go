package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"

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
	c.Flags().StringVar(&d.svg, "svg", "", "write the graph as a picture, drawn by Graphviz, to this `FILE`; --html is faster for thousands of nodes")
	c.Flags().StringVar(&d.dot, "dot", "", "write the graph in Graphviz's language to this `FILE`")
	d.choose(c)
}

func (d *drawings) any() bool { return d.html != "" || d.svg != "" || d.dot != "" }

// write writes the files that are asked for, and tells so.
func (d *drawings) write(cmd *cobra.Command, a *app, m *hone.Model, told io.Writer) error {
	outs := []struct {
		path string
		draw func(io.Writer) error
	}{
		{d.svg, func(w io.Writer) error {
			g := report.Draw(m.Module())
			a.work.at(fmt.Sprintf("drawing %s with Graphviz", plural(len(g.Nodes), "node")))
			return g.WriteSVG(cmd.Context(), w)
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
	}
	for _, o := range outs {
		if o.path == "" {
			continue
		}
		if err := atomicfile.Write(cmd.Context(), o.path, func(f *atomicfile.File) error { return o.draw(f) }); err != nil {
			return err
		}
		fmt.Fprintf(told, "wrote %s\n", o.path)
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
	outputs := report.Table{Title: "Outputs", Columns: []string{"output", "SNR dB", "max abs error", "relative to scale", "cosine", "same top-1 %"}}
	for _, o := range r.Outputs {
		outputs.Rows = append(outputs.Rows, []any{"output " + o.Name, snr(o.Diff), o.MaxAbs, o.MaxRel, o.Cosine, 100 * o.Top1})
	}
	optimized := report.Still("optimized", y.Module())
	steps := []report.Step{optimized}
	if x.Module().Level == y.Module().Level {
		steps = append([]report.Step{report.Still("original", x.Module())}, steps...)
	}
	page := report.Inspect(title+" "+y.Module().Name, y.Module(), nil, steps,
		report.Fact{Name: "original", Value: x.Path()}, report.Fact{Name: "optimized", Value: y.Path()})
	first := []report.Table{outputs}
	if len(r.Layers) > 0 {
		page.Scores = scores(r)
		first = append(first, layers(r, optimized.Graph.Noise(page.Scores)))
	}
	page.Tables = append(first, page.Tables...)
	return page
}

// scores are those of the layers and of the outputs, whose nodes have names of their own.
func scores(r *hone.Report) map[string]report.Score {
	all := map[string]report.Score{}
	add := func(node string, d *compare.Diff) {
		fact := func(name, format string, x float64) report.Fact {
			return report.Fact{Name: name, Value: fmt.Sprintf(format, x)}
		}
		all[node] = report.Score{SNR: snr(d), Facts: []report.Fact{
			fact("max abs error", "%.3g", d.MaxAbs), fact("relative to scale", "%.3g", d.MaxRel), fact("cosine", "%.6f", d.Cosine),
		}}
	}
	for _, l := range r.Layers {
		add(l.Origin, l.Diff)
	}
	for _, o := range r.Outputs {
		add("output "+o.Name, o.Diff)
	}
	return all
}

// snr is the signal to noise ratio, NaN where elements are.
func snr(d *compare.Diff) float64 {
	if d.NaNs > 0 {
		return math.NaN()
	}
	return d.SNR
}

// layers lists the values that both models have, the worst first.
func layers(r *hone.Report, noise map[string]float64) report.Table {
	t := report.Table{Title: "Layers", Columns: []string{"value", "SNR dB", "noise added %", "max abs error", "relative to scale", "cosine", "same top-1 %"}}
	for _, l := range slices.SortedStableFunc(slices.Values(r.Layers), func(a, b hone.LayerDiff) int { return cmp.Compare(snr(a.Diff), snr(b.Diff)) }) {
		t.Rows = append(t.Rows, []any{l.Origin, snr(l.Diff), 100 * noise[l.Origin], l.MaxAbs, l.MaxRel, l.Cosine, 100 * l.Top1})
	}
	return t
}

// writePage writes a page to a file, and says so beside what the command prints.
func writePage(ctx context.Context, a *app, path string, page *report.Page) error {
	if err := atomicfile.Write(ctx, path, func(f *atomicfile.File) error { return page.Write(f) }); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "wrote %s\n", path)
	return nil
}
