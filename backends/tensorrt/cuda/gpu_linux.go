//go:build linux && (amd64 || arm64)

package cuda

import (
	"errors"
	"runtime"
)

// GPU is the first GPU with a stream of its own: memory, copies and times. Its
// context is the primary one, which NVIDIA's libraries use as well. It is for
// one goroutine at a time.
type GPU struct {
	d           *driver
	dev         int32
	ctx, stream uintptr
}

// Open makes the first GPU ready; ErrNoGPU where there is none.
func Open() (*GPU, error) {
	if _, err := Devices(); err != nil {
		return nil, err
	}
	d, err := open()
	if err != nil {
		return nil, err
	}
	return d.first()
}

func (d *driver) first() (*GPU, error) {
	_, dev, err := d.describe(0)
	if err != nil {
		return nil, err
	}
	g := &GPU{d: d, dev: dev}
	if err := d.check("cuDevicePrimaryCtxRetain", d.primaryCtxRetain(&g.ctx, dev)); err != nil {
		return nil, err
	}
	leave, err := g.Enter()
	if err == nil {
		err = d.check("cuStreamCreate", d.streamCreate(&g.stream, 0))
		leave()
	}
	if err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// Enter makes the GPU the current thread's until the returned function is
// called. All other methods but Close are called in between.
func (g *GPU) Enter() (leave func(), err error) {
	if g.ctx == 0 {
		return nil, errors.New("the GPU is closed")
	}
	runtime.LockOSThread()
	if err := g.d.check("cuCtxSetCurrent", g.d.ctxSetCurrent(g.ctx)); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	return func() {
		g.d.ctxSetCurrent(0)
		runtime.UnlockOSThread()
	}, nil
}

// Close lets the GPU go. A second time it does nothing.
func (g *GPU) Close() {
	if leave, err := g.Enter(); err == nil {
		if g.stream != 0 {
			g.d.streamDestroy(g.stream)
		}
		leave()
		g.d.primaryCtxRelease(g.dev)
		g.ctx, g.stream = 0, 0
	}
}

// least is the bytes of the smallest allocation: empty tensors have an address too.
const least = 16

// Alloc returns the address of memory for so many bytes.
func (g *GPU) Alloc(bytes int) (p uint64, err error) {
	err = g.d.check("cuMemAlloc", g.d.memAlloc(&p, uint64(max(bytes, least))))
	return p, err
}

// Free gives memory back.
func (g *GPU) Free(p uint64) { g.d.memFree(p) }

// Upload copies to the GPU and waits for it.
func (g *GPU) Upload(dst uint64, src []byte) error {
	if len(src) == 0 {
		return nil
	}
	return g.d.check("cuMemcpyHtoD", g.d.memcpyHtoD(dst, &src[0], uint64(len(src))))
}

// Download copies from the GPU and waits for it.
func (g *GPU) Download(dst []byte, src uint64) error {
	if len(dst) == 0 {
		return nil
	}
	return g.d.check("cuMemcpyDtoH", g.d.memcpyDtoH(&dst[0], src, uint64(len(dst))))
}

// Time starts work on the GPU's stream, waits for it, and returns the
// milliseconds it took by the GPU's own clock.
func (g *GPU) Time(work func(stream uintptr) error) (ms float32, err error) {
	var events [2]uintptr
	for i := range events {
		if err := g.d.check("cuEventCreate", g.d.eventCreate(&events[i], 0)); err != nil {
			return 0, err
		}
		defer g.d.eventDestroy(events[i])
	}
	if err := g.d.check("cuEventRecord", g.d.eventRecord(events[0], g.stream)); err != nil {
		return 0, err
	}
	if err := work(g.stream); err != nil {
		return 0, err
	}
	if err := g.d.check("cuEventRecord", g.d.eventRecord(events[1], g.stream)); err != nil {
		return 0, err
	}
	if err := g.d.check("cuEventSynchronize", g.d.eventSynchronize(events[1])); err != nil {
		return 0, err
	}
	err = g.d.check("cuEventElapsedTime", g.d.eventElapsedTime(&ms, events[0], events[1]))
	return ms, err
}
