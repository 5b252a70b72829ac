//go:build unix

package rt_test

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// guards are the mappings made since the last release.
var guards [][]byte

// alloc returns n values that end right before a page that nobody may touch, or every other time begin right after one: a driver
// that steps outside of its buffers faults. Buffers that end at a page's end are misaligned for vectors as a rule.
func alloc(n int) []float32 {
	if n == 0 {
		return nil
	}
	page := unix.Getpagesize()
	size := (4*n + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	if err := unix.Mprotect(m[page:page+size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		panic(err)
	}
	guards = append(guards, m)
	start := page
	if len(guards)%2 == 0 {
		start = page + size - 4*n
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&m[start])), n)
}

// release frees what alloc gave.
func release() {
	for _, m := range guards {
		if err := unix.Munmap(m); err != nil {
			panic(err)
		}
	}
	guards = nil
}
