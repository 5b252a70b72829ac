//go:build linux && (amd64 || arm64)

package cuda

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/hone-ml/hone/codegen/ptx"
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
		"cuMemcpyHtoD_v2": &d.memcpyHtoD, "cuMemcpyDtoH_v2": &d.memcpyDtoH, "cuEventCreate": &d.eventCreate, "cuEventRecord": &d.eventRecord,
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

// Kernel is a kernel that is loaded on a GPU.
type Kernel struct {
	d        *driver
	k        *ptx.Kernel
	dev      int32
	ctx, mod uintptr
	entries  map[string]uintptr
	log      []byte // of the driver's compiler
}

// Load makes a kernel ready on the first GPU: the driver compiles its text.
func Load(k *ptx.Kernel) (*Kernel, error) {
	d, err := open()
	if err != nil {
		return nil, err
	}
	return d.load(k)
}

func (d *driver) load(k *ptx.Kernel) (l *Kernel, err error) {
	text, err := k.Text()
	if err != nil {
		return nil, err
	}
	_, dev, err := d.describe(0)
	if err != nil {
		return nil, err
	}
	l = &Kernel{d: d, k: k, dev: dev, entries: map[string]uintptr{}}
	if err := d.check("cuDevicePrimaryCtxRetain", d.primaryCtxRetain(&l.ctx, dev)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.Close()
			l = nil
		}
	}()
	leave, err := l.enter()
	if err != nil {
		return l, err
	}
	defer leave()
	if err := l.compile(text); err != nil {
		return l, err
	}
	for _, name := range k.Entries() {
		var f uintptr
		if err := d.check("cuModuleGetFunction "+name, d.moduleGetFunction(&f, l.mod, cString(name))); err != nil {
			return l, err
		}
		l.entries[name] = f
	}
	return l, nil
}

// Numbers of CUjit_option.
const (
	jitErrorLogBuffer     = 5
	jitErrorLogBufferSize = 6
)

// compile gives the driver the text. What it says of a text that it does not take is part of the error.
func (l *Kernel) compile(text string) error {
	l.log = make([]byte, 4096) // on the heap, where it stays in its place
	options := []uint32{jitErrorLogBuffer, jitErrorLogBufferSize}
	values := []uintptr{uintptr(unsafe.Pointer(&l.log[0])), uintptr(len(l.log))}
	err := l.d.check("cuModuleLoadDataEx", l.d.moduleLoadDataEx(&l.mod, cString(text), uint32(len(options)), &options[0], &values[0]))
	said, _, _ := bytes.Cut(l.log, []byte{0})
	if err != nil && len(said) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(said))
	}
	return err
}

// enter makes the context the current thread's until the returned function is called.
func (l *Kernel) enter() (leave func(), err error) {
	runtime.LockOSThread()
	if err := l.d.check("cuCtxSetCurrent", l.d.ctxSetCurrent(l.ctx)); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	return func() {
		l.d.ctxSetCurrent(0)
		runtime.UnlockOSThread()
	}, nil
}

// Close takes the kernel off the GPU. A second time it does nothing.
func (l *Kernel) Close() {
	if l.ctx == 0 {
		return
	}
	if leave, err := l.enter(); err == nil {
		if l.mod != 0 {
			l.d.moduleUnload(l.mod)
		}
		leave()
	}
	l.d.primaryCtxRelease(l.dev)
	l.ctx, l.mod = 0, 0
}

func cString(s string) *byte { return &append([]byte(s), 0)[0] }

// block is the threads of a block: enough for full occupancy at the registers that pointwise kernels take.
const block = 256

// Run copies the inputs to the GPU, launches so many times, and copies the outputs back. It
// returns the time of the fastest launch in milliseconds, by the GPU's own clock.
func (l *Kernel) Run(s ptx.Shape, inputs [][]byte, times int) (outputs [][]byte, ms float32, err error) {
	sizes, err := l.k.Sizes(s, inputs)
	if err != nil {
		return nil, 0, err
	}
	if l.ctx == 0 {
		return nil, 0, fmt.Errorf("kernel %q is closed", l.k.Name)
	}
	leave, err := l.enter()
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	var pointers []uint64
	defer func() {
		for _, p := range pointers {
			l.d.memFree(p)
		}
	}()
	for i, size := range sizes {
		var p uint64
		if err := l.d.check("cuMemAlloc", l.d.memAlloc(&p, uint64(max(size, 16)))); err != nil {
			return nil, 0, err
		}
		pointers = append(pointers, p)
		if i < len(inputs) && size > 0 {
			if err := l.d.check("cuMemcpyHtoD", l.d.memcpyHtoD(p, &inputs[i][0], uint64(size))); err != nil {
				return nil, 0, err
			}
		}
	}
	for range max(times, 1) {
		took, err := l.launch(s, pointers)
		if err != nil {
			return nil, 0, err
		}
		if ms == 0 || took < ms {
			ms = took
		}
	}
	for i, size := range sizes[len(inputs):] {
		out := make([]byte, size)
		if size > 0 {
			if err := l.d.check("cuMemcpyDtoH", l.d.memcpyDtoH(&out[0], pointers[len(inputs)+i], uint64(size))); err != nil {
				return nil, 0, err
			}
		}
		outputs = append(outputs, out)
	}
	return outputs, ms, nil
}

// launch starts all launches of a shape on the default stream and waits for them.
func (l *Kernel) launch(s ptx.Shape, pointers []uint64) (ms float32, err error) {
	var events [2]uintptr
	for i := range events {
		if err := l.d.check("cuEventCreate", l.d.eventCreate(&events[i], 0)); err != nil {
			return 0, err
		}
		defer l.d.eventDestroy(events[i])
	}
	if err := l.d.check("cuEventRecord", l.d.eventRecord(events[0], 0)); err != nil {
		return 0, err
	}
	for _, launch := range l.k.Launches(s) {
		numbers := s.Args(launch)
		var params []unsafe.Pointer
		for i := range pointers {
			params = append(params, unsafe.Pointer(&pointers[i]))
		}
		for i := range numbers {
			params = append(params, unsafe.Pointer(&numbers[i]))
		}
		grid := (launch.Threads + block - 1) / block
		code := l.d.launchKernel(l.entries[launch.Entry], uint32(grid), 1, 1, block, 1, 1, 0, 0, &params[0], 0)
		if err := l.d.check("cuLaunchKernel "+launch.Entry, code); err != nil {
			return 0, err
		}
	}
	if err := l.d.check("cuEventRecord", l.d.eventRecord(events[1], 0)); err != nil {
		return 0, err
	}
	if err := l.d.check("cuEventSynchronize", l.d.eventSynchronize(events[1])); err != nil {
		return 0, err
	}
	err = l.d.check("cuEventElapsedTime", l.d.eventElapsedTime(&ms, events[0], events[1]))
	return ms, err
}
