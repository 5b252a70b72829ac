package report

import (
	"bytes"
	"context"
	"html"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
)

// browse opens a page in headless Chromium and returns the document as it is
// once its script has run.
func browse(t *testing.T, file, fragment string) string {
	t.Helper()
	var chromium string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	if chromium == "" {
		t.Skipf("%s is skipped: Chromium is not installed (Debian: apt-get install chromium)", t.Name())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	u := url.URL{Scheme: "file", Path: file}
	cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=5000", "--dump-dom", u.String()+"#"+fragment)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(t, err, errs.String())
	return string(out)
}

func write(t *testing.T, p *Page) string {
	file := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, p.Write(f))
	require.NoError(t, f.Close())
	return file
}

var tag = regexp.MustCompile(`<[^>]*>`)

// within returns the text of the first element that matches, without markup.
func within(t *testing.T, dom, open, end string) string {
	t.Helper()
	m := regexp.MustCompile(`(?s)` + open + `(.*?)` + end).FindStringSubmatch(dom)
	require.NotNil(t, m, "no %s in the document", open)
	return html.UnescapeString(tag.ReplaceAllString(m[1], " "))
}

func TestPageInABrowser(t *testing.T) {
	for _, c := range []struct {
		name, fragment string
		module         func(*testing.T) *ir.Module
		want           []string
	}{
		{"an operator", "find=product", small, []string{"MatMul", "product", "f32[N,2]", "4*N", "mm"}},
		{"attributes", "find=leaky", small, []string{"LeakyRelu", "alpha", "0.5"}},
		{"by operator name", "find=exp", small, []string{"Exp", "dead"}},
		{"after the passes", "step=9&find=product", small, []string{"MatMul", "product"}},
		{"a hostile name", "find=" + url.QueryEscape(hostile), small, []string{"Relu", hostile}},
		{"2,000 ops", "find=block321/Tanh", func(*testing.T) *ir.Module { return blocks(500) }, []string{"Tanh", "block321/Tanh", "f32[8,8]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := history(t, c.module(t))
			dom := browse(t, write(t, p), c.fragment)
			require.Regexp(t, `<html[^>]* data-ready="`, dom, "the script did not reach its end")
			require.NotRegexp(t, `<html[^>]* data-error=`, dom)
			details := within(t, dom, `<aside id="details">`, `</aside>`)
			for _, w := range c.want {
				require.Contains(t, details, w)
			}
			require.Regexp(t, `class="node[^"]* selected"`, dom)
			require.NotEqual(t, "", within(t, dom, `<span id="found">`, `</span>`))
			require.Contains(t, within(t, dom, `<section id="tables">`, `</section>`), "FLOPs")
		})
	}
}

// The slider's steps mark what goes, what comes and what changes.
func TestStepsMarkChanges(t *testing.T) {
	parse := func(body string) *Graph {
		m, err := ir.Parse("module @m opset=28\nfunc @main(%x: f32[2]) -> (y: f32[2]) {\n"+body+"}\n", ir.ParseOptions{})
		require.NoError(t, err)
		return Draw(m)
	}
	p := &Page{Title: "marks", Verdict: "all is well", Good: true, Steps: []Step{
		{Title: "as read", Graph: parse("%0 = Exp(%x) : f32[2] origin(\"gone\")\n%1 = Abs(%0) : f32[2] origin(\"y\")\nreturn(%1)\n")},
		{Title: "a pass", Pass: true, Rules: []RuleCount{{"norm-it", 3}}, Graph: parse("%0 = Log(%x) : f32[2] origin(\"come\")\n%1 = Relu(%0) : f32[2] origin(\"y\")\nreturn(%1)\n")},
	}}
	file := write(t, p)
	require.Regexp(t, `class="node removed"[^>]*data-id="gone"`, browse(t, file, ""))
	after := browse(t, file, "step=1")
	require.Regexp(t, `class="node added"[^>]*data-id="come"`, after)
	require.Regexp(t, `class="node changed"[^>]*data-id="y"`, after)
	require.NotContains(t, within(t, after, `<g id="nodes">`, `</g></g></svg>`), "Exp")
	require.Contains(t, after, `class="good">all is well`)
	require.Contains(t, within(t, after, `<span id="legend">`, `</span></span>`), "1 new")
	overview := within(t, after, `<aside id="details">`, `</aside>`)
	for _, w := range []string{"as read", "a pass", "norm-it", "3 times", "activation"} {
		require.Contains(t, overview, w)
	}
	// Going from change to change, from the top.
	require.Contains(t, within(t, browse(t, file, "step=1&change=1"), `<aside id="details">`, `</aside>`), "new in this pass")
	second := within(t, browse(t, file, "step=1&change=2"), `<aside id="details">`, `</aside>`)
	require.Contains(t, second, "changed in this pass")
	require.Regexp(t, `it was\s+Abs\(gone\)`, second)
}

// Where nodes have scores, these colour them, a legend says how, and the layer
// that adds most noise is selected as the page opens: not the last, which only
// hands on what went wrong above it.
func TestScoresColourNodes(t *testing.T) {
	m, err := ir.Parse(`module @m opset=28
func @main(%x: f32[2]) -> (y: f32[2]) {
  %0 = Exp(%x) : f32[2] origin("good")
  %1 = Abs(%0) : f32[2] origin("culprit")
  %2 = Neg(%1) : f32[2] origin("other")
  %3 = Relu(%2) : f32[2] origin("y")
  return(%3)
}
`, ir.ParseOptions{})
	require.NoError(t, err)
	score := func(snr float64) Score { return Score{SNR: snr, Facts: []Fact{{"max abs error", "0.25"}}} }
	p := &Page{
		Title: "scores", Steps: []Step{Still("optimized", m)},
		Scores: map[string]Score{"good": score(math.Inf(1)), "culprit": score(12), "y": score(11.5)},
		Tables: []Table{{Title: "Layers", Columns: []string{"value", "SNR dB"}, Rows: [][]any{{"y", 11.5}, {"culprit", 12.0}}}},
	}
	file := write(t, p)
	dom := browse(t, file, "")
	require.NotRegexp(t, `<html[^>]* data-error=`, dom)
	require.Regexp(t, `class="node scored[^"]* selected"[^>]*data-id="culprit"`, dom)
	require.Regexp(t, `class="node unscored[^"]*"[^>]*data-id="other"`, dom)
	details := within(t, dom, `<aside id="details">`, `</aside>`)
	for _, w := range []string{"culprit", "12.0 dB", "noise added here: 6.3 %", "max abs error", "0.25"} {
		require.Contains(t, details, w)
	}
	require.Regexp(t, `below 10 dB.*10 to 20.*80 and more.*not compared`, within(t, dom, `<span class="group" id="scale">`, `</span></span>`))
	require.Regexp(t, `<td class="number shade"><i [^>]*></i>12</td>`, dom)
	overview := within(t, browse(t, file, "step=0"), `<aside id="details">`, `</aside>`)
	require.Regexp(t, `(?s)where the noise comes in\s+culprit\s+6.3 %.*farthest from the original\s+y\s+11.5 dB`, overview)
}
