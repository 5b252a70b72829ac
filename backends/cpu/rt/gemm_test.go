package rt_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

func TestGemmAgainstNaiveLoops(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) { testGemm(t, set) })
}

func testGemm(t *testing.T, set *rt.Set) {
	r := rand.New(rand.NewPCG(1, 2))
	for range rounds(60) {
		m, n, k := r.IntN(300), r.IntN(100), r.IntN(70)
		if r.IntN(10) == 0 {
			k = 3200
			m, n = m%9, n%40
		}
		unpacked, trans := r.IntN(2) == 0, r.IntN(2) == 0
		batch := 1 + r.IntN(3)
		lda, ldc := k+r.IntN(3), n+r.IntN(3)
		ldb := n + r.IntN(3)
		rowsB := k
		if trans {
			ldb, rowsB = k+r.IntN(3), n
		}
		a, b := random(r, batch*(m*lda+1)), random(r, batch*(rowsB*ldb+1))
		c, res, bias := random(r, batch*(m*ldc+1)), random(r, batch*(m*ldc+1)), random(r, n)
		g := rt.Gemm{Set: set, M: m, N: n, K: k, A: ptr(a), LdA: lda, C: ptr(c), LdC: ldc,
			Batch: []rt.Batch{{batch, m*lda + 1, rowsB*ldb + 1, m*ldc + 1}}, Bias: ptr(bias), R: ptr(res), Clamp: true, Lo: -2, Hi: 3}
		if unpacked {
			g.Unpacked, g.TransB, g.B, g.LdB = true, trans, ptr(b), ldb
		} else {
			size := rt.PackedGemmBSize(k, n)
			packed := alloc(batch*size + 1)
			for e := range batch {
				rt.PackGemmB(packed[e*size:], b[e*(rowsB*ldb+1):], k, n, ldb, trans)
			}
			g.B, g.Batch[0].B = ptr(packed), size
		}
		g.Post = &rt.Post{Prog: &rt.Program{In: 2, Temps: 1, Code: []rt.Instr{{Op: rt.OpMul, Dst: 2, X: 0, Y: 1}}, Out: []rt.Reg{2}},
			In: []rt.Operand{{ptr(bias), []int{0, 0, 1}}}}
		before := append([]float32{}, c...)
		w, err := g.Work()
		require.NoError(t, err)
		execute(t, w, 1+r.IntN(3))
		for e := range batch {
			for i := range m {
				for j := range ldc {
					at := e*(m*ldc+1) + i*ldc + j
					if j >= n {
						require.Equal(t, before[at], c[at], "a value outside of C was written")
						continue
					}
					want := float64(bias[j]) + float64(res[at])
					for p := range k {
						bi := e*(rowsB*ldb+1) + p*ldb + j
						if trans {
							bi = e*(rowsB*ldb+1) + j*ldb + p
						}
						want += float64(a[e*(m*lda+1)+i*lda+p]) * float64(b[bi])
					}
					want = math.Max(-2, math.Min(3, want)) * float64(bias[j])
					require.InDelta(t, want, c[at], 1e-4)
				}
			}
		}
	}
}
