package report

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	_ "github.com/hone-ml/hone/passes/all"
	"github.com/hone-ml/hone/tensor"
)

var update = flag.Bool("update", false, "write what is drawn into the golden files")

const hostile = `</script><script>throw "x"</script>"'&\`

// small is a model with a skip connection, a product, a dead op and a name
// that tries to end the script.
func small(t *testing.T) *ir.Module {
	m, err := ir.Parse(fmt.Sprintf(`module @m opset=28
func @main(%%x: f32[N,2]) -> (y: f32[N,2]) {
  %%0 = const f32[2,2] [1, 2, 3, 4] origin("w")
  %%1 = MatMul(%%x, %%0) : f32[N,2] loc("mm") origin("product")
  %%2 = Relu(%%1) : f32[N,2] loc("r") origin(%q)
  %%3 = Exp(%%2) : f32[N,2] loc("dead") origin("dead")
  %%4 = LeakyRelu(%%2) {alpha=0.5} : f32[N,2] loc("leaky") origin("leaky")
  %%5 = Add(%%4, %%1) : f32[N,2] loc("sum") origin("y")
  return(%%5)
}
`, hostile), ir.ParseOptions{})
	require.NoError(t, err)
	return m
}

// blocks is a chain of residual blocks: 4 ops each.
func blocks(n int) *ir.Module {
	m := ir.NewModule("blocks", 28)
	typ := ir.Static(tensor.Float32, 8, 8)
	v := m.Main().AddInput("x", typ)
	at := ir.AtEnd(m.Main().Body)
	op := func(i int, name string, vs ...*ir.Value) *ir.Value {
		r := at.Op(name, vs, []ir.Type{typ}).Result(0)
		r.Origin.Name = fmt.Sprintf("block%d/%s", i, name)
		return r
	}
	for i := range n {
		a := op(i, "Relu", v)
		b := op(i, "Tanh", v)
		v = op(i, "Add", op(i, "MatMul", a, b), v)
	}
	m.Main().Return([]string{"y"}, v)
	return m
}

// comb is a chain all of whose values are read at its end too.
func comb(n int) *ir.Module {
	m := ir.NewModule("comb", 28)
	typ := ir.Static(tensor.Float32, 8, 8)
	at := ir.AtEnd(m.Main().Body)
	v := m.Main().AddInput("x", typ)
	all := []*ir.Value{v}
	for range n {
		v = at.Op("Exp", []*ir.Value{v}, []ir.Type{typ}).Result(0)
		all = append(all, v)
	}
	m.Main().Return([]string{"y"}, at.Op("Sum", all, []ir.Type{typ}).Result(0))
	return m
}

// Lanes are bounded: where each of very many values is read very late, the
// longest edges are bows.
func TestLanesAreBounded(t *testing.T) {
	g := Draw(comb(2000))
	lanes := 0
	for _, l := range g.Lanes {
		lanes += len(l)
	}
	require.LessOrEqual(t, lanes, maxLanes)
	require.Greater(t, lanes, maxLanes/2)
	require.Empty(t, g.Lanes[0], "what passes most layers goes in a bow")
}

// Nodes of a layer keep their distance, edges lead down and pass no node, and
// large graphs are no trouble.
func TestLayout(t *testing.T) {
	for _, m := range []*ir.Module{small(t), blocks(1), blocks(500), comb(40)} {
		g := Draw(m)
		require.Len(t, g.At, len(g.Nodes))
		rows := map[int]map[int]bool{}
		for i, p := range g.At {
			for x := range rows[p.Y] {
				require.GreaterOrEqual(t, max(x-p.X, p.X-x), nodeWidth, "node %s overlaps another", g.Nodes[i].ID)
			}
			if rows[p.Y] == nil {
				rows[p.Y] = map[int]bool{}
			}
			rows[p.Y][p.X] = true
			require.Positive(t, p.X)
		}
		for _, e := range g.Edges {
			require.Less(t, g.At[e[0]].Y, g.At[e[1]].Y)
			require.GreaterOrEqual(t, len(g.Lanes[e[0]]), (g.At[e[1]].Y-g.At[e[0]].Y)/stepY-1, "the edge has a lane in each layer that it passes")
		}
		for i, lanes := range g.Lanes {
			for k, lane := range lanes {
				for x := range rows[g.At[i].Y+(k+1)*stepY] {
					require.GreaterOrEqual(t, max(x-lane, lane-x), nodeWidth/2, "an edge of %s passes through a node", g.Nodes[i].ID)
				}
			}
		}
	}
}

func TestNodesCarryWhatIsAsked(t *testing.T) {
	g := Draw(small(t))
	byID := map[string]Node{}
	for _, n := range g.Nodes {
		byID[n.ID] = n
	}
	n := byID["product"]
	require.Equal(t, "MatMul", n.Op)
	require.Equal(t, []string{"mm"}, n.Loc)
	require.Equal(t, "4*N", n.MACs)
	require.Equal(t, "8*N", n.Bytes)
	require.EqualValues(t, 4, n.Params)
	require.EqualValues(t, 16, n.Weights)
	require.Equal(t, "w", n.In[1].Name)
	require.Equal(t, "f32[2,2]", n.In[1].Type)
	require.Equal(t, []Fact{{"alpha", "0.5"}}, byID["leaky"].Attrs)
	require.Equal(t, "input", byID["x"].Op)
	require.Equal(t, "output", byID["output y"].Op)
}

// A graph in Graphviz's language, and as Graphviz draws it.
func TestPictures(t *testing.T) {
	g := Draw(small(t))
	var dot, svg bytes.Buffer
	require.NoError(t, g.WriteDOT(&dot))
	golden(t, "small.dot", dot.Bytes())
	require.NoError(t, g.WriteSVG(t.Context(), &svg))
	golden(t, "small.svg", svg.Bytes())
}

// An edge that would pass very many layers is a name above its reader, so that
// Graphviz is done with large graphs, too.
func TestFarEdgesAreNames(t *testing.T) {
	var dot, svg bytes.Buffer
	require.NoError(t, Draw(comb(100)).WriteDOT(&dot))
	require.Equal(t, 1, strings.Count(dot.String(), "shape=plaintext"))
	require.Contains(t, dot.String(), `\nand 63 more"`)
	require.NoError(t, Draw(blocks(250)).WriteSVG(t.Context(), &svg))
	require.Equal(t, 1002, strings.Count(svg.String(), `class="node"`))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "go test -update writes what is drawn")
}

func history(t *testing.T, m *ir.Module) *Page {
	p, err := passes.ParsePipeline("O2")
	require.NoError(t, err)
	steps, after, err := History(passes.NewContext(context.Background()), m, func(c *passes.Context, m *ir.Module) error {
		_, err := p.Run(c, m)
		return err
	})
	require.NoError(t, err)
	return Inspect("test "+hostile, m, after, steps, Fact{"file", hostile})
}

func TestHistoryShowsEachPassThatChangesSomething(t *testing.T) {
	m := small(t)
	before, err := ir.Print(m)
	require.NoError(t, err)
	p := history(t, m)
	require.GreaterOrEqual(t, len(p.Steps), 2)
	require.Equal(t, "as read", p.Steps[0].Title)
	has := func(s Step) bool {
		for _, n := range s.Graph.Nodes {
			if n.ID == "dead" {
				return true
			}
		}
		return false
	}
	require.True(t, has(p.Steps[0]))
	require.False(t, has(p.Steps[len(p.Steps)-1]))
	after, err := ir.Print(m)
	require.NoError(t, err)
	require.Equal(t, before, after, "the module changed")
	require.Equal(t, []any{"Exp", 1, 0}, p.Tables[0].Rows[1])
	require.Equal(t, []any{"product", "MatMul", "4·N", 8.0, 100.0}, p.Tables[1].Rows[0])
}

// The page is one file: it refers to nothing outside, and no name in a model
// can put markup into it.
func TestPageIsSelfContained(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, history(t, small(t)).Write(&b))
	page := b.String()
	require.Equal(t, 2, strings.Count(page, "</script>"))
	require.Contains(t, page, "default-src 'none'")
	for _, reference := range []string{"src=", "href=", "@import", "url("} {
		require.False(t, strings.Contains(page, reference), "the page has %q", reference)
	}
	page = strings.ReplaceAll(page, "http://www.w3.org/2000/svg", "")
	require.False(t, strings.Contains(page, "://"), "the page refers to something outside")
}

// A page of 2,000 ops and many steps stays small.
func TestLargePage(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, history(t, blocks(500)).Write(&b))
	require.Less(t, b.Len(), 4<<20)
}

// Numbers that JSON lacks are text.
func TestTablesHoldAnyNumber(t *testing.T) {
	var b bytes.Buffer
	p := &Page{Title: "t", Tables: []Table{{Title: "T", Columns: []string{"a"}, Rows: [][]any{{math.Inf(1)}, {math.Inf(-1)}, {math.NaN()}, {1.5}}, Node: -1}}}
	require.NoError(t, p.Write(&b))
	require.Contains(t, b.String(), `"rows":[["∞"],["-∞"],["NaN"],[1.5]]`)
}

// What only hands on noise adds none; values without a score hand on what they
// read; what is no number is more than any noise.
func TestNoise(t *testing.T) {
	g := Draw(small(t))
	added := g.Noise(map[string]Score{"x": {SNR: math.Inf(1)}, "product": {SNR: 20}, "leaky": {SNR: 20}, "y": {SNR: 10}, "output y": {SNR: math.NaN()}})
	require.InDelta(t, 0.01, added["product"], 1e-12)
	require.InDelta(t, 0.09, added["y"], 1e-12)
	require.Zero(t, added["leaky"])
	// Constants that were rounded: it is the product that is less right.
	m, err := ir.Parse(`module @m opset=28
func @main(%x: f32[N,2]) -> (y: f32[N,2]) {
  %0 = const f32[2,2] [1, 2, 3, 4] origin("codes")
  %1 = Abs(%0) : f32[2,2] origin("w")
  %2 = MatMul(%x, %1) : f32[N,2] origin("y")
  return(%2)
}
`, ir.ParseOptions{})
	require.NoError(t, err)
	added = Draw(m).Noise(map[string]Score{"w": {SNR: 20}, "y": {SNR: 20}})
	require.InDelta(t, 0.01, added["y"], 1e-12)
	require.NotContains(t, added, "w")
	for snr, want := range map[float64]int{math.Inf(-1): 0, 9.9: 0, 10: 1, 35: 3, 80: 5, math.Inf(1): 5} {
		require.Equal(t, want, shadeOf(snr), "%g dB", snr)
	}
	require.Zero(t, shadeOf(math.NaN()))
}
