package prune

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/passes/moments"
	"github.com/hone-ml/hone/tensor"
)

// keepAtLeast is the share of its channels that every space keeps.
const keepAtLeast = 0.125

// channelOptions say which channels go.
type channelOptions struct {
	save       float64 // share of the multiply-accumulates
	importance string
	multiple   int // every space keeps a multiple of so many channels
}

// importances are the ways to tell what a channel is worth: by the L1 norm of
// the weights that make it, over the mean of the layer (Li et al., "Pruning
// Filters for Efficient ConvNets", ICLR 2017); by the scale of its batch norm
// (Liu et al., "Network Slimming", ICCV 2017); or by the error that is left in
// the layers that read it once their other inputs make up for it (He et al.,
// "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017, with
// the second moments of moments.Losses instead of a regression).
var importances = []string{"auto", "l1", "batchnorm", "error"}

// unit is a candidate: channels of a space that go together.
type unit struct {
	space    *space
	channels []int
	score    float64
}

// rank returns the channels that may be cut, the least important first. An
// error is additive, so that what it costs is seen against the work that it
// saves; the other scores only order channels.
func (g *graph) rank(c *passes.Context, m *ir.Module, o channelOptions, batches []calibrate.Batch) ([]unit, error) {
	spaces := g.cuttable(o)
	if o.importance == "error" {
		return g.rankByError(c, m, spaces, o, batches)
	}
	var all []unit
	for _, s := range spaces {
		score, err := s.score(o.importance == "batchnorm")
		if err != nil {
			return nil, err
		}
		order := make([]int, s.size)
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(score[a], score[b]) })
		all = append(all, units(s, order, o.multiple, func(ch int) float64 { return score[ch] })...)
	}
	sortUnits(all)
	return all, nil
}

// units cuts the channels of a space, in their order, into candidates.
func units(s *space, order []int, multiple int, score func(channel int) float64) (all []unit) {
	for from, to := 0, (s.size-1)%multiple+1; to <= len(order); from, to = to, to+multiple {
		u := unit{space: s, channels: order[from:to]}
		for _, ch := range u.channels {
			u.score += score(ch) / float64(to-from)
		}
		all = append(all, u)
	}
	return all
}

func sortUnits(all []unit) {
	slices.SortStableFunc(all, func(a, b unit) int { return cmp.Compare(a.score, b.score) })
}

// workOf is the work that grows with the channels of a space.
func (g *graph) workOf(s *space) (sum float64) {
	for _, w := range g.work {
		for _, side := range []*space{w.in, w.out} {
			if side != nil && side.root() == s {
				sum += w.macs
			}
		}
	}
	return max(sum, 1)
}

// cuttable returns the spaces whose channels may go.
func (g *graph) cuttable(o channelOptions) (list []*space) {
	for _, s := range g.spaces {
		if s.parent == nil && !s.locked && len(s.producers) > 0 && (o.importance != "batchnorm" || len(s.norms) > 0) {
			list = append(list, s)
		}
	}
	return list
}

// score returns the importance of each channel by the weights that make it, or
// the scale of its batch norms.
func (s *space) score(batchnorm bool) ([]float64, error) {
	score := make([]float64, s.size)
	if batchnorm {
		for _, op := range s.norms {
			t, err := op.Operand(1).Data().Tensor()
			if err != nil {
				return nil, err
			}
			accumulate(score, t, 0, len(s.norms))
		}
		return score, nil
	}
	for _, l := range s.producers {
		t, err := l.Weight.Tensor()
		if err != nil {
			return nil, err
		}
		accumulate(score, t, l.Out, len(s.producers))
	}
	return score, nil
}

// rankByError takes the channels of each space away one after the other, the
// cheapest first, and ranks them by what they cost then. A space that is read
// by a layer without moments is left alone.
func (g *graph) rankByError(c *passes.Context, m *ir.Module, spaces []*space, o channelOptions, batches []calibrate.Batch) ([]unit, error) {
	if len(batches) == 0 {
		return nil, fmt.Errorf("importance=error needs calibration data: name a folder of .npy inputs")
	}
	by, blind := map[*space][]eliminating{}, map[*space]bool{}
	readers, found := g.readers(m, func(s *space) bool { return slices.Contains(spaces, s) })
	err := moments.Each(c, m, found, batches, func(l layers.Layer, mo *moments.Moments) error {
		r := readers[l.Op]
		if mo == nil {
			blind[r.space] = true
			return nil
		}
		w, err := l.Values()
		if err != nil {
			return err
		}
		e, err := mo.Eliminate(w)
		by[r.space] = append(by[r.space], eliminating{e, r.factor})
		return err
	})
	if err != nil {
		return nil, err
	}
	ranked := make([][]unit, len(spaces))
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, s := range spaces {
		if blind[s] || len(by[s]) == 0 {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			order, cost := eliminate(s, by[s])
			work := g.workOf(s) / float64(s.size)
			ranked[i] = units(s, order, o.multiple, func(ch int) float64 { return cost[ch] / work })
			<-slots
		})
	}
	wg.Wait()
	all := slices.Concat(ranked...)
	sortUnits(all)
	return all, nil
}

// eliminating is a layer that loses channels of its space, factor inputs each.
type eliminating struct {
	*moments.Elimination
	factor int
}

// steps is in how many steps a space loses its channels at least: those of one
// step are judged without each other.
const steps = 64

// eliminate takes the channels of a space away, as far as it may lose them, and
// returns their order and what each cost when it went.
func eliminate(s *space, readers []eliminating) (order []int, cost []float64) {
	most := s.size - int(math.Ceil(max(1, keepAtLeast*float64(s.size))))
	cost, gone := make([]float64, s.size), make([]bool, s.size)
	for len(order) < most {
		losses := make([]float64, s.size)
		for _, r := range readers {
			r.Add(losses, r.factor)
		}
		var left []int
		for ch := range s.size {
			if !gone[ch] {
				left = append(left, ch)
			}
		}
		slices.SortStableFunc(left, func(a, b int) int { return cmp.Compare(losses[a], losses[b]) })
		for _, ch := range left[:min(max(1, s.size/steps), most-len(order))] {
			gone[ch], cost[ch] = true, losses[ch]
			order = append(order, ch)
			for _, r := range readers {
				for i := range r.factor {
					r.Remove(ch*r.factor + i)
				}
			}
		}
	}
	return order, cost
}

// readers returns the layers of the main function that sum over the channels
// of the spaces that want names, and which, in program order.
func (g *graph) readers(m *ir.Module, want func(*space) bool) (map[*ir.Op]ref, []layers.Layer) {
	all := map[*ir.Op]ref{}
	for _, s := range g.spaces {
		for _, cut := range s.cuts {
			if l, ok := layers.Of(cut.op); ok && s.parent == nil && want(s) && cut.operand == layers.WeightOperand && cut.axis == l.In {
				all[cut.op] = ref{s, cut.factor}
			}
		}
	}
	var found []layers.Layer
	for op := range m.Main().Body.Ops() {
		if _, ok := all[op]; ok {
			l, _ := layers.Of(op)
			found = append(found, l)
		}
	}
	return all, found
}

// accumulate adds the L1 norm of each channel over the mean of them, as one of
// so many tensors: a space that several layers make weighs no more than others.
func accumulate(score []float64, t *tensor.Tensor, axis, of int) {
	w, norm, sum := tensor.Of[float32](t), make([]float64, len(score)), 0.0
	layers.Channels(t.Shape, axis, func(i, ch int) {
		norm[ch] += math.Abs(float64(w[i]))
		sum += math.Abs(float64(w[i]))
	})
	for ch, n := range norm {
		if sum > 0 {
			score[ch] += n * float64(len(norm)) / sum / float64(of)
		}
	}
}

// choose takes channels in their order until enough work is saved.
func (g *graph) choose(ranked []unit, save float64) map[*space]map[int]bool {
	gone := map[*space]map[int]bool{}
	target := g.cost(nil) * (1 - save)
	for _, u := range ranked {
		if g.cost(gone) <= target {
			break
		}
		s := u.space
		if float64(s.size-len(gone[s])-len(u.channels)) < max(1, keepAtLeast*float64(s.size)) {
			continue
		}
		if gone[s] == nil {
			gone[s] = map[int]bool{}
		}
		for _, ch := range u.channels {
			gone[s][ch] = true
		}
	}
	return gone
}
