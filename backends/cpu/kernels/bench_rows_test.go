package kernels

import (
	"fmt"
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
)

// benchBytes runs a Work on one thread and reports bytes a second.
func benchBytes(b *testing.B, bytes int, w rt.Work, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(bytes))
	var r rt.Run
	if err := r.Begin(nil, 1, w.Scratch); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := r.Do(&w); err != nil {
			b.Fatal(err)
		}
	}
	r.End()
}

// The products of attention: 12 heads of 64 over 128 positions, straight from [positions, heads·64] rows.
func BenchmarkAttentionProducts(b *testing.B) {
	const heads, s, d = 12, 128, 64
	q, k, y, p := memory(s*heads*d), memory(s*heads*d), memory(heads*s*s), memory(s*heads*d)
	b.Run("QK", func(b *testing.B) {
		g := rt.Gemm{Set: best(b), M: s, N: s, K: d, Batch: []rt.Batch{{N: heads, A: d, B: d, C: s * s}}, A: q, LdA: heads * d,
			B: k, Unpacked: true, TransB: true, LdB: heads * d, C: y, LdC: s}
		w, err := g.Work()
		bench(b, 2*heads*s*s*d, w, err)
	})
	b.Run("PV", func(b *testing.B) {
		g := rt.Gemm{Set: best(b), M: s, N: d, K: s, Batch: []rt.Batch{{N: heads, A: s * s, B: d, C: d}}, A: y, LdA: s,
			B: k, Unpacked: true, LdB: heads * d, C: p, LdC: heads * d}
		w, err := g.Work()
		bench(b, 2*heads*s*s*d, w, err)
	})
}

func BenchmarkDepthwise(b *testing.B) {
	for _, s := range []struct{ c, hw, k, stride int }{{32, 112, 3, 1}, {96, 112, 3, 2}, {144, 56, 3, 1}, {192, 28, 3, 1}, {384, 14, 3, 1}, {960, 7, 3, 1}, {240, 28, 5, 1}} {
		b.Run(fmt.Sprintf("%dx%d_s%d_%d_hw%d", s.k, s.k, s.stride, s.c, s.hw), func(b *testing.B) {
			oh := (s.hw-1)/s.stride + 1
			win := rt.Window{H: s.hw, W: s.hw, OH: oh, OW: oh, KH: s.k, KW: s.k, StrideH: s.stride, StrideW: s.stride, DilationH: 1, DilationW: 1, PadTop: s.k / 2, PadLeft: s.k / 2}
			d := rt.Depthwise{Set: best(b), Window: win, N: 1, C: s.c, X: memory(s.c * s.hw * s.hw), Weights: memory(s.c * s.k * s.k), Y: memory(s.c * oh * oh),
				Bias: memory(s.c), Clamp: true, Hi: 6}
			w, err := d.Work()
			bench(b, 2*float64(s.c*oh*oh*s.k*s.k), w, err)
		})
	}
}

func BenchmarkPooling(b *testing.B) {
	b.Run("max3x3_s2_64_hw112", func(b *testing.B) {
		win := rt.Window{H: 112, W: 112, OH: 56, OW: 56, KH: 3, KW: 3, StrideH: 2, StrideW: 2, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1}
		p := rt.Pooling{Set: best(b), Window: win, N: 1, C: 64, X: memory(64 * 112 * 112), Y: memory(64 * 56 * 56)}
		w, err := p.Work()
		benchBytes(b, 4*64*112*112, w, err)
	})
	b.Run("globalmean_2048_hw7", func(b *testing.B) {
		p := rt.GlobalPooling{Set: best(b), N: 1, C: 2048, H: 7, W: 7, Mean: true, X: memory(2048 * 49), Y: memory(2048)}
		w, err := p.Work()
		benchBytes(b, 4*2048*49, w, err)
	})
}

func BenchmarkRows(b *testing.B) {
	b.Run("softmax_1536x128", func(b *testing.B) {
		x := memory(1536 * 128)
		w, err := (&rt.Softmax{Set: best(b), Rows: 1536, N: 128, X: x, Y: memory(1536 * 128)}).Work()
		benchBytes(b, 4*1536*128, w, err)
	})
	b.Run("layernorm_128x768", func(b *testing.B) {
		w, err := (&rt.Norm{Set: best(b), Rows: 128, N: 768, Epsilon: 1e-5, X: memory(128 * 768), Y: memory(128 * 768), Scale: memory(768), Bias: memory(768)}).Work()
		benchBytes(b, 4*128*768, w, err)
	})
}

func BenchmarkMove(b *testing.B) {
	const n = 128 * 768
	b.Run("transpose_128x12x64_0213", func(b *testing.B) {
		w, err := rt.Transpose(best(b), 4, []int{1, 128, 12, 64}, []int{0, 2, 1, 3}, memory(n), memory(n))
		benchBytes(b, 4*n, w, err)
	})
	b.Run("transpose_128x12x64_0231", func(b *testing.B) {
		w, err := rt.Transpose(best(b), 4, []int{1, 128, 12, 64}, []int{0, 2, 3, 1}, memory(n), memory(n))
		benchBytes(b, 4*n, w, err)
	})
	b.Run("transpose_768x768", func(b *testing.B) {
		w, err := rt.Transpose(best(b), 4, []int{768, 768}, []int{1, 0}, memory(768*768), memory(768*768))
		benchBytes(b, 4*768*768, w, err)
	})
	b.Run("reorder_nchw_64_hw56", func(b *testing.B) {
		w, err := (&rt.Reorder{Set: best(b), From: rt.NCHW, To: rt.NCHWc16, N: 1, C: 64, Pixels: 56 * 56, X: memory(64 * 56 * 56), Y: memory(64 * 56 * 56)}).Work()
		benchBytes(b, 4*64*56*56, w, err)
	})
	b.Run("reorder_back_64_hw56", func(b *testing.B) {
		w, err := (&rt.Reorder{Set: best(b), From: rt.NCHWc16, To: rt.NCHW, N: 1, C: 64, Pixels: 56 * 56, X: memory(64 * 56 * 56), Y: memory(64 * 56 * 56)}).Work()
		benchBytes(b, 4*64*56*56, w, err)
	})
}

// One operator over 128 rows of 3072: what a program costs an element.
func BenchmarkMap(b *testing.B) {
	const m, n = 128, 3072
	for _, op := range []rt.VecOp{rt.OpAdd, rt.OpClamp, rt.OpDiv, rt.OpExp, rt.OpGelu, rt.OpGeluTanh, rt.OpSilu, rt.OpTanh, rt.OpSigmoid, rt.OpErf, rt.OpLog} {
		b.Run(op.String(), func(b *testing.B) {
			x := rt.Operand{Ptr: memory(m * n), Strides: []int{n, 1}}
			y := rt.Operand{Ptr: memory(n), Strides: []int{0, 1}}
			p := &rt.Program{In: 2, Temps: 1, Code: []rt.Instr{{Op: op, Dst: 2, X: 0, Y: 1, P1: 6}}, Out: []rt.Reg{2}}
			w, err := (&rt.Map{Set: best(b), Prog: p, Dims: []int{m, n}, In: []rt.Operand{x, y}, Out: []rt.Operand{{Ptr: memory(m * n), Strides: []int{n, 1}}}}).Work()
			benchBytes(b, 4*m*n, w, err)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/m/n*16, "ns/16")
		})
	}
}
