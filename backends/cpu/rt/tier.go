package rt

import (
	"fmt"
	"strings"
)

// Tier is an instruction set that kernels are written for. Within one architecture a higher tier includes the lower ones.
type Tier uint8

const (
	Generic    Tier = iota // plain Go, runs anywhere
	AVX2                   // x86-64-v3: AVX2 and FMA
	AVX512                 // x86-64-v4: F, BW, DQ, VL
	AVX512VNNI             // AVX512 and VNNI
	AVX512BF16             // AVX512 and BF16
	AMX                    // tiles: BF16 and INT8
	NEON                   // arm64 baseline
	NEONDot                // NEON and dot product
	numTiers
)

var tierNames = [numTiers]string{"generic", "avx2", "avx512", "avx512-vnni", "avx512-bf16", "amx", "neon", "neon-dotprod"}

func (t Tier) String() string {
	if t < numTiers {
		return tierNames[t]
	}
	return fmt.Sprintf("tier(%d)", uint8(t))
}

// ParseTier reads a tier's name as HONE_CPU and --cpu give it.
func ParseTier(s string) (Tier, error) {
	for t, n := range tierNames {
		if strings.EqualFold(s, n) {
			return Tier(t), nil
		}
	}
	return 0, fmt.Errorf("unknown CPU tier %q: want one of %s", s, strings.Join(tierNames[:], ", "))
}
