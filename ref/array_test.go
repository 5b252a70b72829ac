package ref

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/tensor"
)

// iota64 counts up from 0.
func iota64(shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.Int64, shape...)
	for i := range tensor.Of[int64](x) {
		tensor.Of[int64](x)[i] = int64(i)
	}
	return x
}

func i64(t *tensor.Tensor) []int64 { return tensor.Of[int64](t) }

func TestSliceAgreesWithLoops(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		n, step := rng.IntN(7), rng.IntN(7)-3
		if step == 0 {
			step = 1 << 60
		}
		start, end := rng.IntN(20)-10, rng.IntN(20)-10
		var want []int64
		clamp := func(v, lo, hi int) int {
			if v < 0 {
				v += n
			}
			return min(max(v, lo), hi)
		}
		if step > 0 {
			for i := clamp(start, 0, n); i < clamp(end, 0, n); i += step {
				want = append(want, int64(i))
			}
		} else {
			for i := clamp(start, -1, n-1); i > clamp(end, -1, n-1); i += step {
				want = append(want, int64(i))
			}
		}
		y, err := Slice(iota64(n), []int{start}, []int{end}, []int{0}, []int{step})
		require.NoError(t, err)
		require.Equal(t, want, i64(y), "[%d:%d:%d] of %d", start, end, step, n)
	}
}

func TestMovement(t *testing.T) {
	x := iota64(2, 3)
	require.Equal(t, []int64{0, 3, 1, 4, 2, 5}, i64(must(Transpose(x, []int{1, 0}))))
	require.Equal(t, []int64{0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5}, i64(must(Tile(x, []int{1, 2}))))
	require.Equal(t, []int64{0, 1, 2, 0, 3, 4, 5, 1}, i64(must(Concat(1, x, iota64(2, 1)))))
	require.Equal(t, []int64{9, 0, 1, 2, 9, 3, 4, 5}, i64(must(Pad(x, []int{0, 1}, []int{0, 0}, "constant", tensor.Int64s([]int64{9})))))
	require.Equal(t, []int64{2, 1, 0, 1, 2, 1, 0}, i64(must(Pad(iota64(3), []int{2}, []int{2}, "reflect", nil))))
	require.Equal(t, []int64{1, 2, 0, 1, 2, 0, 1}, i64(must(Pad(iota64(3), []int{2}, []int{2}, "wrap", nil))))
	require.Equal(t, []int64{0, 0, 1, 2, 2, 2}, i64(must(Pad(iota64(3), []int{1}, []int{2}, "edge", nil))))
	require.Equal(t, []int64{1, 2, 0}, i64(must(Pad(iota64(3), []int{-1}, []int{1}, "constant", nil))))
	require.Equal(t, []int64{1, 0, 2, 3, 4, 5}, i64(must(ReverseSequence(iota64(2, 3), tensor.Int64s([]int64{2, 1}), 0, 1))))
	require.Equal(t, []int64{0, 1, 2, 0, 4, 5}, i64(must(Trilu(x, 0, true))))
	require.Equal(t, []int64{0, 0, 0, 3, 0, 0}, i64(must(Trilu(x, -1, false))))

	image := iota64(1, 8, 2, 3)
	for _, mode := range []string{"DCR", "CRD"} {
		deep := must(DepthToSpace(image, 2, mode))
		require.Equal(t, []int{1, 2, 4, 6}, deep.Shape)
		require.Equal(t, i64(image), i64(must(SpaceToDepth(deep, 2, mode))), "%s: each undoes the other", mode)
	}
	parts, err := Split(iota64(5), 0, []int{2, 3})
	require.NoError(t, err)
	require.Equal(t, []int64{2, 3, 4}, i64(parts[1]))
	sizes, err := EvenSplit(7, 3)
	require.NoError(t, err)
	require.Equal(t, []int{3, 3, 1}, sizes)
}

func TestMovementRefusesWhatDoesNotFit(t *testing.T) {
	x := iota64(2, 3)
	for what, f := range map[string]func() error{
		"not a permutation":     func() error { _, err := Transpose(x, []int{0, 0}); return err },
		"out of range":          func() error { _, err := Concat(2, x); return err },
		"do not fill":           func() error { _, err := Split(x, 1, []int{1, 1}); return err },
		"do not fit":            func() error { _, err := Pad(x, []int{-3, 0}, []int{0, 0}, "constant", nil); return err },
		"more than":             func() error { _, err := Tile(x, []int{1 << 30, 1 << 10}); return err },
		"too many":              func() error { _, err := Tile(x, []int{1 << 62, 1}); return err },
		"outside of a dim of 3": func() error { _, err := Gather(x, tensor.Int64s([]int64{3}), 1); return err },
		"outside of dim 0":      func() error { _, err := GatherND(x, tensor.Int64s([]int64{2}), 0); return err },
		"is 4 for 3 elements":   func() error { _, _, err := TopK(x, 4, 1, true); return err },
		"in steps of 0": func() error {
			_, err := Range(tensor.Scalar(tensor.Int64, int64(0)), tensor.Scalar(tensor.Int64, int64(9)), tensor.Scalar(tensor.Int64, int64(0)))
			return err
		},
		"can not be reshaped": func() error { _, err := ReshapeTo([]int{2, 3}, []int{4}, false); return err },
		"no dim 2 to keep":    func() error { _, err := ReshapeTo([]int{2, 3}, []int{2, 3, 0}, false); return err },
		"want none, add, mul": func() error {
			_, err := ScatterND(x, tensor.Int64s([]int64{0, 0}, 1, 2), tensor.Int64s([]int64{1}), "div")
			return err
		},
	} {
		require.ErrorContains(t, f(), what)
	}
}

func TestGatherAndScatter(t *testing.T) {
	x := iota64(3, 2)
	require.Equal(t, []int64{4, 5, 0, 1}, i64(must(Gather(x, tensor.Int64s([]int64{-1, 0}), 0))))
	require.Equal(t, []int{3, 1, 1}, must(Gather(x, tensor.Int64s([]int64{1}, 1, 1), 1)).Shape)
	require.Equal(t, []int64{2, 5}, i64(must(GatherElements(x, tensor.Int64s([]int64{1, 2}, 1, 2), 0))))
	require.Equal(t, []int64{3, 0}, i64(must(GatherND(x, tensor.Int64s([]int64{1, 1, 0, 0}, 2, 2), 0))))
	require.Equal(t, []int64{1, 2, 5}, i64(must(GatherND(x, tensor.Int64s([]int64{1, 0, 1}, 3, 1), 1))), "a batch dim keeps rows together")

	one := tensor.Int64s([]int64{1, 1}, 2, 1)
	require.Equal(t, []int64{0, 1, 9, 8, 4, 5}, i64(must(ScatterND(x, tensor.Int64s([]int64{1}, 1, 1), tensor.Int64s([]int64{9, 8}, 1, 2), "none"))))
	require.Equal(t, []int64{0, 1, 2 + 9 + 7, 3 + 8 + 6, 4, 5}, i64(must(ScatterND(x, one, tensor.Int64s([]int64{9, 8, 7, 6}, 2, 2), "add"))))
	require.Equal(t, []int64{0, 1, 2, 3, 9, 5}, i64(must(ScatterElements(x, tensor.Int64s([]int64{2}, 1, 1), tensor.Int64s([]int64{9}, 1, 1), 0, "none"))))
}

func TestSelection(t *testing.T) {
	require.Equal(t, []int64{0, 1, 1, 0}, i64(must(NonZero(tensor.Int64s([]int64{0, 5, 7, 0}, 2, 2)))))
	require.Equal(t, []int64{0, 0, 1, 1, 0, 0, 0, 0, 0}, i64(must(OneHot(tensor.Int64s([]int64{2, -3, 7}), 3, tensor.Int64s([]int64{0, 1}), -1))))

	values, indices, err := TopK(list(tensor.Float32, float32(1), 3, 3, 2), 3, 0, true)
	require.NoError(t, err)
	require.Equal(t, []float32{3, 3, 2}, tensor.Of[float32](values))
	require.Equal(t, []int64{1, 2, 3}, i64(indices), "of equal ones the first comes first")

	u, err := Unique(tensor.Int64s([]int64{2, 1, 1, 3, 4, 3}), nil, false)
	require.NoError(t, err)
	require.Equal(t, [][]int64{{2, 1, 3, 4}, {0, 1, 3, 4}, {0, 1, 1, 2, 3, 2}, {1, 2, 2, 1}}, [][]int64{i64(u.Y), i64(u.First), i64(u.Inverse), i64(u.Counts)})
	axis := 0
	u, err = Unique(tensor.Int64s([]int64{1, 0, 0, 1, 0, 0, 2, 3, 4}, 3, 3), &axis, true)
	require.NoError(t, err)
	require.Equal(t, []int64{1, 0, 0, 2, 3, 4}, i64(u.Y))

	require.Equal(t, []int64{1, 3}, i64(must(Compress(iota64(2, 2), list(tensor.Bool, false, true, false, true), nil))))
	require.Equal(t, []int64{10, 8, 6}, i64(must(Range(tensor.Scalar(tensor.Int64, int64(10)), tensor.Scalar(tensor.Int64, int64(4)), tensor.Scalar(tensor.Int64, int64(-2))))))
}

func TestReductions(t *testing.T) {
	x := tensor.Float32s([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	for name, want := range map[string][]float32{
		"ReduceSum": {6, 15}, "ReduceMean": {2, 5}, "ReduceProd": {6, 120}, "ReduceMax": {3, 6}, "ReduceMin": {1, 4}, "ReduceL1": {6, 15},
		"ReduceSumSquare": {14, 77}, "ReduceL2": {float32(math.Sqrt(14)), float32(math.Sqrt(77))},
		"ReduceLogSum": {float32(math.Log(6)), float32(math.Log(15))}, "ReduceLogSumExp": {3.4076059, 6.4076059},
	} {
		y, err := Reduce(name, x, []int{-1}, false)
		require.NoError(t, err)
		require.InDeltaSlice(t, want, tensor.Of[float32](y), 1e-6, name)
		require.Equal(t, []int{2}, y.Shape)
	}
	empty := tensor.New(tensor.Float32, 0, 2)
	for name, want := range map[string]float32{"ReduceSum": 0, "ReduceProd": 1, "ReduceMax": float32(math.Inf(-1)), "ReduceMin": float32(math.Inf(1)), "ReduceLogSumExp": float32(math.Inf(-1))} {
		y, err := Reduce(name, empty, []int{0}, true)
		require.NoError(t, err)
		require.Equal(t, []int{1, 2}, y.Shape)
		require.Equal(t, []float32{want, want}, tensor.Of[float32](y), "%s of nothing", name)
	}
	big := int64(1) << 60
	y, err := Reduce("ReduceSum", tensor.Int64s([]int64{big, 1}), []int{0}, false)
	require.NoError(t, err)
	require.Equal(t, []int64{big + 1}, i64(y), "integers stay exact")
	_, err = Reduce("ReduceSum", x, []int{0, -2}, true)
	require.ErrorContains(t, err, "twice")
}

func TestAlongAxis(t *testing.T) {
	x := tensor.Float32s([]float32{1, 3, 3, 0}, 2, 2)
	require.Equal(t, []int64{1, 0}, i64(must(ArgBest(x, 0, true, false, false))))
	require.Equal(t, []int64{2}, i64(must(ArgBest(list(tensor.Float32, float32(3), 1, 3), 0, true, true, false))), "the last of equal ones")
	require.InDeltaSlice(t, []float32{0.5, 0.5}, tensor.Of[float32](must(Softmax(list(tensor.Float32, float32(1e4), 1e4), 0))), 1e-7)
	require.InDeltaSlice(t, []float32{-math.Ln2, -math.Ln2}, tensor.Of[float32](must(LogSoftmax(list(tensor.Float32, float32(-1e4), -1e4), 0))), 1e-6)
	require.Equal(t, []float32{0, 1, 0}, tensor.Of[float32](must(Hardmax(list(tensor.Float32, float32(1), 3, 3), 0))))
	for _, c := range []struct {
		name               string
		exclusive, reverse bool
		want               []int64
	}{
		{"CumSum", false, false, []int64{2, 5, 9}}, {"CumSum", true, false, []int64{0, 2, 5}}, {"CumSum", false, true, []int64{9, 7, 4}}, {"CumSum", true, true, []int64{7, 4, 0}},
		{"CumProd", false, false, []int64{2, 6, 24}}, {"CumProd", true, true, []int64{12, 4, 1}},
	} {
		require.Equal(t, c.want, i64(must(Cumulative(c.name, tensor.Int64s([]int64{2, 3, 4}), 0, c.exclusive, c.reverse))))
	}
}

// naiveMatMul multiplies batches by loops over coordinates.
func naiveMatMul(a, b []float64, batch, m, k, n int) []float64 {
	c := make([]float64, batch*m*n)
	for t := range batch {
		for i := range m {
			for j := range n {
				for p := range k {
					c[(t*m+i)*n+j] += a[(t*m+i)*k+p] * b[(t*k+p)*n+j]
				}
			}
		}
	}
	return c
}

func randomTensor(rng *rand.Rand, shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.Float64, shape...)
	for i := range tensor.Of[float64](x) {
		tensor.Of[float64](x)[i] = rng.Float64() - 0.5
	}
	return x
}

func TestProductsAgreeWithLoops(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 30 {
		batch, m, k, n := 1+rng.IntN(3), rng.IntN(9), rng.IntN(9), rng.IntN(9)
		a, b := randomTensor(rng, batch, m, k), randomTensor(rng, batch, k, n)
		want := naiveMatMul(tensor.Of[float64](a), tensor.Of[float64](b), batch, m, k, n)
		require.InDeltaSlice(t, append([]float64{0}, want...), append([]float64{0}, tensor.Of[float64](must(MatMul(a, b)))...), 1e-12)
		require.InDeltaSlice(t, append([]float64{0}, want...), append([]float64{0}, tensor.Of[float64](must(Einsum("bik,bkj->bij", a, b)))...), 1e-12)
		if batch == 1 {
			at, bt := must(Transpose(a.Reshaped(m, k), []int{1, 0})), must(Transpose(b.Reshaped(k, n), []int{1, 0}))
			got := must(Gemm(at, bt, nil, 2, 0, true, true))
			for i, w := range want {
				require.InDelta(t, 2*w, tensor.Of[float64](got)[i], 1e-12)
			}
		}
	}
	_, err := MatMul(randomTensor(rng, 2, 3), randomTensor(rng, 2, 3))
	require.ErrorContains(t, err, "3 columns against 2 rows")
}

func TestProductShapes(t *testing.T) {
	for _, c := range []struct{ a, b, want []int }{
		{[]int{3}, []int{3}, []int{}},
		{[]int{3}, []int{3, 2}, []int{2}},
		{[]int{4, 3}, []int{3}, []int{4}},
		{[]int{5, 1, 4, 3}, []int{2, 3, 6}, []int{5, 2, 4, 6}},
	} {
		y, err := MatMul(tensor.New(tensor.Float32, c.a...), tensor.New(tensor.Float32, c.b...))
		require.NoError(t, err)
		require.Equal(t, c.want, append([]int{}, y.Shape...))
	}
}

func TestEinsumForms(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	x := randomTensor(rng, 3, 3)
	v := tensor.Of[float64](x)
	require.InDelta(t, v[0]+v[4]+v[8], tensor.Of[float64](must(Einsum("ii->", x)))[0], 1e-12)
	require.Equal(t, []float64{v[0], v[4], v[8]}, tensor.Of[float64](must(Einsum("ii -> i", x))))
	require.Equal(t, []float64{v[0], v[3], v[6], v[1], v[4], v[7], v[2], v[5], v[8]}, tensor.Of[float64](must(Einsum("ba", x))), "implicit results are sorted")
	y := must(Einsum("...i,i...->...", randomTensor(rng, 2, 4, 3), randomTensor(rng, 3, 4)))
	require.Equal(t, []int{2, 4}, y.Shape)
	for eq, says := range map[string]string{"ij,jk": "2 terms", "i->": "does not fit", "ij->k": "unknown", "i?->i": "does not fit"} {
		_, err := Einsum(eq, x)
		require.ErrorContains(t, err, says)
	}
}

func TestDeterminants(t *testing.T) {
	y, err := Det(tensor.Float32s([]float32{0, 1, 1, 0, 2, 0, 0, 3}, 2, 2, 2))
	require.NoError(t, err)
	require.Equal(t, []float32{-1, 6}, tensor.Of[float32](y))
	_, err = Det(tensor.Float32s([]float32{1, 2}, 1, 2))
	require.ErrorContains(t, err, "square")
}

func TestIntegerProducts(t *testing.T) {
	a := tensor.From(tensor.Uint8, []uint8{11, 7, 3, 10}, 2, 2)
	b := tensor.From(tensor.Uint8, []uint8{1, 4, 2, 5}, 2, 2)
	y, err := MatMulInteger(a, b, list(tensor.Uint8, uint8(12), 0), nil)
	require.NoError(t, err)
	require.Equal(t, []int32{-1*1 + -5*2, -1*4 + -5*5, 3*1 + 10*2, 3*4 + 10*5}, tensor.Of[int32](y), "a zero point for each row")

	one := tensor.Scalar(tensor.Float32, float32(1))
	zero := tensor.Scalar(tensor.Uint8, uint8(0))
	q, err := QLinearMatMul(a, b, Quant{one, zero}, Quant{one, zero}, Quant{tensor.Scalar(tensor.Float32, float32(2)), tensor.Scalar(tensor.Uint8, uint8(1))})
	require.NoError(t, err)
	require.Equal(t, []uint8{13, 41, 13, 32}, q.Data, "halves round to even before the zero point is added")
}

func BenchmarkMatMul(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	x, _ := Cast(randomTensor(rng, 512, 768), tensor.Float32, CastOptions{})
	y, _ := Cast(randomTensor(rng, 768, 768), tensor.Float32, CastOptions{})
	b.ReportMetric(0, "ns/op")
	for b.Loop() {
		if _, err := MatMul(x, y); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*512*768*768/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
