package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone/internal/conform"
	"github.com/hone-ml/hone/internal/nearest"
)

func init() { commands = append(commands, conformCommand) }

func conformCommand(a *app) *cobra.Command {
	var engine, filter, pipeline string
	var asJSON bool
	c := &cobra.Command{
		Use:   "conform DIR",
		Short: "run a folder of ONNX backend tests",
		Long: "conform runs every folder below DIR that holds model.onnx and test_data_set_N/input_I.pb and output_I.pb,\n" +
			"lists the tests that fail with the reason, and counts. Exit code 1 where any fails.",
		Example: `  hone conform tests/
  hone conform tests/ --engine cpu --run conv --json`,
		Args: exactly(1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			load := conform.EngineOf(engine, pipeline)
			if load == nil {
				return usagef("there is no engine %q%s: %s are", engine, nearest.Hint(engine, conform.Engines), strings.Join(conform.Engines, " and "))
			}
			tests, err := conform.Find(args[0])
			if err != nil {
				return missingFile(args[0], err)
			}
			tests = slices.DeleteFunc(tests, func(t string) bool { return !strings.Contains(t, filter) })
			failed, results := 0, []conform.Result{}
			for _, t := range tests {
				if err := cmd.Context().Err(); err != nil {
					return context.Canceled
				}
				r := conform.Run(cmd.Context(), t, load)
				if r.Err != nil {
					failed++
					if !asJSON {
						fmt.Fprintf(a.out, "FAIL %s: %v\n", r.Name, r.Err)
					}
				}
				results = append(results, r)
			}
			if asJSON {
				if err := json.NewEncoder(a.out).Encode(results); err != nil {
					return err
				}
			} else {
				fmt.Fprintf(a.out, "%d of %d tests pass on %s\n", len(tests)-failed, len(tests), engine)
			}
			if failed > 0 {
				return errSilent
			}
			return nil
		},
	}
	c.Flags().StringVar(&engine, "engine", "interp", "what runs the models, the `ENGINE`: interp or cpu")
	c.Flags().StringVar(&filter, "run", "", "only tests whose path contains this `TEXT`")
	c.Flags().StringVar(&pipeline, "pipeline", "", "`PASSES` to run first (interp: none, cpu: O2)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
