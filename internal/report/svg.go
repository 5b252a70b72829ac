package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hone-ml/hone/internal/graphviz"
)

// fills are the colours of kinds, the same in the page, in SVG and in DOT; white
// text on them has a contrast of 4.5 and more.
var fills = map[string]string{
	"product": "#3f6d9e", "norm": "#3d7d36", "activation": "#b25a12", "shape": "#6c6c6c", "pool": "#8f5a85",
	"quantize": "#876c00", "control": "#bb3449", "port": "#2f3a4a", "other": "#3f777a",
}

// WriteSVG draws the graph with Graphviz; a context that ends stops it.
func (g *Graph) WriteSVG(ctx context.Context, w io.Writer) error {
	var dot bytes.Buffer
	if err := g.WriteDOT(&dot); err != nil {
		return err
	}
	return graphviz.SVG(ctx, w, dot.Bytes())
}

// Graphviz takes ever longer for edges that pass many layers: 28 transformer
// blocks that all read one mask, 2,000 nodes, take it more than five minutes. So
// an edge that would pass more than farLayers is not drawn, which makes seconds
// of them: what it brings is named above its reader, farNames names at most.
const farLayers, farNames = 32, 6

// slowNodes is where the layout is told to try less hard: to look less for
// fewer crossings, and to end the search for the best places early.
const slowNodes = 500

// WriteDOT writes the graph in Graphviz's language.
func (g *Graph) WriteDOT(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString("digraph model {\n  graph [nodesep=0.2 ranksep=0.35")
	if len(g.Nodes) > slowNodes {
		b.WriteString(" mclimit=0.01 nslimit=0.1")
	}
	b.WriteString("]\n  node [shape=box style=\"filled,rounded\" penwidth=0 fontname=Helvetica fontsize=11 fontcolor=white margin=\"0.2,0.06\"]\n" +
		"  edge [color=\"#7d8896\" arrowsize=0.6]\n")
	for i, n := range g.Nodes {
		label := []string{n.Op, shorten(n.label(), 40), clip(n.typ(), 40)}
		fmt.Fprintf(&b, "  n%d [label=%s tooltip=%s fillcolor=%q]\n", i, quote(label...), quote(n.summary()...), fills[n.Kind])
	}
	layer, _ := g.layers()
	far := make([][]string, len(g.Nodes)) // by reader
	for _, e := range g.Edges {
		if layer[e[1]]-layer[e[0]] > farLayers {
			far[e[1]] = append(far[e[1]], shorten(g.Nodes[e[0]].label(), 40))
			continue
		}
		fmt.Fprintf(&b, "  n%d -> n%d\n", e[0], e[1])
	}
	for i, names := range far {
		if len(names) == 0 {
			continue
		}
		if more := len(names) - farNames; more > 0 {
			names = append(names[:farNames], fmt.Sprintf("and %d more", more))
		}
		fmt.Fprintf(&b, "  far%d [label=%s shape=plaintext style=\"\" fontcolor=\"#3a4450\"]\n  far%d -> n%d [style=dashed]\n", i, quote(names...), i, i)
	}
	b.WriteString("}\n")
	_, err := w.Write(b.Bytes())
	return err
}

// quote writes lines as one string of DOT, in which quotes end the string,
// backslashes begin sequences and ampersands names of characters.
func quote(lines ...string) string {
	var out []string
	for _, l := range lines {
		if l == "" {
			continue
		}
		l = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(l, "?"))
		out = append(out, strings.NewReplacer(`"`, `\"`, `\`, `\\`, "&", "&amp;").Replace(l))
	}
	return `"` + strings.Join(out, `\n`) + `"`
}

// label is what a node shows below its operator: its value's name.
func (n *Node) label() string {
	if n.Op == "output" {
		return n.Loc[0]
	}
	return n.ID
}

// typ is the type of a node's first value.
func (n *Node) typ() string {
	for _, p := range slices.Concat(n.Out, n.In) {
		return p.Type
	}
	return ""
}

func (n *Node) summary() []string {
	lines := []string{n.Op + " " + strconv.Quote(n.ID)}
	for _, p := range n.Out {
		lines = append(lines, p.Type)
	}
	return lines
}

// shorten keeps the end of a long name, which tells names of one model apart.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return "…" + string(r[len(r)-most+1:])
}
