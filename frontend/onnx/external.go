package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/internal/mmap"
	"github.com/hone-ml/hone/tensor"
)

// external finds tensor data in other files of the model's folder. Paths can
// not leave the folder, by whatever trick: os.Root sees to it.
type external struct {
	root  *os.Root
	files map[string]*mmap.File
}

// bytes returns a view of the data of t, which has n elements of type d.
func (e *external) bytes(t *onnxpb.TensorProto, d tensor.DType, n int) ([]byte, error) {
	var location string
	offset, length := int64(0), int64(-1)
	for _, kv := range t.ExternalData {
		var err error
		switch kv.Key {
		case "location":
			location = kv.Value
		case "offset":
			offset, err = strconv.ParseInt(kv.Value, 10, 64)
		case "length":
			length, err = strconv.ParseInt(kv.Value, 10, 64)
		}
		if err != nil || offset < 0 || length < -1 {
			return nil, fmt.Errorf("external data: %s %q is not a size", kv.Key, kv.Value)
		}
	}
	switch {
	case d == tensor.String:
		return nil, fmt.Errorf("external data: strings can not lie outside the file")
	case location == "":
		return nil, fmt.Errorf("external data: no location is given")
	case e == nil || e.root == nil:
		return nil, fmt.Errorf("external data %q: the model was not opened from a file, so its folder is not known", location)
	}
	data, err := e.open(location)
	if err != nil {
		return nil, fmt.Errorf("external data %q: %w", location, err)
	}
	want := int64(d.WireSize(n))
	if length >= 0 && length != want {
		return nil, fmt.Errorf("external data %q: length is %d, %s%v takes %d bytes", location, length, d, t.Dims, want)
	}
	if offset > int64(len(data)) || want > int64(len(data))-offset {
		return nil, fmt.Errorf("external data %q: %d bytes at %d are wanted, the file has %d", location, want, offset, len(data))
	}
	return data[offset : offset+want : offset+want], nil
}

// open maps a file of the folder, once.
func (e *external) open(location string) ([]byte, error) {
	if f := e.files[location]; f != nil {
		return f.Bytes(), nil
	}
	name := filepath.FromSlash(location)
	info, err := e.root.Stat(name) // before opening: a pipe would wait for a writer
	if err != nil {
		return nil, plain(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("is not a regular file")
	}
	f, err := e.root.Open(name)
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	m, err := mmap.Map(f)
	if err != nil {
		return nil, err
	}
	if e.files == nil {
		e.files = map[string]*mmap.File{}
	}
	e.files[location] = m
	return m.Bytes(), nil
}

// plain drops the operation and the path, which the caller names.
func plain(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err
	}
	return err
}

// Close ends the mappings.
func (e *external) Close() error {
	var errs []error
	for _, f := range e.files {
		errs = append(errs, f.Close())
	}
	e.files = nil
	return errors.Join(errs...)
}
