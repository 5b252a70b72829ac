package rt

import "golang.org/x/sys/unix"

// adviseHuge asks for huge pages; a system without them answers an error that changes nothing.
func adviseHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
