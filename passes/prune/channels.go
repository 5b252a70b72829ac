package prune

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/tensor"
)

// keepAtLeast is the share of its channels that every space keeps.
const keepAtLeast = 0.125

// cutChannels removes the least important channels until the share save of the
// multiply-accumulates is gone. What must be cut together is found by a
// dependency graph (Fang et al., "DepGraph", CVPR 2023); importance is the L1
// norm of the weights that make a channel, or the scale of its batch norm (Liu
// et al., "Network Slimming", ICCV 2017), over the mean of the layer.
func cutChannels(c *passes.Context, m *ir.Module, found []layers.Layer, save float64, batchnorm bool, batches []calibrate.Batch) (bool, error) {
	g := &graph{refs: map[*ir.Value]ref{}, layers: map[*ir.Op]layers.Layer{}}
	for _, l := range found {
		g.layers[l.Op] = l
	}
	for op := range m.Main().Body.Ops() {
		g.visit(op)
	}
	ranked, err := g.rank(batchnorm)
	if err != nil {
		return false, err
	}
	if len(ranked) == 0 {
		return false, fmt.Errorf("no channels can be cut: every one of them reaches an output or an operator with channels that are fixed%s",
			map[bool]string{true: "; or there is no BatchNormalization left to rank by", false: ""}[batchnorm])
	}
	gone := g.choose(ranked, save)
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
	if got := 1 - g.cost(gone)/g.cost(nil); got < save-0.005 {
		c.Note("only %.1f %% of the multiply-accumulates could be saved: the other channels are fixed", 100*got)
	}
	return changed, ops.InferModule(m)
}

// makeUp lets the layers that read channels that go do without them, in program
// order, each for the inputs that the ones before it give it then.
func (g *graph) makeUp(c *passes.Context, m *ir.Module, gone map[*space]map[int]bool, batches []calibrate.Batch) (changed bool, err error) {
	type reader struct {
		lost   map[int]bool
		factor int
	}
	readers := map[*ir.Op]reader{}
	for _, s := range g.spaces {
		for _, cut := range s.cuts {
			if l, ok := layers.Of(cut.op); ok && s.parent == nil && len(gone[s]) > 0 && cut.operand == layers.WeightOperand && cut.axis == l.In {
				readers[cut.op] = reader{gone[s], cut.factor}
			}
		}
	}
	if len(batches) == 0 {
		return false, nil
	}
	for op := range m.Main().Body.Ops() {
		r, ok := readers[op]
		l, is := layers.Of(op)
		if !ok || !is {
			continue
		}
		mo := newMoments(l)
		if mo == nil {
			continue
		}
		w, err := l.Values()
		if err != nil {
			return changed, err
		}
		ok, err = l.Replace(c, "make-up", func(b *ir.Builder) (*ir.Value, error) {
			if err := mo.observe(c, m, batches); err != nil {
				return nil, err
			}
			return b.Tensor(mo.prune(w, policy{drop: func(ch int) bool { return r.lost[ch/r.factor] }})), mo.err
		})
		changed = changed || ok
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// channel is one candidate.
type channel struct {
	space *space
	index int
	score float64
}

// rank returns the channels that may be cut, the least important one first.
func (g *graph) rank(batchnorm bool) ([]channel, error) {
	var all []channel
	for _, s := range g.spaces {
		if s.parent != nil || s.locked || len(s.producers) == 0 || batchnorm && len(s.norms) == 0 {
			continue
		}
		score := make([]float64, s.size)
		if batchnorm {
			for _, op := range s.norms {
				t, err := op.Operand(1).Data().Tensor()
				if err != nil {
					return nil, err
				}
				accumulate(score, t, 0)
			}
		} else {
			for _, l := range s.producers {
				t, err := l.Weight.Tensor()
				if err != nil {
					return nil, err
				}
				accumulate(score, t, l.Out)
			}
		}
		for i, v := range score {
			all = append(all, channel{s, i, v})
		}
	}
	slices.SortStableFunc(all, func(a, b channel) int {
		switch {
		case a.score < b.score:
			return -1
		case a.score > b.score:
			return 1
		}
		return 0
	})
	return all, nil
}

// accumulate adds the L1 norm of each channel over the mean of them.
func accumulate(score []float64, t *tensor.Tensor, axis int) {
	w, norm, sum := tensor.Of[float32](t), make([]float64, len(score)), 0.0
	layers.Channels(t.Shape, axis, func(i, ch int) {
		norm[ch] += math.Abs(float64(w[i]))
		sum += math.Abs(float64(w[i]))
	})
	for ch, n := range norm {
		if sum > 0 {
			score[ch] += n * float64(len(norm)) / sum
		}
	}
}

// choose takes channels in their order until enough work is saved.
func (g *graph) choose(ranked []channel, save float64) map[*space]map[int]bool {
	gone := map[*space]map[int]bool{}
	target := g.cost(nil) * (1 - save)
	for _, ch := range ranked {
		if g.cost(gone) <= target {
			break
		}
		s := ch.space
		if float64(s.size-len(gone[s])-1) < max(1, keepAtLeast*float64(s.size)) {
			continue
		}
		if gone[s] == nil {
			gone[s] = map[int]bool{}
		}
		gone[s][ch.index] = true
	}
	return gone
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
