package kernels

import (
	"regexp"
	"testing"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/stretchr/testify/require"
)

// grammar is codegen/spec's grammar of kernel names.
var grammar = regexp.MustCompile(`^((gemm|planes)_f32_\d+x\d+|vec_[a-z]+_f32|reduce_[a-z]+_f32|(depthwise|maxpool|sumpool|blend|transpose|winoin|winoout)_f32)_[a-z0-9]+$`)

func TestEveryTierIsWhole(t *testing.T) {
	for tier, set := range sets() {
		require.Equal(t, tier, set.Tier)
		seen := map[string]bool{}
		check := func(name string, missing bool) {
			require.False(t, missing, "%s lacks a kernel", tier)
			require.Regexp(t, grammar, name)
			require.False(t, seen[name], "%s is there twice", name)
			seen[name] = true
		}
		low := false
		for _, k := range set.Gemm {
			check(k.Name, k.Fn == nil)
			require.Positive(t, k.Tile[0]*k.Tile[1])
			low = low || k.Tile == [2]int{1, 1}
		}
		require.True(t, low, "%s has no gemm kernel for one row and one panel", tier)
		low = false
		for _, k := range set.Planes {
			check(k.Name, k.Fn == nil)
			low = low || k.Tile == [2]int{1, 1}
		}
		require.True(t, low, "%s has no planes kernel for one channel and one panel", tier)
		for op, k := range set.Vec {
			check(k.Name, k.Fn == nil)
			require.Equal(t, rt.VecOp(op).Operands(), k.Tile[0])
		}
		for op, k := range set.Reduce {
			check(k.Name, k.Fn == nil)
			require.Equal(t, rt.ReduceOp(op).Writes(), k.Tile[0])
		}
		for _, k := range []rt.Kernel[rt.TapArgs]{set.Depthwise, set.MaxPool, set.SumPool} {
			check(k.Name, k.Fn == nil)
		}
		check(set.Blend.Name, set.Blend.Fn == nil)
		check(set.WinoIn.Name, set.WinoIn.Fn == nil)
		check(set.WinoOut.Name, set.WinoOut.Fn == nil)
		check(set.Transpose.Name, set.Transpose.Fn == nil)
	}
}

func TestDetect(t *testing.T) {
	t.Setenv(EnvTier, "")
	top, err := Detect()
	require.NoError(t, err)
	require.Equal(t, Available()[len(Available())-1], top)

	t.Setenv(EnvTier, "generic")
	tier, err := Detect()
	require.NoError(t, err)
	require.Equal(t, rt.Generic, tier)
	set, err := Best()
	require.NoError(t, err)
	require.Equal(t, rt.Generic, set.Tier)

	t.Setenv(EnvTier, "pentium")
	_, err = Detect()
	require.ErrorContains(t, err, `HONE_CPU: unknown CPU tier "pentium"`)

	t.Setenv(EnvTier, "amx")
	_, err = Detect()
	require.ErrorContains(t, err, "HONE_CPU=amx: this CPU offers [generic")
	_, err = ForTier(rt.AMX)
	require.Error(t, err)
}
