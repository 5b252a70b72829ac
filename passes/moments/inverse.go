package moments

import "math"

// damping is what is added to the diagonal: a thousandth of its mean.
func (b *block) damping() float64 {
	mean := 0.0
	for i := range b.size {
		mean += b.h[i*b.size+i] / float64(b.size)
	}
	return 0.001 * mean
}

// inverseFactor returns the upper triangular U with U'U = (H + dI)^-1, H being
// the moments with their entries in the given order and d the damping; false
// where no input has come.
func (b *block) inverseFactor(order []int) ([]float64, bool) {
	n, d := b.size, b.damping()
	if !(d > 0) || math.IsInf(d, 0) {
		return nil, false
	}
	entry := func(i int) int { // of row i, counted from behind
		if i == 0 {
			return n - 1
		}
		return order[n-1-i]
	}
	// With J the reversal of rows, JHJ = LL' gives H = (JLJ)(JLJ)', an upper
	// times a lower triangle, so that U is the inverse of R = JLJ.
	l := make([]float64, n*n)
	for i := range n {
		row := l[i*n : (i+1)*n]
		for j := 0; j <= i; j++ {
			x, y := entry(i), entry(j)
			s := b.h[min(x, y)*n+max(x, y)] - dot(row[:j], l[j*n:j*n+j])
			switch {
			case i != j:
				row[j] = s / l[j*n+j]
			case s+d <= 0:
				return nil, false
			default:
				row[i] = math.Sqrt(s + d)
			}
		}
	}
	// Column c of U solves R u = e: its transpose, so that sums run along rows.
	r := make([]float64, n*n)
	for i := range n {
		for j := 0; j <= i; j++ {
			r[(n-1-i)*n+n-1-j] = l[i*n+j]
		}
	}
	v := l // done with
	clear(v)
	for c := range n {
		row := v[c*n : (c+1)*n]
		row[c] = 1 / r[c*n+c]
		for i := c - 1; i >= 0; i-- {
			row[i] = -dot(r[i*n+i+1:i*n+c+1], row[i+1:c+1]) / r[i*n+i]
		}
	}
	for i := range n {
		for j := range i {
			v[j*n+i], v[i*n+j] = v[i*n+j], 0
		}
	}
	return v, true
}

// dot returns the inner product of vectors of the same length.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}
