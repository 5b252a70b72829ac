package main

import (
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
	var inputs []string
	var opt hone.SessionOptions
	var outDir string
	var top int
	c := &cobra.Command{
		Use:   "run MODEL",
		Short: "run a model or bundle on given inputs and show its outputs",
		Args:  exactly(1, "one model or bundle"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openSession(cmd, args[0], &mf, opt)
			if err != nil {
				return err
			}
			defer s.Close()
			ins, err := readInputs(s.Inputs(), inputs)
			if err != nil {
				return err
			}
			outs, err := s.Run(cmd.Context(), ins)
			if err != nil {
				return err
			}
			if outDir != "" {
				if err := os.MkdirAll(outDir, 0o755); err != nil {
					return err
				}
			}
			for _, p := range s.Outputs() {
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
	c.Flags().StringArrayVar(&inputs, "input", nil, "an input: NAME=FILE.npy or NAME=random:SHAPE (default: random)")
	c.Flags().IntVar(&opt.Threads, "threads", 0, "threads that work on a run; 0 means one a core")
	c.Flags().StringVar(&opt.Tier, "cpu", "", "force an ISA tier; hone doctor lists them")
	c.Flags().StringVar(&outDir, "output-dir", "", "write each output as NAME.npy into this folder")
	c.Flags().IntVar(&top, "top", 5, "how many of the largest elements of each row to show")
	mf.add(c)
	return c
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

// describe shows a small tensor whole, and of the rows of a larger one the
// largest elements.
func describe(a *app, t *tensor.Tensor, top int) {
	if t.DType == tensor.String || t.DType.IsComplex() || t.Len() == 0 || t.Rank() == 0 {
		if t.Rank() == 0 && t.DType != tensor.String && !t.DType.IsComplex() {
			fmt.Fprintf(a.out, "  %v\n", ref.Float64s(t)[0])
		}
		return
	}
	v := ref.Float64s(t)
	n := t.Shape[t.Rank()-1]
	const maxRows = 8
	for r := range min(len(v)/max(n, 1), maxRows) {
		row := v[r*n : (r+1)*n]
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(i, j int) int {
			switch {
			case row[i] > row[j]:
				return -1
			case row[i] < row[j]:
				return 1
			}
			return 0
		})
		var parts []string
		for _, i := range order[:min(top, n)] {
			parts = append(parts, fmt.Sprintf("%d: %.4g", i, row[i]))
		}
		fmt.Fprintf(a.out, "  row %d  %s\n", r, strings.Join(parts, "  "))
	}
}
