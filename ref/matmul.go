package ref

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// matMulShape returns the shape of a matrix product as numpy.matmul defines
// it: leading dims broadcast, a vector gets a dim of 1 that the result drops.
func matMulShape(a, b []int) ([]int, error) {
	if len(a) == 0 || len(b) == 0 {
		return nil, fmt.Errorf("matrix product of shapes %v and %v: a scalar is no matrix", a, b)
	}
	x, y := asMatrix(a, b)
	if x[len(x)-1] != y[len(y)-2] {
		return nil, fmt.Errorf("matrix product of shapes %v and %v: %d columns against %d rows", a, b, x[len(x)-1], y[len(y)-2])
	}
	out, err := broadcastShape(x[:len(x)-2], y[:len(y)-2])
	if err != nil {
		return nil, err
	}
	if len(a) > 1 {
		out = append(out, x[len(x)-2])
	}
	if len(b) > 1 {
		out = append(out, y[len(y)-1])
	}
	return out, nil
}

func asMatrix(a, b []int) (x, y []int) {
	x, y = a, b
	if len(a) == 1 {
		x = []int{1, a[0]}
	}
	if len(b) == 1 {
		y = []int{b[0], 1}
	}
	return x, y
}

// MatMul returns the matrix product of real tensors, accumulated in float64;
// integers wrap around.
func MatMul(a, b *tensor.Tensor) (*tensor.Tensor, error) {
	if a.DType != b.DType {
		return nil, fmt.Errorf("operands are %s and %s, want one element type", a, b)
	}
	if a.DType.IsInt() {
		v, shape, err := matMulInts(a.Shape, bits64(a), b.Shape, bits64(b))
		if err != nil {
			return nil, err
		}
		return castInts(v, a.DType, shape), nil
	}
	shape, err := matMulShape(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	c, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	eachMatrix(a.Shape, b.Shape, func(m, n, k, ai, bi, ci int) {
		gemmF64(m, n, k, rowsAt(a, ai, k, false, m), columnsAt(b, bi, n, false, k), c[ci:ci+m*n])
	})
	return fromFloat64s(a.DType, c, shape...), nil
}

// eachMatrix calls f for every matrix of a batched product with its sizes and
// the element offsets of both operands and the result.
func eachMatrix(a, b []int, f func(m, n, k, ai, bi, ci int)) {
	x, y := asMatrix(a, b)
	m, k, n := x[len(x)-2], x[len(x)-1], y[len(y)-1]
	xs, ys := x[:len(x)-2], y[:len(y)-2]
	batch, _ := broadcastShape(xs, ys)
	// A batch of matrices times one matrix is one tall matrix.
	if product(ys) == 1 && product(xs) > 0 {
		f(m*product(xs), n, k, 0, 0, 0)
		return
	}
	ao, bo := offsets(batch, spread(xs, batch)), offsets(batch, spread(ys, batch))
	for i := range ao {
		f(m, n, k, ao[i]*m*k, bo[i]*k*n, i*m*n)
	}
}

// rowsAt reads a row-major m by k matrix of t, or the transpose of a k by m
// one, from the element offset on.
func rowsAt(t *tensor.Tensor, at, k int, transposed bool, m int) operandA {
	if transposed {
		v := Float64s(t)[at:]
		return func(dst []float64, i, rows, p, depth int) {
			for r := range rows {
				for q := range depth {
					dst[r*depth+q] = v[(p+q)*m+i+r]
				}
			}
		}
	}
	return func(dst []float64, i, rows, p, depth int) {
		for r := range rows {
			readFloat64s(dst[r*depth:(r+1)*depth], t, at+(i+r)*k+p)
		}
	}
}

// columnsAt reads a row-major k by n matrix of t, or the transpose of an n by
// k one, from the element offset on.
func columnsAt(t *tensor.Tensor, at, n int, transposed bool, k int) operandB {
	if transposed {
		v := Float64s(t)[at:]
		return func(dst []float64, p, depth, j, cols int) {
			for q := range depth {
				for c := range cols {
					dst[q*cols+c] = v[(j+c)*k+p+q]
				}
			}
		}
	}
	return func(dst []float64, p, depth, j, cols int) {
		for q := range depth {
			readFloat64s(dst[q*cols:(q+1)*cols], t, at+(p+q)*n+j)
		}
	}
}

func matMulInts(a []int, av []int64, b []int, bv []int64) ([]int64, []int, error) {
	shape, err := matMulShape(a, b)
	if err != nil {
		return nil, nil, err
	}
	if err := checkSize(shape...); err != nil {
		return nil, nil, err
	}
	c := make([]int64, product(shape))
	eachMatrix(a, b, func(m, n, k, ai, bi, ci int) {
		parallel(m, func(i int) {
			row := c[ci+i*n : ci+(i+1)*n]
			for p := range k {
				s := av[ai+i*k+p]
				for j, w := range bv[bi+p*n : bi+(p+1)*n] {
					row[j] += s * w
				}
			}
		})
	})
	return c, shape, nil
}

// Gemm returns alpha*A*B + beta*C for matrices A and B, either of which may
// be transposed first; C broadcasts and may be nil.
func Gemm(a, b, c *tensor.Tensor, alpha, beta float64, transA, transB bool) (*tensor.Tensor, error) {
	if a.Rank() != 2 || b.Rank() != 2 || a.DType != b.DType {
		return nil, fmt.Errorf("operands are %s and %s, want matrices of one type", a, b)
	}
	m, k, k2, n := a.Shape[0], a.Shape[1], b.Shape[0], b.Shape[1]
	if transA {
		m, k = k, m
	}
	if transB {
		k2, n = n, k2
	}
	if k != k2 {
		return nil, fmt.Errorf("A is %s and B is %s: %d columns against %d rows", a, b, k, k2)
	}
	shape := []int{m, n}
	y, err := newFloats(shape)
	if err != nil {
		return nil, err
	}
	gemmF64(m, n, k, rowsAt(a, 0, k, transA, m), columnsAt(b, 0, n, transB, k), y)
	for i := range y {
		y[i] *= alpha
	}
	if c != nil {
		all, err := broadcastShape(shape, c.Shape)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(all, shape) {
			return nil, fmt.Errorf("C is %s, does not broadcast to %v", c, shape)
		}
		zip(y, shape, y, shape, Float64s(c), c.Shape, func(p, q float64) float64 { return p + beta*q })
	}
	if a.DType.IsInt() {
		return castFloats(y, a.DType, CastOptions{}, shape), nil
	}
	return fromFloat64s(a.DType, y, shape...), nil
}

// Det returns the determinants of square matrices, by elimination with
// partial pivoting.
func Det(x *tensor.Tensor) (*tensor.Tensor, error) {
	r := x.Rank()
	if r < 2 || x.Shape[r-1] != x.Shape[r-2] {
		return nil, fmt.Errorf("%s holds no square matrices", x)
	}
	n := x.Shape[r-1]
	in := Float64s(x)
	out := make([]float64, product(x.Shape[:r-2]))
	for i := range out {
		out[i] = determinant(slices.Clone(in[i*n*n:(i+1)*n*n]), n)
	}
	return fromFloat64s(x.DType, out, x.Shape[:r-2]...), nil
}

func determinant(a []float64, n int) float64 {
	det := 1.0
	for c := range n {
		pivot := c
		for r := c + 1; r < n; r++ {
			if math.Abs(a[r*n+c]) > math.Abs(a[pivot*n+c]) {
				pivot = r
			}
		}
		if a[pivot*n+c] == 0 {
			return 0
		}
		if pivot != c {
			det = -det
			for j := range n {
				a[c*n+j], a[pivot*n+j] = a[pivot*n+j], a[c*n+j]
			}
		}
		det *= a[c*n+c]
		for r := c + 1; r < n; r++ {
			f := a[r*n+c] / a[c*n+c]
			for j := c; j < n; j++ {
				a[r*n+j] -= f * a[c*n+j]
			}
		}
	}
	return det
}
