//go:build !amd64 && !arm64

package kernels

var archTiers []archTier
