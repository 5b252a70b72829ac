package mmap

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMapsWhatTheFileHolds(t *testing.T) {
	for name, want := range map[string][]byte{
		"empty":      {},
		"one byte":   {7},
		"many pages": bytes.Repeat([]byte("hone"), 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			require.NoError(t, os.WriteFile(path, want, 0o600))
			f, err := Open(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, f.Bytes()))
			for h := Normal; h <= DontNeed; h++ {
				require.NoError(t, f.Advise(h, 0, len(want)))
				require.NoError(t, f.Advise(h, len(want)/2, len(want)-len(want)/2))
			}
			LetGo()
			require.True(t, bytes.Equal(want, f.Bytes()), "hints change nothing")
			require.Error(t, f.Advise(WillNeed, 1, len(want)))
			require.Error(t, f.Advise(WillNeed, -1, 1))
			require.NoError(t, f.Close())
			require.NoError(t, f.Close())
			require.Empty(t, f.Bytes())
		})
	}
}

func TestSurvivesReplacement(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	f, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".new", []byte("new"), 0o600))
	if err := os.Rename(path+".new", path); err == nil { // Windows refuses while mapped
		require.Equal(t, "old", string(f.Bytes()))
	}
	require.NoError(t, f.Close())
}

func TestRefuses(t *testing.T) {
	_, err := Open(t.TempDir())
	require.ErrorContains(t, err, "is a directory")
	_, err = Open(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(os.DevNull)
	require.ErrorContains(t, err, "not a regular file")
}
