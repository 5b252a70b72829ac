package onnx

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/frontend/onnx/onnxpb"
	"github.com/hone-ml/hone/internal/testenv"
)

// heap returns the bytes that Go's heap holds of the system's memory.
func heap() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() + s[1].Value.Uint64())
}

// survive imports bytes that may be damaged: whatever comes of it, it comes
// soon, within bounded memory and without a panic.
func survive(t *testing.T, what string, b []byte, before int64) {
	start := time.Now()
	_, err := Import(b, Options{})
	if err != nil {
		require.NotEmpty(t, err.Error())
		require.NotContains(t, err.Error(), "internal error", what)
	}
	require.Less(t, time.Since(start), 5*time.Second, what)
	require.Less(t, heap()-before, int64(64<<20+4*len(b)), what)
}

func scalar(name string, v float32) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: name, DataType: 1, RawData: onnxpb.Blob{B: binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))}}
}

// damaged lists the models that are damaged: the small ones.
func damaged(t *testing.T, limit int64) map[string][]byte {
	files := map[string][]byte{}
	for _, path := range modelFiles(t) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		if info.Size() <= limit {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			files[filepath.Base(path)] = b
		}
	}
	return files
}

func TestTruncatedModels(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	for name, b := range damaged(t, 32<<20) {
		runtime.GC()
		before := heap()
		for i := range 64 {
			cut := b[: len(b)*i/64 : len(b)*i/64]
			start := time.Now()
			_, err := Import(cut, Options{})
			require.Error(t, err, "%s cut at %d/64", name, i)
			require.Less(t, time.Since(start), 5*time.Second)
		}
		require.Less(t, heap()-before, int64(64<<20+4*len(b)), name)
	}
}

func TestFlippedBytes(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	rounds := 40
	if testenv.Full() {
		rounds = 10_000
	}
	for name, b := range damaged(t, 5<<20) {
		rng := rand.New(rand.NewPCG(1, uint64(len(b))))
		runtime.GC()
		before := heap()
		c := append([]byte{}, b...)
		for range rounds {
			i, x := rng.IntN(len(c)), byte(1+rng.IntN(255))
			c[i] ^= x
			survive(t, name, c, before)
			c[i] ^= x
		}
	}
}

// TestHostileModels builds small files that ask for much.
func TestHostileModels(t *testing.T) {
	huge := &onnxpb.TensorProto{Name: "w", DataType: 1, Dims: []int64{1 << 62}}
	deep := func(n int) *onnxpb.GraphProto {
		g := &onnxpb.GraphProto{Name: "g", Output: []*onnxpb.ValueInfoProto{output("c")},
			Node: []*onnxpb.NodeProto{node("Identity", s("x"), s("c"))}}
		for range n {
			g = &onnxpb.GraphProto{Name: "g", Output: []*onnxpb.ValueInfoProto{output("c")},
				Node: []*onnxpb.NodeProto{node("If", s("cond"), s("c"),
					&onnxpb.AttributeProto{Name: "then_branch", Type: onnxpb.AttrGraph, G: g},
					&onnxpb.AttributeProto{Name: "else_branch", Type: onnxpb.AttrGraph, G: &onnxpb.GraphProto{
						Output: []*onnxpb.ValueInfoProto{output("d")}, Node: []*onnxpb.NodeProto{node("Identity", s("x"), s("d"))}}})}}
		}
		g.Input = []*onnxpb.ValueInfoProto{input("x", 1), input("cond")}
		g.Input[1].Type.Tensor.ElemType = 9
		return g
	}
	fill := func(n int64) *onnxpb.GraphProto {
		shape := &onnxpb.TensorProto{Name: "s", DataType: 7, Dims: []int64{1}, Int64Data: packed(7, uint64(n))}
		return &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{shape}, Output: []*onnxpb.ValueInfoProto{output("y")},
			Node: []*onnxpb.NodeProto{node("ConstantOfShape", s("s"), s("y"))}}
	}
	grow := func(op string, elems ...float32) *onnxpb.GraphProto {
		g := &onnxpb.GraphProto{Output: []*onnxpb.ValueInfoProto{output("y")}}
		n := node(op, nil, s("y"))
		for i, v := range elems {
			name := string(rune('a' + i))
			g.Initializer = append(g.Initializer, scalar(name, v))
			n.Input = append(n.Input, name)
		}
		if op == "OneHot" {
			g.Initializer = append(g.Initializer, &onnxpb.TensorProto{Name: "v", DataType: 1, Dims: []int64{2}, RawData: onnxpb.Blob{B: make([]byte, 8)}})
			n.Input = append(n.Input, "v")
		}
		g.Node = []*onnxpb.NodeProto{n}
		return g
	}
	for _, c := range []struct {
		name string
		g    *onnxpb.GraphProto
		want string // of the error; empty where the model is a sound one
	}{
		{"huge initializer", &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{huge}}, `initializer 0, "w"`},
		{"nested", deep(10), ""},
		{"deep", deep(20), "nested deeper than 16"},
		{"large result", fill(1 << 40), ""},
		{"long range", grow("Range", 0.5, 2e8, 1), ""},
		{"one hot of many", grow("OneHot", 0, 8e6+0.5), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bytesOf(t, model(c.g))
			runtime.GC()
			before := heap()
			_, err := importOf(t, model(c.g), Options{})
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
			require.Less(t, heap()-before, int64(64<<20+4*len(b)))
		})
	}
}
