package rt

import "math"

// gemmPlan says how a set's gemm kernels cover any number of rows and panels.
type gemmPlan struct {
	panels int                   // widest kernel, in panels
	broad  int                   // panels of the largest kernel: wider ones are for few rows
	tall   [maxPanels + 1]rowCut // by the width of kernels in panels
	low    [maxPanels + 1]rowCut // the same with low kernels only: see cover

	whole func(g *GemmArgs, rows, panels int) // a Check's, in place of kernels: compares what they would touch all together
}

// rowCut says which kernel to call next by the rows left: an entry for every number below twice the tallest kernel.
type rowCut struct {
	next []*Kernel[GemmArgs]
	most *Kernel[GemmArgs] // the tallest, for more rows than that; nil if there is none of this width
}

const (
	maxPanels = 8
	lowRows   = 7    // rows whose lines share one set of the L1 cache without driving one another out
	setPeriod = 4096 // bytes after which addresses fall into the same set
)

func newGemmPlan(kernels []Kernel[GemmArgs]) gemmPlan {
	var p gemmPlan
	most := 0
	for i := range kernels {
		t := kernels[i].Tile
		if p.panels = max(p.panels, t[1]); t[0]*t[1] > most {
			most, p.broad = t[0]*t[1], t[1]
		}
	}
	for np := 1; np <= p.panels; np++ {
		p.tall[np] = newRowCut(kernels, np, math.MaxInt)
		p.low[np] = newRowCut(kernels, np, lowRows)
	}
	return p
}

// newRowCut finds the cheapest cut of every number of rows into kernels of one width and at most so many rows. A kernel's cost is its
// rows, but at least 4 (fewer accumulators than that wait for one another), and a little for the call.
func newRowCut(kernels []Kernel[GemmArgs], panels, mostRows int) rowCut {
	var c rowCut
	var fit []*Kernel[GemmArgs]
	for i := range kernels {
		if k := &kernels[i]; k.Tile[1] == panels && k.Tile[0] <= mostRows {
			fit = append(fit, k)
			if c.most == nil || k.Tile[0] > c.most.Tile[0] {
				c.most = k
			}
		}
	}
	if c.most == nil {
		return c
	}
	n := 2 * c.most.Tile[0]
	cost := make([]float64, n)
	c.next = make([]*Kernel[GemmArgs], n)
	for r := 1; r < n; r++ {
		cost[r] = math.Inf(1)
		for _, k := range fit {
			mr := k.Tile[0]
			if mr > r {
				continue
			}
			if v := cost[r-mr] + float64(max(mr, 4)) + 0.5; v < cost[r] {
				cost[r], c.next[r] = v, k
			}
		}
	}
	return c
}

// kernel is what to call when so many rows are left: it covers Tile[0] of them.
func (c *rowCut) kernel(rows int) *Kernel[GemmArgs] {
	if rows >= len(c.next) {
		return c.most
	}
	return c.next[rows]
}

// width is the number of panels of the next call when so many are left: kernels of few rows are wider than others.
func (p *gemmPlan) width(left, rows int) int {
	w := min(p.panels, left)
	for p.tall[w].most == nil || w > p.broad && rows > p.tall[w].most.Tile[0] {
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
// Panels are the outer loop: a panel's weights stay in cache for all rows. Rows of A that lie a multiple of setPeriod apart
// compete for one set of L1 (K = 1024, 2048, 3072 ...): low kernels keep them there.
func (p *gemmPlan) cover(g *GemmArgs, r area) {
	a0, c0, r0 := g.A, g.C, g.R
	cuts := &p.tall
	if g.LdA%setPeriod == 0 {
		cuts = &p.low
	}
	if p.whole != nil {
		g.Mask = r.mask
		for group := range r.groups {
			g.A, g.C = at(a0, group*r.groupA), at(c0, group*r.groupC)
			if r0 != 0 {
				g.R = at(r0, group*r.groupC)
			}
			p.whole(g, r.rows, r.panels)
		}
		return
	}
	for panels := r.panels; panels > 0; {
		w := p.width(panels, r.rows)
		panels -= w
		g.Mask = 1<<Lanes - 1
		if panels == 0 {
			g.Mask = r.mask
		}
		for group := range r.groups {
			ga, gc := group*r.groupA, group*r.groupC
			for m := 0; m < r.rows; {
				k := cuts[w].kernel(r.rows - m)
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
