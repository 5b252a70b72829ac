package tensor

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumElements(t *testing.T) {
	for _, c := range []struct {
		shape []int
		want  int
		err   string
	}{
		{nil, 1, ""},
		{[]int{2, 3, 4}, 24, ""},
		{[]int{1 << 40, 0}, 0, ""},
		{[]int{math.MaxInt, 0}, 0, "too many elements"},
		{[]int{1 << 31, 1 << 31}, 0, "too many elements"},
		{[]int{math.MaxInt, 2}, 0, "too many elements"},
		{[]int{2, -1}, 0, "negative dim"},
		{[]int{0, -1}, 0, "negative dim"},
	} {
		n, err := NumElements(c.shape)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, "%v", c.shape)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, n, "%v", c.shape)
	}
	require.Panics(t, func() { New(Float32, 1<<40) }, "more than MaxBytes")
}

func TestDTypeNamesRoundTrip(t *testing.T) {
	for d := DType(1); d.Valid(); d++ {
		back, ok := ParseDType(d.String())
		require.True(t, ok && back == d, d)
		require.Equal(t, d != String, d.Size() > 0, d)
		require.LessOrEqual(t, d.Bits(), 8*d.Size(), d)
	}
	_, ok := ParseDType("undefined")
	require.False(t, ok)
	require.False(t, Undefined.Valid())
}

// What goes to the wire comes back, at every length, whether elements are
// whole bytes or share them.
func TestWireRoundTrips(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for d := DType(1); d.Valid(); d++ {
		if d == String {
			continue
		}
		for n := range 10 {
			wire := make([]byte, d.WireSize(n))
			for i := range wire {
				wire[i] = byte(rng.Uint32())
			}
			if unused := 8*len(wire) - n*d.Bits(); unused > 0 {
				wire[len(wire)-1] &= 0xff >> unused
			}
			x, err := FromWire(d, []int{n}, wire)
			require.NoError(t, err)
			require.Len(t, x.Data, n*d.Size())
			require.Equal(t, wire, x.Wire(), "%d of %s", n, d)
			_, err = FromWire(d, []int{n}, append(wire, 0))
			require.ErrorContains(t, err, "found", "one byte more")
		}
	}
}

// Sub-byte elements lie where onnx.proto says.
func TestWireLayout(t *testing.T) {
	for _, c := range []struct {
		d    DType
		wire []byte
		want []byte
	}{
		{Uint4, []byte{0x21, 0x03}, []byte{1, 2, 3}},
		{Int4, []byte{0x8f}, []byte{0xff, 0xf8}},
		{Uint2, []byte{0b11100100, 0b01}, []byte{0, 1, 2, 3, 1}},
		{Float6E2M3, []byte{0x81, 0x30, 0xfc, 0x05}, []byte{1, 2, 3, 63, 5}},
	} {
		x, err := FromWire(c.d, []int{len(c.want)}, c.wire)
		require.NoError(t, err)
		require.Equal(t, c.want, x.Data, c.d)
	}
}

// Bytes of a mapped file lie at any address.
func TestMisalignedBytesCanBeViewed(t *testing.T) {
	aligned := Float32s([]float32{1, 2, 3, 4}, 4)
	b := append([]byte{0}, aligned.Data...)
	x := &Tensor{DType: Float32, Shape: []int{4}, Data: b[1:]}
	require.Equal(t, []float32{1, 2, 3, 4}, Of[float32](x))
	require.Equal(t, []float32{2, 3}, Part[float32](x, 1, 3))
	require.Equal(t, []float32{2, 3}, Part[float32](aligned, 1, 3))
	require.Empty(t, Part[float32](x, 2, 2))
	require.Panics(t, func() { Of[float64](x) })
}
