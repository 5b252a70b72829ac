// Package prune removes what matters least: single weights, which become zero,
// or whole channels, after which the tensors are smaller.
package prune

import (
	"cmp"
	"math"
	"slices"

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
		Name: "prune",
		Help: "set the smallest weights to zero, or cut the least important channels out",
		Options: []passes.Option{
			{Name: "method", Default: "global", Type: passes.OneOf("global", "layer", "2:4", "channels"), Help: "global (smallest weights of all layers), layer (of each layer), 2:4 (two of every four along the inputs), or channels"},
			{Name: "amount", Default: "0.5", Type: passes.Between(0, 1), Help: "global, layer: the share of weights to zero; channels: the share of multiply-accumulates to save"},
			{Name: "importance", Default: "auto", Type: passes.OneOf(importances...), Help: "channels: error (what the layers that read a channel can not make up for), l1 (of the weights that make it), batchnorm (its scale; run before fold-batchnorm), or auto: error with calibration, else l1"},
			{Name: "multiple", Default: "1", Type: passes.Int(1, 1024), Help: "channels: what is left of each is a multiple of it; kernels like 16"},
			{Name: "calibration", Help: "inputs as for quantize: the weights that stay make up for those that go"},
			{Name: "exclude", Help: "layers to leave alone: names, | between them, * for any text"},
		},
		Example: `func @main(%x: f32[N,4]) -> (y: f32[N,2]) {
  %0 = const f32[4,2] [1.0, -2.0, 0.5, 4.0, 0.25, -3.0, 0.125, 2.5]
  %1 = MatMul(%x, %0) : f32[N,2]
  return(%1)
}
`,
		New: newPass,
	})
}

func newPass(o passes.Options) (passes.Pass, error) {
	amount := o.Float("amount")
	exclude := layers.ParsePatterns(o["exclude"])
	return passes.Func("prune", func(c *passes.Context, m *ir.Module) (bool, error) {
		found, err := layers.Find(m, exclude)
		if err != nil {
			return false, err
		}
		batches, err := calibrate.LoadIfGiven(o["calibration"], m.Main().Body.Args)
		if err != nil {
			return false, err
		}
		if o["method"] == "channels" {
			return cutChannels(c, m, found, channelOptions{amount, o["importance"], o.Int("multiple")}, batches)
		}
		return zeroWeights(c, m, found, o["method"], amount, batches)
	}), nil
}

// zeroWeights prunes layer by layer; with batches, each layer is made up for
// the inputs that the layers before it, pruned already, give it.
func zeroWeights(c *passes.Context, m *ir.Module, found []layers.Layer, method string, amount float64, batches []calibrate.Batch) (changed bool, err error) {
	bound := 0.0
	if method == "global" {
		var all []float64
		for _, l := range found {
			w, err := l.Values()
			if err != nil {
				return false, err
			}
			all = append(all, magnitudes(w)...)
		}
		bound = quantile(all, amount)
	}
	err = moments.Each(c, m, found, batches, func(l layers.Layer, mo *moments.Moments) error {
		if method == "2:4" && !divisible(l) {
			c.Note("%s stays dense: its inputs are no multiple of 4", ops.Describe(l.Op))
			return nil
		}
		w, err := l.Values()
		if err != nil {
			return err
		}
		limit := bound
		if method == "layer" {
			limit = quantile(magnitudes(w), amount)
		}
		ok, err := l.Replace(c, "zero-weights", func(b *ir.Builder) (*ir.Value, error) {
			v := slices.Clone(w)
			switch {
			case mo != nil:
				policy := moments.Policy{Together: 1, Set: func(g *moments.Group) {
					g.Value[0], g.Keep[0] = 0, math.Abs(float64(w[g.At[0]])) >= limit
				}}
				if method == "2:4" {
					policy = moments.Policy{Together: 4, Set: keepTwo}
				}
				bias := mo.Bias()
				var err error
				if v, err = mo.Adjust(w, bias, policy); err != nil {
					return nil, err
				}
				if bias != nil {
					mo.SetBias(bias)
				}
			case method == "2:4":
				twoOfFour(v, l.Weight.Shape, l.In)
			default:
				zeroBelow(v, limit)
			}
			return b.Tensor(tensor.Float32s(v, l.Weight.Shape...)), nil
		})
		changed = changed || ok
		return err
	})
	return changed, err
}

// keepTwo keeps the two of four whose loss would cost most.
func keepTwo(g *moments.Group) {
	cost := make([]float64, len(g.At))
	order := make([]int, len(g.At))
	for i := range order {
		order[i] = i
		cost[i] = g.Value[i] * g.Value[i] * g.Cost[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(cost[b], cost[a]) })
	for i, k := range order {
		g.Value[k], g.Keep[k] = 0, i < 2
	}
}

func magnitudes(w []float32) []float64 {
	out := make([]float64, len(w))
	for i, x := range w {
		out[i] = math.Abs(float64(x))
	}
	return out
}

// quantile returns the value below which the share of all lie; it sorts all.
func quantile(all []float64, share float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(share*float64(len(all))))]
}

func zeroBelow(w []float32, bound float64) {
	for i, x := range w {
		if math.Abs(float64(x)) < bound {
			w[i] = 0
		}
	}
}

func divisible(l layers.Layer) bool { return l.Weight.Shape[l.In]%4 == 0 }

// twoOfFour zeroes the two smaller of every four weights along the axis: the
// form that sparse tensor cores multiply (Mishra et al., "Accelerating Sparse
// Deep Neural Networks", 2021).
func twoOfFour(w []float32, shape []int, axis int) {
	inner := 1
	for _, d := range shape[axis+1:] {
		inner *= d
	}
	for base := 0; base < len(w); base += 4 * inner {
		for i := range inner {
			at := []int{base + i, base + i + inner, base + i + 2*inner, base + i + 3*inner}
			slices.SortStableFunc(at, func(a, b int) int {
				x, y := math.Abs(float64(w[a])), math.Abs(float64(w[b]))
				switch {
				case x < y:
					return -1
				case x > y:
					return 1
				}
				return 0
			})
			w[at[0]], w[at[1]] = 0, 0
		}
	}
}
