package onnxpb

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hone-ml/hone/internal/mmap"
)

// sample is a model that uses every kind of field once.
func sample() *ModelProto {
	three := int64(3)
	f32 := &TypeProto{Tensor: &TensorTypeProto{ElemType: 1, Shape: &TensorShapeProto{
		Dim: []*DimensionProto{{Param: "N"}, {Value: &three}, {Value: new(int64)}, {}}}}}
	body := &GraphProto{Name: "body", Node: []*NodeProto{{OpType: "Identity", Input: []string{"a"}, Output: []string{"b"}}}}
	t := &TensorProto{Name: "w", DataType: 1, Dims: []int64{2}, RawData: Blob{B: []byte{1, 2, 3, 4, 5, 6, 7, 8}}}
	return &ModelProto{
		IRVersion: 9, ProducerName: "test", ModelVersion: -1, OpsetImport: []*OperatorSetIDProto{{Version: 17}, {Domain: "x", Version: 1}},
		Graph: &GraphProto{
			Name: "g",
			Node: []*NodeProto{{
				Input: []string{"x", "", "w"}, Output: []string{"y"}, Name: "n", OpType: "Op", Domain: "x",
				Attribute: []*AttributeProto{
					{Name: "f", Type: AttrFloat, F: float32(math.Copysign(0, -1))}, {Name: "i", Type: AttrInt}, {Name: "s", Type: AttrString, S: "\xff"},
					{Name: "t", Type: AttrTensor, T: t}, {Name: "g", Type: AttrGraph, G: body}, {Name: "tp", Type: AttrTypeProto, TP: f32},
					{Name: "fs", Type: AttrFloats, Floats: []float32{1, 0}}, {Name: "is", Type: AttrInts, Ints: []int64{-1, 0, 1 << 40}},
					{Name: "ss", Type: AttrStrings, Strings: []string{"a", ""}}, {Name: "r", RefAttrName: "outer", Type: AttrInt},
					{Name: "l", Type: AttrGraphs, Lists: &AttributeLists{Graphs: []*GraphProto{body, body}}},
				},
			}},
			Initializer:       []*TensorProto{t, {Name: "e", DataType: 1, Dims: []int64{0}, RawData: Blob{B: []byte{}}}},
			SparseInitializer: []*SparseTensorProto{{Values: t, Indices: t, Dims: []int64{9}}},
			Input:             []*ValueInfoProto{{Name: "x", Type: f32}, {Name: "q", Type: &TypeProto{Sequence: &ElemTypeProto{ElemType: f32}}}},
			Output:            []*ValueInfoProto{{Name: "y", Type: &TypeProto{Map: &MapTypeProto{KeyType: 7, ValueType: f32}}}},
		},
		MetadataProps: []*StringStringEntryProto{{Key: "k", Value: "v"}},
		Functions:     []*FunctionProto{{Name: "F", Input: []string{"a"}, Output: []string{"b"}, Attribute: []string{"outer"}}},
	}
}

func encode(t testing.TB, m *ModelProto) []byte {
	var b bytes.Buffer
	require.NoError(t, m.Encode(&b))
	require.Equal(t, b.Len(), m.Size())
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	want := encode(t, sample())
	m, err := DecodeModel(want)
	require.NoError(t, err)
	require.Equal(t, want, encode(t, m))
	require.Equal(t, sample().Graph.Node[0].Attribute[7].Ints, m.Graph.Node[0].Attribute[7].Ints)
	require.Nil(t, m.Graph.Input[0].Type.Tensor.Shape.Dim[3].Value)
	require.EqualValues(t, 0, *m.Graph.Input[0].Type.Tensor.Shape.Dim[2].Value)
	require.True(t, m.Graph.Initializer[1].RawData.IsSet(), "empty raw data is not absent data")
}

func TestUnknownFieldsAreKept(t *testing.T) {
	b := encode(t, &ModelProto{IRVersion: 7})
	b = protowire.AppendString(protowire.AppendTag(b, 900, protowire.BytesType), "later")
	b = protowire.AppendVarint(protowire.AppendTag(b, 901, protowire.VarintType), 5)
	b = protowire.AppendTag(protowire.AppendTag(b, 902, protowire.StartGroupType), 902, protowire.EndGroupType)
	m, err := DecodeModel(b)
	require.NoError(t, err)
	require.Len(t, m.Unknown, 1, "neighbours are one view")
	require.Equal(t, b, encode(t, m))
}

func TestNumbersPackedOrNot(t *testing.T) {
	var packed, loose []byte
	for _, v := range []int64{1, -5, 300} {
		packed = protowire.AppendVarint(packed, uint64(v))
		loose = protowire.AppendVarint(protowire.AppendTag(loose, 1, protowire.VarintType), uint64(v))
	}
	b := append(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), packed), loose...)
	m, err := DecodeTensor(b)
	require.NoError(t, err)
	require.Equal(t, []int64{1, -5, 300, 1, -5, 300}, m.Dims)
}

func TestAttributeKindOfOldFiles(t *testing.T) {
	m := &AttributeProto{}
	require.NoError(t, unmarshal(m, protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 0)))
	require.Equal(t, AttrInt, m.Kind())
}

func TestErrorsSayWhere(t *testing.T) {
	ok := encode(t, sample())
	deep := []byte{}
	for range 200 { // graph attributes within graph attributes
		deep = protowire.AppendBytes(protowire.AppendTag(nil, 6, protowire.BytesType), deep)
		deep = protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), deep)
		deep = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), deep)
	}
	field := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"cut short", ok[:len(ok)-1], "unexpected EOF"},
		{"wrong wire type", field(7, field(1, field(5, field(3, nil)))), "at byte 8, graph.node[0].attribute[0].i: wire type 2, want 0"},
		{"broken tag", []byte{0}, "at byte 0, top level: field tag: invalid field number"},
		{"deep", field(7, deep), "nested deeper than 100 levels"},
		{"bad list", field(7, field(5, field(1, []byte{0x80}))), "graph.initializer[0].dims: packed integers: unexpected EOF"},
		{"bad floats", field(7, field(1, field(5, field(7, []byte{1, 2, 3})))), "packed floats take 3 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := DecodeModel(c.b)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestMemoryIsBounded decodes bytes that are made to cost much memory.
func TestMemoryIsBounded(t *testing.T) {
	field := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	for name, b := range map[string][]byte{
		"empty nodes":   field(7, bytes.Repeat([]byte{0x0a, 0}, 1<<21)),
		"empty strings": field(7, field(1, bytes.Repeat([]byte{0x0a, 0}, 1<<21))),
		"packed ints":   field(7, field(1, field(5, field(8, make([]byte, 8<<20))))),
		"scattered":     field(7, field(5, bytes.Repeat([]byte{0x10, 1, 0x78, 1}, 1<<20))),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			m, err := DecodeModel(b)
			runtime.ReadMemStats(&after)
			require.Less(t, after.HeapSys-min(before.HeapSys, after.HeapSys), uint64(64<<20+4*len(b)))
			if err != nil {
				require.ErrorContains(t, err, "refused")
			}
			runtime.KeepAlive(m)
		})
	}
}

func TestLazyDataIsWrittenWhenItsTurnComes(t *testing.T) {
	calls := 0
	m := &TensorProto{Dims: []int64{4}, DataType: 2, RawData: Blob{Size: 4, Load: func() ([]byte, error) { calls++; return []byte("abcd"), nil }}}
	b, err := m.Marshal()
	require.NoError(t, err)
	require.Equal(t, 1, calls)
	back, err := DecodeTensor(b)
	require.NoError(t, err)
	require.Equal(t, "abcd", string(back.RawData.B))
	m.RawData.Size = 5
	_, err = m.Marshal()
	require.ErrorContains(t, err, "4 bytes, 5 were announced")
}

func TestSetStrings(t *testing.T) {
	m := &TensorProto{}
	m.SetStrings([]string{"a", "", "longer"})
	var got []string
	require.NoError(t, m.StringData.Each(func(_ uint64, b []byte) error { got = append(got, string(b)); return nil }))
	require.Equal(t, []string{"a", "", "longer"}, got)
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeModel(b)
		if err != nil {
			return
		}
		again, err := DecodeModel(encode(t, m))
		require.NoError(t, err)
		require.Equal(t, encode(t, m), encode(t, again))
	})
}

// BenchmarkDecodeGiB decodes a model of 1 GiB in 1,024 tensors and reports
// the memory that it takes beside the file.
func BenchmarkDecodeGiB(b *testing.B) {
	path := filepath.Join(b.TempDir(), "big.onnx")
	f, err := os.Create(path)
	require.NoError(b, err)
	defer f.Close()
	m := sample()
	chunk := make([]byte, 1<<20)
	for i := range 1024 {
		m.Graph.Initializer = append(m.Graph.Initializer, &TensorProto{Name: fmt.Sprint("t", i), DataType: 1, Dims: []int64{512, 512}, RawData: Blob{B: chunk}})
		m.Graph.Node = append(m.Graph.Node, m.Graph.Node[0])
	}
	require.NoError(b, m.Encode(f))
	mapped, err := mmap.Map(f)
	require.NoError(b, err)
	defer mapped.Close()
	data := mapped.Bytes()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for b.Loop() {
		_, err := DecodeModel(data)
		require.NoError(b, err)
	}
	b.StopTimer()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1e6, "private-MB/op")
}
