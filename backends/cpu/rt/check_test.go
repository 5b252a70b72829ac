package rt_test

import (
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

// A work passes with exactly the memory that it needs, and fails where any of
// its buffers is a value shorter, may not be written, or is another one's; nothing is
// computed before it passes.
func TestCheckAllowsWhatWorksNeedAndNoMore(t *testing.T) {
	const n, c, o, size = 2, 32, 48, 9
	window := rt.Window{H: size, W: size, OH: size, OW: size, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1}
	relu := &rt.Program{In: 2, Consts: []float32{0}, Temps: 1, Code: []rt.Instr{{Op: rt.OpAdd, Dst: 3, X: 0, Y: 1}, {Op: rt.OpMax, Dst: 3, X: 3, Y: 2}}, Out: []rt.Reg{3}}
	type maker func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error)
	cases := []struct {
		name  string
		sizes []int // of buffers in values; the last one is the result
		make  maker
	}{
		{"gemm", []int{20 * 30, rt.PackedGemmBSize(30, 50), 50, 20 * 50}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Gemm{Set: set, M: 20, N: 50, K: 30, A: p[0], LdA: 30, B: p[1], Bias: p[2], C: p[3], LdC: 50}).Work()
		}},
		{"plain gemm", []int{3 * 20 * 30, 3 * 30 * 50, 3 * 20 * 50}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Gemm{Set: set, M: 20, N: 50, K: 30, A: p[0], LdA: 30, B: p[1], LdB: 50, Unpacked: true, C: p[2], LdC: 50, Batch: []rt.Batch{{N: 3, A: 600, B: 1500, C: 1000}}}).Work()
		}},
		{"convolution", []int{n * c * size * size, rt.PackedConvSize(o, c, 3, 3), o, n * o * size * size}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Conv{Set: set, Window: window, N: n, C: c, O: o, Groups: 1, X: p[0], Weights: p[1], Bias: p[2], Y: p[3]}).Work()
		}},
		{"convolution of planes", []int{n * c * size * size, 5 * c * 9, 5, n * 5 * size * size}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.ConvPlanes{Set: set, Window: window, N: n, C: c, O: 5, X: p[0], Weights: p[1], Bias: p[2], Y: p[3]}).Work()
		}},
		{"winograd", []int{n * c * size * size, rt.PackedWinogradSize(o, c), o, n * o * size * size}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Winograd{Set: set, Window: window, N: n, C: c, O: o, X: p[0], Weights: p[1], Bias: p[2], Y: p[3]}).Work()
		}},
		{"depthwise", []int{n * c * size * size, c * 9, c, n * c * size * size}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Depthwise{Set: set, Window: window, N: n, C: c, X: p[0], Weights: p[1], Bias: p[2], Y: p[3]}).Work()
		}},
		{"pooling", []int{n * c * size * size, n * c * size * size}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Pooling{Set: set, Window: window, N: n, C: c, X: p[0], Y: p[1]}).Work()
		}},
		{"map", []int{40 * 50, 50, 40 * 50}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Map{Set: set, Prog: relu, Dims: []int{40, 50}, In: []rt.Operand{{Ptr: p[0], Strides: []int{50, 1}}, {Ptr: p[1], Strides: []int{0, 1}}},
				Out: []rt.Operand{{Ptr: p[2], Strides: []int{50, 1}}}}).Work()
		}},
		{"softmax", []int{7 * 33, 7 * 33}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Softmax{Set: set, Rows: 7, N: 33, X: p[0], Y: p[1]}).Work()
		}},
		{"norm", []int{7 * 33, 33, 33, 7 * 33}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Norm{Set: set, Rows: 7, N: 33, X: p[0], Scale: p[1], Bias: p[2], Y: p[3]}).Work()
		}},
		{"reduce", []int{7 * 33, 7}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Reduce{Set: set, Outer: 7, R: 33, Inner: 1, X: p[0], Y: p[1]}).Work()
		}},
		{"transpose", []int{20 * 33, 20 * 33}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return rt.Transpose(set, 4, []int{20, 33}, []int{1, 0}, p[0], p[1])
		}},
		{"reorder", []int{n * c * 9, n * c * 9}, func(set *rt.Set, p []unsafe.Pointer) (rt.Work, error) {
			return (&rt.Reorder{Set: set, From: rt.NCHW, To: rt.NCHWc16, N: n, C: c, Pixels: 9, X: p[0], Y: p[1]}).Work()
		}},
	}
	eachSet(t, func(t *testing.T, set *rt.Set) {
		for _, cs := range cases {
			t.Run(cs.name, func(t *testing.T) {
				var ps []unsafe.Pointer
				var may []rt.Range
				for i, size := range cs.sizes {
					b := alloc(size)
					for j := range b {
						b[j] = 7
						if i == len(cs.sizes)-1 {
							b[j] = 9
						}
					}
					ps = append(ps, ptr(b))
					may = append(may, rt.Memory(uintptr(ptr(b)), 4*size, i == len(cs.sizes)-1))
				}
				check := rt.NewCheck(set)
				w, err := cs.make(check.Set(), ps)
				require.NoError(t, err)
				require.NoError(t, check.Try(&w, may))
				for i := range may {
					short := append([]rt.Range{}, may...)
					short[i].Len -= 4
					require.Error(t, check.Try(&w, short), "buffer %d a value shorter", i)
					short[i] = rt.Range{}
					require.Error(t, check.Try(&w, short), "without buffer %d", i)
				}
				locked := append([]rt.Range{}, may...)
				locked[len(locked)-1].Write = false
				require.Error(t, check.Try(&w, locked), "a result that may not be written")
				last := unsafe.Slice((*float32)(ps[len(ps)-1]), cs.sizes[len(cs.sizes)-1])
				if cs.name != "winograd" { // whose edges Go code copies
					for _, v := range last {
						require.Equal(t, float32(9), v, "the check computed")
					}
				}
				require.NoError(t, check.Done())
				execute(t, w, 2)
				require.NotEqual(t, float32(9), last[0], "nothing was computed once checked")
			})
		}
	})
}
