//go:build unix

package rt

import "golang.org/x/sys/unix"

func sysAlloc(n int) ([]byte, error) {
	size := roundUp(n, 4096)
	if n >= hugePage {
		size = roundUp(n, hugePage)
	}
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	if n >= hugePage {
		adviseHuge(b)
	}
	return b, nil
}

func sysFree(b []byte) error { return unix.Munmap(b[:cap(b)]) }
