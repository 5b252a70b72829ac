package rt

import (
	"fmt"
	"iter"
	"math"
)

// GenericSet is the kernels in plain Go: what every machine can run, and what the tests of the others read like.
func GenericSet() *Set {
	s := &Set{
		Tier:      Generic,
		Depthwise: Kernel[TapArgs]{Name: "depthwise_f32_generic", Fn: genericDepthwise},
		MaxPool:   Kernel[TapArgs]{Name: "maxpool_f32_generic", Fn: genericMaxPool},
		SumPool:   Kernel[TapArgs]{Name: "sumpool_f32_generic", Fn: genericSumPool},
		Blend:     Kernel[BlendArgs]{Name: "blend_f32_generic", Fn: genericBlend},
		Transpose: Kernel[TransposeArgs]{Name: "transpose_f32_generic", Fn: genericTranspose},
		WinoIn:    Kernel[WinoArgs]{Name: "winoin_f32_generic", Fn: genericWinoIn},
		WinoOut:   Kernel[WinoArgs]{Name: "winoout_f32_generic", Tile: [2]int{1, 0}, Fn: genericWinoOut},
	}
	for _, mr := range []int{4, 1} {
		name := "gemm_f32_4x16_generic"
		if mr == 1 {
			name = "gemm_f32_1x16_generic"
		}
		s.Gemm = append(s.Gemm, Kernel[GemmArgs]{Name: name, Tile: [2]int{mr, 1}, Fn: func(g *GemmArgs) { genericGemm(g, mr) }})
	}
	for _, mr := range []int{8, 1} {
		s.Planes = append(s.Planes, Kernel[PlanesArgs]{Name: fmt.Sprintf("planes_f32_%dx16_generic", mr), Tile: [2]int{mr, 1}, Fn: func(g *PlanesArgs) { genericPlanes(g, mr) }})
	}
	for o := range NumVecOps {
		s.Vec[o] = Kernel[VecArgs]{Name: "vec_" + o.String() + "_f32_generic", Tile: [2]int{o.Operands()}, Fn: func(g *VecArgs) { genericVec(o, g) }}
	}
	for o := range NumReduceOps {
		s.Reduce[o] = Kernel[ReduceArgs]{Name: "reduce_" + o.String() + "_f32_generic", Tile: [2]int{o.Writes()}, Fn: func(g *ReduceArgs) { genericReduce(o, g) }}
	}
	return s.Seal()
}

// genericGemm works row by row: one panel's row of accumulators stays in registers or L1.
func genericGemm(g *GemmArgs, mr int) {
	width := maskWidth(g.Mask)
	steps := ints(g.Steps, int(g.Blocks)-1)
	for i := range mr {
		var acc [Lanes]float32
		c := floats(at(g.C, i*int(g.LdC)), width)
		if g.Flags&FlagAccumulate != 0 {
			copy(acc[:], c)
		}
		a, b := at(g.A, i*int(g.LdA)), g.B
		for blk := range int(g.Blocks) {
			for _, x := range floats(a, int(g.KB)) {
				for j, w := range lanes(b) {
					acc[j] += x * w
				}
				b = at(b, laneBytes)
			}
			if blk < len(steps) {
				a = at(a, int(g.KB*4+steps[blk]))
			}
		}
		if g.Bias != 0 {
			for j, v := range floats(g.Bias, width) {
				acc[j] += v
			}
		}
		if g.R != 0 {
			for j, v := range floats(at(g.R, i*int(g.LdC)), width) {
				acc[j] += v
			}
		}
		for j := range c {
			c[j] = clamp(acc[j], g.Lo, g.Hi, g.Flags)
		}
	}
}

// genericPlanes works channel by channel.
func genericPlanes(g *PlanesArgs, mr int) {
	width := maskWidth(g.Mask)
	for i := range mr {
		var acc [Lanes]float32
		for k, tap := range ints(g.Taps, int(g.K)) {
			w := *float(at(g.W, k*int(g.LdW)+4*i))
			for j, x := range lanes(at(g.X, int(tap))) {
				acc[j] += x * w
			}
		}
		c := floats(at(g.C, i*int(g.LdC)), width)
		for j := range c {
			v := acc[j]
			if g.Bias != 0 {
				v += *float(at(g.Bias, 4*i))
			}
			if g.R != 0 {
				v += *float(at(g.R, i*int(g.LdC)+4*j))
			}
			c[j] = clamp(v, g.Lo, g.Hi, g.Flags)
		}
	}
}

// clamp keeps NaN, as every kernel does.
func clamp(x, lo, hi float32, flags int64) float32 {
	if flags&FlagClamp == 0 {
		return x
	}
	if x < lo {
		x = lo
	}
	if x > hi {
		x = hi
	}
	return x
}

func genericDepthwise(g *TapArgs) {
	for p := range int(g.N) {
		var acc [Lanes]float32
		for t, x := range taps(g, p) {
			for j, w := range lanes(at(g.W, t*laneBytes)) {
				acc[j] += x[j] * w
			}
		}
		c := lanes(at(g.C, p*laneBytes))
		for j, v := range acc {
			if g.Bias != 0 {
				v += lanes(g.Bias)[j]
			}
			c[j] = clamp(v, g.Lo, g.Hi, g.Flags)
		}
	}
}

func genericMaxPool(g *TapArgs) {
	for p := range int(g.N) {
		c := lanes(at(g.C, p*laneBytes))
		for t, x := range taps(g, p) {
			if t == 0 {
				*c = *x
			}
			for j := range c {
				c[j] = max(c[j], x[j])
			}
		}
	}
}

func genericSumPool(g *TapArgs) {
	for p := range int(g.N) {
		var acc [Lanes]float32
		for _, x := range taps(g, p) {
			for j := range acc {
				acc[j] += x[j]
			}
		}
		c := lanes(at(g.C, p*laneBytes))
		for j := range c {
			c[j] = acc[j] * g.Scale
		}
	}
}

func genericBlend(g *BlendArgs) {
	taps := int(g.Taps)
	weights, index := floats(g.W, int(g.N)*taps), int32s(g.Index, int(g.N)*taps)
	for p := range int(g.N) {
		var acc [Lanes]float32
		for t := p * taps; t < (p+1)*taps; t++ {
			w := weights[t]
			for j, x := range lanes(at(g.X, int(index[t])*laneBytes)) {
				acc[j] += x * w
			}
		}
		*lanes(at(g.C, p*laneBytes)) = acc
	}
}

// taps yields the taps of pixel p.
func taps(g *TapArgs, p int) iter.Seq2[int, *[Lanes]float32] {
	return func(yield func(int, *[Lanes]float32) bool) {
		steps := ints(g.Steps, int(g.Taps)-1)
		a := at(g.A, p*int(g.LdA))
		for t := range int(g.Taps) {
			if !yield(t, lanes(a)) {
				return
			}
			if t < len(steps) {
				a = at(a, int(steps[t]))
			}
		}
	}
}

func genericTranspose(g *TransposeArgs) { transposeBlock(g, Lanes, int(g.Cols)) }

// transposeBlock is the transpose kernel for any number of rows and columns, for the edges.
func transposeBlock(g *TransposeArgs, rows, cols int) {
	for r := range rows {
		src := floats(at(g.Src, r*int(g.LdS)), cols)
		dst := at(g.Dst, r*4)
		for _, v := range src {
			*float(dst) = v
			dst = at(dst, int(g.LdD))
		}
	}
}

func genericReduce(op ReduceOp, g *ReduceArgs) {
	x := floats(g.X, int(g.N))
	var acc float32
	switch op {
	case ReduceMax:
		acc = float32(math.Inf(-1))
		for _, v := range x {
			acc = max(acc, v)
		}
	case ReduceMin:
		acc = float32(math.Inf(1))
		for _, v := range x {
			acc = min(acc, v)
		}
	case ReduceSum:
		acc = pairwise(x, func(_ int, v float32) float32 { return v })
	case ReduceSumSq:
		acc = pairwise(x, func(_ int, v float32) float32 { return (v - g.P0) * (v - g.P0) })
	case ReduceSumExp:
		d := floats(g.Dst, int(g.N))
		acc = pairwise(x, func(i int, v float32) float32 {
			d[i] = float32(math.Exp(float64(v - g.P0)))
			return d[i]
		})
	}
	*float(g.Out) = acc
}

// pairwise sums f over x in 16 lanes, as the vector kernels do, so that long sums lose little.
func pairwise(x []float32, f func(int, float32) float32) float32 {
	var acc [Lanes]float32
	for i, v := range x {
		acc[i%Lanes] += f(i, v)
	}
	for n := Lanes / 2; n > 0; n /= 2 {
		for j := range n {
			acc[j] += acc[j+n]
		}
	}
	return acc[0]
}
