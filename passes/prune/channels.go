package prune

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/passes/moments"
	"github.com/hone-ml/hone/tensor"
)

// cutChannels removes the least important channels until a share of the
// multiply-accumulates is gone. What must be cut together is found by a
// dependency graph (Fang et al., "DepGraph", CVPR 2023).
func cutChannels(c *passes.Context, m *ir.Module, found []layers.Layer, o channelOptions, batches []calibrate.Batch) (bool, error) {
	if o.importance == "auto" {
		o.importance = "l1"
		if len(batches) > 0 {
			o.importance = "error"
		}
	}
	if len(batches) == 0 {
		c.Note("without calibration no layer makes up for the channels that it loses: train the model again, or expect other answers")
	}
	g := &graph{refs: map[*ir.Value]ref{}, layers: map[*ir.Op]layers.Layer{}}
	for _, l := range found {
		g.layers[l.Op] = l
	}
	for op := range m.Main().Body.Ops() {
		g.visit(op)
	}
	ranked, err := g.rank(c, m, o, batches)
	if err != nil {
		return false, err
	}
	if len(ranked) == 0 {
		return false, fmt.Errorf("no channels can be cut: every one of them reaches an output or an operator with channels that are fixed%s",
			map[bool]string{true: "; or there is no BatchNormalization left to rank by", false: ""}[o.importance == "batchnorm"])
	}
	gone := g.choose(ranked, o.save)
	changed, err := g.makeUp(c, m, gone, batches)
	if err != nil {
		return changed, err
	}
	for _, s := range g.spaces {
		if len(gone[s]) == 0 {
			continue
		}
		keep := []int{}
		for ch := range s.size {
			if !gone[s][ch] {
				keep = append(keep, ch)
			}
		}
		ok, err := c.Change("cut-channels", s.producers[0].Op, func() error {
			for _, cut := range s.cuts {
				if err := cut.apply(keep, s.size); err != nil {
					return err
				}
			}
			return nil
		})
		changed = changed || ok
		if err != nil {
			return changed, err
		}
	}
	if got := 1 - g.cost(gone)/g.cost(nil); got < o.save-0.005 {
		c.Note("only %.1f %% of the multiply-accumulates could be saved: the other channels are fixed", 100*got)
	}
	return changed, ops.InferModule(m)
}

// makeUp lets the layers that read channels that go do without them, in program
// order, each for the inputs that the ones before it give it then.
func (g *graph) makeUp(c *passes.Context, m *ir.Module, gone map[*space]map[int]bool, batches []calibrate.Batch) (changed bool, err error) {
	if len(batches) == 0 {
		return false, nil
	}
	readers, found := g.readers(m, func(s *space) bool { return len(gone[s]) > 0 })
	err = moments.Each(c, m, found, batches, func(l layers.Layer, mo *moments.Moments) error {
		if mo == nil {
			return nil
		}
		w, err := l.Values()
		if err != nil {
			return err
		}
		r := readers[l.Op]
		lost := func(ch int) bool { return gone[r.space][ch/r.factor] }
		ok, err := l.Replace(c, "make-up", func(b *ir.Builder) (*ir.Value, error) {
			bias := mo.Bias()
			v, err := mo.Adjust(w, bias, moments.Policy{Together: 1, First: lost, Set: func(g *moments.Group) {
				g.Value[0], g.Keep[0] = 0, !lost(mo.Channel(g.At[0]))
			}})
			if err != nil {
				return nil, err
			}
			if bias != nil {
				mo.SetBias(bias)
			}
			return b.Tensor(tensor.Float32s(v, l.Weight.Shape...)), nil
		})
		changed = changed || ok
		return err
	})
	return changed, err
}

// cost is the work that is left.
func (g *graph) cost(gone map[*space]map[int]bool) float64 {
	left := func(s *space) float64 {
		if s == nil {
			return 1
		}
		s = s.root()
		return 1 - float64(len(gone[s]))/float64(s.size)
	}
	sum := 0.0
	for _, w := range g.work {
		sum += w.macs * left(w.in) * left(w.out)
	}
	return sum
}

// macs counts the work of an op, every size that is not known taken as one:
// batches cancel out, and images change all layers alike.
func (g *graph) macs(op *ir.Op) float64 {
	d := ops.MACs(op)
	vals := map[string]int64{}
	for _, s := range d.Symbols() {
		vals[s] = 1
	}
	n, err := d.Eval(vals)
	if err != nil {
		return 0
	}
	return float64(n)
}

// apply slices the constant, and counts the groups of a depthwise Conv anew.
func (c cut) apply(keep []int, size int) error {
	d := c.op.Operand(c.operand).Data()
	if d.DType != tensor.Float32 || d.Shape[c.axis] != size*c.factor {
		return fmt.Errorf("%s: operand %d is %s, expected %d entries on axis %d", ops.Describe(c.op), c.operand, d.Type(), size*c.factor, c.axis)
	}
	t, err := d.Tensor()
	if err != nil {
		return err
	}
	shape := slices.Clone(d.Shape)
	shape[c.axis] = len(keep) * c.factor
	inner := c.factor
	for _, n := range d.Shape[c.axis+1:] {
		inner *= n
	}
	w, out := tensor.Of[float32](t), make([]float32, 0, t.Len())
	for base := 0; base < len(w); base += size * inner {
		for _, ch := range keep {
			out = append(out, w[base+ch*inner:base+(ch+1)*inner]...)
		}
	}
	old := c.op.Operand(c.operand)
	v := ir.Before(c.op).Tensor(tensor.Float32s(out, shape...))
	v.Origin = ir.Origin{Name: old.Origin.Name}
	c.op.SetOperand(c.operand, v)
	if group, ok := c.op.Attrs.Get("group").(int64); ok && group == int64(size) && group > 1 && c.operand == 1 && c.axis == 0 {
		c.op.Attrs.Set("group", int64(len(keep)))
	}
	return nil
}

func int64s(t *tensor.Tensor) []int64 {
	if t.DType != tensor.Int64 {
		return nil
	}
	return tensor.Of[int64](t)
}
