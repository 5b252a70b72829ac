package npy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/internal/float16"
	"github.com/hone-ml/hone/tensor"
	"github.com/stretchr/testify/require"
)

func iota16() (v []uint16) {
	for i := range 24 {
		v = append(v, uint16(i))
	}
	return v
}

// The files were written by numpy (testdata/make.py).
var files = map[string]*tensor.Tensor{
	"f4":             tensor.Float32s([]float32{-2.5, -1.5, -0.5, 0.5, 1.5, 2.5}, 2, 3),
	"f4_big_fortran": tensor.Float32s([]float32{-2.5, -1.5, -0.5, 0.5, 1.5, 2.5}, 2, 3),
	"f8_v2":          tensor.From(tensor.Float64, []float64{0, 0.25, 0.5, 0.75, 1, 1.25}, 2, 3),
	"f2_v3":          tensor.From(tensor.Float16, []uint16{0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500}, 2, 3),
	"i8_big":         tensor.Int64s([]int64{-3, -2, -1, 0, 1, 2}, 2, 3),
	"u2_3d_fortran":  tensor.From(tensor.Uint16, iota16(), 2, 3, 4),
	"bool":           tensor.From(tensor.Bool, []bool{true, false, true, false, true, false}, 2, 3),
	"c8_big":         tensor.From(tensor.Complex64, []complex64{5i, 1 + 4i, 2 + 3i, 3 + 2i, 4 + 1i, 5}, 2, 3),
	"unicode_big":    tensor.StringsOf([]string{"héllo", "", "日本", "x"}, 2, 2),
	"bytes":          tensor.StringsOf([]string{"ab", "", "xyz"}, 3),
	"scalar":         tensor.From(tensor.Int32, []int32{7}),
	"empty":          tensor.New(tensor.Float32, 3, 0, 2),
}

func TestReadsWhatNumpyWrites(t *testing.T) {
	for name, want := range files {
		t.Run(name, func(t *testing.T) {
			got, err := ReadFile(filepath.Join("testdata", name+".npy"))
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

// Files that numpy wrote in our layout come out byte for byte the same.
func TestWritesWhatNumpyWrites(t *testing.T) {
	for _, name := range []string{"f4", "bool", "scalar", "empty"} {
		want, err := os.ReadFile(filepath.Join("testdata", name+".npy"))
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, Write(&b, files[name]))
		require.Equal(t, want, b.Bytes(), name)
	}
}

func TestRoundTripsEveryType(t *testing.T) {
	for d := tensor.Float32; d.Valid(); d++ {
		t.Run(d.String(), func(t *testing.T) {
			in := tensor.New(d, 3, 5)
			for i := range in.Data {
				in.Data[i] = byte(i % 2)
			}
			for i := range in.Strings {
				in.Strings[i] = strings.Repeat("ä", i)
			}
			var b bytes.Buffer
			require.NoError(t, Write(&b, in))
			out, err := Read(&b)
			require.NoError(t, err)
			require.Zero(t, b.Len())
			require.Equal(t, in.Shape, out.Shape)
			if out.DType == d {
				require.Equal(t, in, out)
			} else {
				wide, err := widened(in)
				require.NoError(t, err)
				require.Equal(t, wide.Data, out.Data)
			}
		})
	}
}

func TestWidensExactly(t *testing.T) {
	in := tensor.From(tensor.Float8E5M2FNUZ, []uint8{0x7f, 0x40}, 2)
	var b bytes.Buffer
	require.NoError(t, Write(&b, in))
	out, err := Read(&b)
	require.NoError(t, err)
	require.Equal(t, []float32{57344, float16.E5M2FNUZ.ToFloat32(0x40)}, tensor.Of[float32](out))
}

func TestBytesThatAreNoText(t *testing.T) {
	in := tensor.StringsOf([]string{"\xff\x00\xfe", "a"}, 2)
	var b bytes.Buffer
	require.NoError(t, Write(&b, in))
	out, err := Read(&b)
	require.NoError(t, err)
	require.Equal(t, in, out)
	require.ErrorContains(t, Write(&b, tensor.StringsOf([]string{"a\x00"}, 1)), "NUL")
}

// file makes the bytes of a .npy file with the given header text.
func file(head string, data ...byte) []byte {
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(head)))
	return append(append(b, head...), data...)
}

func TestRefuses(t *testing.T) {
	head := func(descr, shape string) []byte {
		return file(fmt.Sprintf("{'descr': %s, 'fortran_order': False, 'shape': %s}", descr, shape))
	}
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"no npy":             {[]byte("PK\x03\x04....."), "not a .npy file"},
		"empty":              {nil, "not a .npy file"},
		"version":            {[]byte(magic + "\x09\x00\x00\x00"), "version 9.0"},
		"header too long":    {[]byte(magic + "\x02\x00\xff\xff\xff\xff"), "header of 4294967295 bytes"},
		"header cut":         {file("{'descr'")[:12], "cut short"},
		"no dictionary":      {file("[1, 2]"), "dictionary"},
		"missing key":        {file("{'descr': '<f4', 'shape': ()}"), `no "fortran_order"`},
		"key twice":          {file("{'descr': '<f4', 'descr': '<f4'}"), "each key once"},
		"unknown key":        {file("{'evil': '<f4'}"), "unknown header key"},
		"trailing text":      {file("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x"), "nothing after"},
		"unquoted":           {file("{descr: '<f4'}"), "quoted"},
		"pickle":             {head("'|O'", "(1,)"), "unpickle"},
		"structured":         {head("[('a', '<f4')]", "(1,)"), "structured"},
		"ml_dtypes":          {head("'<V2'", "(1,)"), "float32"},
		"dates":              {head("'<M8'", "(1,)"), "no counterpart"},
		"negative dim":       {head("'<f4'", "(-1,)"), "size"},
		"huge dim":           {head("'<f4'", "(99999999999999999999,)"), "size"},
		"huge product":       {head("'<f4'", "(4611686018427387904, 4)"), "too many elements"},
		"huge claim":         {head("'<f4'", "(1000000000000,)"), "takes 4000000000000 bytes"},
		"huge string":        {head("'<U2000000000'", "(1000000000,)"), "too large"},
		"many empty strings": {head("'<U0'", "(1000000000,)"), "no size"},
		"too deep":           {head("'<f4'", "("+strings.Repeat("1,", 65)+")"), "more than 64 dims"},
		"short data":         {append(head("'<f4'", "(2,)"), 1, 2, 3), "takes 8 bytes, the file has 3"},
		"no code point":      {append(head("'<U1'", "(1,)"), 0xff, 0xff, 0xff, 0x7f), "code point"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(c.in))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A reader of unknown length is refused when it ends, whatever was claimed.
func TestStreamEndsEarly(t *testing.T) {
	b := file("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", 1, 2, 3, 4)
	_, err := Read(struct{ *bytes.Buffer }{bytes.NewBuffer(b)})
	require.Error(t, err)
	_, err = Read(onlyReader{bytes.NewReader(b)})
	require.ErrorContains(t, err, "found 4")
}

type onlyReader struct{ r *bytes.Reader }

func (o onlyReader) Read(p []byte) (int, error) { return o.r.Read(p) }

func FuzzRead(f *testing.F) {
	names, err := filepath.Glob("testdata/*.npy")
	require.NoError(f, err)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		var w bytes.Buffer
		if err := Write(&w, in); err != nil {
			require.ErrorContains(t, err, "NUL")
			return
		}
		out, err := Read(&w)
		require.NoError(t, err)
		require.Equal(t, in.Shape, out.Shape)
		require.Equal(t, in.Data, out.Data)
	})
}
