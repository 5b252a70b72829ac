package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/klauspost/cpuid/v2"
	"github.com/spf13/cobra"

	"github.com/hone-ml/hone/backends/cpu/kernels"
)

func init() { commands = append(commands, doctorCommand) }

func doctorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "show what this machine offers and what hone makes of it",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
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
			return nil
		},
	}
}
