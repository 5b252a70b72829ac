package rt_test

import (
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

// The same image must give the same bits at any place of a batch and with any number of threads.
func TestConvIsTheSameAnywhere(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(23, 24))
		const n, c, o = 3, 32, 40
		win := rt.Window{H: 13, W: 17, OH: 13, OW: 17, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1}
		one := newImage(r, 1, c, win.H, win.W)
		x := image{n, c, win.H, win.W, append(append(append([]float32{}, one.v...), one.v...), one.v...)}
		w := random(r, rt.PackedConvSize(o, c, 3, 3))
		var first []float32
		for _, threads := range []int{1, 2, 4} {
			y := nans(n * 48 * win.OH * win.OW)
			conv := rt.Conv{Set: set, Window: win, N: n, C: c, O: o, Groups: 1, X: ptr(x.blocked()), Weights: ptr(w), Y: ptr(y)}
			run(t, threads)(conv.Work())
			if first == nil {
				first = y
			}
			require.Equal(t, first, y, "%d threads", threads)
			size := len(y) / n
			require.Equal(t, y[:size], y[size:2*size])
			require.Equal(t, y[:size], y[2*size:])
		}
	})
}

// A row of a product must have the same bits wherever it stands among the rows, whatever tile computes it.
func TestGemmRowsAreTheSameAnywhere(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(25, 26))
		for _, k := range []int{7, 300, 1024, 2500} {
			const m, n = 150, 37
			row := random(r, k)
			var a []float32
			for range m {
				a = append(a, row...)
			}
			b := random(r, rt.PackedGemmBSize(k, n))
			c := nans(m * n)
			run(t, 2)((&rt.Gemm{Set: set, M: m, N: n, K: k, A: ptr(a), LdA: k, B: ptr(b), C: ptr(c), LdC: n}).Work())
			for i := 1; i < m; i++ {
				require.Equal(t, c[:n], c[i*n:(i+1)*n], "row %d of K=%d", i, k)
			}
			alone := nans(n)
			run(t, 1)((&rt.Gemm{Set: set, M: 1, N: n, K: k, A: ptr(row), LdA: k, B: ptr(b), C: ptr(alone), LdC: n}).Work())
			require.Equal(t, c[:n], alone)
		}
	})
}

func TestRunsAllocateNothing(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(27, 28))
		const m, n, k = 40, 64, 32
		a, b, c, res := random(r, m*k), random(r, k*n), random(r, m*n), random(r, m*n)
		op := func(x []float32, strides ...int) rt.Operand { return rt.Operand{Ptr: ptr(x), Strides: strides} }
		prog := &rt.Program{In: 2, Temps: 1, Code: []rt.Instr{{Op: rt.OpAdd, Dst: 2, X: 0, Y: 1}}, Out: []rt.Reg{2}}
		win := rt.Window{H: 4, W: 10, OH: 4, OW: 10, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1}
		y := random(r, 64*win.OH*win.OW)
		w := random(r, rt.PackedConvSize(64, 16, 3, 3))
		for name, work := range map[string]func() (rt.Work, error){
			"gemm": (&rt.Gemm{Set: set, M: m, N: n, K: k, A: ptr(a), LdA: k, B: ptr(b), C: ptr(c), LdC: n,
				Post: &rt.Post{Prog: prog, In: []rt.Operand{op(res, n, 1)}}}).Work,
			"matmul":    (&rt.Gemm{Set: set, M: m, N: m, K: k, A: ptr(a), LdA: k, B: ptr(a), Unpacked: true, TransB: true, LdB: k, C: ptr(c), LdC: m}).Work,
			"map":       (&rt.Map{Set: set, Prog: prog, Dims: []int{m, n}, In: []rt.Operand{op(c, n, 1), op(res, 1, 0)}, Out: []rt.Operand{op(c, n, 1)}}).Work,
			"conv":      (&rt.Conv{Set: set, Window: win, N: 1, C: 16, O: 64, Groups: 1, X: ptr(c), Weights: ptr(w), Y: ptr(y)}).Work,
			"planes":    (&rt.ConvPlanes{Set: set, Window: win, N: 1, C: 16, O: 6, X: ptr(c), Weights: ptr(w), Y: ptr(y)}).Work,
			"depthwise": (&rt.Depthwise{Set: set, Window: win, N: 1, C: 16, X: ptr(c), Weights: ptr(w), Y: ptr(y)}).Work,
			"pooling":   (&rt.Pooling{Set: set, Window: win, N: 1, C: 16, X: ptr(c), Y: ptr(y)}).Work,
			"softmax":   (&rt.Softmax{Set: set, Rows: m, N: n, X: ptr(c), Y: ptr(c)}).Work,
			"norm":      (&rt.Norm{Set: set, Rows: m, N: n, Scale: ptr(a), X: ptr(c), Y: ptr(c)}).Work,
			"reduce":    (&rt.Reduce{Set: set, Op: rt.ReduceSum, Outer: 2, R: 20, Inner: 64, X: ptr(c), Y: ptr(y)}).Work,
			"reorder":   (&rt.Reorder{Set: set, From: rt.NCHW, To: rt.NCHWc16, N: 1, C: 16, Pixels: 40, X: ptr(c), Y: ptr(y)}).Work,
			"transpose": func() (rt.Work, error) { return rt.Transpose(set, 4, []int{m, n}, []int{1, 0}, ptr(c), ptr(y)) },
		} {
			bound, err := work()
			require.NoError(t, err, name)
			var exec rt.Run
			require.NoError(t, exec.Begin(nil, 1, bound.Scratch))
			allocs := testing.AllocsPerRun(20, func() {
				if err := exec.Do(&bound); err != nil {
					t.Fatal(err)
				}
			})
			exec.End()
			require.Zero(t, allocs, name)
		}
	})
}
