// Package cluster lets the weights of a layer share a few values: k-means over
// each weight tensor, its output channels scaled alike, gives a codebook, and the
// weights become indices into it (Han et al., "Deep Compression", ICLR 2016). In
// ONNX that is a Gather from the codebook and a Mul, which any runtime runs.
package cluster

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/passes/moments"
	"github.com/hone-ml/hone/tensor"
)

func init() {
	passes.Register(passes.Spec{
		Name: "cluster",
		Help: "let the weights of each layer share the values of a codebook found by k-means",
		Options: []passes.Option{
			{Name: "bits", Default: "4", Type: passes.Int(1, 8), Help: "1 to 8: a codebook has 2^bits values"},
			{Name: "storage", Default: "uint8", Type: passes.OneOf("uint8", "uint4"), Help: "how indices are stored: uint8, or uint4 (half the size, ONNX opset 21, up to 4 bits)"},
			{Name: "calibration", Help: "inputs as for quantize: weights count by what they are multiplied with, and make up for each other's error"},
			{Name: "exclude", Help: "layers to leave alone: names, | between them, * for any text"},
		},
		Example: `func @main(%x: f32[N,4]) -> (y: f32[N,8]) {
  %0 = const f32[4,8] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0, 30.0, 31.0, 32.0]
  %1 = MatMul(%x, %0) : f32[N,8]
  return(%1)
}
`,
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
		batches, err := calibrate.LoadIfGiven(o["calibration"], m.Main().Body.Args)
		if err != nil {
			return false, err
		}
		err = moments.Each(c, m, found, batches, func(l layers.Layer, mo *moments.Moments) error {
			if l.Weight.Len() <= 1<<bits {
				return nil
			}
			w, err := l.Values()
			if err != nil {
				return err
			}
			ok, err := l.Replace(c, "codebook", func(b *ir.Builder) (*ir.Value, error) {
				book, codes, scale, err := share(w, l, mo, 1<<bits)
				if err != nil {
					return nil, err
				}
				return gathered(b, book, tensor.From(storage, codes, l.Weight.Shape...), scale)
			})
			changed = changed || ok
			return err
		})
		return changed, err
	}), nil
}

// share finds a codebook of k values for the weights of a layer, and a code for
// each of them. With moments, a weight counts as much as the inputs that it
// meets are large (Kim et al., "SqueezeLLM", ICML 2024), and what rounding to the
// codebook loses is made up for by weights that are still to be rounded and by
// the bias.
func share(w []float32, l layers.Layer, mo *moments.Moments, k int) (book []float32, codes []uint8, scale *tensor.Tensor, err error) {
	even, scale := normalized(w, l)
	s := tensor.Of[float32](scale)
	matters := make([]float64, len(w))
	for i := range matters {
		matters[i] = 1
	}
	if mo != nil {
		matters = mo.Energy()
	}
	channel := make([]int, len(w))
	layers.Channels(l.Weight.Shape, l.Out, func(i, ch int) {
		channel[i] = ch
		matters[i] *= float64(s[ch]) * float64(s[ch])
	})
	book, codes = kmeans(even, matters, k), make([]uint8, len(w))
	if mo == nil {
		for i, x := range even {
			codes[i] = nearest(book, x)
		}
		return book, codes, scale, nil
	}
	bias := mo.Bias()
	_, err = mo.Adjust(w, bias, moments.Policy{Together: 1, Set: func(g *moments.Group) {
		i, scale := g.At[0], s[g.Output]
		codes[i] = nearest(book, float32(g.Value[0]/float64(scale)))
		g.Value[0] = float64(book[codes[i]] * scale)
	}})
	if err == nil && bias != nil {
		mo.SetBias(bias)
	}
	return book, codes, scale, err
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
