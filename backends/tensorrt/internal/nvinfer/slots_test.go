package nvinfer

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionGate(t *testing.T) {
	_, err := tableFor(10899)
	require.ErrorContains(t, err, "unknown TensorRT version: the library has version 1.8.99; hone knows TensorRT for RTX 1.4.0, ")
	table, err := tableFor(10701)
	require.NoError(t, err)
	require.Equal(t, "TensorRT for RTX 1.7.1", table.name)
	require.Equal(t, "11.4.0", VersionString(110400))
}
