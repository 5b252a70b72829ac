//go:build !(linux && (amd64 || arm64))

package cuda

import (
	"fmt"
	"runtime"

	"github.com/hone-ml/hone/codegen/ptx"
)

func unavailable() error {
	return fmt.Errorf("%w that hone can use: kernels run on linux/amd64 and linux/arm64, not on %s/%s", ErrNoGPU, runtime.GOOS, runtime.GOARCH)
}

// Devices lists the GPUs; ErrNoGPU where there is none.
func Devices() ([]Device, error) { return nil, unavailable() }

// GPU is the first GPU.
type GPU struct{}

// Open makes the first GPU ready.
func Open() (*GPU, error) { return nil, unavailable() }

// Kernel is a kernel that is loaded on a GPU.
type Kernel struct{}

// Load makes a kernel ready on the first GPU.
func Load(*ptx.Kernel) (*Kernel, error) { return nil, unavailable() }

// Close takes the kernel off the GPU.
func (*Kernel) Close() {}

// Run runs the kernel.
func (*Kernel) Run(ptx.Shape, [][]byte, int) ([][]byte, float32, error) {
	return nil, 0, unavailable()
}
