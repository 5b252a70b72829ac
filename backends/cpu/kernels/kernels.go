// Package kernels is the catalogue of the CPU backend's kernels: generated assembly, its Go declarations, and the registry
// that says which kernel belongs to which ISA tier. Nothing in its z files is edited by hand; `go generate` rebuilds them.
// It knows CPU features and rt's kernel arguments, and nothing of the IR.
package kernels

import (
	"fmt"
	"os"
	"sync"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/klauspost/cpuid/v2"
)

//go:generate go run ../../../codegen/gen

// EnvTier names the environment variable that forces a lower tier.
const EnvTier = "HONE_CPU"

// supported tells whether this CPU runs a tier.
func supported(t rt.Tier) bool {
	switch t {
	case rt.Generic:
		return true
	case rt.AVX2:
		return cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.BMI2)
	case rt.AVX512:
		return supported(rt.AVX2) && cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL)
	case rt.NEON:
		return cpuid.CPU.Supports(cpuid.ASIMD)
	default:
		return false
	}
}

// Written are the tiers with kernels on this architecture, lowest first.
func Written() []rt.Tier {
	tiers := []rt.Tier{rt.Generic}
	for _, t := range archTiers {
		tiers = append(tiers, t.tier)
	}
	return tiers
}

// Available are the tiers that this CPU can run, lowest first.
func Available() []rt.Tier {
	var tiers []rt.Tier
	for _, t := range Written() {
		if supported(t) {
			tiers = append(tiers, t)
		}
	}
	return tiers
}

// Detect is the highest tier that this CPU can run and that HONE_CPU, if set, allows.
func Detect() (rt.Tier, error) {
	tiers := Available()
	if name := os.Getenv(EnvTier); name != "" {
		t, err := rt.ParseTier(name)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", EnvTier, err)
		}
		for _, a := range tiers {
			if a == t {
				return t, nil
			}
		}
		return 0, fmt.Errorf("%s=%s: this CPU offers %v", EnvTier, name, tiers)
	}
	return tiers[len(tiers)-1], nil
}

var sets = sync.OnceValue(func() map[rt.Tier]*rt.Set {
	m := map[rt.Tier]*rt.Set{}
	s := rt.GenericSet()
	m[rt.Generic] = s
	for _, t := range archTiers {
		next := *s
		next.Tier = t.tier
		t.fill(&next)
		s = next.Seal()
		m[t.tier] = s
	}
	return m
})

// archTier is a tier above the one before it: fill replaces the kernels that it has better ones for.
type archTier struct {
	tier rt.Tier
	fill func(*rt.Set)
}

// ForTier is the set of kernels of a tier; an error says which ones this CPU offers.
func ForTier(t rt.Tier) (*rt.Set, error) {
	if s := sets()[t]; s != nil && supported(t) {
		return s, nil
	}
	return nil, fmt.Errorf("CPU tier %s: this CPU offers %v", t, Available())
}

// Best is the set that Detect picks.
func Best() (*rt.Set, error) {
	t, err := Detect()
	if err != nil {
		return nil, err
	}
	return ForTier(t)
}
