package report

import (
	"bytes"
	"context"
	"html"
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
		{Title: "a pass", Rules: []RuleCount{{"norm-it", 3}}, Graph: parse("%0 = Log(%x) : f32[2] origin(\"come\")\n%1 = Relu(%0) : f32[2] origin(\"y\")\nreturn(%1)\n")},
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
