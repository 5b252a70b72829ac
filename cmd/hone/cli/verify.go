package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/report"
	"github.com/hone-ml/hone/ir"
	"github.com/hone-ml/hone/tensor"
)

func init() { commands = append(commands, verifyCommand) }

func verifyCommand(a *app) *cobra.Command {
	var mf modelFlags
	var in inputFlags
	var opt hone.VerifyOptions
	var asJSON, layers bool
	var page string
	c := &cobra.Command{
		Use:   "verify ORIGINAL OPTIMIZED",
		Short: "run two models on the same inputs and show how far their answers are apart",
		Example: `  hone verify model.onnx model.hone
  hone verify model.onnx model.opt.onnx --input x=x.npy --bound 1e-3
  hone verify model.onnx model.hone --layers --html report.html
  hone verify model.onnx model.plan`,
		Args: exactly(2, "the original and the optimized model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if page != "" {
				if err := checkOutput(page); err != nil {
					return err
				}
			}
			x, err := mf.open(a, args[0])
			if err != nil {
				return err
			}
			defer x.Close()
			opt.Layers = layers || page != ""
			y, stored, err := second(a, &mf, args[1], x, &opt)
			if err != nil {
				return err
			}
			if y != nil {
				defer y.Close()
			}
			if s, ok := opt.Runner.(*hone.Session); ok {
				defer s.Close()
			}
			ports := hone.Inputs(x.Module())
			if r, ok := opt.Runner.(*planRunner); ok && len(in.inputs) == 0 {
				r.size(ports)
			}
			ins, err := in.read(cmd.Context(), a, ports, stored, true)
			if err != nil {
				return err
			}
			a.work.at("running both models")
			r, err := hone.Verify(cmd.Context(), x, y, ins, opt)
			if err != nil {
				return err
			}
			if page != "" {
				if err := writePage(cmd.Context(), a, page, verdictPage(x, y, r)); err != nil {
					return err
				}
			}
			if asJSON {
				if err := json.NewEncoder(a.out).Encode(r); err != nil {
					return err
				}
			} else {
				var list []hone.LayerDiff
				if layers {
					list = r.Layers
				}
				printReport(a, r, list)
			}
			if !r.OK() {
				return errSilent
			}
			return nil
		},
	}
	in.add(c)
	c.Flags().Float64Var(&opt.Bound, "bound", 1e-4, "largest error allowed, relative to the output's largest element")
	c.Flags().BoolVar(&layers, "layers", false, "compare the values inside as well, on the interpreter")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&page, "html", "", "write a page to this `FILE`: the graphs, coloured by how near each layer is to the original's")
	mf.add(c)
	return c
}

// second opens the model that is compared with x, or sets what runs it
// elsewhere. stored is the preprocessing that it keeps.
func second(a *app, mf *modelFlags, path string, x *hone.Model, opt *hone.VerifyOptions) (y *hone.Model, stored []byte, err error) {
	if isPlan(path) {
		if opt.Layers {
			return nil, nil, usagef("%s is a TensorRT engine plan: the values inside of it are not seen, so there is no --layers and no --html", path)
		}
		r, err := openPlan(path)
		if err != nil {
			return nil, nil, err
		}
		r.as = map[string]tensor.DType{}
		for _, p := range hone.Outputs(x.Module()) {
			r.as[p.Name] = p.Type.DType
		}
		opt.Runner = r
		return nil, nil, nil
	}
	if y, err = mf.open(a, path); err != nil {
		return nil, nil, err
	}
	if y.Module().Level == ir.CPU {
		s, err := y.Session(hone.SessionOptions{})
		if err != nil {
			y.Close()
			return nil, nil, err
		}
		opt.Runner, stored = s, s.Preprocess()
	}
	return y, stored, nil
}

func printReport(a *app, r *hone.Report, layers []hone.LayerDiff) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "output\tmax abs error\trelative to scale\tSNR dB\tcosine\tsame top-1\t\t")
	for _, o := range r.Outputs {
		verdict := "ok"
		if !o.Within(r.Bound) {
			verdict = "OVER THE BOUND"
		}
		fmt.Fprintf(w, "%s\t%.3g\t%.3g\t%.1f\t%.7f\t%.1f %%\t%s\t\n", o.Name, o.MaxAbs, o.MaxRel, o.SNR, o.Cosine, 100*o.Top1, verdict)
	}
	for i, l := range layers {
		if i == 0 {
			fmt.Fprintln(w, "layer\t\t\t\t\t\t\t")
		}
		fmt.Fprintf(w, "%s\t%.3g\t%.3g\t%.1f\t%.7f\t\t\t\n", l.Origin, l.MaxAbs, l.MaxRel, l.SNR, l.Cosine)
	}
	_ = w.Flush()
	if r.First != "" {
		fmt.Fprintf(a.out, "the first layer over the bound of %g is %s\n", r.Bound, r.First)
	}
}

// verdictPage is the page of two models' answers with what verify makes of them.
func verdictPage(x, y *hone.Model, r *hone.Report) *report.Page {
	page := answersPage("verify", x, y, r)
	page.Facts = append(page.Facts, report.Fact{Name: "bound", Value: fmt.Sprint(r.Bound)})
	if r.First != "" {
		page.Facts = append(page.Facts, report.Fact{Name: "first layer over the bound", Value: r.First})
	}
	page.Verdict, page.Good = "every output is within the bound", r.OK()
	if !r.OK() {
		page.Verdict = "an output is OVER THE BOUND"
	}
	return page
}
