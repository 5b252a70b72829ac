// Package cuda launches kernels of package ptx on an NVIDIA GPU through
// libcuda, which comes with the driver and is loaded at run time: no cgo, no
// CUDA toolkit. It knows devices, memory and launches, and no model.
package cuda

import (
	"errors"
	"fmt"
)

// ErrNoGPU: this machine has no NVIDIA driver, or no GPU behind it.
var ErrNoGPU = errors.New("no NVIDIA GPU on this machine")

// Device is what the driver says of a GPU.
type Device struct {
	Name       string
	Capability int // compute capability: 90 for 9.0
	Memory     int64
}

func (d Device) String() string {
	return fmt.Sprintf("%s, compute capability %d.%d, %d MB", d.Name, d.Capability/10, d.Capability%10, d.Memory>>20)
}
