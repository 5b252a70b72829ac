//go:build !amd64

package kernels

var archTiers []archTier
