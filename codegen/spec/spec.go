// Package spec says what a kernel is, without saying how one is written: its family, operator, tile and ISA tier, the grammar
// of its name, and the catalogue of those that hone carries. It knows rt's kernel arguments and no assembler.
//
// A name is FAMILY[_OP]_f32[_ROWSxCOLUMNS]_TIER: gemm_f32_14x32_avx512, vec_exp_f32_avx2, reduce_max_f32_avx512, depthwise_f32_avx2.
//
// To add a tile or a tier of a family that exists: a row in this file. To add an operator to vec: its constant in rt, its
// definition in rt's plain Go, its instructions in codegen/vecmath; every tier and the tests follow. To add a family: its
// argument struct with a Footprint and its plain Go kernel in rt, a name here, a generator for each architecture, and a test against
// the plain Go one. Then `go generate ./backends/cpu/kernels`.
package spec

import (
	"fmt"

	"github.com/hone-ml/hone/backends/cpu/rt"
)

// Family is a kind of kernel: all of one family take the same arguments.
type Family string

// The families; rt's argument structs define what they compute.
const (
	Gemm      Family = "gemm"      // rt.GemmArgs
	Planes    Family = "planes"    // rt.PlanesArgs
	Depthwise Family = "depthwise" // rt.TapArgs
	MaxPool   Family = "maxpool"   // rt.TapArgs
	SumPool   Family = "sumpool"   // rt.TapArgs
	Blend     Family = "blend"     // rt.BlendArgs
	Vec       Family = "vec"       // rt.VecArgs
	Reduce    Family = "reduce"    // rt.ReduceArgs
	Transpose Family = "transpose" // rt.TransposeArgs
	WinoIn    Family = "winoin"    // rt.WinoArgs
	WinoOut   Family = "winoout"   // rt.WinoArgs
)

// Args names the argument struct of a family.
func (f Family) Args() string {
	switch f {
	case Gemm:
		return "GemmArgs"
	case Planes:
		return "PlanesArgs"
	case Blend:
		return "BlendArgs"
	case Vec:
		return "VecArgs"
	case Reduce:
		return "ReduceArgs"
	case Transpose:
		return "TransposeArgs"
	case WinoIn, WinoOut:
		return "WinoArgs"
	default:
		return "TapArgs"
	}
}

// Kernel is one kernel to generate.
type Kernel struct {
	Family       Family
	Tier         rt.Tier
	Rows, Panels int         // gemm and planes: the tile, a panel being 16 columns
	Vec          rt.VecOp    // vec
	Reduce       rt.ReduceOp // reduce
}

// Name is the kernel's name, and that of its Go declaration with the dash of a tier's name as an underscore.
func (k Kernel) Name() string {
	switch k.Family {
	case Gemm, Planes:
		return fmt.Sprintf("%s_f32_%dx%d_%s", k.Family, k.Rows, k.Panels*rt.Lanes, k.Tier)
	case Vec:
		return fmt.Sprintf("vec_%s_f32_%s", k.Vec, k.Tier)
	case Reduce:
		return fmt.Sprintf("reduce_%s_f32_%s", k.Reduce, k.Tier)
	default:
		return fmt.Sprintf("%s_f32_%s", k.Family, k.Tier)
	}
}

// tiles are the gemm tiles of each tier: rows that suit each number of panels.
var tiles = map[rt.Tier]map[int][]int{
	rt.AVX2:   {4: {1}, 2: {2, 1}, 1: {6, 5, 4, 3, 2, 1}},
	rt.AVX512: {8: {1}, 4: {3, 2, 1}, 2: {14, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1}, 1: {14, 8, 4, 2, 1}},
	rt.NEON:   {1: {6, 4, 2, 1}},
}

// planes are the planes tiles of each tier: panels that suit each number of channels.
var planes = map[rt.Tier]map[int][]int{
	rt.AVX2:   {4: {1}, 3: {1}, 2: {2, 1}, 1: {4, 2, 1}},
	rt.AVX512: {8: {3, 2, 1}, 4: {6, 3, 2, 1}, 3: {6, 4, 3, 2, 1}, 2: {8, 4, 3, 2, 1}, 1: {8, 6, 4, 3, 2, 1}},
	rt.NEON:   {4: {1}, 3: {1}, 2: {1}, 1: {1}},
}

// Of lists the kernels of a family that a tier has of its own; what it lacks comes from the tier below.
func Of(f Family, t rt.Tier) []Kernel {
	var ks []Kernel
	switch {
	case f == Gemm:
		for _, panels := range []int{8, 4, 2, 1} {
			for _, rows := range tiles[t][panels] {
				ks = append(ks, Kernel{Family: f, Tier: t, Rows: rows, Panels: panels})
			}
		}
	case f == Planes:
		for _, rows := range []int{8, 4, 3, 2, 1} {
			for _, panels := range planes[t][rows] {
				ks = append(ks, Kernel{Family: f, Tier: t, Rows: rows, Panels: panels})
			}
		}
	case f == Vec:
		for op := range rt.NumVecOps {
			ks = append(ks, Kernel{Family: f, Tier: t, Vec: op})
		}
	case f == Reduce:
		for op := range rt.NumReduceOps {
			ks = append(ks, Kernel{Family: f, Tier: t, Reduce: op})
		}
	case f == Transpose && t != rt.AVX2: // its 8x8 blocks serve AVX-512 as well; NEON has none yet
	default:
		ks = append(ks, Kernel{Family: f, Tier: t})
	}
	return ks
}
