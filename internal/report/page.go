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
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
)

// Page is a report: facts on top, the graph at each step, and tables.
type Page struct {
	Title string
	// Verdict stands beside the title, marked as good news or bad; "" for none.
	Verdict string
	Good    bool
	Facts   []Fact
	Steps   []Step
	Tables  []Table
	// Scores colour nodes, by their ID, instead of what they are for; the worst
	// is selected as the page opens.
	Scores map[string]Score
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
	Facts  []Fact                  `json:"facts"`
	Tables []Table                 `json:"tables"`
	Nodes  []json.RawMessage       `json:"nodes"`
	Steps  []payloadStep           `json:"steps"`
	Fills  map[string]string       `json:"fills"`
	Scores map[string]payloadScore `json:"scores,omitempty"`
	Scale  []shade                 `json:"scale,omitempty"`
	Width  int                     `json:"width"` // of a node
	Height int                     `json:"height"`
	Gap    int                     `json:"gap"` // between layers
}

type payloadStep struct {
	Title string        `json:"title"`
	Pass  bool          `json:"pass"`
	Ops   int           `json:"ops"`
	Rules []RuleCount   `json:"rules"`
	Nodes []int         `json:"nodes"` // indices into payload.Nodes
	At    []int         `json:"at"`    // x, y of each
	Edges [][2]int      `json:"edges"` // indices into Nodes
	Lanes map[int][]int `json:"lanes"` // by index into Nodes: x, and in how many layers on end, in turns
}

// Write writes the page as one file that loads nothing.
func (p *Page) Write(w io.Writer) error {
	data := payload{
		Facts: p.Facts, Tables: finite(p.Tables), Nodes: []json.RawMessage{}, Steps: []payloadStep{},
		Fills: fills, Scores: p.scored(), Width: nodeWidth, Height: nodeHeight, Gap: gapY,
	}
	if data.Scores != nil {
		data.Scale = scale
	}
	known := map[string]int{}
	for _, s := range p.Steps {
		out := payloadStep{Title: s.Title, Pass: s.Pass, Ops: s.Ops, Rules: s.Rules, Edges: s.Graph.Edges, Lanes: map[int][]int{}}
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
			if lanes := s.Graph.Lanes[i]; len(lanes) > 0 {
				out.Lanes[i] = runs(lanes)
			}
		}
		data.Steps = append(data.Steps, out)
	}
	text, err := json.Marshal(data) // escapes <, > and &, so that no name ends the script
	if err != nil {
		return err
	}
	return page.Execute(w, map[string]any{
		"Title": p.Title, "Verdict": p.Verdict, "Good": p.Good, "CSS": template.CSS(pageCSS), "JS": template.JS(pageJS), "Data": template.JS(text),
	})
}

// runs writes equal neighbours as one and their number.
func runs(list []int) []int {
	var out []int
	for i, v := range list {
		if i > 0 && v == list[i-1] {
			out[len(out)-1]++
		} else {
			out = append(out, v, 1)
		}
	}
	return out
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

// tables returns the tables of operators, products and parameters of a module;
// after is the module behind the passes, nil for none, and g the graph in the end.
func tables(m, after *ir.Module, g *Graph) []Table {
	all := []Table{operators(m, after), products(g), parameters(g)}
	return slices.DeleteFunc(all, func(t Table) bool { return len(t.Rows) == 0 })
}

func operators(m, after *ir.Module) Table {
	t := Table{Title: "Operators", Columns: []string{"operator", "number"}, Node: -1, Rows: [][]any{}}
	counts := []map[string]int{count(m)}
	if after != nil {
		t.Columns = []string{"operator", "as read", "after the passes"}
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
func products(g *Graph) Table {
	t := Table{Title: "FLOPs", Columns: []string{"value", "operator", "multiply-accumulates", "FLOPs, symbols 1", "share %"}, Rows: [][]any{}}
	total := 0.0
	for _, n := range g.Nodes {
		if n.MACs != "" {
			flops := 2 * n.cost
			total += flops
			t.Rows = append(t.Rows, []any{n.ID, n.Op, short(n.MACs), flops, flops})
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
func parameters(g *Graph) Table {
	t := Table{Title: "Parameters", Columns: []string{"read by", "operator", "constant", "type", "elements", "bytes"}, Rows: [][]any{}}
	for _, n := range g.Nodes {
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

var long = regexp.MustCompile(`\b\d{4,}\b`)

// short writes the large numbers of a size for people: 4.09G·N.
func short(size string) string {
	size = long.ReplaceAllStringFunc(size, func(digits string) string {
		f, _ := strconv.ParseFloat(digits, 64)
		unit := -1
		for ; f >= 999.5; unit++ {
			f /= 1000
		}
		return strconv.FormatFloat(f, 'g', 3, 64) + " " + string("kMGTPE"[max(unit, 0)])
	})
	return strings.NewReplacer("*", "·", "+", " + ").Replace(size)
}

// Inspect returns the page of a module: its steps as History found them, one at
// least, and the tables.
func Inspect(title string, m, after *ir.Module, steps []Step, facts ...Fact) *Page {
	total, params, bytes := ir.Const(0), 0, 0
	walk(m, func(op *ir.Op) {
		total = total.Add(ops.MACs(op))
		if d := op.Result(0).Data(); d != nil {
			params += d.Len()
			bytes += d.DType.WireSize(d.Len())
		}
	})
	operators := strconv.Itoa(passes.CountOps(m))
	if after != nil {
		operators += " → " + strconv.Itoa(passes.CountOps(after))
	}
	facts = append(facts, Fact{"operators", operators}, Fact{"parameters", short(strconv.Itoa(params))},
		Fact{"constants", short(strconv.Itoa(bytes)) + "B"})
	if !total.IsInt(0) { // kernels have counts of their own
		facts = append(facts, Fact{"multiply-accumulates", short(total.String())})
	}
	for _, a := range m.Main().Body.Args {
		facts = append(facts, Fact{"input " + a.Name, a.Type.String()})
	}
	for i, v := range m.Main().Results() {
		facts = append(facts, Fact{"output " + m.Main().Outputs[i], v.Type.String()})
	}
	return &Page{Title: title, Facts: facts, Steps: steps, Tables: tables(m, after, steps[len(steps)-1].Graph)}
}
