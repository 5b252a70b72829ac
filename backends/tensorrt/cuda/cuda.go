// Package cuda launches kernels of package ptx on an NVIDIA GPU through
// libcuda, which comes with the driver and is loaded at run time: no cgo, no
// CUDA toolkit. It knows devices, memory and launches, and no model.
//
// Tests that need a GPU have GPU in their names and are skipped by name where
// there is none. Where there is one, all of them run by
//
//	go test ./backends/tensorrt/... -run GPU -v
//
// What can be tested without is: the calls to the driver go through C to
// functions of the same signatures, which keep memory and run the text; and
// scripts/cuda_signatures.py holds the signatures against NVIDIA's cuda.h.
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
	Bandwidth  float64 // of the memory in GB/s; 0 where the driver does not tell
}

func (d Device) String() string {
	return fmt.Sprintf("%s, compute capability %d.%d, %d MB", d.Name, d.Capability/10, d.Capability%10, d.Memory>>20)
}
