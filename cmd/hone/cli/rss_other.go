//go:build !unix

package cli

import "runtime"

// peakRSS returns the memory taken from the system, in MB: the nearest that
// there is here.
func peakRSS() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys) / 1e6
}
