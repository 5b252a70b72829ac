package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/frontend/onnx"
	"github.com/hone-ml/hone/internal/calibrate"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/ir/ops"
	"github.com/hone-ml/hone/passes"
	"github.com/hone-ml/hone/tensor"
)

// compressor is a command that runs one compressing pass behind -O2, writes
// ONNX, and shows before and after. The options of the pass are its flags.
type compressor struct {
	use, short string
	examples   []string // what follows the command and the model
	pass       string
	after      string // the pipeline that follows
}

func (x compressor) command(a *app) *cobra.Command {
	var mf modelFlags
	var out, data, page string
	var in inputFlags
	given := map[string]*string{}
	c := &cobra.Command{
		Use:     x.use + " MODEL -o OUT.onnx",
		Short:   x.short,
		Example: "  hone " + x.use + " model.onnx " + strings.Join(x.examples, "\n  hone "+x.use+" model.onnx "),
		Args:    exactly(1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usagef("%s: name the file to write: -o OUT.onnx", x.use)
			}
			if filepath.Ext(out) == ".ir" {
				return usagef("-o %s: %s writes ONNX; hone opt OUT.onnx -O0 -o %s makes text of it", out, x.use, out)
			}
			if err := checkOutput(out); err != nil {
				return err
			}
			if page != "" {
				if err := checkOutput(page); err != nil {
					return err
				}
			}
			m, err := mf.open(a, args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			verify, err := verifyInputs(cmd, a, m, data, &in)
			if err != nil {
				return err
			}
			options := passes.Options{}
			for name, v := range given {
				options[name] = *v
			}
			p, err := passes.New(x.pass, options)
			if err != nil {
				return usageError{err}
			}
			small := hone.NewModel(m.Module().Clone())
			ctx := a.passes(cmd)
			if err := small.Optimize(ctx, x.before(given)); err != nil {
				return err
			}
			if _, err := passes.NewPipeline(p).Run(ctx, small.Module()); err != nil {
				return err
			}
			if err := small.Optimize(ctx, x.after); err != nil {
				return err
			}
			a.work.at("writing " + out)
			if err := onnx.WriteFile(cmd.Context(), out, small.Module(), onnx.ExportOptions{}); err != nil {
				return err
			}
			a.work.at("comparing with the original")
			after, report, err := readBack(cmd, m, out, verify, page != "")
			if err != nil {
				return err
			}
			defer after.Close()
			a.work.at("")
			for _, n := range ctx.Notes {
				fmt.Fprintln(a.out, n)
			}
			if page != "" {
				if err := writePage(cmd.Context(), a, page, answersPage(cmd.Name(), m, after, report)); err != nil {
					return err
				}
			}
			return beforeAfter(a, m, after, report, verify)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the ONNX `FILE` to write")
	c.Flags().StringVar(&data, "calibration", "", "a `FOLDER` of .npy inputs (one a file, or one a folder INPUT.npy), or a text file that lists them")
	c.Flags().StringVar(&page, "html", "", "write a page to this `FILE`, with both graphs and what became of the answers")
	in.add(c)
	s, _ := passes.Lookup(x.pass)
	for _, o := range s.Options {
		if o.Name == "calibration" {
			given[o.Name] = &data
		} else {
			given[o.Name] = c.Flags().String(o.Name, o.Default, o.Help)
			if o.Default == "true" || o.Default == "false" {
				c.Flags().Lookup(o.Name).NoOptDefVal = "true" // --NAME alone, as in a pipeline
			}
		}
	}
	mf.add(c)
	return c
}

// before is the pipeline that the pass wants: folded batch norms, unless they
// are what it goes by.
func (x compressor) before(given map[string]*string) string {
	if i := given["importance"]; i != nil && *i == "batchnorm" {
		return "O1"
	}
	return "O2"
}

// verifyInputs are those of --input, else the first calibration batch, else
// random ones.
func verifyInputs(cmd *cobra.Command, a *app, m *hone.Model, data string, in *inputFlags) (map[string]*tensor.Tensor, error) {
	ports := hone.Inputs(m.Module())
	if cmd.Flags().Changed("input") || data == "" {
		return in.read(cmd.Context(), a, ports, nil, true)
	}
	batches, err := calibrate.Load(data, m.Module().Main().Body.Args)
	if err != nil {
		return nil, missingFile(data, err)
	}
	ins := map[string]*tensor.Tensor{}
	for i, p := range ports {
		ins[p.Name] = batches[0][i].(*tensor.Tensor)
	}
	return ins, nil
}

// readBack reads the file that was written, and runs it beside the original,
// layer by layer where that is asked for.
func readBack(cmd *cobra.Command, before *hone.Model, path string, inputs map[string]*tensor.Tensor, layers bool) (*hone.Model, *hone.Report, error) {
	after, err := hone.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading back: %w", err)
	}
	r, err := hone.Verify(cmd.Context(), before, after, inputs, hone.VerifyOptions{Layers: layers})
	if err != nil {
		after.Close()
		return nil, nil, err
	}
	return after, r, nil
}

// beforeAfter shows what became of a model.
func beforeAfter(a *app, before, after *hone.Model, r *hone.Report, inputs map[string]*tensor.Tensor) error {
	was, is := before.Bytes(), fileSize(after.Path())
	x, y := hone.Summarize(before.Module()), hone.Summarize(after.Module())
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tbefore\tafter\t\t")
	fmt.Fprintf(w, "size\t%s\t%s\t%.3f x\t\n", size(was), size(is), float64(is)/float64(max(was, 1)))
	fmt.Fprintf(w, "operators\t%d\t%d\t\t\n", passes.CountOps(before.Module()), passes.CountOps(after.Module()))
	fmt.Fprintf(w, "parameters\t%d\t%d\t\t\n", x.Parameters, y.Parameters)
	fmt.Fprintf(w, "zero weights\t%.1f %%\t%.1f %%\t\t\n", 100*zeros(before.Module()), 100*zeros(after.Module()))
	p, q := flops(before.Module(), inputs), flops(after.Module(), inputs)
	fmt.Fprintf(w, "FLOPs\t%.4g\t%.4g\t%.3f x\t\n", p, q, q/max(p, 1))
	if err := w.Flush(); err != nil {
		return err
	}
	var on []string
	for _, p := range hone.Inputs(before.Module()) {
		on = append(on, fmt.Sprintf("%s %s", p.Name, inputs[p.Name]))
	}
	fmt.Fprintf(a.out, "for %s:\n", strings.Join(on, ", "))
	w = tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "output\tmax abs error\tSNR dB\tcosine\tsame top-1\t")
	for _, o := range r.Outputs {
		fmt.Fprintf(w, "%s\t%.3g\t%.1f\t%.6f\t%.1f %%\t\n", o.Name, o.MaxAbs, o.SNR, o.Cosine, 100*o.Top1)
	}
	return w.Flush()
}

// flops counts multiplications and additions of products and convolutions for
// the inputs, every size that they leave open taken as one.
func flops(m *ir.Module, inputs map[string]*tensor.Tensor) float64 {
	sum, vals := ir.Const(0), map[string]int64{}
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			sum = sum.Add(ops.MACs(op))
			return true
		})
	}
	for _, s := range sum.Symbols() {
		vals[s] = 1
	}
	for _, p := range hone.Inputs(m) {
		for i, d := range p.Type.Dims {
			if s := d.Symbols(); len(s) == 1 && d.Equal(ir.Sym(s[0])) && inputs[p.Name] != nil && i < len(inputs[p.Name].Shape) {
				vals[s[0]] = int64(inputs[p.Name].Shape[i])
			}
		}
	}
	n, err := sum.Eval(vals)
	if err != nil {
		return 0
	}
	return 2 * float64(n)
}

// zeros is the share of float weights of products and convolutions that are
// zero.
func zeros(m *ir.Module) float64 {
	zero, all := 0, 0
	for _, f := range m.Funcs {
		f.Body.Walk(func(op *ir.Op) bool {
			d := op.Operand(1).Data()
			if d == nil || d.DType != tensor.Float32 || len(d.Shape) < 2 || !strings.Contains("Conv ConvTranspose MatMul Gemm", op.Name) {
				return true
			}
			if t, err := d.Tensor(); err == nil {
				for _, x := range tensor.Of[float32](t) {
					all++
					if x == 0 {
						zero++
					}
				}
			}
			return true
		})
	}
	return float64(zero) / float64(max(all, 1))
}
