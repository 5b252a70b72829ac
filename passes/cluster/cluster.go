// Package cluster lets the weights of a layer share a few values: k-means over
// each weight tensor, its output channels scaled alike, gives a codebook, and the
// weights become indices into it (Han et al., "Deep Compression", ICLR 2016). In
// ONNX that is a Gather from the codebook and a Mul, which any runtime runs.
package cluster

import (
	"fmt"
	"math"
	"slices"

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
			{Name: "bits", Default: "4", Type: passes.Int(1, 8), Help: "1 to 8: a codebook has 2^bits values"},
			{Name: "storage", Default: "uint8", Type: passes.OneOf("uint8", "uint4"), Help: "how indices are stored: uint8, or uint4 (half the size, ONNX opset 21, up to 4 bits)"},
			{Name: "exclude", Help: "layers to leave alone: names, | between them, * for any text"},
		},
		New: newPass,
	})
}

func newPass(o passes.Options) (passes.Pass, error) {
	bits, storage := o.Int("bits"), tensor.Uint8
	if o["storage"] == "uint4" {
		storage = tensor.Uint4
	}
	if storage == tensor.Uint4 && bits > 4 {
		return nil, fmt.Errorf("cluster: storage=uint4 holds up to 4 bits, not %d: choose uint8", bits)
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
				even, scale := normalized(w, l)
				book, codes := kmeans(even, 1<<bits)
				return gathered(b, book, tensor.From(storage, codes, l.Weight.Shape...), scale)
			})
			changed = changed || ok
			if err != nil {
				return changed, err
			}
		}
		return changed, nil
	}), nil
}

// normalized returns the weights over the root mean square of their output
// channel, and that, in a shape that broadcasts: so channels of all sizes get by
// with one codebook.
func normalized(w []float32, l layers.Layer) ([]float32, *tensor.Tensor) {
	shape := make([]int, len(l.Weight.Shape))
	for i := range shape {
		shape[i] = 1
	}
	n := l.Weight.Shape[l.Out]
	shape[l.Out] = n
	power := make([]float64, n)
	layers.Channels(l.Weight.Shape, l.Out, func(i, ch int) { power[ch] += float64(w[i]) * float64(w[i]) })
	scale := tensor.New(tensor.Float32, shape...)
	s := tensor.Of[float32](scale)
	for ch, p := range power {
		if s[ch] = float32(math.Sqrt(p * float64(n) / float64(len(w)))); s[ch] == 0 {
			s[ch] = 1
		}
	}
	even := make([]float32, len(w))
	layers.Channels(l.Weight.Shape, l.Out, func(i, ch int) { even[i] = w[i] / s[ch] })
	return even, scale
}

// gathered inserts what restores the weights: book[codes] * scale.
func gathered(b *ir.Builder, book []float32, codes, scale *tensor.Tensor) (*ir.Value, error) {
	wide, err := ops.Build(b, "Cast", []*ir.Value{b.Tensor(codes)}, ir.Attr{Name: "to", Value: int64(tensor.Int32)})
	if err != nil {
		return nil, err
	}
	y, err := ops.Build(b, "Gather", []*ir.Value{b.Tensor(tensor.Float32s(book, len(book))), wide.Result(0)}, ir.Attr{Name: "axis", Value: int64(0)})
	if err != nil {
		return nil, err
	}
	y, err = ops.Build(b, "Mul", []*ir.Value{y.Result(0), b.Tensor(scale)})
	if err != nil {
		return nil, err
	}
	return y.Result(0), nil
}

// kmeans finds k values that stand for all of w with a small squared error, and
// the index of the nearest one for each. It is Lloyd's algorithm on the
// sorted weights, where a cluster is a range and its mean comes from prefix
// sums; it starts from the best centers for a histogram of w, so that no
// local optimum holds it.
func kmeans(w []float32, k int) (book []float32, codes []uint8) {
	sorted := slices.Clone(w)
	slices.Sort(sorted)
	n := len(sorted)
	prefix := make([]float64, n+1)
	for i, x := range sorted {
		prefix[i+1] = prefix[i] + float64(x)
	}
	centers := start(sorted, prefix, k)
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

// start returns the k centers with the least squared error for the weights in
// bins of equal width, found by dynamic programming over the bins (Wang and
// Song, "Ckmeans.1d.dp", R Journal 2011).
func start(sorted []float32, prefix []float64, k int) []float64 {
	const bins = 1024
	n, lo := len(sorted), float64(sorted[0])
	width := (float64(sorted[n-1]) - lo) / bins
	edge := make([]int, bins+1) // of each bin among the sorted weights
	square := make([]float64, n+1)
	for i, x := range sorted {
		square[i+1] = square[i] + float64(x)*float64(x)
	}
	for b := 1; b < bins; b++ {
		edge[b], _ = slices.BinarySearch(sorted, float32(lo+float64(b)*width))
	}
	edge[bins] = n
	cost := func(a, b int) float64 { // of one center for the bins a to b
		from, to := edge[a], edge[b]
		if from == to {
			return 0
		}
		sum := prefix[to] - prefix[from]
		return square[to] - square[from] - sum*sum/float64(to-from)
	}
	best, first := make([]float64, bins+1), make([][]int, k)
	for b := range best {
		best[b] = cost(0, b)
	}
	first[0] = make([]int, bins+1)
	for c := 1; c < k; c++ {
		next := slices.Clone(best)
		first[c] = make([]int, bins+1)
		for b := 1; b <= bins; b++ {
			first[c][b] = b // an empty cluster
			for a := range b {
				if e := best[a] + cost(a, b); e < next[b] {
					next[b], first[c][b] = e, a
				}
			}
		}
		best = next
	}
	centers := make([]float64, k)
	for c, b := k-1, bins; c >= 0; c-- {
		a := first[c][b]
		if from, to := edge[a], edge[b]; to > from {
			centers[c] = (prefix[to] - prefix[from]) / float64(to-from)
		} else {
			centers[c] = lo + float64(b)*width
		}
		b = a
	}
	slices.Sort(centers)
	return centers
}
