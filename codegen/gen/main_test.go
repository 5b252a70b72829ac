package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const kernelsDir = "../../backends/cpu/kernels"

func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := generate()
	require.NoError(t, err)
	committed, err := filepath.Glob(filepath.Join(kernelsDir, "z*"))
	require.NoError(t, err)
	for _, path := range committed {
		require.Contains(t, files, filepath.Base(path), "a stray generated file")
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(kernelsDir, name))
		require.NoError(t, err)
		require.True(t, string(want) == string(got), "%s is stale: run go generate ./backends/cpu/kernels", name)
	}
}

func TestWriteReplacesOldFiles(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "zold.s"), nil, 0o644))
	require.NoError(t, write(map[string][]byte{"znew.s": []byte("x")}, dir))
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "znew.s")}, left)
}
