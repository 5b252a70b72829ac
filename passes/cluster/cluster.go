// Package cluster lets the weights of a layer share a few values: k-means over
// each weight tensor gives a codebook, and the weights become indices into it
// (Han et al., "Deep Compression", ICLR 2016). In ONNX that is a Gather from
// the codebook, which any runtime runs.
package cluster

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "cluster",
		Help: "let the weights of each layer share the values of a codebook found by k-means",
		Options: []passes.Option{
			{Name: "bits", Default: "4", Help: "1 to 8: a codebook has 2^bits values"},
			{Name: "storage", Default: "uint8", Help: "how indices are stored: uint8, or uint4 (half the size, ONNX opset 21, up to 4 bits)"},
			{Name: "exclude", Help: "layers to leave alone: names, | between them, * for any text"},
		},
		New: newPass,
	})
}

func newPass(o passes.Options) (passes.Pass, error) {
	bits, err := strconv.Atoi(o["bits"])
	if err != nil || bits < 1 || bits > 8 {
		return nil, fmt.Errorf("cluster: bits=%s: choose 1 to 8", o["bits"])
	}
	storage, ok := tensor.ParseDType(map[string]string{"uint8": "u8", "uint4": "u4"}[o["storage"]])
	if !ok || storage == tensor.Uint4 && bits > 4 {
		return nil, fmt.Errorf("cluster: storage=%s with %d bits: choose uint8, or uint4 with up to 4 bits", o["storage"], bits)
	}
	exclude := layers.ParsePatterns(o["exclude"])
	return passes.Func("cluster", func(c *passes.Context, m *ir.Module) (changed bool, err error) {
		found, err := layers.Find(m, exclude)
		if err != nil {
			return false, err
		}
		for _, l := range found {
			if l.Weight.Len() <= 1<<bits {
				continue
			}
			w, err := l.Values()
			if err != nil {
				return changed, err
			}
			ok, err := l.Replace(c, "codebook", func(b *ir.Builder) (*ir.Value, error) {
				book, codes := kmeans(w, 1<<bits)
				return gathered(b, book, tensor.From(storage, codes, l.Weight.Shape...))
			})
			changed = changed || ok
			if err != nil {
				return changed, err
			}
		}
		return changed, nil
	}), nil
}

// gathered inserts what restores the weights: book[codes].
func gathered(b *ir.Builder, book []float32, codes *tensor.Tensor) (*ir.Value, error) {
	wide, err := ops.Build(b, "Cast", []*ir.Value{b.Tensor(codes)}, ir.Attr{Name: "to", Value: int64(tensor.Int32)})
	if err != nil {
		return nil, err
	}
	y, err := ops.Build(b, "Gather", []*ir.Value{b.Tensor(tensor.Float32s(book, len(book))), wide.Result(0)}, ir.Attr{Name: "axis", Value: int64(0)})
	if err != nil {
		return nil, err
	}
	return y.Result(0), nil
}

// kmeans finds k values that stand for all of w with a small squared error, and
// the index of the nearest one for each. It is Lloyd's algorithm on the
// sorted weights, where a cluster is a range and its mean comes from prefix
// sums; it starts with values spread evenly over the range of w, which keeps
// the rare large weights.
func kmeans(w []float32, k int) (book []float32, codes []uint8) {
	sorted := slices.Clone(w)
	slices.Sort(sorted)
	n := len(sorted)
	prefix := make([]float64, n+1)
	for i, x := range sorted {
		prefix[i+1] = prefix[i] + float64(x)
	}
	centers := make([]float64, k)
	lo, hi := float64(sorted[0]), float64(sorted[n-1])
	for i := range centers {
		centers[i] = lo + (hi-lo)*(float64(i)+0.5)/float64(k)
	}
	for range 300 {
		moved := false
		for i, from := 0, 0; i < k; i++ {
			to := n
			if i+1 < k {
				middle := float32((centers[i] + centers[i+1]) / 2)
				to, _ = slices.BinarySearch(sorted, middle)
			}
			if to > from {
				mean := (prefix[to] - prefix[from]) / float64(to-from)
				moved = moved || mean != centers[i]
				centers[i] = mean
				from = to
			}
		}
		if !moved {
			break
		}
	}
	slices.Sort(centers)
	book, codes = make([]float32, k), make([]uint8, n)
	for i, c := range centers {
		book[i] = float32(c)
	}
	for i, x := range w {
		j, _ := slices.BinarySearch(book, x)
		if j == k || j > 0 && x-book[j-1] <= book[j]-x {
			j--
		}
		codes[i] = uint8(j)
	}
	return book, codes
}
