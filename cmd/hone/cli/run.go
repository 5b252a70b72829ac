package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/ref"
	"github.com/hone-ml/hone/tensor"
)

func init() { commands = append(commands, runCommand) }

func runCommand(a *app) *cobra.Command {
	var mf modelFlags
	var in inputFlags
	var sf sessionFlags
	var outDir string
	var top int
	c := &cobra.Command{
		Use:   "run MODEL",
		Short: "run a model, a bundle, or on a GPU a TensorRT plan, on given inputs and show its outputs",
		Example: `  hone run model.hone --input input=photo.jpg
  hone run model.onnx --input x=x.npy --output-dir out --top 3
  hone run model.hone --input input=random:1x3x224x224 --threads 2
  curl -s https://example.com/x.npy | hone run model.hone --input x=-`,
		Args: exactly(1, "one model, bundle or plan"),
		RunE: func(cmd *cobra.Command, args []string) error {
			outs, ports, err := runOnce(cmd, a, args[0], &mf, &in, &sf)
			if err != nil {
				return err
			}
			if outDir != "" {
				if err := os.MkdirAll(outDir, 0o755); err != nil {
					return err
				}
			}
			for _, p := range ports {
				t := outs[p.Name]
				fmt.Fprintf(a.out, "%s %s\n", p.Name, t)
				describe(a, t, top)
				if outDir != "" {
					path := filepath.Join(outDir, safeName(p.Name)+".npy")
					err := atomicfile.Write(cmd.Context(), path, func(f *atomicfile.File) error { return npy.Write(f, t) })
					if err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	in.add(c)
	sf.add(c, 0)
	c.Flags().StringVar(&outDir, "output-dir", "", "write each output as NAME.npy into this `FOLDER`")
	c.Flags().IntVar(&top, "top", 5, "how many (`N`) of the largest scores of each row to show")
	mf.add(c)
	return c
}

func runOnce(cmd *cobra.Command, a *app, path string, mf *modelFlags, in *inputFlags, sf *sessionFlags) (outs map[string]*tensor.Tensor, ports []hone.Port, err error) {
	if isPlan(path) {
		r, err := openPlan(path)
		if err != nil {
			return nil, nil, err
		}
		if ports, err = r.ports(false, false); err != nil {
			return nil, nil, err
		}
		ins, err := r.read(cmd.Context(), a, in, false)
		if err != nil {
			return nil, nil, err
		}
		outs, err = r.Run(cmd.Context(), ins)
		return outs, ports, err
	}
	s, err := sf.open(cmd, a, path, mf)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	ins, err := in.read(cmd.Context(), a, s.Inputs(), s.Preprocess(), false)
	if err != nil {
		return nil, nil, err
	}
	outs, err = s.Run(cmd.Context(), ins)
	return outs, s.Outputs(), err
}

// safeName makes a file name of an output's name.
func safeName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
}

// maxRows bounds the rows that are shown of an output.
const maxRows = 8

// describe shows the largest elements of each row of scores, the range of any
// other tensor.
func describe(a *app, t *tensor.Tensor, top int) {
	if t.DType == tensor.String {
		for _, s := range t.Strings[:min(len(t.Strings), maxRows)] {
			fmt.Fprintf(a.out, "  %q\n", s)
		}
		return
	}
	if t.DType.IsComplex() || t.Len() == 0 {
		return
	}
	v := ref.Float64s(t)
	if t.Rank() != 2 && t.Rank() != 1 {
		sum := 0.0
		for _, x := range v {
			sum += x
		}
		fmt.Fprintf(a.out, "  from %.4g to %.4g, mean %.4g\n", slices.Min(v), slices.Max(v), sum/float64(len(v)))
		return
	}
	n := t.Shape[t.Rank()-1]
	count := len(v) / n
	for r := range min(count, maxRows) {
		row := v[r*n : (r+1)*n]
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(row[j], row[i]) })
		var parts []string
		for _, i := range order[:min(max(top, 0), n)] {
			parts = append(parts, fmt.Sprintf("%d: %.4g", i, row[i]))
		}
		fmt.Fprintf(a.out, "  row %d  %s\n", r, strings.Join(parts, "  "))
	}
	if count > maxRows {
		fmt.Fprintf(a.out, "  and %d rows more\n", count-maxRows)
	}
}
