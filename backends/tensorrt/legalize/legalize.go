package legalize

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	_ "github.com/hone-ml/hone/passes/all" // the pipelines that the model goes through first
	"github.com/hone-ml/hone/passes/layers"
	"github.com/hone-ml/hone/passes/precision"
	"github.com/hone-ml/hone/tensor"
)

// Options says what to legalize for.
type Options struct {
	SM        []int             // compute capabilities
	Precision string            // see ParseFormat; empty for fp32
	Keep      string            // ops to keep in float32: names or operator types, | between them, * for any text
	Batches   []calibrate.Batch // calibration data; with a float type, ops are measured and stay in float32 where they overflow
	Choice    precision.Choice  // more ops to keep by measure, on random inputs where there are no batches
	Note      func(string)      // called with what the passes have to tell, if set
}

// Row is one op of the legalized module in a Table.
type Row struct {
	Op        string
	Name      string // of the ONNX nodes it came from
	Precision string // of its first result
	Kept      string // why it stays in float32, where it was measured
	Rewritten string // the pass that made it, empty where it is the model's own
	Refused   string // why TensorRT will not take it, empty where nothing is known against it
}

// Table is what TensorRT will take of a model, layer by layer.
type Table []Row

// Refused are the rows that are refused.
func (t Table) Refused() (out Table) {
	for _, r := range t {
		if r.Refused != "" {
			out = append(out, r)
		}
	}
	return out
}

// Warnings tell of what a user would not expect of a plan.
func (t Table) Warnings() (out []string) {
	var narrowed []string
	for _, r := range t {
		if r.Rewritten == typesPass {
			narrowed = append(narrowed, fmt.Sprintf("%s %q", r.Op, r.Name))
		}
	}
	if n := len(narrowed); n > 0 {
		more := ""
		if n > 3 {
			narrowed, more = narrowed[:3], fmt.Sprintf(" and %d more", n-3)
		}
		out = append(out, "TensorRT has no float64: these are float32 in the plan: "+strings.Join(narrowed, ", ")+more)
	}
	return out
}

// String is the table as text, a line a row.
func (t Table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s %-24s %-40s %s\n", "precision", "op", "ONNX node", "what happens")
	for _, r := range t {
		verdict := "taken"
		switch {
		case r.Refused != "":
			verdict = "REFUSED: " + r.Refused
		case r.Kept != "":
			verdict = "taken, in float32: " + r.Kept
		case r.Rewritten != "":
			verdict = "taken, written by " + r.Rewritten
		}
		fmt.Fprintf(&b, "%-10s %-24s %-40s %s\n", r.Precision, r.Op, r.Name, verdict)
	}
	return b.String()
}

// RefusedError lists what TensorRT will not take of a model.
type RefusedError struct{ Rows Table }

func (e *RefusedError) Error() string {
	lines := []string{fmt.Sprintf("TensorRT will not take %d of the model's operations", len(e.Rows))}
	alike := map[string]int{}
	for _, r := range e.Rows {
		kind := r.Op + ": " + r.Refused
		if alike[kind]++; alike[kind] <= 3 {
			lines = append(lines, fmt.Sprintf("  %s node %q: %s", r.Op, r.Name, r.Refused))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(alike)) {
		if n := alike[kind]; n > 3 {
			lines = append(lines, fmt.Sprintf("  and %d more of %s", n-3, kind))
		}
	}
	return strings.Join(lines, "\n")
}

// legalizing is one run: what the passes learn and the table tells.
type legalizing struct {
	Options
	wide      map[string]bool   // inputs that were float64
	exact     map[string]bool   // ONNX nodes whose results have to keep their precision
	rewritten map[string]string // by ONNX node, the pass
	kept      map[*ir.Op]string // measured, and why it stays in float32
}

// passes lists the passes, in order. The model's own optimizations come first
// and stay out of composites: TensorRT finds its fusions in plain operators.
func (l *legalizing) passes() ([]passes.Pass, error) {
	f, err := ParseFormat(l.Precision, l.SM)
	if err != nil {
		return nil, err
	}
	keep := layers.ParsePatterns(l.Keep)
	quantize, err := f.layersPass(l.Options, keep)
	if err != nil {
		return nil, err
	}
	var out []passes.Pass
	add := func(text string) {
		p, e := passes.ParsePipeline(text)
		if out = append(out, p); e != nil {
			err = e
		}
	}
	// Where TensorRT's Attention has no kernel for the sizes and the precision at
	// hand, its builder gives up; of the parts it makes the same kernel where it
	// has one.
	add("O1,expand-attention,trt-types,trt-loop")
	out = append(out, passes.Func("trt-keep", func(_ *passes.Context, m *ir.Module) (bool, error) { return false, keep.Check(m) }))
	if quantize != nil {
		add("fold-batchnorm")
		out = append(out, quantize)
	}
	add("raise-dequantize,trt-quantized") // TensorRT moves its Q/DQ pairs by itself
	if f.Float != tensor.Float32 {
		o := l.Options
		if f.Layers != "" {
			o.Batches = nil // spent on the layers
		}
		out = append(out, Precision(f.Float, o, l.exact, l.kept))
	}
	add("fix(cse,dce)")
	return out, err
}

// Run legalizes a module in place. It returns the table of what becomes of
// each op, with a *RefusedError where some are refused.
func Run(ctx context.Context, m *ir.Module, o Options) (Table, error) {
	l := &legalizing{Options: o, wide: map[string]bool{}, exact: map[string]bool{}, rewritten: map[string]string{}, kept: map[*ir.Op]string{}}
	list, err := l.passes()
	if err != nil {
		return nil, err
	}
	c := passes.NewContext(ctx)
	c.OnApply = func(a passes.Application) {
		if strings.HasPrefix(a.Pass, "trt-") && a.Pass != "trt-precision" {
			for _, n := range a.Op.Loc {
				l.rewritten[n] = a.Pass
				// Sums of products of bytes leave float16 at once.
				l.exact[n] = l.exact[n] || slices.Contains([]string{"MatMulInteger", "ConvInteger", "DynamicQuantizeLinear"}, a.Op.Name)
			}
		}
	}
	for _, in := range m.Main().Body.Args {
		l.wide[in.Name] = in.Type.IsTensor() && in.Type.DType == tensor.Float64
	}
	_, err = passes.NewPipeline(list...).Run(c, m)
	if o.Note != nil {
		for _, n := range c.Notes {
			o.Note(n)
		}
	}
	if err != nil {
		return nil, err
	}
	table := l.table(m)
	if r := table.Refused(); len(r) > 0 {
		return table, &RefusedError{r}
	}
	return table, nil
}

// eachOp calls visit for every op of a module, those of regions before the op
// that they belong to, and reports whether it changed one.
func eachOp(m *ir.Module, visit func(op *ir.Op) (bool, error)) (changed bool, err error) {
	var walk func(b *ir.Block) error
	walk = func(b *ir.Block) error {
		for op := range b.Ops() {
			for _, r := range op.Regions {
				if err := walk(r); err != nil {
					return err
				}
			}
			ok, err := visit(op)
			if changed = changed || ok; err != nil {
				return err
			}
		}
		return nil
	}
	for _, f := range m.Funcs {
		if err := walk(f.Body); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

func (l *legalizing) table(m *ir.Module) (t Table) {
	sm := l.SM
	for _, in := range m.Main().Body.Args {
		if r := typeReason(in.Type, sm); r != "" {
			t = append(t, Row{Op: "input", Name: in.Name, Refused: r})
		} else if l.wide[in.Name] {
			t = append(t, Row{Op: "input", Name: in.Name, Precision: in.Type.DType.String(), Rewritten: typesPass})
		}
	}
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			if op.Name == ir.YieldName || op.Name == ir.ConstantName && typeReason(op.Result(0).Type, sm) == "" {
				return true
			}
			r := Row{Op: op.Name, Name: strings.Join(op.Loc, " "), Kept: l.kept[op], Refused: Reason(op, sm)}
			if op.NumResults() > 0 {
				r.Precision = op.Result(0).Type.DType.String()
			}
			for _, n := range op.Loc {
				if p := l.rewritten[n]; p != "" {
					r.Rewritten = p
				}
			}
			t = append(t, r)
			return true
		})
	}
	return t
}
