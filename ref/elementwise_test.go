package ref

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/tensor"
)

func list[T tensor.Number](d tensor.DType, v ...T) *tensor.Tensor { return tensor.From(d, v, len(v)) }

func TestUnaryFunctions(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name     string
		in, want []float32
	}{
		{"Abs", []float32{-2, 0, 3}, []float32{2, 0, 3}},
		{"Ceil", []float32{-1.5, 1.2}, []float32{-1, 2}},
		{"Round", []float32{0.5, 1.5, -2.5, 2.7}, []float32{0, 2, -2, 3}},
		{"Sign", []float32{-2, 0, 3, nan}, []float32{-1, 0, 1, nan}},
		{"Relu", []float32{-1, 0, 2, nan}, []float32{0, 0, 2, nan}},
		{"Sigmoid", []float32{0, inf, -inf}, []float32{0.5, 1, 0}},
		{"Softplus", []float32{-1000, 0, 1000}, []float32{0, math.Ln2, 1000}},
		{"Reciprocal", []float32{2, 0, -inf}, []float32{0.5, inf, 0}},
		{"HardSwish", []float32{-4, 0, 1, 4}, []float32{0, 0, 4. / 6, 4}},
		{"Erf", []float32{0, inf}, []float32{0, 1}},
	} {
		y, err := Unary(c.name, list(tensor.Float32, c.in...))
		require.NoError(t, err)
		for i, got := range tensor.Of[float32](y) {
			if want := c.want[i]; want == want {
				require.InDelta(t, want, got, 1e-7, "%s of %v", c.name, c.in[i])
			} else {
				require.True(t, got != got, "%s of NaN is NaN", c.name)
			}
		}
	}
	_, err := Unary("Exp", list(tensor.Int32, int32(1)))
	require.ErrorContains(t, err, "no Exp of i32")
	y, err := Unary("Neg", list(tensor.Int8, int8(-128), int8(5)))
	require.NoError(t, err)
	require.Equal(t, []int8{-128, -5}, tensor.Of[int8](y), "integers wrap around")
}

func TestNarrowFloatsRoundOnce(t *testing.T) {
	x := tensor.New(tensor.Float16, 1)
	tensor.Of[uint16](x)[0] = float16.FromFloat32(0.1)
	y, err := Unary("Exp", x)
	require.NoError(t, err)
	require.Equal(t, float16.FromFloat64(math.Exp(float64(float16.ToFloat32(float16.FromFloat32(0.1))))), tensor.Of[uint16](y)[0])
}

func TestIntegerArithmetic(t *testing.T) {
	for _, c := range []struct {
		name       string
		a, b, want int64
	}{
		{"Div", -7, 2, -3}, // to zero
		{"Mod", -7, 3, 2}, {"Mod", 7, -3, -2}, {"Mod", 6, 3, 0},
		{"FMod", -7, 3, -1}, {"FMod", 7, -3, 1},
		{"Add", math.MaxInt64, 1, math.MinInt64},
		{"Pow", 3, 4, 81}, {"Pow", 2, -1, 0}, {"Pow", -1, -3, -1}, {"Pow", -1, -2, 1},
		{"LeftShift", 1, 3, 8}, {"LeftShift", 1, 64, 0}, {"LeftShift", 1, -1, 0},
		{"RightShift", -8, 1, -4}, {"RightShift", -8, 70, -1}, {"RightShift", 8, -1, 0},
	} {
		y, err := Binary(c.name, list(tensor.Int64, c.a), list(tensor.Int64, c.b))
		require.NoError(t, err)
		require.Equal(t, c.want, tensor.Of[int64](y)[0], "%s(%d, %d)", c.name, c.a, c.b)
	}
	_, err := Binary("Div", list(tensor.Int32, int32(1)), list(tensor.Int32, int32(0)))
	require.ErrorContains(t, err, "by zero")
	_, err = Binary("Add", list(tensor.Int32, int32(1)), list(tensor.Int64, int64(0)))
	require.ErrorContains(t, err, "one element type")
}

func TestFloatModAndExtremes(t *testing.T) {
	inf := math.Inf(1)
	require.Equal(t, 1.5, floorMod(-4.5, 2))
	require.Equal(t, -inf, floorMod(1, -inf)) // the sign of the divisor
	require.True(t, math.Signbit(floorMod(4, -2)))
	require.True(t, math.IsNaN(larger(inf, math.NaN())))
	require.True(t, math.IsNaN(smaller(math.NaN(), -inf)))
}

// Broadcasting agrees with reading every operand by coordinates.
func TestBroadcastingIsByCoordinates(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		shape := make([]int, rng.IntN(5))
		for i := range shape {
			shape[i] = rng.IntN(4)
		}
		operand := func() *tensor.Tensor {
			s := slices.Clone(shape[rng.IntN(len(shape)+1):])
			for i := range s {
				if rng.IntN(3) == 0 {
					s[i] = 1
				}
			}
			x := tensor.New(tensor.Float32, s...)
			for i := range tensor.Of[float32](x) {
				tensor.Of[float32](x)[i] = rng.Float32()
			}
			return x
		}
		a, b := operand(), operand()
		y, err := Binary("Sub", a, b)
		require.NoError(t, err)
		at := func(x *tensor.Tensor, flat int) float32 {
			o, s := 0, 1
			for d := len(y.Shape) - 1; d >= 0; d-- {
				c := flat % y.Shape[d]
				flat /= y.Shape[d]
				if k := d - len(y.Shape) + x.Rank(); k >= 0 {
					if x.Shape[k] > 1 {
						o += c * s
					}
					s *= x.Shape[k]
				}
			}
			return tensor.Of[float32](x)[o]
		}
		for i, got := range tensor.Of[float32](y) {
			require.Equal(t, at(a, i)-at(b, i), got, "%s - %s", a, b)
		}
	}
	_, err := broadcastShape([]int{2, 3}, []int{2})
	require.ErrorContains(t, err, "2 against 3")
}

func TestWherePicksAnyType(t *testing.T) {
	c := tensor.From(tensor.Bool, []bool{true, false}, 2, 1)
	y, err := Where(c, tensor.StringsOf([]string{"a"}), tensor.StringsOf([]string{"x", "y"}, 2))
	require.NoError(t, err)
	require.Equal(t, []int{2, 2}, y.Shape)
	require.Equal(t, []string{"a", "a", "x", "y"}, y.Strings)
}

func TestVariadicMeanOfBroadcast(t *testing.T) {
	y, err := Variadic("Mean", list(tensor.Float32, float32(1), 2), tensor.Scalar(tensor.Float32, float32(5)), list(tensor.Float32, float32(0), 8))
	require.NoError(t, err)
	require.Equal(t, []float32{2, 5}, tensor.Of[float32](y))
	_, err = Variadic("Sum")
	require.Error(t, err)
}

func TestCasts(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		what string
		in   *tensor.Tensor
		to   tensor.DType
		o    CastOptions
		want []float64
	}{
		{"fractions drop", list(tensor.Float32, float32(-1.9), 1.9), tensor.Int32, CastOptions{}, []float64{-1, 1}},
		{"high bits drop", list(tensor.Int32, int32(300), -1), tensor.Uint8, CastOptions{}, []float64{44, 255}},
		{"int4 keeps its sign", list(tensor.Int32, int32(7), 9, -1), tensor.Int4, CastOptions{}, []float64{7, -7, -1}},
		{"uint2", list(tensor.Int32, int32(3), 5), tensor.Uint2, CastOptions{}, []float64{3, 1}},
		{"truth", list(tensor.Float32, float32(0), 0.1, float32(nan)), tensor.Bool, CastOptions{}, []float64{0, 1, 1}},
		{"beyond int64", list(tensor.Float64, 1e30, -1e30, nan), tensor.Int64, CastOptions{}, []float64{math.MaxInt64, math.MinInt64, 0}},
		{"uint64 has its own top", list(tensor.Float64, 1e19), tensor.Uint64, CastOptions{}, []float64{1e19}},
		{"float8 saturates", list(tensor.Float32, float32(1000)), tensor.Float8E4M3FN, CastOptions{Saturate: true}, []float64{448}},
		{"or not", list(tensor.Float32, float32(1000)), tensor.Float8E4M3FN, CastOptions{}, []float64{nan}},
		{"strings", tensor.StringsOf([]string{"3.5", " -1e3", "NaN", "+INF"}, 4), tensor.Float32, CastOptions{}, []float64{3.5, -1000, nan, math.Inf(1)}},
		{"whole strings", tensor.StringsOf([]string{"9007199254740993"}, 1), tensor.Int64, CastOptions{}, []float64{9007199254740992}},
	} {
		y, err := Cast(c.in, c.to, c.o)
		require.NoError(t, err, c.what)
		require.Equal(t, c.to, y.DType)
		got, err := reals(y)
		require.NoError(t, err)
		for i := range c.want {
			require.True(t, got[i] == c.want[i] || got[i] != got[i] && c.want[i] != c.want[i], "%s: got %v, want %v", c.what, got, c.want)
		}
	}
	_, err := Cast(tensor.StringsOf([]string{"one"}, 1), tensor.Float32, CastOptions{})
	require.ErrorContains(t, err, `"one"`)
}

func TestNumbersAsText(t *testing.T) {
	for _, c := range []struct {
		in   *tensor.Tensor
		want []string
	}{
		{list(tensor.Float32, float32(0.1), 1, 1e-5, 123456, 1e16, float32(math.Inf(-1))), []string{"0.1", "1.0", "1e-05", "123456.0", "1e+16", "-inf"}},
		{list(tensor.Float64, math.Nextafter(0.3, 1), -0.0001), []string{"0.30000000000000004", "-0.0001"}},
		{list(tensor.Float16, float16.FromFloat32(0.1)), []string{"0.1"}},
		{list(tensor.Uint64, uint64(math.MaxUint64)), []string{"18446744073709551615"}},
		{list(tensor.Bool, true, false), []string{"True", "False"}},
	} {
		y, err := Cast(c.in, tensor.String, CastOptions{})
		require.NoError(t, err)
		require.Equal(t, c.want, y.Strings)
	}
}

func TestBitCast(t *testing.T) {
	y, err := BitCast(list(tensor.Float32, float32(1)), tensor.Uint32)
	require.NoError(t, err)
	require.Equal(t, []uint32{0x3f800000}, tensor.Of[uint32](y))
	y, err = BitCast(tensor.From(tensor.Uint4, []uint8{9}, 1), tensor.Int4)
	require.NoError(t, err)
	require.Equal(t, []int8{-7}, tensor.Of[int8](y))
	_, err = BitCast(list(tensor.Float32, float32(1)), tensor.Int64)
	require.Error(t, err)
}

func TestQuantization(t *testing.T) {
	x := tensor.Float32s([]float32{0.5, 1.5, -3, 1000}, 2, 2)
	y, err := Quantize(x, list(tensor.Float32, float32(1), 2), list(tensor.Uint8, uint8(1), 2), Granularity{Axis: 1}, tensor.Uint8, 0, true)
	require.NoError(t, err)
	require.Equal(t, []uint8{1, 3, 0, 255}, y.Data, "half to even, by column, saturated")

	blocked := tensor.Float32s([]float32{1, 2, 4}, 3)
	y, err = Dequantize(list(tensor.Int8, int8(1), 1, 1, 1, 1), blocked, nil, Granularity{Axis: 0, Block: 2}, tensor.Float32)
	require.NoError(t, err)
	require.Equal(t, []float32{1, 1, 2, 2, 4}, tensor.Of[float32](y), "a last block may be short")

	_, err = Quantize(x, list(tensor.Float32, float32(1), 2, 3), nil, Granularity{Axis: 1}, tensor.Uint8, 0, true)
	require.ErrorContains(t, err, "scale is f32[3]")

	q, scale, zero, err := DynamicQuantize(tensor.Float32s([]float32{0, 2, -3, -2.5, 1.34, 0.5}, 6))
	require.NoError(t, err)
	require.InDelta(t, 0.0196078438, tensor.Of[float32](scale)[0], 1e-9)
	require.Equal(t, []uint8{153}, zero.Data)
	require.Equal(t, []uint8{153, 255, 0, 26, 221, 179}, q.Data)
}
