//go:build linux && (amd64 || arm64)

package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/codegen/ptx"
	"github.com/hone-ml/hone/internal/ptxtest"
)

// device is a driver for tests: functions with the C signatures of cuda.h, reached through the same C calls as
// libcuda's, that keep memory here and run PTX text with ptxtest. It stands in for what no machine without a GPU
// has, and checks what a GPU's driver would: handles, sizes, the context of the thread, and that all is given back.
type device struct {
	t        *testing.T
	current  uintptr // the context of the thread
	retained int
	memory   map[uint64][]byte
	module   *ptxtest.Module
	loaded   int
	events   int
	streams  int
	names    map[uintptr]string
	launches []string
	fail     string // the function that fails
}

const (
	invalidValue   = 1
	invalidContext = 201
	invalidPTX     = 218
	deviceHandle   = 7
	context        = 0x1000
	stream         = 0x5000
)

// at makes a pointer of an address that came through C.
//
//go:noinline
func at(p uintptr) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), p) }

func text(p uintptr) string {
	n := 0
	for *(*byte)(unsafe.Add(at(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(at(p)), n))
}

func (d *device) result(name string, ok bool) int32 {
	switch {
	case d.fail == name:
		return 999
	case !ok:
		return invalidValue
	}
	return 0
}

// functions are the driver's, as C sees them.
func (d *device) functions() map[string]any {
	unknown := append([]byte("the driver says so"), 0)
	in := func() bool { return d.current == context && d.retained == 1 }
	return map[string]any{
		"cuInit": func(flags uint32) int32 { return d.result("cuInit", flags == 0) },
		"cuGetErrorString": func(code int32, to uintptr) int32 {
			*(*uintptr)(at(to)) = uintptr(unsafe.Pointer(&unknown[0]))
			return 0
		},
		"cuDeviceGetCount": func(n uintptr) int32 { *(*int32)(at(n)) = 1; return 0 },
		"cuDeviceGet": func(dev uintptr, ordinal int32) int32 {
			*(*int32)(at(dev)) = deviceHandle
			return d.result("cuDeviceGet", ordinal == 0)
		},
		"cuDeviceGetName": func(name uintptr, size, dev int32) int32 {
			copy(unsafe.Slice((*byte)(at(name)), size), "Test GPU\x00")
			return d.result("cuDeviceGetName", dev == deviceHandle)
		},
		"cuDeviceGetAttribute": func(v uintptr, attribute, dev int32) int32 {
			*(*int32)(at(v)) = map[int32]int32{75: 8, 76: 9, 36: 9501000, 37: 192}[attribute]
			return d.result("cuDeviceGetAttribute", dev == deviceHandle)
		},
		"cuDeviceTotalMem_v2": func(n uintptr, dev int32) int32 { *(*uint64)(at(n)) = 24 << 30; return 0 },
		"cuDevicePrimaryCtxRetain": func(ctx uintptr, dev int32) int32 {
			*(*uintptr)(at(ctx)) = context
			d.retained++
			return d.result("cuDevicePrimaryCtxRetain", dev == deviceHandle)
		},
		"cuDevicePrimaryCtxRelease_v2": func(dev int32) int32 { d.retained--; return 0 },
		"cuCtxSetCurrent":              func(ctx uintptr) int32 { d.current = ctx; return 0 },
		"cuCtxSynchronize":             func() int32 { return 0 },
		"cuModuleLoadDataEx": func(module, image uintptr, n uint32, options, values uintptr) int32 {
			m, err := ptxtest.Parse(text(image))
			if err != nil || d.fail == "cuModuleLoadDataEx" {
				list, v := unsafe.Slice((*uint32)(at(options)), n), unsafe.Slice((*uintptr)(at(values)), n)
				require.Equal(d.t, []uint32{5, 6}, list)
				copy(unsafe.Slice((*byte)(at(v[0])), v[1]), "line 7: no such instruction\x00")
				return invalidPTX
			}
			d.module = m
			d.loaded++
			*(*uintptr)(at(module)) = 0x2000
			return d.result("cuModuleLoadDataEx", in())
		},
		"cuModuleUnload": func(module uintptr) int32 { d.loaded--; return d.result("cuModuleUnload", module == 0x2000 && in()) },
		"cuModuleGetFunction": func(f, module, name uintptr) int32 {
			h := uintptr(0x3000 + len(d.names))
			d.names[h] = text(name)
			*(*uintptr)(at(f)) = h
			return d.result("cuModuleGetFunction", module == 0x2000 && in())
		},
		"cuMemAlloc_v2": func(p uintptr, n uint64) int32 {
			address := uint64(len(d.memory)+1) << 32
			d.memory[address] = make([]byte, n)
			*(*uint64)(at(p)) = address
			return d.result("cuMemAlloc", in())
		},
		"cuMemFree_v2": func(p uint64) int32 { delete(d.memory, p); return d.result("cuMemFree", in()) },
		"cuMemcpyHtoD_v2": func(dst uint64, src uintptr, n uint64) int32 {
			return d.result("cuMemcpyHtoD", in() && copy(d.memory[dst], unsafe.Slice((*byte)(at(src)), n)) == int(n))
		},
		"cuMemcpyDtoH_v2": func(dst uintptr, src, n uint64) int32 {
			return d.result("cuMemcpyDtoH", in() && copy(unsafe.Slice((*byte)(at(dst)), n), d.memory[src]) == int(n))
		},
		"cuStreamCreate": func(s uintptr, flags uint32) int32 {
			if d.fail == "cuStreamCreate" {
				return 999
			}
			d.streams++
			*(*uintptr)(at(s)) = stream
			return d.result("cuStreamCreate", flags == 0 && in())
		},
		"cuStreamDestroy_v2": func(s uintptr) int32 {
			d.streams--
			return d.result("cuStreamDestroy", s == stream && in())
		},
		"cuEventCreate": func(e uintptr, flags uint32) int32 {
			d.events++
			*(*uintptr)(at(e)) = 0x4000
			return d.result("cuEventCreate", flags == 0)
		},
		"cuEventRecord":      func(e, s uintptr) int32 { return d.result("cuEventRecord", e == 0x4000 && s == stream) },
		"cuEventSynchronize": func(e uintptr) int32 { return d.result("cuEventSynchronize", e == 0x4000) },
		"cuEventElapsedTime": func(ms, from, to uintptr) int32 {
			*(*float32)(at(ms)) = 1.25
			return d.result("cuEventElapsedTime", true)
		},
		"cuEventDestroy_v2": func(e uintptr) int32 { d.events--; return 0 },
		"cuLaunchKernel": func(f uintptr, gx, gy, gz, bx, by, bz, shared uint32, on, params, extra uintptr) int32 {
			if d.fail == "cuLaunchKernel" {
				return 999
			}
			name := d.names[f]
			d.launches = append(d.launches, fmt.Sprintf("%s %d %d %d, %d %d %d", name, gx, gy, gz, bx, by, bz))
			var list []any
			for i, pointer := range d.module.Params(name) {
				p := *(*uintptr)(unsafe.Add(at(params), 8*i))
				if !pointer {
					list = append(list, *(*uint32)(at(p)))
					continue
				}
				list = append(list, d.memory[*(*uint64)(at(p))])
			}
			err := d.module.Launch(name, int(gx), int(bx), list...)
			require.NoError(d.t, err)
			return d.result("cuLaunchKernel", in() && shared == 0 && on == stream && extra == 0)
		},
	}
}

func (d *device) driver() (*driver, error) {
	d.memory, d.names = map[uint64][]byte{}, map[uintptr]string{}
	functions := d.functions()
	return bind(func(name string) (uintptr, error) {
		f, ok := functions[name]
		if !ok {
			return 0, fmt.Errorf("undefined symbol: %s", name)
		}
		return purego.NewCallback(f), nil
	})
}

// requireNothingKept checks that all was given back.
func (d *device) requireNothingKept() {
	require.Zero(d.t, d.retained, "contexts")
	require.Empty(d.t, d.memory)
	require.Zero(d.t, d.loaded, "modules")
	require.Zero(d.t, d.streams, "streams")
	require.Zero(d.t, d.events, "events")
	require.Zero(d.t, d.current, "the thread's context")
}

// affine is x * scale + row, and whether that is positive.
var affine = &ptx.Kernel{
	Name: "affine", Inputs: []ptx.Input{{Type: ptx.F32}, {Type: ptx.F32, Broadcast: ptx.Scalar}, {Type: ptx.F32, Broadcast: ptx.Row}},
	Body: []ptx.Instr{
		{Op: ptx.Mul, Args: []int{0, 1}}, {Op: ptx.Add, Args: []int{3, 2}}, {Op: ptx.Const}, {Op: ptx.Less, Type: ptx.Bool, Args: []int{5, 4}},
	},
	Outputs: []int{4, 6},
}

func floats32(rng *rand.Rand, n int) (b []byte) {
	for range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(rng.NormFloat64())))
	}
	return b
}

// What is handed to the driver is what cuda.h says, in order and size: kernels come out right, in whole vectors and in what
// is left, and everything is given back.
func TestDriverCalls(t *testing.T) {
	d := &device{t: t}
	driver, err := d.driver()
	require.NoError(t, err)
	dev, _, err := driver.describe(0)
	require.NoError(t, err)
	require.Equal(t, "Test GPU, compute capability 8.9, 24576 MB", dev.String())
	require.InDelta(t, 456, dev.Bandwidth, 0.1)
	k, err := driver.load(affine)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		s        ptx.Shape
		launches []string
	}{
		{ptx.Shape{N: 4 * 300, R: 12}, []string{"affine_vector 2 1 1, 256 1 1"}},
		{ptx.Shape{N: 4*64 + 3, R: 4}, []string{"affine_vector 1 1 1, 256 1 1", "affine_scalar 1 1 1, 256 1 1"}},
		{ptx.Shape{N: 600, R: 5}, []string{"affine_scalar 3 1 1, 256 1 1"}},
		{ptx.Shape{N: 0}, nil},
	} {
		inputs := [][]byte{floats32(rng, c.s.N), floats32(rng, 1), floats32(rng, max(c.s.R, 1))}
		want, err := affine.Run(c.s, inputs)
		require.NoError(t, err)
		d.launches = nil
		got, ms, err := k.Run(c.s, inputs, 1)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, float32(1.25), ms)
		require.Equal(t, c.launches, d.launches)
	}
	k.Close()
	k.Close()
	d.requireNothingKept()
	_, _, err = k.Run(ptx.Shape{N: 1}, [][]byte{floats32(rng, 1), floats32(rng, 1), floats32(rng, 1)}, 1)
	require.ErrorContains(t, err, "is closed")
}

// A function that fails is named with the driver's words, and nothing is kept.
func TestDriverFailures(t *testing.T) {
	d := &device{t: t}
	driver, err := d.driver()
	require.NoError(t, err)
	for _, name := range []string{"cuDeviceGet", "cuStreamCreate", "cuModuleGetFunction"} {
		d.fail = name
		_, err := driver.load(affine)
		require.ErrorContains(t, err, name)
		require.ErrorContains(t, err, "the driver says so (CUDA error 999)")
		d.requireNothingKept()
	}
	d.fail = "cuModuleLoadDataEx"
	_, err = driver.load(affine)
	require.ErrorContains(t, err, "cuModuleLoadDataEx: the driver says so (CUDA error 218): line 7: no such instruction")
	d.requireNothingKept()
	d.fail = ""
	k, err := driver.load(affine)
	require.NoError(t, err)
	s, rng := ptx.Shape{N: 8}, rand.New(rand.NewPCG(1, 1))
	inputs := [][]byte{floats32(rng, 8), floats32(rng, 1), floats32(rng, 1)}
	for _, name := range []string{"cuMemcpyHtoD", "cuEventCreate", "cuEventRecord", "cuLaunchKernel", "cuEventSynchronize", "cuEventElapsedTime", "cuMemcpyDtoH"} {
		d.fail = name
		_, _, err := k.Run(s, inputs, 1)
		require.ErrorContains(t, err, name)
		require.Empty(t, d.memory)
	}
	d.fail = ""
	_, _, err = k.Run(s, inputs[:2], 1)
	require.ErrorContains(t, err, "2 inputs given, it has 3")
	k.Close()
}

// A library without a function is named as too old, one that finds no device as no GPU.
func TestDriverMissing(t *testing.T) {
	_, err := bind(func(name string) (uintptr, error) { return 0, fmt.Errorf("undefined symbol: %s", name) })
	require.ErrorContains(t, err, "libcuda.so.1 is too old: undefined symbol")
	d := &device{t: t, fail: "cuInit"}
	_, err = d.driver()
	require.ErrorIs(t, err, ErrNoGPU)
	require.ErrorContains(t, err, "cuInit: the driver says so (CUDA error 999)")
}
