package legalize

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/passes"
	_ "github.com/hone-ml/hone/passes/all" // the pipelines that the model goes through first
	"github.com/hone-ml/hone/tensor"
)

// Options says what to legalize for.
type Options struct {
	SM        []int    // compute capabilities
	Precision string   // "fp32" (or empty), "fp16" or "bf16"
	KeepOps   []string // operators to keep in float32
	KeepNames []string // ONNX nodes to keep in float32, shell patterns
}

// Row is one op of the legalized module in a Table.
type Row struct {
	Op        string
	Name      string // of the ONNX nodes it came from
	Precision string // of its first result
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

// String is the table as text, a line a row.
func (t Table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s %-24s %-40s %s\n", "precision", "op", "ONNX node", "what happens")
	for _, r := range t {
		verdict := "taken"
		switch {
		case r.Refused != "":
			verdict = "REFUSED: " + r.Refused
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

// Passes lists the passes, in order. The model's own optimizations come first
// and stay out of composites: TensorRT finds its fusions in plain operators.
// What comes of the ONNX nodes in exact, which may still grow while the passes
// run, keeps its precision.
func Passes(o Options, exact map[string]bool) ([]passes.Pass, error) {
	var out []passes.Pass
	parse := func(text string) error {
		p, err := passes.ParsePipeline(text)
		if err == nil {
			out = append(out, p)
		}
		return err
	}
	if err := parse("fix(O1,trt-constant-if),trt-types,trt-quantized"); err != nil {
		return nil, err
	}
	switch o.Precision {
	case "", "fp32":
	case "fp16":
		out = append(out, Precision(tensor.Float16, o.KeepOps, o.KeepNames, exact))
	case "bf16":
		out = append(out, Precision(tensor.BFloat16, o.KeepOps, o.KeepNames, exact))
	default:
		return nil, fmt.Errorf("precision %q is not known to TensorRT's backend: fp32, fp16 or bf16", o.Precision)
	}
	return out, parse("fix(cse,dce)")
}

// Run legalizes a module in place. It returns the table of what becomes of
// each op, with a *RefusedError where some are refused.
func Run(ctx context.Context, m *ir.Module, o Options) (Table, error) {
	exact := map[string]bool{}
	list, err := Passes(o, exact)
	if err != nil {
		return nil, err
	}
	rewritten := map[string]string{}
	c := passes.NewContext(ctx)
	c.OnApply = func(a passes.Application) {
		if strings.HasPrefix(a.Pass, "trt-") && a.Pass != "trt-precision" {
			for _, n := range a.Op.Loc {
				rewritten[n] = a.Pass
				// Sums of products of bytes leave float16 at once.
				exact[n] = exact[n] || slices.Contains([]string{"MatMulInteger", "ConvInteger", "DynamicQuantizeLinear"}, a.Op.Name)
			}
		}
	}
	if _, err := passes.NewPipeline(list...).Run(c, m); err != nil {
		return nil, err
	}
	table := tableOf(m, o.SM, rewritten)
	if r := table.Refused(); len(r) > 0 {
		return table, &RefusedError{r}
	}
	return table, nil
}

func tableOf(m *ir.Module, sm []int, rewritten map[string]string) (t Table) {
	for _, in := range m.Main().Body.Args {
		if r := typeReason(in.Type, sm); r != "" {
			t = append(t, Row{Op: "input", Name: in.Name, Refused: r})
		}
	}
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			if op.Name == ir.YieldName || op.Name == ir.ConstantName && typeReason(op.Result(0).Type, sm) == "" {
				return true
			}
			r := Row{Op: op.Name, Name: strings.Join(op.Loc, " "), Refused: Reason(op, sm)}
			if op.NumResults() > 0 {
				r.Precision = op.Result(0).Type.DType.String()
			}
			for _, n := range op.Loc {
				if p := rewritten[n]; p != "" {
					r.Rewritten = p
				}
			}
			t = append(t, r)
			return true
		})
	}
	return t
}
