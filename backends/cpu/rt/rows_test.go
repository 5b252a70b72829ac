package rt_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

func run(t *testing.T, threads int) func(w rt.Work, err error) {
	return func(w rt.Work, err error) {
		t.Helper()
		require.NoError(t, err)
		execute(t, w, threads)
	}
}

func TestSoftmax(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(15, 16))
		for range rounds(60) {
			rows, n, log := r.IntN(50), 1+r.IntN(130), r.IntN(2) == 0
			x := random(r, rows*n)
			for i := range x {
				x[i] *= 40
			}
			y := nans(len(x))
			if r.IntN(2) == 0 {
				copy(y, x)
				run(t, 2)((&rt.Softmax{Set: set, Rows: rows, N: n, Log: log, X: ptr(y), Y: ptr(y)}).Work())
			} else {
				run(t, 2)((&rt.Softmax{Set: set, Rows: rows, N: n, Log: log, X: ptr(x), Y: ptr(y)}).Work())
			}
			for i := range rows {
				row := x[i*n : (i+1)*n]
				top, sum := math.Inf(-1), 0.0
				for _, v := range row {
					top = max(top, float64(v))
				}
				for _, v := range row {
					sum += math.Exp(float64(v) - top)
				}
				for j, v := range row {
					want := math.Exp(float64(v)-top) / sum
					if log {
						want = float64(v) - top - math.Log(sum)
					}
					require.InDelta(t, want, y[i*n+j], 1e-6*math.Max(1, math.Abs(want)))
				}
			}
		}
	})
}

func TestNorm(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(17, 18))
		for range rounds(60) {
			rows, n := r.IntN(30), 1+r.IntN(200)
			x, scale, bias, y, mean, inv := random(r, rows*n), random(r, n), random(r, n), nans(rows*n), nans(rows), nans(rows)
			o := rt.Norm{Set: set, Rows: rows, N: n, RMS: r.IntN(2) == 0, Epsilon: 1e-5, X: ptr(x), Y: ptr(y), MeanOut: ptr(mean), InvStdOut: ptr(inv)}
			withScale, withBias := r.IntN(3) > 0, r.IntN(2) == 0
			if withScale {
				o.Scale = ptr(scale)
			}
			if withBias {
				o.Bias = ptr(bias)
			}
			run(t, 2)(o.Work())
			for i := range rows {
				var m, v float64
				for _, f := range x[i*n : (i+1)*n] {
					m += float64(f) / float64(n)
				}
				if o.RMS {
					m = 0
				}
				for _, f := range x[i*n : (i+1)*n] {
					v += (float64(f) - m) * (float64(f) - m) / float64(n)
				}
				s := 1 / math.Sqrt(v+1e-5)
				require.InDelta(t, m, mean[i], 1e-6)
				require.InEpsilon(t, s, inv[i], 1e-4)
				for j := range n {
					want := (float64(x[i*n+j]) - m) * s
					if withScale {
						want *= float64(scale[j])
					}
					if withBias {
						want += float64(bias[j])
					}
					require.InDelta(t, want, y[i*n+j], 2e-4)
				}
			}
		}
	})
}

func TestReduce(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(19, 20))
		for range rounds(60) {
			outer, n, inner := r.IntN(5), 1+r.IntN(70), 1+r.IntN(3)*r.IntN(700)
			x, y := random(r, outer*n*inner), nans(outer*inner)
			o := rt.Reduce{Set: set, Op: rt.ReduceOp(r.IntN(4)), Mean: r.IntN(2) == 0, Outer: outer, R: n, Inner: inner, X: ptr(x), Y: ptr(y)}
			run(t, 2)(o.Work())
			for i := range y {
				var acc float64
				switch o.Op {
				case rt.ReduceMax:
					acc = math.Inf(-1)
				case rt.ReduceMin:
					acc = math.Inf(1)
				}
				for j := range n {
					v := float64(x[(i/inner*n+j)*inner+i%inner])
					switch o.Op {
					case rt.ReduceMax:
						acc = max(acc, v)
					case rt.ReduceMin:
						acc = min(acc, v)
					case rt.ReduceSum:
						acc += v
					default:
						acc += v * v
					}
				}
				if o.Mean {
					acc /= float64(n)
				}
				require.InDelta(t, acc, y[i], 2e-5, "%+v", o)
			}
		}
	})
}

func TestReduceOfALongRow(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		x := alloc(300_001)
		for i := range x {
			x[i] = float32(i % 7)
		}
		y := nans(1)
		for op, want := range map[rt.ReduceOp]float32{rt.ReduceMax: 6, rt.ReduceMin: 0, rt.ReduceSum: 900_000} {
			run(t, 2)((&rt.Reduce{Set: set, Op: op, Outer: 1, R: len(x), Inner: 1, X: ptr(x), Y: ptr(y)}).Work())
			require.InEpsilon(t, want+1, y[0]+1, 1e-5)
		}
	})
}

func TestTranspose(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(21, 22))
		for range rounds(150) {
			rank := 1 + r.IntN(4)
			dims, perm := make([]int, rank), r.Perm(rank)
			total := 1
			for i := range dims {
				dims[i] = 1 + r.IntN(20)
				total *= dims[i]
			}
			x, y := random(r, total), nans(total)
			run(t, 2)(rt.Transpose(set, 4, dims, perm, ptr(x), ptr(y)))
			in := rt.Dense(dims)
			out := make([]int, rank)
			for i, p := range perm {
				out[i] = dims[p]
			}
			for i := range y {
				src := 0
				for d, q := rank-1, i; d >= 0; d-- {
					src += q % out[d] * in[perm[d]]
					q /= out[d]
				}
				require.Equal(t, x[src], y[i], "%v by %v", dims, perm)
			}
		}
	})
}

func TestCopyWithStridesOfEverySize(t *testing.T) {
	set := rt.GenericSet()
	x := []uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	y := make([]uint8, 6)
	run(t, 1)((&rt.Copy{Set: set, Size: 1, Dims: []int{3, 2}, Src: unsafe.Pointer(&x[9]), SrcStrides: []int{-3, 0},
		Dst: unsafe.Pointer(&y[0]), DstStrides: []int{1, 3}}).Work())
	require.Equal(t, []uint8{9, 6, 3, 9, 6, 3}, y)
	_, err := (&rt.Copy{Set: set, Size: 3}).Work()
	require.Error(t, err)
}

func TestGather(t *testing.T) {
	x := []float32{0, 1, 10, 11, 20, 21}
	y := make([]float32, 6)
	index := []int64{2, -3, 1}
	g := rt.Gather{Outer: 1, Count: 3, N: 3, Row: 8, X: ptr(x), Y: ptr(y), Index: unsafe.Pointer(&index[0])}
	run(t, 1)(g.Work())
	require.Equal(t, []float32{20, 21, 0, 1, 10, 11}, y)
	index[1] = 3
	w, err := g.Work()
	require.NoError(t, err)
	var r rt.Run
	require.NoError(t, r.Begin(nil, 1, 0))
	require.ErrorContains(t, r.Do(&w), "gather index 3 is outside of 3 rows")
}

// A RowSum adds in the order of its terms: rows by index along some dims, rows of a tensor that broadcasts, then their norm.
func TestRowSum(t *testing.T) {
	eachSet(t, func(t *testing.T, set *rt.Set) {
		r := rand.New(rand.NewPCG(23, 24))
		for range rounds(40) {
			batch, seq, n := 1+r.IntN(3), 1+r.IntN(9), 1+r.IntN(100)
			table, places, scale, y := random(r, 7*n), random(r, seq*n), random(r, n), nans(batch*seq*n)
			words, kinds := make([]int64, batch*seq), []int32{-1, 2, 0}[:batch]
			for i := range words {
				words[i] = int64(r.IntN(14) - 7)
			}
			terms := []rt.RowTerm{
				{X: ptr(table), Rows: 7, Index: unsafe.Pointer(&words[0]), Strides: []int{seq, 1}},
				{X: ptr(places), Rows: seq, Strides: []int{0, 1}},
				{X: ptr(table), Rows: 7, Index: unsafe.Pointer(&kinds[0]), Index32: true, Strides: []int{1, 0}},
			}[:1+r.IntN(3)]
			o := rt.RowSum{Set: set, Dims: []int{batch, seq}, N: n, Terms: terms, Y: ptr(y)}
			run(t, 2)(o.Work())
			want := make([]float32, len(y))
			for i := range batch * seq {
				for j := range n {
					want[i*n+j] = table[int(words[i]+7)%7*n+j]
					if len(terms) > 1 {
						want[i*n+j] += places[i%seq*n+j]
					}
					if len(terms) > 2 {
						want[i*n+j] += table[int(kinds[i/seq]+7)%7*n+j]
					}
				}
			}
			require.Equal(t, want, y)
			o.Norm = &rt.Norm{Epsilon: 1e-5, Scale: ptr(scale)}
			run(t, 2)(o.Work())
			alone := nans(len(want))
			run(t, 2)((&rt.Norm{Set: set, Rows: batch * seq, N: n, Epsilon: 1e-5, Scale: ptr(scale), X: ptr(want), Y: ptr(alone)}).Work())
			require.Equal(t, alone, y)
		}
	})
}
