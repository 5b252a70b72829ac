package onnx

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/internal/testenv"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

// packed encodes numbers as one packed field.
func packed(field protowire.Number, vals ...uint64) onnxpb.Raw {
	var b []byte
	for _, v := range vals {
		switch field {
		case 4:
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case 10:
			b = binary.LittleEndian.AppendUint64(b, v)
		default:
			b = protowire.AppendVarint(b, v)
		}
	}
	return onnxpb.Raw{protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), b)}
}

func f32bits(f float32) uint64 { return uint64(math.Float32bits(f)) }

func TestElementListsOfEveryType(t *testing.T) {
	minus := ^uint64(0) // -1 as int32_data has it
	for _, c := range []struct {
		d    tensor.DType
		t    onnxpb.TensorProto
		want *tensor.Tensor
	}{
		{tensor.Float32, onnxpb.TensorProto{FloatData: packed(4, f32bits(1.5), f32bits(-2))}, tensor.Float32s([]float32{1.5, -2}, 2)},
		{tensor.Complex64, onnxpb.TensorProto{FloatData: packed(4, f32bits(1), f32bits(2), f32bits(3), f32bits(4))},
			tensor.From(tensor.Complex64, []complex64{1 + 2i, 3 + 4i}, 2)},
		{tensor.Float64, onnxpb.TensorProto{DoubleData: packed(10, math.Float64bits(1), math.Float64bits(2))}, tensor.From(tensor.Float64, []float64{1, 2}, 2)},
		{tensor.Int8, onnxpb.TensorProto{Int32Data: packed(5, minus, 7)}, tensor.From(tensor.Int8, []int8{-1, 7}, 2)},
		{tensor.Uint16, onnxpb.TensorProto{Int32Data: packed(5, 65535, 7)}, tensor.From(tensor.Uint16, []uint16{65535, 7}, 2)},
		{tensor.Bool, onnxpb.TensorProto{Int32Data: packed(5, 1, 0)}, tensor.From(tensor.Bool, []bool{true, false}, 2)},
		{tensor.Float16, onnxpb.TensorProto{Int32Data: packed(5, 0x3c00, 0xc000)}, tensor.From(tensor.Float16, []uint16{0x3c00, 0xc000}, 2)},
		{tensor.BFloat16, onnxpb.TensorProto{Int32Data: packed(5, 0x3f80, 0xc000)}, tensor.From(tensor.BFloat16, []uint16{0x3f80, 0xc000}, 2)},
		{tensor.Float8E5M2, onnxpb.TensorProto{Int32Data: packed(5, 0x3c, 0xbc)}, tensor.From(tensor.Float8E5M2, []uint8{0x3c, 0xbc}, 2)},
		{tensor.Int64, onnxpb.TensorProto{Int64Data: packed(7, minus, 1<<40)}, tensor.Int64s([]int64{-1, 1 << 40})},
		{tensor.Uint32, onnxpb.TensorProto{Uint64Data: packed(11, 1<<32-1, 2)}, tensor.From(tensor.Uint32, []uint32{1<<32 - 1, 2}, 2)},
		{tensor.Uint64, onnxpb.TensorProto{Uint64Data: packed(11, minus, 2)}, tensor.From(tensor.Uint64, []uint64{minus, 2}, 2)},
		{tensor.Int4, onnxpb.TensorProto{Int32Data: packed(5, 0x7f)}, tensor.From(tensor.Int4, []int8{-1, 7}, 2)},
		{tensor.Int2, onnxpb.TensorProto{Int32Data: packed(5, 0b0110)}, tensor.From(tensor.Int2, []int8{-2, 1}, 2)},
		{tensor.Float6E3M2, onnxpb.TensorProto{Int32Data: packed(5, 0x3f, 1)}, tensor.From(tensor.Float6E3M2, []uint8{0x3f, 1}, 2)},
		{tensor.Float6E2M3, onnxpb.TensorProto{RawData: onnxpb.Blob{B: []byte{0x81, 0x00}}}, tensor.From(tensor.Float6E2M3, []uint8{1, 2}, 2)},
		{tensor.Int4, onnxpb.TensorProto{RawData: onnxpb.Blob{B: []byte{0x7f}}}, tensor.From(tensor.Int4, []int8{-1, 7}, 2)},
	} {
		t.Run(c.d.String(), func(t *testing.T) {
			c.t.DataType, c.t.Dims = int32(c.d), []int64{2}
			d, err := dataOf(&c.t, nil)
			require.NoError(t, err)
			x, err := d.Tensor()
			require.NoError(t, err)
			require.Equal(t, c.want, x)
		})
	}
}

func TestDefectsOfTensors(t *testing.T) {
	one := onnxpb.Blob{B: make([]byte, 4)}
	for want, x := range map[string]*onnxpb.TensorProto{
		"raw data has 4 bytes, f32[2] takes 8":    {DataType: 1, Dims: []int64{2}, RawData: one},
		"dim 0 is -1":                             {DataType: 1, Dims: []int64{-1}, RawData: one},
		"too many elements":                       {DataType: 1, Dims: []int64{1 << 62, 8}, RawData: one},
		"takes more than":                         {DataType: 1, Dims: []int64{1 << 40}, RawData: one},
		"there is no element type 99":             {DataType: 99, RawData: one},
		"there is no element type 0":              {RawData: one},
		"f6e2m3[4] takes 3":                       {DataType: 27, Dims: []int64{4}, RawData: one},
		"strings can not be raw data":             {DataType: 8, RawData: one},
		"float_data has 0 entries, f32[3]":        {DataType: 1, Dims: []int64{3}},
		"int64_data has 2 entries, i64[] takes 1": {DataType: 7, Int64Data: packed(7, 1, 2)},
		"float_data: 3 bytes are no multiple":     {DataType: 1, FloatData: onnxpb.Raw{{0x22, 3, 1, 2, 3}}},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := dataOf(x, nil)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestSparseTensors(t *testing.T) {
	idx := func(dims []int64, vals ...int64) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{DataType: 7, Dims: dims, RawData: onnxpb.Blob{B: tensor.Int64s(vals).Data}}
	}
	for _, c := range []struct {
		name string
		s    onnxpb.SparseTensorProto
		want []float32
		err  string
	}{
		{"flat", onnxpb.SparseTensorProto{Values: floats("v", 1, 2), Indices: idx([]int64{2}, 0, 3), Dims: []int64{2, 2}}, []float32{1, 0, 0, 2}, ""},
		{"coordinates", onnxpb.SparseTensorProto{Values: floats("v", 1), Indices: idx([]int64{1, 2}, 1, 0), Dims: []int64{2, 2}}, []float32{0, 0, 1, 0}, ""},
		{"outside", onnxpb.SparseTensorProto{Values: floats("v", 1), Indices: idx([]int64{1, 2}, 1, 2), Dims: []int64{2, 2}}, nil, "outside dim 1"},
		{"huge", onnxpb.SparseTensorProto{Values: floats("v", 1), Indices: idx([]int64{1}, 0), Dims: []int64{1 << 40}}, nil, "refused to make it dense"},
		{"mismatch", onnxpb.SparseTensorProto{Values: floats("v", 1), Indices: idx([]int64{2}, 0, 1), Dims: []int64{4}}, nil, "indices of shape [2]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := sparseData(&c.s, nil)
			var x *tensor.Tensor
			if err == nil {
				x, err = d.Tensor()
			}
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, tensor.Of[float32](x))
		})
	}
}

func TestExternalDataStaysInTheFolder(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	require.NoError(t, os.WriteFile(secret, make([]byte, 64), 0o600))
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "w.bin"), tensor.Float32s([]float32{1, 2, 3, 4}, 4).Data, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	require.NoError(t, os.Symlink(secret, filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "sub", "out")))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	ext := &external{root: root}
	defer ext.Close()
	tensorAt := func(location, offset, length string) *onnxpb.TensorProto {
		x := &onnxpb.TensorProto{DataType: 1, Dims: []int64{2}, DataLocation: onnxpb.External}
		for k, v := range map[string]string{"location": location, "offset": offset, "length": length} {
			if v != "" {
				x.ExternalData = append(x.ExternalData, &onnxpb.StringStringEntryProto{Key: k, Value: v})
			}
		}
		return x
	}
	d, err := dataOf(tensorAt("w.bin", "4", "8"), ext)
	require.NoError(t, err)
	x, err := d.Tensor()
	require.NoError(t, err)
	require.Equal(t, []float32{2, 3}, tensor.Of[float32](x))

	for _, c := range []struct{ location, offset, length, want string }{
		{"../" + filepath.Base(outside) + "/secret", "", "", "escapes"},
		{secret, "", "", "escapes"},
		{"link", "", "", "escapes"},
		{"sub/out/secret", "", "", "escapes"},
		{"sub", "", "", "is not a regular file"},
		{"gone", "", "", "no such file"},
		{"", "", "", "no location"},
		{"w.bin", "12", "", "8 bytes at 12 are wanted, the file has 16"},
		{"w.bin", strconv.Itoa(math.MaxInt64), "", "the file has 16"},
		{"w.bin", "-1", "", "is not a size"},
		{"w.bin", "0", "16", "length is 16"},
		{"w.bin", "0x4", "", "is not a size"},
	} {
		_, err := dataOf(tensorAt(c.location, c.offset, c.length), ext)
		require.ErrorContains(t, err, c.want, c.location)
	}
	_, err = dataOf(tensorAt("w.bin", "", ""), &external{})
	require.ErrorContains(t, err, "folder is not known")
}

func TestValuesRoundTrip(t *testing.T) {
	x := tensor.Float32s([]float32{1, 2, 3, 4}, 2, 2)
	f32 := ir.Unranked(tensor.Float32)
	for name, c := range map[string]struct {
		v tensor.Value
		t ir.Type
	}{
		"tensor":         {x, f32},
		"strings":        {tensor.StringsOf([]string{"a", "", "ü"}, 3), ir.Unranked(tensor.String)},
		"sequence":       {&tensor.Sequence{Elem: tensor.Float32, Items: []tensor.Value{x, x}}, ir.SequenceOf(f32)},
		"empty sequence": {&tensor.Sequence{Elem: tensor.Float32}, ir.SequenceOf(f32)},
		"none":           {&tensor.Optional{Type: tensor.Float32}, ir.OptionalOf(f32)},
		"some":           {&tensor.Optional{Type: tensor.Float32, Elem: x}, ir.OptionalOf(f32)},
		"some sequence": {&tensor.Optional{Type: tensor.Float32, Elem: &tensor.Sequence{Elem: tensor.Float32, Items: []tensor.Value{x}}},
			ir.OptionalOf(ir.SequenceOf(f32))},
		"sequences": {&tensor.Sequence{Elem: tensor.Float32, Items: []tensor.Value{&tensor.Sequence{Elem: tensor.Float32, Items: []tensor.Value{x}}}},
			ir.SequenceOf(ir.SequenceOf(f32))},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := WriteValue(c.v, "v")
			require.NoError(t, err)
			back, err := ReadValue(b, c.t)
			require.NoError(t, err)
			require.Equal(t, c.v, back)
		})
	}
}

// TestConformanceValuesRead reads every tensor, sequence and optional of
// ONNX's test data.
func TestConformanceValuesRead(t *testing.T) {
	models, err := filepath.Glob(filepath.Join(testenv.Conformance(t), "*", "*", "model.onnx"))
	require.NoError(t, err)
	n := 0
	for _, path := range models {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		m, err := onnxpb.DecodeModel(b)
		require.NoError(t, err)
		read := func(kind string, infos []*onnxpb.ValueInfoProto) {
			for i, v := range infos {
				typ, err := typeOf(ir.NewModule("", 1), v.Type)
				if err != nil {
					require.ErrorContains(t, err, "6-bit", path)
					continue
				}
				files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "test_data_set_*", kind+"_"+strconv.Itoa(i)+".pb"))
				require.NoError(t, err)
				for _, f := range files {
					b, err := os.ReadFile(f)
					require.NoError(t, err)
					_, err = ReadValue(b, typ)
					require.NoError(t, err, f)
					n++
				}
			}
		}
		read("input", m.Graph.Input)
		read("output", m.Graph.Output)
	}
	require.Greater(t, n, 6000)
}
