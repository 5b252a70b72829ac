package calibrate

import (
	"context"
	"fmt"
	"math"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/tensor"
)

// Bins is the number of bins of a histogram over a value's whole range.
const Bins = 4096

// Stats are the figures of one value over all batches.
type Stats struct {
	Min, Max  float64
	Count     int64
	NonFinite int64        // elements that are NaN or infinite; Min and Max leave them out
	Tiny      int64        // elements nearer to zero than 2^-24, zero left out
	Hist      *[Bins]int64 // over [Min, Max]; nil unless asked for
}

// AbsMax returns the largest magnitude.
func (s *Stats) AbsMax() float64 { return math.Max(math.Abs(s.Min), math.Abs(s.Max)) }

// Each runs the module on every batch and shows the float32 values as they are
// computed.
func Each(ctx context.Context, m *ir.Module, batches []Batch, see func(v *ir.Value, t *tensor.Tensor)) error {
	p := interp.New(m)
	for i, b := range batches {
		_, err := p.Run(ctx, b, interp.Options{Observe: func(v *ir.Value, x tensor.Value) {
			if t, ok := x.(*tensor.Tensor); ok && t.DType == tensor.Float32 {
				see(v, t)
			}
		}})
		if err != nil {
			return fmt.Errorf("calibration batch %d: %w", i, err)
		}
	}
	return nil
}

// Observe runs the module on every batch and measures the float32 values that
// want names. A histogram takes a second round of runs.
func Observe(ctx context.Context, m *ir.Module, batches []Batch, want func(*ir.Value) bool, histogram bool) (map[*ir.Value]*Stats, error) {
	stats := map[*ir.Value]*Stats{}
	round := func(see func(s *Stats, x []float32)) error {
		return Each(ctx, m, batches, func(v *ir.Value, t *tensor.Tensor) {
			if !want(v) {
				return
			}
			s := stats[v]
			if s == nil {
				s = &Stats{Min: math.Inf(1), Max: math.Inf(-1)}
				stats[v] = s
			}
			see(s, tensor.Of[float32](t))
		})
	}
	if err := round((*Stats).extend); err != nil || !histogram {
		return stats, err
	}
	for _, s := range stats {
		s.Hist = new([Bins]int64)
	}
	return stats, round((*Stats).count)
}

func (s *Stats) extend(x []float32) {
	s.Count += int64(len(x))
	for _, v := range x {
		f := float64(v)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			s.NonFinite++
			continue
		}
		if a := math.Abs(f); a > 0 && a < 0x1p-24 {
			s.Tiny++
		}
		s.Min, s.Max = min(s.Min, f), max(s.Max, f)
	}
}

func (s *Stats) count(x []float32) {
	width := (s.Max - s.Min) / Bins
	for _, v := range x {
		f := float64(v)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		i := 0
		if width > 0 {
			i = min(Bins-1, int((f-s.Min)/width))
		}
		s.Hist[i]++
	}
}

// Percentile returns the range that holds the share p of the elements, as
// much of the rest below it as above.
func (s *Stats) Percentile(p float64) (lo, hi float64) {
	total := int64(0)
	for _, n := range s.Hist {
		total += n
	}
	cut := int64(float64(total) * (1 - p) / 2)
	width := (s.Max - s.Min) / Bins
	a, b := 0, Bins
	for n := s.Hist[a]; n <= cut && a < Bins-1; n += s.Hist[a] {
		a++
	}
	for n := s.Hist[b-1]; n <= cut && b-1 > a; n += s.Hist[b-1] {
		b--
	}
	return s.Min + float64(a)*width, s.Min + float64(b)*width
}

// Entropy returns the range, cut at one magnitude on both sides, whose
// quantization to the given number of levels keeps the distribution nearest to
// the original by Kullback-Leibler divergence (Migacz, "8-bit Inference with
// TensorRT", GTC 2017).
func (s *Stats) Entropy(levels int) (lo, hi float64) {
	const candidates = 128
	width, limit := (s.Max-s.Min)/Bins, s.AbsMax()
	lo, hi = s.Min, s.Max
	if width <= 0 {
		return lo, hi
	}
	best := math.Inf(1)
	for k := candidates; k > 0; k-- {
		t := limit * float64(k) / candidates
		a := max(0, int(math.Floor((-t-s.Min)/width)))
		b := min(Bins, int(math.Ceil((t-s.Min)/width)))
		if b-a < levels {
			break
		}
		if d := s.divergence(a, b, levels); d < best {
			best, lo, hi = d, s.Min+float64(a)*width, s.Min+float64(b)*width
		}
	}
	return lo, hi
}

// divergence compares the bins a to b, all that lies outside counted at the
// edges, with the same bins in so many groups of equal width.
func (s *Stats) divergence(a, b, levels int) float64 {
	n := b - a
	p, q := make([]float64, n), make([]float64, n)
	sumP, sumQ := 0.0, 0.0
	for i := range Bins {
		j := min(max(i-a, 0), n-1)
		p[j] += float64(s.Hist[i])
		sumP += float64(s.Hist[i])
	}
	for g := range levels {
		from, to := g*n/levels, (g+1)*n/levels
		mass, filled := 0.0, 0
		for i := from; i < to; i++ {
			mass += float64(s.Hist[a+i])
			if p[i] > 0 {
				filled++
			}
		}
		for i := from; i < to && filled > 0; i++ {
			if p[i] > 0 {
				q[i] = mass / float64(filled)
			}
		}
		sumQ += mass
	}
	d := 0.0
	for i := range p {
		if p[i] > 0 {
			d += p[i] / sumP * math.Log(p[i]/sumP/math.Max(q[i]/sumQ, 1e-12))
		}
	}
	return d
}
