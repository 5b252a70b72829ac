package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// What lies in the package is what go generate makes of the version in go.mod.
func TestNotStale(t *testing.T) {
	want, err := module()
	require.NoError(t, err)
	file, err := os.ReadFile("../graphviz.wasm.gz")
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(file))
	require.NoError(t, err)
	got, err := io.ReadAll(z)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "run go generate ./internal/graphviz")
}
