package rt

import (
	"fmt"
	"unsafe"
)

// Align is the alignment in bytes of everything that Alloc and Scratch hand out: one cache line, one AVX-512 vector.
const Align = 64

// hugePage is the size from which memory asks for huge pages.
const hugePage = 2 << 20

// Mem is a block of zeroed memory outside Go's heap, aligned to a page. The zero Mem is empty.
type Mem struct {
	b []byte
}

// Alloc returns n zeroed bytes outside Go's heap, with huge pages where the system gives them.
// The collector neither scans nor frees it: call Free.
func Alloc(n int) (Mem, error) {
	if n < 0 || n > 1<<47 {
		return Mem{}, fmt.Errorf("cannot allocate %d bytes", n)
	}
	if n == 0 {
		return Mem{}, nil
	}
	b, err := sysAlloc(n)
	if err != nil {
		return Mem{}, fmt.Errorf("cannot allocate %d bytes: %w", n, err)
	}
	return Mem{b}, nil
}

// Bytes is the block's content; it must not be used after Free.
func (m Mem) Bytes() []byte { return m.b }

// Len is the block's size in bytes.
func (m Mem) Len() int { return len(m.b) }

// Ptr is the block's first byte, nil if it is empty.
func (m Mem) Ptr() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(m.b)) }

// At is the address off bytes into the block. It panics outside of it.
func (m Mem) At(off int) unsafe.Pointer { return unsafe.Pointer(&m.b[off]) }

// Slice is the part of n bytes that begins off bytes into the block, which still owns it: do not free it.
func (m Mem) Slice(off, n int) Mem { return Mem{m.b[off : off+n : off+n]} }

// Floats views the block as float32 values.
func (m Mem) Floats() []float32 {
	return unsafe.Slice((*float32)(m.Ptr()), len(m.b)/4)
}

// Free returns the block to the system and empties m.
func (m *Mem) Free() error {
	b := m.b
	m.b = nil
	if len(b) == 0 {
		return nil
	}
	return sysFree(b)
}

// roundUp is the least multiple of m that is at least n.
func roundUp(n, m int) int { return (n + m - 1) / m * m }

// ceilDiv is n/m rounded up.
func ceilDiv(n, m int) int { return (n + m - 1) / m }

// The rest turns pointers to addresses and back. An address becomes a pointer only where memory is touched.

func addr(p unsafe.Pointer) uintptr { return uintptr(p) }

func pointer(a uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }

// at is a moved by n bytes.
func at(a uintptr, n int) uintptr { return a + uintptr(n) }

// floats views n float32 values at a.
func floats(a uintptr, n int) []float32 {
	if n <= 0 {
		return nil
	}
	return unsafe.Slice((*float32)(pointer(a)), n)
}

// float is the float32 at a.
func float(a uintptr) *float32 { return (*float32)(pointer(a)) }

// lanes views 16 float32 values at a.
func lanes(a uintptr) *[Lanes]float32 { return (*[Lanes]float32)(pointer(a)) }

// int32s views n int32 values at a.
func int32s(a uintptr, n int) []int32 {
	if n <= 0 {
		return nil
	}
	return unsafe.Slice((*int32)(pointer(a)), n)
}

// ints views n int64 values at a.
func ints(a uintptr, n int) []int64 {
	if n <= 0 {
		return nil
	}
	return unsafe.Slice((*int64)(pointer(a)), n)
}

// tables is the memory of a table of steps.
func tables(x []int64) []Range { return []Range{span(table(x), 8*len(x), false)} }

// table is the address of a table of steps, 0 if it is empty.
func table(x []int64) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(x))) }

// sizeOf is the bytes of a T.
func sizeOf[T any]() int { var x T; return int(unsafe.Sizeof(x)) }
