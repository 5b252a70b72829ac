//go:build linux && (amd64 || arm64)

package cuda

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// driver holds the functions of libcuda that are used. Each returns a CUresult.
type driver struct {
	init               func(flags uint32) int32
	getErrorString     func(code int32, text **byte) int32
	deviceGetCount     func(n *int32) int32
	deviceGet          func(dev *int32, ordinal int32) int32
	deviceGetName      func(name *byte, size, dev int32) int32
	deviceGetAttribute func(v *int32, attribute, dev int32) int32
	deviceTotalMem     func(bytes *uint64, dev int32) int32
	primaryCtxRetain   func(ctx *uintptr, dev int32) int32
	primaryCtxRelease  func(dev int32) int32
	ctxSetCurrent      func(ctx uintptr) int32
	ctxSynchronize     func() int32
	moduleLoadDataEx   func(module *uintptr, image *byte, n uint32, options *uint32, values *uintptr) int32
	moduleUnload       func(module uintptr) int32
	moduleGetFunction  func(f *uintptr, module uintptr, name *byte) int32
	memAlloc           func(ptr *uint64, bytes uint64) int32
	memFree            func(ptr uint64) int32
	memcpyHtoD         func(dst uint64, src *byte, bytes uint64) int32
	memcpyDtoH         func(dst *byte, src uint64, bytes uint64) int32
	streamCreate       func(s *uintptr, flags uint32) int32
	streamDestroy      func(s uintptr) int32
	eventCreate        func(e *uintptr, flags uint32) int32
	eventRecord        func(e, stream uintptr) int32
	eventSynchronize   func(e uintptr) int32
	eventElapsedTime   func(ms *float32, from, to uintptr) int32
	eventDestroy       func(e uintptr) int32
	launchKernel       func(f uintptr, gridX, gridY, gridZ, blockX, blockY, blockZ, shared uint32, stream uintptr, params *unsafe.Pointer, extra uintptr) int32
}

// open loads the driver once.
var open = sync.OnceValues(func() (*driver, error) {
	lib, err := purego.Dlopen("libcuda.so.1", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("%w: NVIDIA's driver library libcuda.so.1 is not installed", ErrNoGPU)
	}
	return bind(func(name string) (uintptr, error) { return purego.Dlsym(lib, name) })
})

// bind finds the functions and starts the driver.
func bind(symbol func(name string) (uintptr, error)) (*driver, error) {
	d := new(driver)
	for name, f := range map[string]any{
		"cuInit": &d.init, "cuGetErrorString": &d.getErrorString, "cuDeviceGetCount": &d.deviceGetCount, "cuDeviceGet": &d.deviceGet,
		"cuDeviceGetName": &d.deviceGetName, "cuDeviceGetAttribute": &d.deviceGetAttribute, "cuDeviceTotalMem_v2": &d.deviceTotalMem,
		"cuDevicePrimaryCtxRetain": &d.primaryCtxRetain, "cuDevicePrimaryCtxRelease_v2": &d.primaryCtxRelease, "cuCtxSetCurrent": &d.ctxSetCurrent,
		"cuCtxSynchronize": &d.ctxSynchronize, "cuModuleLoadDataEx": &d.moduleLoadDataEx, "cuModuleUnload": &d.moduleUnload,
		"cuModuleGetFunction": &d.moduleGetFunction, "cuMemAlloc_v2": &d.memAlloc, "cuMemFree_v2": &d.memFree,
		"cuMemcpyHtoD_v2": &d.memcpyHtoD, "cuMemcpyDtoH_v2": &d.memcpyDtoH, "cuStreamCreate": &d.streamCreate,
		"cuStreamDestroy_v2": &d.streamDestroy, "cuEventCreate": &d.eventCreate, "cuEventRecord": &d.eventRecord,
		"cuEventSynchronize": &d.eventSynchronize, "cuEventElapsedTime": &d.eventElapsedTime, "cuEventDestroy_v2": &d.eventDestroy,
		"cuLaunchKernel": &d.launchKernel,
	} {
		p, err := symbol(name)
		if err != nil {
			return nil, fmt.Errorf("libcuda.so.1 is too old: %w", err)
		}
		purego.RegisterFunc(f, p)
	}
	if err := d.check("cuInit", d.init(0)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoGPU, err)
	}
	return d, nil
}

func (d *driver) check(what string, code int32) error {
	if code == 0 {
		return nil
	}
	var text *byte
	d.getErrorString(code, &text)
	message := "unknown error"
	if text != nil {
		n := 0
		for *(*byte)(unsafe.Add(unsafe.Pointer(text), n)) != 0 {
			n++
		}
		message = string(unsafe.Slice(text, n))
	}
	return fmt.Errorf("%s: %s (CUDA error %d)", what, message, code)
}

// Devices lists the GPUs; ErrNoGPU where there is none.
func Devices() ([]Device, error) {
	d, err := open()
	if err != nil {
		return nil, err
	}
	var n int32
	if err := d.check("cuDeviceGetCount", d.deviceGetCount(&n)); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: the driver is installed and sees none", ErrNoGPU)
	}
	var out []Device
	for i := range n {
		dev, _, err := d.describe(i)
		if err != nil {
			return nil, err
		}
		out = append(out, dev)
	}
	return out, nil
}

// Numbers of CUdevice_attribute.
const (
	capabilityMajor = 75
	capabilityMinor = 76
	memoryClock     = 36 // kHz; two transfers each
	memoryBusWidth  = 37 // bits
)

func (d *driver) describe(ordinal int32) (dev Device, handle int32, err error) {
	if err := d.check("cuDeviceGet", d.deviceGet(&handle, ordinal)); err != nil {
		return dev, 0, err
	}
	var name [256]byte
	var major, minor, clock, width int32
	var memory uint64
	for what, code := range map[string]int32{
		"cuDeviceGetName":      d.deviceGetName(&name[0], int32(len(name)), handle),
		"cuDeviceGetAttribute": max(d.deviceGetAttribute(&major, capabilityMajor, handle), d.deviceGetAttribute(&minor, capabilityMinor, handle)),
		"cuDeviceTotalMem":     d.deviceTotalMem(&memory, handle),
	} {
		if err := d.check(what, code); err != nil {
			return dev, 0, err
		}
	}
	end := 0
	for end < len(name) && name[end] != 0 {
		end++
	}
	// Newer drivers no longer tell the clock.
	if d.deviceGetAttribute(&clock, memoryClock, handle) != 0 || d.deviceGetAttribute(&width, memoryBusWidth, handle) != 0 {
		clock = 0
	}
	return Device{string(name[:end]), int(10*major + minor), int64(memory), 2 * float64(clock) * 1e3 * float64(width) / 8 / 1e9}, handle, nil
}
