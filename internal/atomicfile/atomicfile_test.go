package atomicfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func text(s string) func(*File) error {
	return func(f *File) error { _, err := f.Write([]byte(s)); return err }
}

// holds checks that dir has the file "out" with the given text and no other.
func holds(t *testing.T, dir, want string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	if want == "" {
		require.Empty(t, entries)
		return
	}
	require.Len(t, entries, 1)
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	require.NoError(t, err)
	require.Equal(t, want, string(b))
}

func TestWritesAndReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	require.NoError(t, Write(t.Context(), path, text("one")))
	holds(t, dir, "one")
	require.NoError(t, Write(t.Context(), path, func(f *File) error {
		if _, err := f.Seek(2, 0); err != nil {
			return err
		}
		if err := text("o")(f); err != nil {
			return err
		}
		_, err := f.WriteAt([]byte("tw"), 0)
		return err
	}))
	holds(t, dir, "two")
}

func TestFailureLeavesNothing(t *testing.T) {
	for _, before := range []string{"", "old"} {
		for name, fill := range map[string]func(*File) error{
			"error": func(f *File) error { return errors.Join(text("half")(f), errors.New("broken")) },
			"panic": func(f *File) error { text("half")(f); panic("broken") },
		} {
			t.Run(name+" over "+before, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "out")
				if before != "" {
					require.NoError(t, os.WriteFile(path, []byte(before), 0o600))
				}
				func() {
					defer func() { recover() }()
					require.ErrorContains(t, Write(t.Context(), path, fill), "broken")
				}()
				holds(t, dir, before)
			})
		}
	}
}

func TestCancellationLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	stopped := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := Write(ctx, path, func(f *File) error {
		require.NoError(t, text("half")(f))
		cancel(stopped)
		return text("more")(f)
	})
	require.ErrorIs(t, err, stopped)
	holds(t, dir, "")

	// Also where fill does not notice.
	ctx, cancel = context.WithCancelCause(t.Context())
	err = Write(ctx, path, func(f *File) error { cancel(stopped); return nil })
	require.ErrorIs(t, err, stopped)
	holds(t, dir, "")
}

func TestKeepsModeAndLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no POSIX modes, and links need a privilege")
	}
	dir, real := t.TempDir(), filepath.Join(t.TempDir(), "real")
	require.NoError(t, os.WriteFile(real, nil, 0o640))
	link := filepath.Join(dir, "out")
	require.NoError(t, os.Symlink(real, link))
	require.NoError(t, Write(t.Context(), link, text("x")))
	holds(t, dir, "x")
	st, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, st.Mode()&fs.ModeSymlink)
	st, err = os.Stat(real)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), st.Mode().Perm())
}

func TestDevicesAndFolders(t *testing.T) {
	require.NoError(t, Write(t.Context(), os.DevNull, text("gone")))
	st, err := os.Stat(os.DevNull)
	require.NoError(t, err)
	require.False(t, st.Mode().IsRegular(), "the device is still one")
	require.ErrorContains(t, Write(t.Context(), t.TempDir(), text("x")), "directory")
	require.Error(t, Write(t.Context(), filepath.Join(t.TempDir(), "no", "out"), text("x")))
}
