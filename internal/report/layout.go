package report

import (
	"cmp"
	"slices"
)

// Point is the centre of a node.
type Point struct{ X, Y int }

// The measures of the drawing, in units of the SVG.
const (
	nodeWidth  = 150
	nodeHeight = 38
	stepX      = nodeWidth + 26
	stepY      = nodeHeight + 34
)

// layout places the nodes in layers after Sugiyama, Tagawa and Toda (1981):
// each node stands one layer below the lowest that it reads, sources one above
// their first reader, and sweeps down and up bring nodes below the middle of
// what they are connected to. Time is linear in the graph but for sorting
// within layers.
func (g *Graph) layout() {
	n := len(g.Nodes)
	preds, succs := make([][]int, n), make([][]int, n)
	for _, e := range g.Edges {
		preds[e[1]] = append(preds[e[1]], e[0])
		succs[e[0]] = append(succs[e[0]], e[1])
	}
	layer := make([]int, n)
	for i := range n { // program order: a node comes after what it reads
		for _, p := range preds[i] {
			layer[i] = max(layer[i], layer[p]+1)
		}
	}
	for i := n - 1; i >= 0; i-- {
		if len(preds[i]) == 0 && len(succs[i]) > 0 {
			first := layer[succs[i][0]]
			for _, s := range succs[i] {
				first = min(first, layer[s])
			}
			layer[i] = max(0, first-1)
		}
	}
	var rows [][]int
	for i, l := range layer {
		for len(rows) <= l {
			rows = append(rows, nil)
		}
		rows[l] = append(rows[l], i)
	}
	x := make([]float64, n)
	for _, row := range rows {
		for k, i := range row {
			x[i] = float64(k) * stepX
		}
	}
	for range 4 {
		for _, row := range rows {
			place(row, x, preds)
		}
		for _, row := range slices.Backward(rows) {
			place(row, x, succs)
		}
	}
	for _, row := range rows {
		place(row, x, preds)
	}
	left := 0.0
	if n > 0 {
		left = slices.Min(x)
	}
	g.At = make([]Point, n)
	for i := range n {
		g.At[i] = Point{int(x[i] - left + nodeWidth), layer[i]*stepY + nodeHeight}
	}
}

// place moves the nodes of a row to the mean of their neighbours, as near as
// the distance between nodes allows: the least squares solution, found by
// pooling adjacent violators.
func place(row []int, x []float64, neighbours [][]int) {
	want := func(i int) float64 {
		if len(neighbours[i]) == 0 {
			return x[i]
		}
		sum := 0.0
		for _, j := range neighbours[i] {
			sum += x[j]
		}
		return sum / float64(len(neighbours[i]))
	}
	wants := make(map[int]float64, len(row))
	for _, i := range row {
		wants[i] = want(i)
	}
	slices.SortStableFunc(row, func(a, b int) int { return cmp.Compare(wants[a], wants[b]) })
	type pool struct {
		sum   float64
		count int
	}
	var pools []pool
	for k, i := range row {
		pools = append(pools, pool{wants[i] - float64(k)*stepX, 1})
		for len(pools) > 1 {
			a, b := pools[len(pools)-2], pools[len(pools)-1]
			if a.sum/float64(a.count) <= b.sum/float64(b.count) {
				break
			}
			pools = append(pools[:len(pools)-2], pool{a.sum + b.sum, a.count + b.count})
		}
	}
	k := 0
	for _, p := range pools {
		for range p.count {
			x[row[k]] = p.sum/float64(p.count) + float64(k)*stepX
			k++
		}
	}
}
