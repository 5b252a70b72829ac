package spec

import (
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	for want, k := range map[string]Kernel{
		"gemm_f32_14x32_avx512":  {Family: Gemm, Tier: rt.AVX512, Rows: 14, Panels: 2},
		"planes_f32_8x48_avx512": {Family: Planes, Tier: rt.AVX512, Rows: 8, Panels: 3},
		"vec_exp_f32_avx2":       {Family: Vec, Tier: rt.AVX2, Vec: rt.OpExp},
		"reduce_max_f32_neon":    {Family: Reduce, Tier: rt.NEON, Reduce: rt.ReduceMax},
		"depthwise_f32_avx512":   {Family: Depthwise, Tier: rt.AVX512},
		"transpose_f32_avx2":     {Family: Transpose, Tier: rt.AVX2},
	} {
		require.Equal(t, want, k.Name())
	}
}

func TestCatalogueNamesEachKernelOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, tier := range []rt.Tier{rt.AVX2, rt.AVX512, rt.NEON} {
		for _, f := range []Family{Gemm, Planes, Depthwise, MaxPool, SumPool, Blend, Vec, Reduce, Transpose, WinoIn, WinoOut} {
			for _, k := range Of(f, tier) {
				require.Equal(t, tier, k.Tier)
				require.False(t, seen[k.Name()], k.Name())
				seen[k.Name()] = true
			}
		}
	}
	require.NotEmpty(t, seen)
}
