package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/ir"
)

func init() { commands = append(commands, inspectCommand) }

func inspectCommand(a *app) *cobra.Command {
	var mf modelFlags
	var asJSON, asIR bool
	var d drawings
	c := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "show what is in a model, an IR dump, a bundle or a TensorRT plan",
		Example: `  hone inspect model.onnx
  hone inspect model.onnx --html report.html -O3
  hone inspect model.hone --json
  hone inspect model.onnx --svg graph.svg --dot graph.dot`,
		Args: exactly(1, "one model, IR dump, bundle or plan"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if asIR && asJSON {
				return usagef("--ir and --json both say what to print: give one")
			}
			if isPlan(args[0]) {
				if asIR || d.any() {
					return usagef("%s is a TensorRT engine plan: there is no IR to show of it", args[0])
				}
				return inspectPlan(a, args[0], asJSON)
			}
			m, err := mf.open(a, args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			if d.any() {
				told := a.out
				if asJSON || asIR {
					told = a.err
				}
				if err := d.write(cmd, a, m, told); err != nil || told == a.out {
					return err
				}
			}
			if asIR {
				return ir.Fprint(a.out, m.Module(), ir.PrintOptions{})
			}
			s := hone.Summarize(m.Module())
			if asJSON {
				return json.NewEncoder(a.out).Encode(s)
			}
			printSummary(a, m, s)
			if m.Module().Level != ir.CPU {
				return nil
			}
			session, err := m.Session(hone.SessionOptions{})
			if err != nil {
				return err
			}
			planRows(session).print(a.out)
			return nil
		},
	}
	c.Flags().BoolVar(&asIR, "ir", false, "print the IR as text")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	d.add(c)
	mf.add(c)
	return c
}

func printSummary(a *app, m *hone.Model, s *hone.Summary) {
	fmt.Fprintf(a.out, "%s  level %s", s.Name, s.Level)
	if s.Producer != "" {
		fmt.Fprintf(a.out, "  by %s", s.Producer)
	}
	for _, o := range s.Opsets {
		fmt.Fprintf(a.out, "  %s opset %d", cmp.Or(o.Domain, "ai.onnx"), o.Version)
	}
	fmt.Fprintln(a.out)
	for _, p := range s.Inputs {
		fmt.Fprintf(a.out, "  in   %s: %s\n", p.Name, p.Type)
	}
	for _, p := range s.Outputs {
		fmt.Fprintf(a.out, "  out  %s: %s\n", p.Name, p.Type)
	}
	fmt.Fprintf(a.out, "  %d ops, %d parameters, %s of constants", s.Ops, s.Parameters, size(s.Bytes))
	if m.Module().Level != ir.CPU { // kernels have counts of their own
		fmt.Fprintf(a.out, ", %s multiply-accumulates", s.MACs)
	}
	fmt.Fprintln(a.out)
	names := slices.SortedFunc(maps.Keys(s.Histogram), func(x, y string) int {
		return cmp.Or(cmp.Compare(s.Histogram[y], s.Histogram[x]), cmp.Compare(x, y))
	})
	for _, n := range names {
		fmt.Fprintf(a.out, "  %6d  %s\n", s.Histogram[n], n)
	}
	if b := m.Bundle(); b != nil {
		for _, sec := range b.Sections() {
			fmt.Fprintf(a.out, "  section %-12s %12d bytes\n", sec.Name, len(sec.Data))
		}
	}
}
