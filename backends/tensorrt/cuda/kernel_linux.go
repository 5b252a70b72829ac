//go:build linux && (amd64 || arm64)

package cuda

import (
	"bytes"
	"fmt"
	"unsafe"

	"github.com/hone-ml/hone/codegen/ptx"
)

// Kernel is a kernel that is loaded on a GPU.
type Kernel struct {
	*GPU
	k       *ptx.Kernel
	mod     uintptr
	entries map[string]uintptr
	log     []byte // of the driver's compiler
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
	g, err := d.first()
	if err != nil {
		return nil, err
	}
	l = &Kernel{GPU: g, k: k, entries: map[string]uintptr{}}
	defer func() {
		if err != nil {
			l.Close()
			l = nil
		}
	}()
	leave, err := l.Enter()
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

// Close takes the kernel off the GPU. A second time it does nothing.
func (l *Kernel) Close() {
	if leave, err := l.Enter(); err == nil {
		if l.mod != 0 {
			l.d.moduleUnload(l.mod)
		}
		leave()
	}
	l.mod = 0
	l.GPU.Close()
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
	leave, err := l.Enter()
	if err != nil {
		return nil, 0, fmt.Errorf("kernel %q: %w", l.k.Name, err)
	}
	defer leave()
	var pointers []uint64
	defer func() {
		for _, p := range pointers {
			l.Free(p)
		}
	}()
	for i, size := range sizes {
		p, err := l.Alloc(size)
		if err != nil {
			return nil, 0, err
		}
		pointers = append(pointers, p)
		if i < len(inputs) {
			if err := l.Upload(p, inputs[i][:size]); err != nil {
				return nil, 0, err
			}
		}
	}
	for range max(times, 1) {
		took, err := l.Time(func(stream uintptr) error { return l.launch(s, pointers, stream) })
		if err != nil {
			return nil, 0, err
		}
		if ms == 0 || took < ms {
			ms = took
		}
	}
	for i, size := range sizes[len(inputs):] {
		out := make([]byte, size)
		if err := l.Download(out, pointers[len(inputs)+i]); err != nil {
			return nil, 0, err
		}
		outputs = append(outputs, out)
	}
	return outputs, ms, nil
}

// launch starts all launches of a shape.
func (l *Kernel) launch(s ptx.Shape, pointers []uint64, stream uintptr) error {
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
		code := l.d.launchKernel(l.entries[launch.Entry], uint32(grid), 1, 1, block, 1, 1, 0, stream, &params[0], 0)
		if err := l.d.check("cuLaunchKernel "+launch.Entry, code); err != nil {
			return err
		}
	}
	return nil
}
