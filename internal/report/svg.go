package report

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"slices"
	"strconv"
)

// fills are the colours of kinds, the same in the page, in SVG and in DOT.
var fills = map[string]string{
	"product": "#4c78a8", "norm": "#54a24b", "activation": "#e4813a", "shape": "#8d8d8d", "pool": "#b279a2",
	"quantize": "#c9a227", "control": "#d1495b", "port": "#2f3a4a", "other": "#5f9ea0",
}

// bounds returns the size of the drawing.
func (g *Graph) bounds() (w, h int) {
	for _, p := range g.At {
		w, h = max(w, p.X), max(h, p.Y)
	}
	return w + nodeWidth, h + nodeHeight
}

// path returns an edge as an SVG path: straight down through its lanes, from
// one to the next within the gap between layers; in a bow where it has none.
func (g *Graph) path(e [2]int) string {
	a, b := g.At[e[0]], g.At[e[1]]
	y, end := a.Y+nodeHeight/2, b.Y-nodeHeight/2
	lanes := g.Lanes[e[0]]
	if end-y > gapY && len(lanes) == 0 {
		side := max(a.X, b.X) + nodeWidth
		return fmt.Sprintf("M%d %dC%d %d %d %d %d %d", a.X, y, side, y+gapY, side, end-gapY, b.X, end)
	}
	path, x := fmt.Sprintf("M%d %d", a.X, y), a.X
	for _, lane := range append(slices.Clone(lanes[:min(len(lanes), (end-y)/stepY)]), b.X) {
		if lane != x {
			path += fmt.Sprintf("V%dC%d %d %d %d %d %d", y, x, y+gapY/2, lane, y+gapY/2, lane, y+gapY)
		}
		x, y = lane, y+stepY
	}
	return path + fmt.Sprintf("V%d", end)
}

// WriteSVG writes the graph as a picture of its own.
func (g *Graph) WriteSVG(w io.Writer) error {
	b := bufio.NewWriter(w)
	width, height := g.bounds()
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintln(b, `<rect width="100%" height="100%" fill="#fff"/>`)
	for _, e := range g.Edges {
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="#9aa4b2"/>`+"\n", g.path(e))
	}
	for i, n := range g.Nodes {
		p := g.At[i]
		fmt.Fprintf(b, `<g><title>%s</title><rect x="%d" y="%d" width="%d" height="%d" rx="5" fill="%s"/>`, html.EscapeString(n.summary()),
			p.X-nodeWidth/2, p.Y-nodeHeight/2, nodeWidth, nodeHeight, fills[n.Kind])
		for k, line := range []string{shorten(n.Op, 22), shorten(n.label(), 30), clip(n.typ(), 30)} {
			size, weight := 9.5, "normal"
			if k == 0 {
				size, weight = 13, "bold"
			}
			fmt.Fprintf(b, `<text x="%d" y="%d" fill="#fff" text-anchor="middle" font-size="%g" font-weight="%s">%s</text>`, p.X, p.Y-7+13*k, size, weight, html.EscapeString(line))
		}
		fmt.Fprintln(b, "</g>")
	}
	fmt.Fprintln(b, "</svg>")
	return b.Flush()
}

// WriteDOT writes the graph in Graphviz's language.
func (g *Graph) WriteDOT(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "digraph model {\n  node [shape=box style=\"filled,rounded\" fontname=sans fontcolor=white]")
	for i, n := range g.Nodes {
		fmt.Fprintf(b, "  n%d [label=%s tooltip=%s fillcolor=%q]\n", i, quote(n.Op+"\n"+shorten(n.label(), 40)), quote(n.summary()), fills[n.Kind])
	}
	for _, e := range g.Edges {
		fmt.Fprintf(b, "  n%d -> n%d\n", e[0], e[1])
	}
	fmt.Fprintln(b, "}")
	return b.Flush()
}

// quote writes a string as DOT does: only quotes, backslashes and line ends
// are special.
func quote(s string) string {
	out := []byte{'"'}
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		default:
			out = append(out, c)
		}
	}
	return string(append(out, '"'))
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

func (n *Node) summary() string {
	s := n.Op + " " + strconv.Quote(n.ID)
	for _, p := range n.Out {
		s += "\n" + p.Type
	}
	return s
}

// shorten keeps the end of a long name, which tells names of one model apart.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return "…" + string(r[len(r)-most+1:])
}
