package precision

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/interp"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

// Layer is what an op loses by itself where its operands and results are
// rounded to a narrow type and it accumulates in float32. Nothing before it
// is rounded: the figures of two layers can be compared.
type Layer struct {
	Op        *ir.Op
	Min, Max  float64 // of its float32 results, infinities and masks left out
	Count     int64   // elements of them
	Overflow  int64   // finite elements of operands and results that become infinite
	Underflow int64   // results that are not zero and become zero
	SNR       float64 // of the results in dB; +Inf where nothing changes, -Inf where something overflows

	signal, noise float64
}

func (l *Layer) String() string {
	return fmt.Sprintf("%s: %.4g ... %.4g, %d of %d overflow, %d underflow, %.1f dB", ops.Describe(l.Op), l.Min, l.Max, l.Overflow, l.Count, l.Underflow, l.SNR)
}

// Report has a Layer for each op that was measured, in program order.
type Report []*Layer

// Worst returns the n layers that lose most, worst first; of equal ones the earlier.
func (r Report) Worst(n int) Report {
	s := slices.Clone(r)
	slices.SortStableFunc(s, func(a, b *Layer) int { return cmp.Compare(a.SNR, b.SNR) })
	return s[:min(n, len(s))]
}

// Choice says which layers of a report stay in float32: those that overflow
// always, the Worst so many, and those with less than MinSNR dB.
type Choice struct {
	Worst  int
	MinSNR float64
}

// ParseChoice reads a choice as the options of passes have it; empty text is none.
func ParseChoice(worst, minSNR string) (c Choice, err error) {
	if worst != "" {
		if c.Worst, err = strconv.Atoi(worst); err != nil || c.Worst < 0 {
			return c, fmt.Errorf("%s is no number of layers", worst)
		}
	}
	if minSNR != "" {
		if c.MinSNR, err = strconv.ParseFloat(minSNR, 64); err != nil || c.MinSNR != c.MinSNR {
			return c, fmt.Errorf("%s is no number of decibels", minSNR)
		}
	}
	return c, nil
}

// SeededBatches is how many batches of random inputs stand in for calibration data that is not given.
const SeededBatches = 2

// Keep returns the ops that stay in float32, each with the reason.
func (r Report) Keep(c Choice) map[*ir.Op]string {
	keep := map[*ir.Op]string{}
	for _, l := range r.Worst(c.Worst) {
		keep[l.Op] = fmt.Sprintf("it is among the %d that lose most, with %.1f dB", c.Worst, l.SNR)
	}
	for _, l := range r {
		switch {
		case l.Overflow > 0:
			keep[l.Op] = fmt.Sprintf("%d of its values overflow, it reaches from %.4g to %.4g", l.Overflow, l.Min, l.Max)
		case l.SNR < c.MinSNR:
			keep[l.Op] = fmt.Sprintf("it has %.1f dB, less than %g", l.SNR, c.MinSNR)
		}
	}
	return keep
}

// shown is how many layers a report's text names.
const shown = 10

// String names the layers that lose most and those that overflow.
func (r Report) String() string {
	var lines []string
	over, under, all := 0, int64(0), int64(0)
	for _, l := range r {
		if l.Overflow > 0 {
			over++
		}
		under, all = under+l.Underflow, all+l.Count
	}
	lines = append(lines, fmt.Sprintf("%d layers measured: %d overflow, %.4f %% of the results become zero; those that lose most:", len(r), over, 100*float64(under)/float64(max(all, 1))))
	for _, l := range r.Worst(max(shown, over)) {
		lines = append(lines, "  "+l.String())
	}
	return strings.Join(lines, "\n")
}

// mask is a magnitude that no activation has: a number beyond it stands for
// an infinity, and any number as large as the type goes will do in its place.
const mask = 1e8

// Measure runs the module on every batch in float32, and each op that want
// names once more on rounded operands.
func Measure(ctx context.Context, m *ir.Module, batches []calibrate.Batch, to tensor.DType, want func(*ir.Op) bool) (Report, error) {
	x := &measuring{ctx: ctx, to: to, max: largest(to), want: want, layers: map[*ir.Op]*Layer{}}
	p := interp.New(m)
	for i, b := range batches {
		x.values, x.uses = map[*ir.Value]tensor.Value{}, map[*ir.Value]int{}
		if _, err := p.Run(ctx, b, interp.Options{Observe: x.see}); err != nil {
			return nil, fmt.Errorf("calibration batch %d: %w", i, err)
		}
		if x.err != nil {
			return nil, x.err
		}
	}
	for _, l := range x.layers {
		switch {
		case l.Overflow > 0:
			l.SNR = math.Inf(-1)
		case l.noise == 0:
			l.SNR = math.Inf(1)
		default:
			l.SNR = 10 * math.Log10(l.signal/l.noise)
		}
	}
	var r Report
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			if l := x.layers[op]; l != nil && l.Count > 0 {
				r = append(r, l)
			}
			return true
		})
	}
	return r, nil
}

// largest is the largest finite number of a type.
func largest(d tensor.DType) float64 {
	if d == tensor.Float16 {
		return 65504
	}
	return 0x1.fep127
}

// measuring is a run that is being watched. It keeps values for as long as an op of their block may read them.
type measuring struct {
	ctx    context.Context
	to     tensor.DType
	max    float64
	want   func(*ir.Op) bool
	layers map[*ir.Op]*Layer
	values map[*ir.Value]tensor.Value
	uses   map[*ir.Value]int // readers yet to come; of values that only their own block reads
	err    error
}

func (x *measuring) see(v *ir.Value, t tensor.Value) {
	if x.err != nil {
		return
	}
	x.values[v] = t
	if n := v.NumUses(); !slices.ContainsFunc(v.Uses(), func(u ir.Use) bool { return u.Op.Block() != v.Block() }) {
		x.uses[v] = n
	}
	op := v.Def()
	if op == nil || v != op.Result(op.NumResults()-1) || v.Data() != nil {
		return
	}
	if len(op.Regions) == 0 && x.want(op) {
		x.err = x.measure(op)
	}
	for _, in := range op.Operands() {
		if n, ok := x.uses[in]; ok && in != nil {
			if x.uses[in] = n - 1; n == 1 {
				delete(x.values, in)
				delete(x.uses, in)
			}
		}
	}
}

// measure evaluates op on rounded operands.
func (x *measuring) measure(op *ir.Op) error {
	l := x.layers[op]
	if l == nil {
		l = &Layer{Op: op, Min: math.Inf(1), Max: math.Inf(-1)}
		x.layers[op] = l
	}
	ins := make([]tensor.Value, op.NumOperands())
	for i, v := range op.Operands() {
		if v == nil {
			continue
		}
		ins[i] = x.values[v]
		if t, ok := ins[i].(*tensor.Tensor); ok && t.DType == tensor.Float32 {
			r, lost, err := x.rounded(t)
			if err != nil {
				return err
			}
			if v.Data() == nil { // constants are made to fit
				l.Overflow += lost
			}
			ins[i] = r
		}
	}
	outs, err := interp.ForOp(op).Eval(x.ctx, ins, nil, interp.Options{})
	if err != nil {
		return fmt.Errorf("%s on rounded operands: %w", ops.Describe(op), err)
	}
	for i, v := range op.Results() {
		want, ok := x.values[v].(*tensor.Tensor)
		got, same := outs[i].(*tensor.Tensor)
		if !ok || !same || want.DType != tensor.Float32 || got.Len() != want.Len() {
			continue
		}
		_, lost, err := x.rounded(want)
		if err != nil {
			return err
		}
		l.Overflow += lost
		if got, _, err = x.rounded(got); err != nil {
			return err
		}
		l.compare(tensor.Of[float32](got), tensor.Of[float32](want))
	}
	return nil
}

// rounded brings a float32 tensor to the numbers that the type has, masks to
// its largest, and counts the finite ones that it has not.
func (x *measuring) rounded(t *tensor.Tensor) (*tensor.Tensor, int64, error) {
	from := tensor.Of[float32](t)
	near := tensor.New(tensor.Float32, t.Shape...)
	to := tensor.Of[float32](near)
	for i, f := range from {
		if a := math.Abs(float64(f)); a >= mask && a > x.max && !math.IsInf(a, 0) {
			f = float32(math.Copysign(x.max, float64(f)))
		}
		to[i] = f
	}
	narrow, err := ref.Cast(near, x.to, ref.CastOptions{})
	if err != nil {
		return nil, 0, err
	}
	out, err := ref.Cast(narrow, tensor.Float32, ref.CastOptions{})
	if err != nil {
		return nil, 0, err
	}
	lost := int64(0)
	for i, f := range tensor.Of[float32](out) {
		if math.IsInf(float64(f), 0) && !math.IsInf(float64(from[i]), 0) {
			lost++
		}
	}
	return out, lost, nil
}

func (l *Layer) compare(got, want []float32) {
	for i, w := range want {
		f, g := float64(w), float64(got[i])
		l.Count++
		if math.Abs(f) >= mask || f != f {
			continue
		}
		l.Min, l.Max = min(l.Min, f), max(l.Max, f)
		if f != 0 && g == 0 {
			l.Underflow++
		}
		if g != g {
			l.Overflow++ // an infinity of the operands less another
			continue
		}
		l.signal += f * f
		l.noise += (f - g) * (f - g)
	}
}
