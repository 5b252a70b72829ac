package report

import (
	"cmp"
	"math"
	"slices"
)

// Point is the centre of a node.
type Point struct{ X, Y int }

// The measures of the drawing, in units of the SVG.
const (
	nodeWidth  = 172
	nodeHeight = 50
	gapX       = 24
	gapY       = 34
	stepY      = nodeHeight + gapY
	laneWidth  = 2 // of an edge that passes a layer
)

// maxLanes bounds the places where edges pass layers. Where a graph has more,
// its longest edges take no lane, but a bow.
const maxLanes = 200_000

// drawing is a graph on its way to places: items are the nodes, and behind
// them the lanes, one for each layer that a value passes on its way to its last
// reader. All readers of a value share its lanes.
type drawing struct {
	rows         [][]int // the items of each layer, left to right
	width, x     []float64
	preds, succs [][]int
}

// layout places the nodes in layers after Sugiyama, Tagawa and Toda (1981):
// each node stands one layer below the lowest that it reads, sources one above
// their first reader; edges over several layers pass those between in lanes; and
// sweeps down and up bring everything below the middle of what it is connected
// to. Time is linear in nodes and lanes but for sorting within layers.
func (g *Graph) layout() {
	n := len(g.Nodes)
	layer, last := g.layers()
	d := &drawing{preds: make([][]int, n), succs: make([][]int, n), width: make([]float64, n)}
	d.rows = make([][]int, 1)
	for i, l := range layer {
		for len(d.rows) <= l {
			d.rows = append(d.rows, nil)
		}
		d.rows[l] = append(d.rows[l], i)
		d.width[i] = nodeWidth
	}
	longest := longestLane(layer, last)
	lanes := make([][]int, n)
	for i := range n {
		if length := last[i] - layer[i] - 1; length > 0 && length <= longest {
			above := i
			for k := range length {
				lane := len(d.width)
				d.width = append(d.width, laneWidth)
				d.preds, d.succs = append(d.preds, nil), append(d.succs, nil)
				d.rows[layer[i]+1+k] = append(d.rows[layer[i]+1+k], lane)
				d.join(above, lane)
				lanes[i] = append(lanes[i], lane)
				above = lane
			}
		}
	}
	for _, e := range g.Edges {
		above := e[0]
		if between := layer[e[1]] - layer[above] - 1; between > 0 && len(lanes[above]) > 0 {
			above = lanes[above][between-1]
		}
		d.join(above, e[1])
	}
	d.sweep()

	left := 0.0
	if n > 0 {
		left = slices.Min(d.x)
	}
	at := func(i int) int { return int(math.Round(d.x[i]-left)) + nodeWidth }
	g.At, g.Lanes = make([]Point, n), make([][]int, n)
	for i := range n {
		g.At[i] = Point{at(i), layer[i]*stepY + nodeHeight}
		for _, l := range lanes[i] {
			g.Lanes[i] = append(g.Lanes[i], at(l))
		}
	}
}

// layers returns the layer of each node and that of its last reader.
func (g *Graph) layers() (layer, last []int) {
	layer, last = make([]int, len(g.Nodes)), make([]int, len(g.Nodes))
	source, first := make([]bool, len(g.Nodes)), make([]int, len(g.Nodes))
	for i := range source {
		source[i], first[i] = true, math.MaxInt
	}
	edges := slices.Clone(g.Edges)
	slices.SortStableFunc(edges, func(a, b [2]int) int { return cmp.Compare(a[1], b[1]) })
	for _, e := range edges { // program order: a node comes after what it reads
		layer[e[1]] = max(layer[e[1]], layer[e[0]]+1)
		source[e[1]] = false
	}
	for _, e := range g.Edges {
		first[e[0]] = min(first[e[0]], layer[e[1]])
	}
	for i := range layer {
		if source[i] && first[i] < math.MaxInt {
			layer[i] = max(0, first[i]-1)
		}
	}
	for _, e := range g.Edges {
		last[e[0]] = max(last[e[0]], layer[e[1]])
	}
	return layer, last
}

// longestLane returns how many layers an edge may pass, so that there are no
// more lanes than maxLanes.
func longestLane(layer, last []int) int {
	lengths := make([]int, 0, len(layer))
	for i := range layer {
		lengths = append(lengths, max(0, last[i]-layer[i]-1))
	}
	slices.Sort(lengths)
	sum := 0
	for _, l := range lengths {
		if sum += l; sum > maxLanes {
			return l - 1
		}
	}
	return math.MaxInt
}

func (d *drawing) join(above, below int) {
	d.succs[above] = append(d.succs[above], below)
	d.preds[below] = append(d.preds[below], above)
}

func (d *drawing) lane(i int) bool { return d.width[i] == laneWidth }

// sweep finds the places within the layers.
func (d *drawing) sweep() {
	d.x = make([]float64, len(d.width))
	for _, row := range d.rows {
		at := 0.0
		for _, i := range row {
			d.x[i] = at + d.width[i]/2
			at += d.width[i] + gapX
		}
	}
	for range 4 {
		for _, row := range d.rows {
			d.place(row, d.preds)
		}
		for _, row := range slices.Backward(d.rows) {
			d.place(row, d.succs)
		}
	}
	for _, row := range d.rows {
		d.place(row, d.preds)
	}
}

// laneWeight is what a lane counts beside a node in the mean of neighbours, and
// sideWeight what counts in its row an item that leads nowhere, or a lane where
// it begins: so what is computed on the way from inputs to outputs stands in a
// straight column, and side ways beside it.
const laneWeight, sideWeight = 0.02, 0.05

// place moves the items of a row to the mean of their neighbours, as near as
// the distance between them allows: the weighted least squares solution, found
// by pooling adjacent violators.
func (d *drawing) place(row []int, neighbours [][]int) {
	wants := make(map[int]float64, len(row))
	for _, i := range row {
		wants[i] = d.x[i]
		if len(neighbours[i]) > 0 {
			sum, weights := 0.0, 0.0
			for _, j := range neighbours[i] {
				w := 1.0
				if d.lane(j) {
					w = laneWeight
				}
				sum, weights = sum+w*d.x[j], weights+w
			}
			wants[i] = sum / weights
		}
	}
	slices.SortStableFunc(row, func(a, b int) int { return cmp.Compare(wants[a], wants[b]) })
	type pool struct {
		sum, weight float64
		count       int
	}
	var pools []pool
	offset := make([]float64, len(row)) // of an item from the first, at the least distance
	for k, i := range row {
		if k > 0 {
			offset[k] = offset[k-1] + (d.width[row[k-1]]+d.width[i])/2 + gapX
		}
		w := 1.0
		if len(d.preds[i]) == 0 || len(d.succs[i]) == 0 || d.lane(i) && !d.lane(neighbours[i][0]) {
			w = sideWeight
		}
		pools = append(pools, pool{w * (wants[i] - offset[k]), w, 1})
		for len(pools) > 1 {
			a, b := pools[len(pools)-2], pools[len(pools)-1]
			if a.sum/a.weight <= b.sum/b.weight {
				break
			}
			pools = append(pools[:len(pools)-2], pool{a.sum + b.sum, a.weight + b.weight, a.count + b.count})
		}
	}
	k := 0
	for _, p := range pools {
		for range p.count {
			d.x[row[k]] = p.sum/p.weight + offset[k]
			k++
		}
	}
}
