//go:build unix

package cli

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// peakRSS returns the most memory that was resident, in MB.
func peakRSS() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" { // bytes there, kilobytes elsewhere
		return float64(u.Maxrss) / 1e6
	}
	return float64(u.Maxrss) / 1e3
}
