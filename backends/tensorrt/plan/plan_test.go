package plan_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/tensorrt/plan"
)

// sample is a plan with what real ones have, written here by the same
// understanding of the format; package tensorrt reads real ones in its tests.
func sample() []byte {
	le := binary.LittleEndian
	tag := func(t byte) []byte { return []byte{t, 0x80, 1, 0} }
	array := func(t byte, n int) []byte {
		return le.AppendUint64(append([]byte{1, 0x80}, tag(t)...), uint64(n))
	}
	end := func(t byte) []byte { return le.AppendUint16(nil, ^(0x8000 + uint16(t))) }
	u32 := func(t byte, v uint32) []byte { return le.AppendUint32(tag(t), v) }
	dims := func(shape []int64) []byte {
		b := u32(0x07, uint32(len(shape)))
		if shape == nil {
			b = u32(0x07, ^uint32(0))
		} else {
			b = append(b, array(0x09, len(shape))...)
			for _, d := range shape {
				b = le.AppendUint64(b, uint64(d))
			}
		}
		return append(b, end(0x59)...)
	}
	binding := func(name string, kind, flow, index uint32, shape ...int64) []byte {
		return bytes.Join([][]byte{tag(0x43), u32(0x16, 0), tag(0x41), tag(0x13), le.AppendUint64(nil, uint64(len(name))), array(0x0c, len(name)), []byte(name),
			tag(0x0d), u32(0x07, kind), tag(0x59), dims(shape), tag(0x28), u32(0x07, flow), u32(0x06, index), end(0x41), end(0x43)}, nil)
	}
	ranges := func(shapes ...[]int64) []byte {
		b := array(0x59, 3)
		for _, s := range shapes {
			b = append(b, dims(s)...)
		}
		return append(b, end(0x37)...)
	}
	profile := func(shapes ...[]int64) []byte {
		return bytes.Join([][]byte{array(0x37, 2), ranges(shapes...), ranges(nil, nil, nil), end(0x39)}, nil)
	}
	engine := bytes.Join([][]byte{
		binding("y", 0, 1, 1, -7, 8), binding("x", 1, 0, 0, -7, 8), binding("x [profile 1]", 1, 0, 2, -7, 8),
		[]byte(`header {
  version = 5
  accelerators={sm86 sm89 }
}
main {
 label bb1:
  function={ name=__myl_Add fqn=__myl_Add_0x0 stream=0 layers="[ONNX Layer: first]` + "\x1f" + `[ONNX Layer: second]" swap_ab=false }
  function={ name=_gemm_mha_v2 fqn=_gemm_mha_v2_0x0 layers="[ONNX Layer: scores]" }
  fully_connected={ name="third" output={"y" } layers="[ONNX Layer: third]" }
}
header {
  version = 4
  accelerators={*}
}
main {
 label bb1:
  add={ name="inside a fusion" layers="[ONNX Layer: third]" }
}
extern "C" __global__ void __myl_Add_0x0123456789abcdef0123456789abcdef(float* x)
extern "C" __global__ void __myl_Add_0x0123456789abcdef0123456789abcdef_vec(float* x)
`),
		array(0x39, 2), profile([]int64{1, 8}, []int64{4, 8}, []int64{16, 8}), profile([]int64{32, 8}, []int64{32, 8}, []int64{64, 8}),
	}, nil)
	weights := make([]byte, 64)
	size := 0x70 + len(engine) + len(weights) + 4
	head := make([]byte, 0x70)
	copy(head, "vtrt")
	le.PutUint32(head[8:], 2)
	le.PutUint64(head[0x10:], uint64(size))
	copy(head[0x18:], "\x01\x07\x01\x74vtrt")
	le.PutUint64(head[0x20:], 1<<2|1<<3)
	le.PutUint64(head[0x38:], uint64(len(weights)))
	for i, s := range []struct {
		tag    string
		at, to int
	}{{"NGNE", 0x70, len(engine)}, {"THGW", 0x70 + len(engine), len(weights)}} {
		copy(head[0x40+24*i:], s.tag)
		le.PutUint64(head[0x48+24*i:], uint64(s.at))
		le.PutUint64(head[0x50+24*i:], uint64(s.to))
	}
	return le.AppendUint32(bytes.Join([][]byte{head, engine, weights}, nil), 0x8b8d8b99)
}

func TestRead(t *testing.T) {
	p, err := plan.Read(sample())
	require.NoError(t, err)
	require.Equal(t, [4]int{1, 7, 1, 116}, p.Version)
	require.Equal(t, []int{86, 89}, p.Capabilities)
	require.Zero(t, p.UnknownMask)
	require.Equal(t, int64(64), p.WeightBytes)
	require.Len(t, p.Bindings, 2)
	x, y := p.Bindings[0], p.Bindings[1]
	require.Equal(t, "x", x.Name)
	require.True(t, x.Input)
	require.Equal(t, "f16", x.Type)
	require.Equal(t, []int64{-1, 8}, x.Shape)
	require.Equal(t, "y", y.Name)
	require.False(t, y.Input)
	require.Equal(t, []plan.Profile{
		{{Input: "x", Min: []int64{1, 8}, Opt: []int64{4, 8}, Max: []int64{16, 8}}},
		{{Input: "x", Min: []int64{32, 8}, Opt: []int64{32, 8}, Max: []int64{64, 8}}},
	}, p.Profiles)
	require.Equal(t, []plan.Layer{
		{Kind: "function", Name: "myl_Add", Origin: []string{"first", "second"}},
		{Kind: "function", Name: "gemm_mha_v2", Origin: []string{"scores"}},
		{Kind: "fully_connected", Name: "third", Origin: []string{"third"}},
	}, p.Layers, "steps inside a fusion are not layers")
	require.Equal(t, 1, p.AttentionKernels())
	require.Equal(t, map[string]int{"myl_Add": 2}, p.Kernels)
	text := p.String()
	for _, want := range []string{"TensorRT for RTX 1.7.1.116", "86 89", "x f16[?,8]", "profile 1    x=32x8..32x8..64x8", "fused in 1 layers"} {
		require.Contains(t, text, want)
	}
}

func TestReadRefuses(t *testing.T) {
	good := sample()
	change := func(f func([]byte)) []byte {
		b := append([]byte(nil), good...)
		f(b)
		return b
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":         {nil, "not a plan"},
		"ONNX":            {[]byte("\x08\x08:\x10 an ONNX model, say, of more than a few bytes........................"), "not a plan"},
		"cut short":       {good[:len(good)-1], "has"},
		"damaged end":     {change(func(b []byte) { b[len(b)-1]++ }), "cut short or damaged"},
		"weights too big": {change(func(b []byte) { binary.LittleEndian.PutUint64(b[0x38:], 1<<63) }), "bytes of weights"},
		"section outside": {change(func(b []byte) { binary.LittleEndian.PutUint64(b[0x50:], 1<<62) }), "lies outside"},
		"section wraps":   {change(func(b []byte) { binary.LittleEndian.PutUint64(b[0x48:], ^uint64(0)) }), "lies outside"},
		"many sections":   {change(func(b []byte) { binary.LittleEndian.PutUint32(b[8:], 1<<30) }), "sections"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plan.Read(c.data)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// FuzzRead: no input makes the reader fault, and what it reads can be shown.
func FuzzRead(f *testing.F) {
	good := sample()
	f.Add(good, 0, byte(0))
	for at := 0; at < len(good); at += len(good) / 64 {
		f.Add(good, at, byte(0x80))
	}
	f.Fuzz(func(t *testing.T, data []byte, at int, flip byte) {
		data = append([]byte(nil), data...)
		if at >= 0 && at < len(data) {
			data[at] ^= flip
		}
		if len(data) > 0x70 { // keep the outer checks from hiding the inner ones
			binary.LittleEndian.PutUint64(data[0x10:], uint64(len(data)))
		}
		p, err := plan.Read(data)
		if err == nil && p.String() == "" {
			t.Fatal("a plan that says nothing")
		}
	})
}
