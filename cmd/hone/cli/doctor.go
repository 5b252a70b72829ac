package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/spf13/cobra"

	"github.com/hone-ml/hone/backends/cpu/kernels"
	"github.com/hone-ml/hone/backends/tensorrt"
	"github.com/hone-ml/hone/backends/tensorrt/cuda"
)

func init() { commands = append(commands, doctorCommand) }

func doctorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "show what this machine offers and what hone makes of it",
		Example: `  hone doctor
  HONE_CPU=avx2 hone doctor`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := cpuid.CPU
			fmt.Fprintf(a.out, "CPU      %s, %d cores, %s/%s\n", c.BrandName, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
			fmt.Fprintf(a.out, "caches   L1 %d KB, L2 %d KB, L3 %d KB\n", c.Cache.L1D>>10, c.Cache.L2>>10, c.Cache.L3>>10)
			best, err := kernels.Detect()
			if err != nil {
				return err
			}
			offered := kernels.Available()
			for _, t := range kernels.Written() {
				switch {
				case t == best:
					why := "the best this CPU offers"
					if os.Getenv(kernels.EnvTier) != "" {
						why = "forced by " + kernels.EnvTier
					}
					fmt.Fprintf(a.out, "kernels  %-8s used: %s\n", t, why)
				case slices.Contains(offered, t):
					fmt.Fprintf(a.out, "kernels  %-8s possible: --cpu %s\n", t, t)
				default:
					fmt.Fprintf(a.out, "kernels  %-8s not offered by this CPU\n", t)
				}
			}
			return tensorRT(cmd.Context(), a)
		},
	}
}

// tensorRT shows the TensorRT libraries and the GPUs that are found.
func tensorRT(ctx context.Context, a *app) error {
	libraries, err := tensorrt.Find(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		fmt.Fprintf(a.out, "TensorRT none: %v\n", err)
	}
	for _, l := range libraries {
		where := cmp.Or(l.Folder, "the system's search path")
		if l.Err != nil {
			fmt.Fprintf(a.out, "TensorRT in %s can not be used: %v\n", where, l.Err)
			continue
		}
		fmt.Fprintf(a.out, "TensorRT %s in %s, builds for compute capabilities %s\n", strings.TrimPrefix(l.Name, "TensorRT "), where, capabilities(l.Capabilities))
	}
	devices, err := cuda.Devices()
	if err != nil {
		fmt.Fprintf(a.out, "GPU      none: %v\n", err)
	}
	for _, d := range devices {
		fmt.Fprintf(a.out, "GPU      %s\n", d)
	}
	return nil
}

// capabilities writes 86, 89 as 8.6, 8.9.
func capabilities(sm []int) string {
	list := make([]string, len(sm))
	for i, v := range sm {
		list[i] = fmt.Sprintf("%d.%d", v/10, v%10)
	}
	return strings.Join(list, ", ")
}
