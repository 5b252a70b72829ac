//go:build !unix

package rt

import "unsafe"

// Go's heap stands in where mmap is not at hand: the collector does not move it, and Mem keeps it alive.
func sysAlloc(n int) ([]byte, error) {
	b := make([]byte, n+Align)
	off := int(-uintptr(unsafe.Pointer(&b[0])) & (Align - 1))
	return b[off : off+n : off+n], nil
}

func sysFree([]byte) error { return nil }
