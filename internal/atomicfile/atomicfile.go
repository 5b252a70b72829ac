// Package atomicfile writes files that are there whole or not at all: to a
// temporary file in the same folder, synced, and renamed when complete. An
// error, a panic or a cancelled context leaves nothing behind and whatever
// was at the path untouched.
package atomicfile

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file in the making. Writes fail once its context is cancelled.
type File struct {
	ctx context.Context
	f   *os.File
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) {
	if err := context.Cause(f.ctx); err != nil {
		return 0, err
	}
	return f.f.Write(p)
}

// WriteAt implements io.WriterAt.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if err := context.Cause(f.ctx); err != nil {
		return 0, err
	}
	return f.f.WriteAt(p, off)
}

// Truncate makes the file size bytes long.
func (f *File) Truncate(size int64) error { return f.f.Truncate(size) }

// Seek implements io.Seeker.
func (f *File) Seek(off int64, whence int) (int64, error) { return f.f.Seek(off, whence) }

// OS returns the file itself, for another process to write to.
func (f *File) OS() *os.File { return f.f }

// Write calls fill with a new file and, where fill returns no error and ctx
// lives, puts it at path. A symbolic link at path is followed; a pipe or
// device is written to as it is, for it can not be replaced.
func Write(ctx context.Context, path string, fill func(*File) error) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	mode := fs.FileMode(0)
	switch st, err := os.Stat(path); {
	case err == nil && st.IsDir():
		return fmt.Errorf("write %s: it is a directory", path)
	case err == nil && !st.Mode().IsRegular():
		return writeThrough(ctx, path, fill)
	case err == nil:
		mode = st.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()[:8]+".tmp")
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// Removed at once on cancellation: the program may end before fill does.
	stop := context.AfterFunc(ctx, func() { os.Remove(tmp) })
	whole := false
	defer func() {
		if !whole {
			stop()
			f.Close()
			os.Remove(tmp)
		}
	}()
	if err := fill(&File{ctx, f}); err != nil {
		return err
	}
	if mode != 0 {
		if err := f.Chmod(mode); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if !stop() {
		return context.Cause(ctx)
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	whole = true
	syncDir(filepath.Dir(path))
	return nil
}

func writeThrough(ctx context.Context, path string, fill func(*File) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(fill(&File{ctx, f}), f.Close())
}

// syncDir makes the rename last over a power cut. Not every system can sync a
// folder; the file is whole either way.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}
