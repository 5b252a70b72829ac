package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/npy"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/testdata/digits"
)

func init() { commands = append(commands, demoCommand) }

func demoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "demo",
		Short:   "compile a small trained model that comes with hone, and judge it on pictures it never saw",
		Example: `  hone demo`,
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "hone-demo-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			return demo(cmd.Context(), a, dir)
		},
	}
}

// demo goes the whole way in a folder of its own, as a user would: a model
// file, a bundle, a session.
func demo(ctx context.Context, a *app, dir string) error {
	images, err := npy.Read(bytes.NewReader(digits.Images))
	if err != nil {
		return err
	}
	labels, err := npy.Read(bytes.NewReader(digits.Labels))
	if err != nil {
		return err
	}
	source, bundle := filepath.Join(dir, "digits.onnx"), filepath.Join(dir, "digits.hone")
	if err := os.WriteFile(source, digits.Model, 0o644); err != nil {
		return err
	}
	start := time.Now()
	model, err := hone.Open(source)
	if err != nil {
		return err
	}
	defer model.Close()
	compiled, err := hone.Compile(ctx, model, hone.CompileOptions{})
	if err != nil {
		return err
	}
	if err := compiled.WriteFile(ctx, bundle); err != nil {
		return err
	}
	took := time.Since(start)
	session, err := hone.Load(bundle, hone.SessionOptions{Threads: 1})
	if err != nil {
		return err
	}
	defer session.Close()

	logits, times, err := oneByOne(ctx, session, images)
	if err != nil {
		return err
	}
	report, err := hone.Verify(ctx, model, nil, map[string]*tensor.Tensor{"image": images}, hone.VerifyOptions{Runner: session})
	if err != nil {
		return err
	}
	info, err := os.Stat(bundle)
	if err != nil {
		return err
	}

	fmt.Fprintln(a.out, "A convolutional network for handwritten digits, trained on scikit-learn's, compiled and run on pictures that it never saw.")
	fmt.Fprintln(a.out)
	printPasses(a.out, compiled.Stats.Passes)
	fmt.Fprintln(a.out)
	right, n := countRight(logits, tensor.Of[int64](labels)), images.Shape[0]
	diff := report.Outputs[0]
	rows{
		{"accuracy", fmt.Sprintf("%.2f %%, %d of %d pictures", 100*float64(right)/float64(n), right, n)},
		{"agreement", fmt.Sprintf("%.0f %% the same digit as the reference interpreter, largest error %.1e of the scale", 100*diff.Top1, diff.MaxRel)},
		{"latency", fmt.Sprintf("%.3f ms a picture (median), %s kernels, one thread", ms(times[len(times)/2]), session.Tier())},
		{"operators", fmt.Sprintf("%d before, %d after", compiled.Stats.OpsBefore, compiled.Stats.OpsAfter)},
		{"size", fmt.Sprintf("%s of ONNX, %s of bundle", size(len(digits.Model)), size(info.Size()))},
		{"compiled in", fmt.Sprintf("%.0f ms", ms(took))},
	}.print(a.out)
	if !report.OK() {
		return fmt.Errorf("the compiled model answers otherwise than the original: error %.3g of the scale", diff.MaxRel)
	}
	return nil
}

// oneByOne runs the session on each picture alone and returns the scores and
// the sorted times.
func oneByOne(ctx context.Context, s *hone.Session, images *tensor.Tensor) (scores [][]float32, times []time.Duration, err error) {
	pixels := tensor.Of[float32](images)
	n := len(pixels) / images.Shape[0]
	for i := range images.Shape[0] {
		in := map[string]*tensor.Tensor{"image": tensor.Float32s(pixels[i*n:(i+1)*n], 1, 1, 8, 8)}
		start := time.Now()
		out, err := s.Run(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		times = append(times, time.Since(start))
		scores = append(scores, tensor.Of[float32](out["logits"]))
	}
	slices.Sort(times)
	return scores, times, nil
}

func countRight(scores [][]float32, labels []int64) int {
	right := 0
	for i, row := range scores {
		if slices.Index(row, slices.Max(row)) == int(labels[i]) {
			right++
		}
	}
	return right
}
