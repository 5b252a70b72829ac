package cluster

import (
	"cmp"
	"slices"
)

// kmeans finds k values, in order, that stand for all of w with a small
// squared error, each weighted by how much it matters. It is Lloyd's algorithm
// on the sorted weights, where a cluster is a range and its mean comes from
// prefix sums; it starts from the best centers for a histogram of w, so that no
// local optimum holds it.
func kmeans(w []float32, matters []float64, k int) []float32 {
	p := newPrefix(w, matters)
	n := len(p.sorted)
	centers := p.start(k)
	for range 300 {
		moved := false
		for i, from := 0, 0; i < k; i++ {
			to := n
			if i+1 < k {
				middle := float32((centers[i] + centers[i+1]) / 2)
				to, _ = slices.BinarySearch(p.sorted, middle)
			}
			if to > from {
				mean := p.mean(from, to)
				moved = moved || mean != centers[i]
				centers[i] = mean
				from = to
			}
		}
		if !moved {
			break
		}
	}
	slices.Sort(centers)
	book := make([]float32, k)
	for i, c := range centers {
		book[i] = float32(c)
	}
	return book
}

// nearest returns the index of the value of a sorted book that is nearest to x.
func nearest(book []float32, x float32) uint8 {
	j, _ := slices.BinarySearch(book, x)
	if j == len(book) || j > 0 && x-book[j-1] <= book[j]-x {
		j--
	}
	return uint8(j)
}

// prefix holds weights in order, and the sums of mass, mass times weight, and
// mass times its square of all before each.
type prefix struct {
	sorted              []float32
	mass, first, second []float64
}

func newPrefix(w []float32, matters []float64) *prefix {
	n := len(w)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(w[a], w[b]), cmp.Compare(a, b)) })
	p := &prefix{make([]float32, n), make([]float64, n+1), make([]float64, n+1), make([]float64, n+1)}
	for i, at := range order {
		x, m := float64(w[at]), matters[at]
		p.sorted[i] = w[at]
		p.mass[i+1], p.first[i+1], p.second[i+1] = p.mass[i]+m, p.first[i]+m*x, p.second[i]+m*x*x
	}
	return p
}

// mean is that of the weights from ... to.
func (p *prefix) mean(from, to int) float64 {
	if m := p.mass[to] - p.mass[from]; m > 0 {
		return (p.first[to] - p.first[from]) / m
	}
	return float64(p.sorted[from])
}

// cost is the squared error of one center for the weights from ... to.
func (p *prefix) cost(from, to int) float64 {
	m := p.mass[to] - p.mass[from]
	if from == to || m <= 0 {
		return 0
	}
	sum := p.first[to] - p.first[from]
	return p.second[to] - p.second[from] - sum*sum/m
}

// start returns the k centers with the least squared error for the weights in
// bins of equal width, found by dynamic programming over the bins (Wang and
// Song, "Ckmeans.1d.dp", R Journal 2011).
func (p *prefix) start(k int) []float64 {
	const bins = 1024
	n, lo := len(p.sorted), float64(p.sorted[0])
	width := (float64(p.sorted[n-1]) - lo) / bins
	edge := make([]int, bins+1) // of each bin among the sorted weights
	for b := 1; b < bins; b++ {
		edge[b], _ = slices.BinarySearch(p.sorted, float32(lo+float64(b)*width))
	}
	edge[bins] = n
	best, first := make([]float64, bins+1), make([][]int, k)
	for b := range best {
		best[b] = p.cost(0, edge[b])
	}
	first[0] = make([]int, bins+1)
	for c := 1; c < k; c++ {
		next := slices.Clone(best)
		first[c] = make([]int, bins+1)
		// Where the last cluster begins grows with where it ends: halve the ends,
		// and each half has fewer beginnings to try.
		var fill func(lo, hi, from, to int)
		fill = func(lo, hi, from, to int) {
			if lo > hi {
				return
			}
			b := (lo + hi) / 2
			next[b], first[c][b] = best[b], b // an empty cluster
			at := b
			for a := from; a <= min(to, b-1); a++ {
				if e := best[a] + p.cost(edge[a], edge[b]); e < next[b] {
					next[b], first[c][b], at = e, a, a
				}
			}
			fill(lo, b-1, from, at)
			fill(b+1, hi, at, to)
		}
		fill(0, bins, 0, bins)
		best = next
	}
	centers := make([]float64, k)
	for c, b := k-1, bins; c >= 0; c-- {
		a := first[c][b]
		if from, to := edge[a], edge[b]; to > from {
			centers[c] = p.mean(from, to)
		} else {
			centers[c] = lo + float64(b)*width
		}
		b = a
	}
	slices.Sort(centers)
	return centers
}
