//go:build !unix && !windows

package mmap

import (
	"io"
	"os"
)

func mapFile(f *os.File, size int) ([]byte, error) {
	b := make([]byte, size)
	_, err := io.ReadFull(io.NewSectionReader(f, 0, int64(size)), b)
	return b, err
}

func unmapFile([]byte) error { return nil }

func advise([]byte, Hint) error { return nil }
