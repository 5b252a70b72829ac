package cuda_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/tensorrt/cuda"
	"github.com/hone-ml/hone/codegen/ptx"
)

func needGPU(t *testing.T) []cuda.Device {
	devices, err := cuda.Devices()
	if err != nil {
		require.ErrorIs(t, err, cuda.ErrNoGPU)
		t.Skipf("%s is skipped: %v", t.Name(), err)
	}
	return devices
}

// gelu is 0.5 x (1 + erf(x / sqrt 2)) of x plus a bias along the last axis.
var gelu = &ptx.Kernel{
	Name: "gelu", Inputs: []ptx.Input{{Type: ptx.F32}, {Type: ptx.F32, Broadcast: ptx.Row}},
	Body: []ptx.Instr{
		{Op: ptx.Add, Args: []int{0, 1}}, {Op: ptx.Const, Value: math.Sqrt2 / 2}, {Op: ptx.Mul, Args: []int{2, 3}}, {Op: ptx.Erf, Args: []int{4}},
		{Op: ptx.Const, Value: 1}, {Op: ptx.Add, Args: []int{5, 6}}, {Op: ptx.Mul, Args: []int{2, 7}}, {Op: ptx.Const, Value: 0.5}, {Op: ptx.Mul, Args: []int{8, 9}},
	},
	Outputs: []int{10},
}

func floats(n int) (b []byte) {
	for i := range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(i%4099)/256-8))
	}
	return b
}

// Without a GPU every way in is one clear error.
func TestNoGPU(t *testing.T) {
	if _, err := cuda.Devices(); err == nil {
		t.Skipf("%s is skipped: there is a GPU", t.Name())
	}
	_, err := cuda.Load(gelu)
	require.ErrorIs(t, err, cuda.ErrNoGPU)
}

// The GPU computes what Kernel.Run computes, bit for bit, in whole vectors, in what is left, and on broadcast vectors of any length.
func TestGPUSameAsCPU(t *testing.T) {
	needGPU(t)
	k, err := cuda.Load(gelu)
	require.NoError(t, err)
	defer k.Close()
	for _, s := range []ptx.Shape{{N: 1, R: 1, C: 1, Inner: 1}, {N: 4096, R: 64, C: 1, Inner: 1}, {N: 4099, R: 4, C: 1, Inner: 1}, {N: 3333, R: 3, C: 1, Inner: 1}} {
		inputs := [][]byte{floats(s.N), floats(s.R)}
		want, err := gelu.Run(s, inputs)
		require.NoError(t, err)
		got, _, err := k.Run(s, inputs, 1)
		require.NoError(t, err)
		require.Equal(t, want, got, "%+v", s)
	}
}

// A kernel on 64 MB tensors reaches four fifths of the memory's bandwidth, where the driver tells that.
func TestGPUBandwidth(t *testing.T) {
	devices := needGPU(t)
	k, err := cuda.Load(gelu)
	require.NoError(t, err)
	defer k.Close()
	s := ptx.Shape{N: 16 << 20, R: 1024, C: 1, Inner: 1}
	_, ms, err := k.Run(s, [][]byte{floats(s.N), floats(s.R)}, 20)
	require.NoError(t, err)
	rate := 2 * 4 * float64(s.N) / float64(ms) / 1e6
	t.Logf("%v: %.3f ms, %.0f GB/s of %.0f", devices[0], ms, rate, devices[0].Bandwidth)
	if devices[0].Bandwidth > 0 {
		require.GreaterOrEqual(t, rate, 0.8*devices[0].Bandwidth)
	}
}
