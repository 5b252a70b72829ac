// Package mmap maps whole files for reading, so that a model's weights cost
// no memory of the process until they are touched. Where the system has no
// mapping, the file is read instead.
//
// The bytes change under the reader where another process writes to the file,
// and touching them after it was cut short kills the process: map only files
// that are replaced by renaming (package atomicfile), and copy what can not be
// trusted.
package mmap

import (
	"fmt"
	"math"
	"os"
	"sync"
)

// Hint tells the system how the bytes will be used.
type Hint int

// Sequential asks for read-ahead, Random for none, WillNeed for reading in
// advance; DontNeed lets pages go that are not needed soon.
const (
	Normal Hint = iota
	Sequential
	Random
	WillNeed
	DontNeed
)

// File is a mapped file.
type File struct {
	mu    sync.Mutex
	data  []byte
	unmap func([]byte) error
}

// Open maps the regular file at path. An empty file maps to no bytes.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Map(f)
}

// Map maps an open file. The mapping outlives f, which stays the caller's.
func Map(f *os.File) (*File, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := st.Size()
	switch {
	case st.IsDir():
		return nil, fmt.Errorf("%s is a directory, want a file", f.Name())
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file and can not be mapped", f.Name())
	case size > math.MaxInt:
		return nil, fmt.Errorf("%s has %d bytes, more than this machine can address", f.Name(), size)
	case size == 0:
		return &File{}, nil
	}
	data, err := mapFile(f, int(size))
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	m := &File{data: data, unmap: unmapFile}
	live.Store(m, nil)
	return m, nil
}

// live holds the files that are mapped.
var live sync.Map

// LetGo lets go the memory behind all mapped files of this process, for a long
// wait in which none is read. The bytes come back from the files when touched.
func LetGo() {
	live.Range(func(k, _ any) bool {
		f := k.(*File)
		f.Advise(DontNeed, 0, len(f.Bytes()))
		return true
	})
}

// Bytes returns the file's bytes. They must not be written to, nor used after
// Close.
func (f *File) Bytes() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.data
}

// Advise passes the hint for the bytes from off to off+n; offsets need no
// alignment. Systems may ignore it, and errors mean no more than that.
func (f *File) Advise(h Hint, off, n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < 0 || n < 0 || off > len(f.data) || n > len(f.data)-off {
		return fmt.Errorf("advise: bytes %d+%d of %d", off, n, len(f.data))
	}
	if n == 0 {
		return nil
	}
	start := off &^ (os.Getpagesize() - 1)
	return advise(f.data[start:off+n], h)
}

// Close ends the mapping. Closing again does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, unmap := f.data, f.unmap
	f.data, f.unmap = nil, nil
	live.Delete(f)
	if unmap == nil {
		return nil
	}
	return unmap(data)
}
