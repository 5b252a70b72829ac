package ref

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Block sizes of the reference GEMM. A packed block of B is kc*nc float64s
// (512 KB) and stays in L2 while panels of A pass over it.
const (
	gemmKC = 256
	gemmNC = 256
	gemmMR = 3
	gemmNR = 3
)

// operandA writes rows [i, i+rows) by columns [k, k+depth) of the left
// operand to dst, row after row.
type operandA func(dst []float64, i, rows, k, depth int)

// operandB writes rows [k, k+depth) by columns [j, j+cols) of the right
// operand to dst, row after row.
type operandB func(dst []float64, k, depth, j, cols int)

// gemmF64 adds A*B to c, a row-major m by n matrix, in float64. The operands are
// functions, so that callers can convert element types, transpose or unfold an
// image on the way. Each element of c is a sum over k in ascending order within
// blocks of gemmKC, whatever the number of threads.
func gemmF64(m, n, k int, a operandA, b operandB, c []float64) {
	if m == 0 || n == 0 || k == 0 {
		return
	}
	// Blocks of columns are independent of each other. Few columns and many
	// rows (a vector times a matrix, transposed) split by rows instead.
	nc, mc := gemmNC, m
	if workers := runtime.GOMAXPROCS(0); n < nc*workers && m >= 64*workers {
		mc = max(gemmMR*16, (m+workers-1)/workers)
	}
	cols, rows := (n+nc-1)/nc, (m+mc-1)/mc
	parallel(cols*rows, func(t int) {
		j, i := t%cols*nc, t/cols*mc
		gemmBlock(i, min(mc, m-i), j, min(nc, n-j), n, k, a, b, c)
	})
}

// gemmBlock computes rows [i0, i0+m) by columns [j0, j0+n) of the product; c
// has ldc columns.
func gemmBlock(i0, m, j0, n, ldc, k int, a operandA, b operandB, c []float64) {
	depth := min(gemmKC, k)
	raw := make([]float64, max(depth*n, gemmMR*depth))
	ap := make([]float64, depth*gemmMR)
	var bp []float64
	if m >= gemmMR {
		bp = make([]float64, depth*((n+gemmNR-1)/gemmNR*gemmNR))
	}
	for k0 := 0; k0 < k; k0 += gemmKC {
		kc := min(gemmKC, k-k0)
		b(raw[:kc*n], k0, kc, j0, n)
		if m < gemmMR { // packing would cost more than it saves
			for i := range m {
				a(ap[:kc], i0+i, 1, k0, kc)
				addRows(c[(i0+i)*ldc+j0:][:n], ap[:kc], raw)
			}
			continue
		}
		packColumns(bp, raw, kc, n)
		for i := 0; i < m; i += gemmMR {
			mr := min(gemmMR, m-i)
			a(raw[:mr*kc], i0+i, mr, k0, kc)
			packRows(ap, raw, mr, kc)
			for j := 0; j < n; j += gemmNR {
				tile(ap[:kc*gemmMR], bp[j*kc:(j+gemmNR)*kc], c[(i0+i)*ldc+j0+j:], ldc, mr, min(gemmNR, n-j))
			}
		}
	}
}

// addRows adds the rows of b, each times its element of a, to c.
func addRows(c, a, b []float64) {
	for p, v := range a {
		row := b[p*len(c):][:len(c)]
		for j, w := range row {
			c[j] += v * w
		}
	}
}

// packColumns cuts a kc by n matrix into panels of gemmNR columns; missing
// columns of the last panel are zero.
func packColumns(dst, src []float64, kc, n int) {
	for j := 0; j < n; j += gemmNR {
		nr := min(gemmNR, n-j)
		panel := dst[j*kc : (j+gemmNR)*kc]
		for p := range kc {
			row := src[p*n+j : p*n+j+nr]
			for q := range gemmNR {
				if q < nr {
					panel[p*gemmNR+q] = row[q]
				} else {
					panel[p*gemmNR+q] = 0
				}
			}
		}
	}
}

// packRows interleaves up to gemmMR rows; missing rows are zero.
func packRows(dst, src []float64, mr, kc int) {
	for q := range gemmMR {
		if q >= mr {
			for p := range kc {
				dst[p*gemmMR+q] = 0
			}
			continue
		}
		row := src[q*kc : (q+1)*kc]
		for p, v := range row {
			dst[p*gemmMR+q] = v
		}
	}
}

// tile adds the product of a panel of three rows and a panel of three columns
// to c: nine accumulators are what fits amd64's registers beside the operands.
func tile(a, b, c []float64, ldc, mr, nr int) {
	var c00, c01, c02, c10, c11, c12, c20, c21, c22 float64
	for len(a) >= 3 && len(b) >= 3 {
		b0, b1, b2 := b[0], b[1], b[2]
		a0 := a[0]
		c00 += a0 * b0
		c01 += a0 * b1
		c02 += a0 * b2
		a1 := a[1]
		c10 += a1 * b0
		c11 += a1 * b1
		c12 += a1 * b2
		a2 := a[2]
		c20 += a2 * b0
		c21 += a2 * b1
		c22 += a2 * b2
		a, b = a[3:], b[3:]
	}
	acc := [gemmMR][gemmNR]float64{{c00, c01, c02}, {c10, c11, c12}, {c20, c21, c22}}
	for i := range mr {
		for j := range nr {
			c[i*ldc+j] += acc[i][j]
		}
	}
}

// parallel calls f(0) ... f(n-1), several at a time. The calls must not
// depend on each other. A panic of one of them reaches the caller.
func parallel(n int, f func(int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	var failed atomic.Value
	for range workers {
		wg.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					failed.CompareAndSwap(nil, fmt.Sprint(r))
				}
			}()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
	if r := failed.Load(); r != nil {
		panic(r)
	}
}
