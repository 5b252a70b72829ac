package ptx

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/internal/ptxtest"
)

// noise fills a buffer with elements of a type: ordinary numbers, any bits at all, and the odd special one.
func noise(rng *rand.Rand, t Type, n int) []byte {
	specials := []float64{0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), 88.8, -104, 1e-42, 65504, 1e30, 0.6, 0.92}
	b := make([]byte, n*t.Size())
	for i := range n {
		f := float32(4 * rng.NormFloat64())
		switch rng.IntN(8) {
		case 0:
			f = float32(specials[rng.IntN(len(specials))])
		case 1:
			f = math.Float32frombits(rng.Uint32())
		}
		switch t {
		case Bool:
			b[i] = byte(rng.IntN(2) * rng.IntN(256)) // any byte that is not 0 is true
		case I32:
			binary.LittleEndian.PutUint32(b[4*i:], rng.Uint32()>>rng.IntN(32))
		case I64:
			binary.LittleEndian.PutUint64(b[8*i:], rng.Uint64()>>rng.IntN(64))
		default:
			store(b, t, i, uint64(math.Float32bits(f)))
		}
	}
	return b
}

// launch runs a kernel's text as the driver would, one launch after the other.
func launch(t *testing.T, k *Kernel, s Shape, inputs [][]byte) [][]byte {
	text, err := k.Text()
	require.NoError(t, err)
	m, err := ptxtest.Parse(text)
	require.NoError(t, err)
	var outputs [][]byte
	for _, o := range k.Outputs {
		outputs = append(outputs, make([]byte, s.N*k.typeOf(o).Size()))
	}
	for _, l := range k.Launches(s) {
		var params []any
		for _, b := range append(append([][]byte{}, inputs...), outputs...) {
			params = append(params, b)
		}
		for _, n := range s.Args(l) {
			params = append(params, n)
		}
		const block = 32
		require.NoError(t, m.Launch(l.Entry, (l.Threads+block-1)/block, block, params...), "%s %+v", k.Name, s)
	}
	return outputs
}

// sameNumbers are equal bits, or NaNs, whose payloads no one promises.
func sameNumbers(t *testing.T, typ Type, want, got []byte, what string) {
	require.Len(t, got, len(want))
	for i := range len(want) / typ.Size() {
		w, g := load(want, typ, i), load(got, typ, i)
		x, y := math.Float32frombits(uint32(w)), math.Float32frombits(uint32(g))
		if float := typ == F32 || typ == F16 || typ == BF16; w != g && !(float && x != x && y != y) {
			require.Equal(t, w, g, "%s, element %d: want %v, got %v", what, i, x, y)
		}
	}
}

// The text of every operation, type and broadcast, run on the CPU, gives what Kernel.Run gives: in whole vectors, in
// what is left, for vectors of odd lengths, and without an access out of place.
func TestTextComputesWhatRunDoes(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	shapes := []Shape{
		{N: 1}, {N: 4 * 2 * 3 * 8, R: 8, C: 3, Inner: 8, Gap: 24, GapInner: 8, GapOuter: 2},
		{N: 2 * 3 * 40, R: 40, C: 6, Inner: 40, Gap: 120, GapInner: 40, GapOuter: 2},
		{N: 2 * 3 * 35, R: 35, C: 3, Inner: 35, Gap: 105, GapInner: 35, GapOuter: 2}, {N: 77, R: 7, C: 11, Inner: 7, Gap: 77, GapInner: 7},
		{N: 64, R: 16, C: 4, Inner: 16, Gap: 32, GapInner: 16, GapOuter: 2},
	}
	if testing.Short() {
		shapes = shapes[:3]
	}
	for _, typ := range []Type{F32, F16, BF16, I32, I64} {
		for _, s := range shapes {
			k := everyOp(typ)
			var inputs [][]byte
			for _, in := range k.Inputs {
				inputs = append(inputs, noise(rng, in.Type, in.Broadcast.elements(s.whole())))
			}
			want, err := k.Run(s, inputs)
			require.NoError(t, err)
			for i, got := range launch(t, k, s, inputs) {
				sameNumbers(t, k.typeOf(k.Outputs[i]), want[i], got, fmt.Sprintf("%s %+v, output %d", k.Name, s, i))
			}
		}
	}
}

// Each function's text stays within its bound of the exact value.
func TestTextWithinBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	n := 4001
	if testing.Short() {
		n = 501
	}
	for op, exact := range exact {
		x := noise(rng, F32, n)
		got := launch(t, unary(op, F32), Shape{N: n}, [][]byte{x})[0]
		worst := 0.0
		for i, v := range toFloats(x) {
			u := ulps(toFloats(got)[i], exact(float64(v)))
			require.LessOrEqual(t, u, op.Bound(), "%s(%v)", op, v)
			worst = max(worst, u)
		}
		t.Logf("%s: %.3f units in the last place", op, worst)
	}
}

// Integers wrap, compare with their signs, and are cut off towards zero when they come from floats.
func TestIntegers(t *testing.T) {
	longs := func(v ...int64) (b []byte) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, uint64(x))
		}
		return b
	}
	x, y := longs(math.MaxInt64, -7, 5, math.MinInt64), longs(1, 3, -5, -1)
	for op, want := range map[Op][]byte{
		Add: longs(math.MinInt64, -4, 0, math.MaxInt64), Mul: longs(math.MaxInt64, -21, -25, math.MinInt64), Min: longs(1, -7, -5, math.MinInt64),
		Less: {0, 1, 0, 1}, GreaterOrEqual: {1, 0, 1, 0}, Equal: {0, 0, 0, 0},
	} {
		result := I64
		if len(want) == 4 {
			result = Bool
		}
		k := &Kernel{Name: "k", Inputs: []Input{{I64, Full}, {I64, Full}}, Body: []Instr{{Op: op, Type: result, Args: []int{0, 1}}}, Outputs: []int{2}}
		require.Equal(t, want, launch(t, k, Shape{N: 4}, [][]byte{x, y})[0], op)
	}
	cut := &Kernel{Name: "k", Inputs: []Input{{F32, Full}}, Body: []Instr{{Op: Cast, Type: I64, Args: []int{0}}}, Outputs: []int{1}}
	require.Equal(t, longs(2, -2, 1<<40, 0), launch(t, cut, Shape{N: 4}, [][]byte{floats(2.9, -2.9, 1<<40, -0.5)})[0])
	wrap := &Kernel{Name: "k", Inputs: []Input{{I64, Full}}, Body: []Instr{{Op: Cast, Type: I32, Args: []int{0}}, {Op: Cast, Type: I64, Args: []int{1}}}, Outputs: []int{2}}
	require.Equal(t, longs(-1, -7, 5, 0), launch(t, wrap, Shape{N: 4}, [][]byte{x})[0])
}

// A kernel reads and writes 16 bytes at once, each thread beside the next: the text of the vectorised entry has no narrower
// access to a whole tensor.
func TestVectorAccess(t *testing.T) {
	for _, typ := range []Type{F32, F16, BF16} {
		text, err := gelu(typ).Text()
		require.NoError(t, err)
		require.Contains(t, text, "ld.global.nc.v4.b32")
		require.Contains(t, text, "st.global.v4.b32")
	}
}
