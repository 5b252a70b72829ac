package ref

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

func denseA(a []float64, k int) operandA {
	return func(dst []float64, i, rows, k0, depth int) {
		for r := range rows {
			copy(dst[r*depth:(r+1)*depth], a[(i+r)*k+k0:])
		}
	}
}

func denseB(b []float64, n int) operandB {
	return func(dst []float64, k0, depth, j, cols int) {
		for p := range depth {
			copy(dst[p*cols:(p+1)*cols], b[(k0+p)*n+j:])
		}
	}
}

func TestGemmEqualsTripleLoop(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	for _, s := range [][3]int{{1, 1, 1}, {3, 3, 3}, {4, 5, 7}, {2, 600, 300}, {700, 2, 20}, {31, 257, 513}} {
		m, n, k := s[0], s[1], s[2]
		a, b := make([]float64, m*k), make([]float64, k*n)
		for i := range a {
			a[i] = float64(rnd.Intn(9) - 4) // small integers: every order of summation is exact
		}
		for i := range b {
			b[i] = float64(rnd.Intn(9) - 4)
		}
		want := make([]float64, m*n)
		for i := range m {
			for j := range n {
				for p := range k {
					want[i*n+j] += a[i*k+p] * b[p*n+j]
				}
			}
		}
		got := make([]float64, m*n)
		gemmF64(m, n, k, denseA(a, k), denseB(b, n), got)
		require.Equal(t, want, got, "%v", s)
	}
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range [][3]int{{512, 512, 512}, {64, 3136, 576}, {1, 4096, 1024}} {
		b.Run(fmt.Sprint(s), func(b *testing.B) {
			m, n, k := s[0], s[1], s[2]
			x, y, c := make([]float64, m*k), make([]float64, k*n), make([]float64, m*n)
			for b.Loop() {
				gemmF64(m, n, k, denseA(x, k), denseB(y, n), c)
			}
			b.ReportMetric(float64(m*n*k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}
