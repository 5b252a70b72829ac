package npy

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// ReadZipFile reads every array of the .npz file at path; see ReadZip.
func ReadZipFile(path string, limit int64) (map[string]*tensor.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m, err := ReadZip(f, st.Size(), limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// ReadZip reads every array of an .npz archive of the given size, by name.
// Archives may be compressed a thousandfold, so limit bounds the bytes that
// all arrays together may unpack to.
func ReadZip(r io.ReaderAt, size, limit int64) (map[string]*tensor.Tensor, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("npz: %w", err)
	}
	arrays := map[string]*tensor.Tensor{}
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, fmt.Errorf("npz: entry %.100q is no .npy array", f.Name)
		}
		if _, twice := arrays[name]; twice {
			return nil, fmt.Errorf("npz: array %.100q is there twice", name)
		}
		if f.UncompressedSize64 > uint64(limit) {
			return nil, fmt.Errorf("npz: array %.100q passes the limit on unpacked bytes", name)
		}
		limit -= int64(f.UncompressedSize64)
		if arrays[name], err = readEntry(f); err != nil {
			return nil, fmt.Errorf("npz: array %.100q: %w", name, err)
		}
	}
	return arrays, nil
}

// readEntry reads one array and checks its checksum.
func readEntry(f *zip.File) (*tensor.Tensor, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t, err := Read(io.LimitReader(r, int64(f.UncompressedSize64)))
	if err != nil {
		return nil, err
	}
	// Reading to the end checks the checksum.
	if n, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	} else if n > 0 {
		return nil, fmt.Errorf("%d bytes after the data", n)
	}
	return t, nil
}
