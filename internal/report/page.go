package report

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
)

// Page is a report: facts on top, the graph at each step, and tables.
type Page struct {
	Title  string
	Facts  []Fact
	Steps  []Step
	Tables []Table
}

// Table is sortable by every column; cells are strings or numbers.
type Table struct {
	Title   string   `json:"title"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
	// Node is the column that names a node of the graph, -1 for none: its
	// cells are links into the graph.
	Node int `json:"node"`
}

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.js
	pageJS string
	//go:embed page.css
	pageCSS string
)

var page = template.Must(template.New("page").Parse(pageHTML))

// payload is what the page's script reads. Nodes that several steps share are
// there once.
type payload struct {
	Facts  []Fact            `json:"facts"`
	Tables []Table           `json:"tables"`
	Nodes  []json.RawMessage `json:"nodes"`
	Steps  []payloadStep     `json:"steps"`
	Fills  map[string]string `json:"fills"`
	Width  int               `json:"width"` // of a node
	Height int               `json:"height"`
	StepY  int               `json:"stepY"`
}

type payloadStep struct {
	Title string   `json:"title"`
	Nodes []int    `json:"nodes"` // indices into payload.Nodes
	At    []int    `json:"at"`    // x, y of each
	Edges [][2]int `json:"edges"` // indices into Nodes
}

// Write writes the page as one file that loads nothing.
func (p *Page) Write(w io.Writer) error {
	data := payload{
		Facts: p.Facts, Tables: finite(p.Tables), Nodes: []json.RawMessage{}, Steps: []payloadStep{},
		Fills: fills, Width: nodeWidth, Height: nodeHeight, StepY: stepY,
	}
	known := map[string]int{}
	for _, s := range p.Steps {
		out := payloadStep{Title: s.Title, Edges: s.Graph.Edges}
		for i, n := range s.Graph.Nodes {
			text, err := json.Marshal(n)
			if err != nil {
				return err
			}
			id, ok := known[string(text)]
			if !ok {
				id = len(data.Nodes)
				known[string(text)] = id
				data.Nodes = append(data.Nodes, text)
			}
			out.Nodes = append(out.Nodes, id)
			out.At = append(out.At, s.Graph.At[i].X, s.Graph.At[i].Y)
		}
		data.Steps = append(data.Steps, out)
	}
	text, err := json.Marshal(data) // escapes <, > and &, so that no name ends the script
	if err != nil {
		return err
	}
	return page.Execute(w, map[string]any{
		"Title": p.Title, "CSS": template.CSS(pageCSS), "JS": template.JS(pageJS), "Data": template.JS(text),
	})
}

// finite returns the tables with numbers that JSON lacks as text.
func finite(tables []Table) []Table {
	out := slices.Clone(tables)
	for i := range out {
		rows := make([][]any, len(out[i].Rows))
		for j, r := range out[i].Rows {
			rows[j] = slices.Clone(r)
			for k, c := range r {
				f, ok := c.(float64)
				switch {
				case !ok:
				case math.IsNaN(f):
					rows[j][k] = "NaN"
				case math.IsInf(f, 1):
					rows[j][k] = "∞"
				case math.IsInf(f, -1):
					rows[j][k] = "-∞"
				}
			}
		}
		out[i].Rows = rows
	}
	return out
}

// Tables returns the tables of operators, parameters and products of a module;
// after is the module behind the passes, nil for none.
func Tables(m, after *ir.Module) []Table {
	return []Table{operators(m, after), products(m, after), parameters(m, after)}
}

func operators(m, after *ir.Module) Table {
	t := Table{Title: "Operators", Columns: []string{"operator", "as read"}, Node: -1, Rows: [][]any{}}
	counts := []map[string]int{count(m)}
	if after != nil {
		t.Columns = append(t.Columns, "after the passes")
		counts = append(counts, count(after))
	}
	all := maps.Clone(counts[0])
	for _, c := range counts {
		maps.Copy(all, c)
	}
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[0][b], counts[0][a]), cmp.Compare(a, b))
	})
	for _, n := range names {
		row := []any{n}
		for _, c := range counts {
			row = append(row, c[n])
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func count(m *ir.Module) map[string]int {
	c := map[string]int{}
	walk(m, func(op *ir.Op) {
		if op.Name != ir.ConstantName && op.Name != ir.YieldName {
			c[op.Name]++
		}
	})
	return c
}

func walk(m *ir.Module, f func(*ir.Op)) {
	for _, fn := range m.Funcs {
		fn.Body.Walk(func(op *ir.Op) bool { f(op); return true })
	}
}

// products lists the ops that multiply and accumulate, costliest first where
// every symbol is 1.
func products(m, after *ir.Module) Table {
	t := Table{Title: "FLOPs", Columns: []string{"value", "operator", "multiply-accumulates", "FLOPs with symbols = 1", "share %"}, Rows: [][]any{}}
	if after == nil {
		after = m
	}
	total := 0.0
	for _, n := range Draw(after).Nodes {
		if n.MACs != "" {
			flops := 2 * n.cost
			total += flops
			t.Rows = append(t.Rows, []any{n.ID, n.Op, n.MACs, flops, flops})
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b []any) int { return cmp.Compare(b[3].(float64), a[3].(float64)) })
	for _, r := range t.Rows {
		share, _ := strconv.ParseFloat(fmt.Sprintf("%.2f", 100*r[4].(float64)/max(total, 1)), 64)
		r[4] = share
	}
	return t
}

// parameters lists constants with more than 16 elements, largest first.
func parameters(m, after *ir.Module) Table {
	t := Table{Title: "Parameters", Columns: []string{"read by", "operator", "constant", "type", "elements", "bytes"}, Rows: [][]any{}}
	if after == nil {
		after = m
	}
	for _, n := range Draw(after).Nodes {
		for _, p := range n.In {
			if p.Const == "constant" {
				t.Rows = append(t.Rows, []any{n.ID, n.Op, p.Name, p.Type, p.elements, p.bytes})
			}
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b []any) int { return cmp.Compare(b[5].(int), a[5].(int)) })
	return t
}

// atOne returns a size with every symbol at 1, for sorting and sums.
func atOne(d ir.Dim) float64 {
	vals := map[string]int64{}
	for _, s := range d.Symbols() {
		vals[s] = 1
	}
	n, err := d.Eval(vals)
	if err != nil {
		return 0
	}
	return float64(n)
}

// Inspect returns the page of a module: its steps as History found them, and
// the tables.
func Inspect(title string, m, after *ir.Module, steps []Step, facts ...Fact) *Page {
	total, params, bytes := ir.Const(0), 0, 0
	walk(m, func(op *ir.Op) {
		total = total.Add(ops.MACs(op))
		if d := op.Result(0).Data(); d != nil {
			params += d.Len()
			bytes += d.DType.WireSize(d.Len())
		}
	})
	facts = append(facts, Fact{"parameters", strconv.Itoa(params)}, Fact{"constants", fmt.Sprintf("%.1f MB", float64(bytes)/1e6)},
		Fact{"multiply-accumulates", total.String()})
	for _, a := range m.Main().Body.Args {
		facts = append(facts, Fact{"input " + a.Name, a.Type.String()})
	}
	for i, v := range m.Main().Results() {
		facts = append(facts, Fact{"output " + m.Main().Outputs[i], v.Type.String()})
	}
	return &Page{Title: title, Facts: facts, Steps: steps, Tables: Tables(m, after)}
}
