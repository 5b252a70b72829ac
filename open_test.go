package hone_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone"
)

// What can not be opened is told once, with the file's name.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	text := "module @m opset=28\nfunc @main(%x: f32[N]) -> (y: f32[N]) {\n  return(%x)\n}\n"
	withSide := file("side.ir", text)
	file("side.ir.data", "not a side file")
	frozen := hone.OpenOptions{Dims: map[string]int64{"N": 1}}
	for _, c := range []struct {
		path string
		opt  hone.OpenOptions
		want string
	}{
		{filepath.Join(dir, "none.onnx"), hone.OpenOptions{}, "no such file"},
		{dir, hone.OpenOptions{}, "directory"},
		{file("empty.onnx", ""), hone.OpenOptions{}, "the file is empty"},
		{file("bad.onnx", "\x00\x01\x02"), hone.OpenOptions{}, "not a sound ONNX file"},
		{file("bad.ir", "module @m opset=28\nfunc @main("), hone.OpenOptions{}, "2:12: expected"},
		{file("dims.ir", text), frozen, "dims can be frozen only where an ONNX model is read"},
		{withSide, hone.OpenOptions{}, "side.ir.data: this is not the side file of an IR dump"},
		{file("bad.hone", "HONE\r\n\x1a\n"), hone.OpenOptions{}, "no hone bundle"},
		{"testdata/digits/digits.onnx", hone.OpenOptions{Dims: map[string]int64{"B": 1, "A": 1}}, `no input has a dim "A"; the symbolic dims are "N"`},
		{"testdata/digits/digits.onnx", hone.OpenOptions{InputShapes: map[string][]int64{"z": {1}, "y": {1}}}, `there is no input "y"; the inputs are "image"`},
	} {
		t.Run(filepath.Base(c.path), func(t *testing.T) {
			_, err := hone.Open(c.path, c.opt)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, 1, strings.Count(err.Error(), c.path+": "), err.Error())
		})
	}
	for path, want := range map[string]string{filepath.Join(dir, "none.hone"): "no such file", filepath.Join(dir, "bad.hone"): "no hone bundle"} {
		_, err := hone.Load(path, hone.SessionOptions{})
		require.ErrorContains(t, err, want)
		require.Equal(t, 1, strings.Count(err.Error(), path+": "), err.Error())
	}
}
