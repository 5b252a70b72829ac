package rt

import "math"

// gemmPlan says how a set's gemm kernels cover any number of rows and panels.
type gemmPlan struct {
	panels int                      // widest kernel, in panels
	rows   [maxPanels + 1][]*rowCut // [panels of the kernel][rows left]: what to call next
	most   [maxPanels + 1]int       // tallest kernel of that width
}

type rowCut = Kernel[GemmArgs]

const maxPanels = 4

// newGemmPlan finds, for every number of rows up to twice the tallest kernel, the cheapest cut into kernels. A kernel's
// cost is its rows, but at least 4 (fewer accumulators than that wait for one another), and a little for the call.
func newGemmPlan(kernels []Kernel[GemmArgs]) gemmPlan {
	var p gemmPlan
	for i := range kernels {
		k := &kernels[i]
		p.panels = max(p.panels, k.Tile[1])
		p.most[k.Tile[1]] = max(p.most[k.Tile[1]], k.Tile[0])
	}
	for np := 1; np <= p.panels; np++ {
		if p.most[np] == 0 {
			continue
		}
		n := 2 * p.most[np]
		cost := make([]float64, n)
		p.rows[np] = make([]*rowCut, n)
		for r := 1; r < n; r++ {
			cost[r] = math.Inf(1)
			for i := range kernels {
				k := &kernels[i]
				mr := k.Tile[0]
				if k.Tile[1] != np || mr > r {
					continue
				}
				if c := cost[r-mr] + float64(max(mr, 4)) + 0.5; c < cost[r] {
					cost[r], p.rows[np][r] = c, k
				}
			}
		}
	}
	return p
}

// next is the kernel of the given width to call when rows are left: it covers Tile[0] of them.
func (p *gemmPlan) next(panels, rows int) *rowCut {
	t := p.rows[panels]
	if rows >= len(t) {
		return t[p.most[panels]]
	}
	return t[rows]
}

// width is the number of panels of the next call when so many are left.
func (p *gemmPlan) width(left int) int {
	w := min(p.panels, left)
	for p.most[w] == 0 {
		w--
	}
	return w
}

// area is the output that one pass over the weights covers: groups of rows, and panels.
type area struct {
	rows, groups   int
	groupA, groupC int // bytes from one group's first row to the next's
	panels         int
	mask           uint64 // of the last panel
}

// cover computes an area: g holds the addresses of its first row and panel, with everything but Mask set, and is moved on.
// Panels are the outer loop: a panel's weights stay in cache for all rows.
func (p *gemmPlan) cover(g *GemmArgs, r area) {
	a0, c0, r0 := g.A, g.C, g.R
	for panels := r.panels; panels > 0; {
		w := p.width(panels)
		panels -= w
		g.Mask = 1<<Lanes - 1
		if panels == 0 {
			g.Mask = r.mask
		}
		for group := range r.groups {
			ga, gc := group*r.groupA, group*r.groupC
			for m := 0; m < r.rows; {
				k := p.next(w, r.rows-m)
				g.A, g.C = at(a0, ga+m*int(g.LdA)), at(c0, gc+m*int(g.LdC))
				if r0 != 0 {
					g.R = at(r0, gc+m*int(g.LdC))
				}
				k.Fn(g)
				m += k.Tile[0]
			}
		}
		g.B = at(g.B, w*int(g.PanelB))
		c0 = at(c0, w*int(g.PanelC))
		if r0 != 0 {
			r0 = at(r0, w*int(g.PanelC))
		}
		if g.Bias != 0 {
			g.Bias = at(g.Bias, w*laneBytes)
		}
	}
}

// fullMask is the mask of the last panel of n columns.
func fullMask(n int) uint64 {
	if n%Lanes == 0 {
		return 1<<Lanes - 1
	}
	return 1<<(n%Lanes) - 1
}
