package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/backends/tensorrt"
	"github.com/hone-ml/hone/tensor"
)

func init() { commands = append(commands, benchCommand) }

// benchResult is what hone bench --json prints as its last line.
type benchResult struct {
	Latency struct {
		Median float64 `json:"median"`
		Min    float64 `json:"min"`
		P90    float64 `json:"p90"`
		P99    float64 `json:"p99"`
	} `json:"latency_ms"`
	Runs    int     `json:"runs"`
	LoadMS  float64 `json:"load_ms"`
	PeakRSS float64 `json:"peak_rss_mb"`
	Tier    string  `json:"tier"`
	Threads int     `json:"threads"`
}

func benchCommand(a *app) *cobra.Command {
	var mf modelFlags
	var in inputFlags
	var sf sessionFlags
	var duration time.Duration
	var asJSON, profile bool
	c := &cobra.Command{
		Use:   "bench MODEL",
		Short: "measure the latency of a model, a bundle, or on a GPU a TensorRT plan",
		Long: "bench measures one run after another on the same inputs, random ones where none are given. Runs of a plan are measured by the GPU's\n" +
			"own clock, without copies to the GPU and back.",
		Example: `  hone bench model.hone
  hone bench model.onnx --input x=x.npy --threads 4 --duration 10s --json`,
		Args: exactly(1, "one model, bundle or plan"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := measure(cmd, a, args[0], &mf, &in, &sf, duration, profile)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.out).Encode(r)
			}
			fmt.Fprintf(a.out, "median   %9.3f ms\nmin      %9.3f ms\np90      %9.3f ms\np99      %9.3f ms\nruns     %9d\nload     %9.1f ms (with the first run)\npeak RSS %9.1f MB\nkernels  %9s\n",
				r.Latency.Median, r.Latency.Min, r.Latency.P90, r.Latency.P99, r.Runs, r.LoadMS, r.PeakRSS, r.Tier)
			return nil
		},
	}
	in.add(c)
	sf.add(c, 1)
	c.Flags().DurationVar(&duration, "duration", 2*time.Second, "how long to measure")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&profile, "profile", false, "also print what takes the time of a run, by operator")
	mf.add(c)
	return c
}

func measure(cmd *cobra.Command, a *app, path string, mf *modelFlags, in *inputFlags, sf *sessionFlags, duration time.Duration, profile bool) (r benchResult, err error) {
	start := time.Now()
	if isPlan(path) {
		if profile {
			return r, usagef("--profile is for models and bundles: hone inspect %s shows the plan's layers", path)
		}
		return r, r.plan(cmd.Context(), a, path, in, duration)
	}
	s, err := sf.open(cmd, a, path, mf)
	if err != nil {
		return r, err
	}
	defer s.Close()
	ins, err := in.read(cmd.Context(), a, s.Inputs(), s.Preprocess(), true)
	if err != nil {
		return r, err
	}
	if _, err := s.Run(cmd.Context(), ins); err != nil {
		return r, err
	}
	r.LoadMS = ms(time.Since(start))
	var times []float64
	for end := time.Now().Add(duration); len(times) < 3 || time.Now().Before(end); {
		t := time.Now()
		if _, err := s.Run(cmd.Context(), ins); err != nil {
			return r, err
		}
		times = append(times, ms(time.Since(t)))
	}
	r.count(times)
	r.Tier, r.Threads = s.Tier(), sf.Threads
	if profile {
		err = printProfile(cmd.Context(), a, s, ins)
	}
	return r, err
}

// plan measures a plan. Its first run makes kernels ready and does not count.
func (r *benchResult) plan(ctx context.Context, a *app, path string, in *inputFlags, duration time.Duration) error {
	start := time.Now()
	p, err := openPlan(path)
	if err != nil {
		return err
	}
	ins, err := p.read(ctx, a, in, true)
	if err != nil {
		return err
	}
	p.opt = tensorrt.RunOptions{Times: 4, For: duration}
	if _, err := p.Run(ctx, ins); err != nil {
		return err
	}
	whole := ms(time.Since(start))
	var times []float64
	for _, t := range p.last.Times {
		whole -= ms(t)
		times = append(times, ms(t))
	}
	r.LoadMS = whole + times[0]
	r.count(times[1:])
	r.Tier = p.last.Device.Name
	return nil
}

// count sorts times, of which there is one at least.
func (r *benchResult) count(times []float64) {
	slices.Sort(times)
	at := func(q float64) float64 { return times[min(int(q*float64(len(times))), len(times)-1)] }
	r.Latency.Median, r.Latency.Min, r.Latency.P90, r.Latency.P99 = at(0.5), times[0], at(0.9), at(0.99)
	r.Runs, r.PeakRSS = len(times), peakRSS()
}

// printProfile prints the parts of a run, the largest first.
func printProfile(ctx context.Context, a *app, s *hone.Session, inputs map[string]*tensor.Tensor) error {
	ins := make([]tensor.Value, len(s.Inputs()))
	for i, p := range s.Inputs() {
		ins[i] = inputs[p.Name]
	}
	costs, err := s.CPU().Profile(ctx, ins, 5)
	if err != nil {
		return err
	}
	var total time.Duration
	for _, c := range costs {
		total += c.Time
	}
	for _, c := range costs {
		if c.Time*200 < total {
			continue
		}
		how := "kernel"
		if c.Reference {
			how = "reference"
		}
		fmt.Fprintf(a.out, "%5.1f %%  %9.3f ms  %4d  %-9s  %s  (%s)\n", 100*float64(c.Time)/float64(max(total, 1)), ms(c.Time), c.Count, how, c.Op, c.Loc)
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
