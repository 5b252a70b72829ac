package rt

import "math/bits"

// The structs below are what kernels are called with: one pointer to one of them, every field filled in advance.
// Addresses are uintptr, since they may move past the end of what they point into, which Go's collector does not allow of a
// pointer; the driver that filled them in keeps the memory alive. Strides and steps are in bytes, counts in elements. Generators take field offsets from these declarations.

// Lanes is the number of float32 values in a panel's row, a channel block and a vector step.
const Lanes = 16

// laneBytes is the size of Lanes float32 values.
const laneBytes = 4 * Lanes

// Flags of GemmArgs and TapArgs.
const (
	FlagAccumulate = 1 << iota // start from C's content instead of zero
	FlagClamp                  // clamp to [Lo, Hi] at the end
)

// GemmArgs are the arguments of the "gemm" family, the one kernel behind matrix products and convolutions.
// For rows i < MR and columns j < 16·Panels it computes
//
//	acc = Accumulate ? C[i][j] : 0
//	for each block b and k < KB: acc = fma(A_b[i][k], B[b·KB+k][j], acc)
//	C[i][j] = clamp(acc + Bias[j] + R[i][j])
//
// in exactly this order for every tile size, so that an element's value depends neither on MR nor on blocking.
// A_0 is A; A_{b+1} = A_b + 4·KB + Steps[b]: a single block is a plain matrix, blocks of 16 walk NCHWc channel blocks and
// filter taps, blocks of a filter row walk an NCHW image.
type GemmArgs struct {
	A      uintptr // row i at A + i·LdA
	B      uintptr // panel p at B + p·PanelB, [k][16] within
	C      uintptr // row i of panel p at C + i·LdC + p·PanelC, 16 columns
	R      uintptr // residual with C's strides, or 0
	Bias   uintptr // one value a column, or 0
	Steps  uintptr // [Blocks-1]int64, 0 if Blocks is 1
	Blocks int64   // at least 1
	KB     int64   // k in a block, at least 1
	LdA    int64
	LdC    int64
	PanelB int64
	PanelC int64
	Mask   uint64 // bit j: column j of the last panel exists; nothing of C, R and Bias is touched in the others
	Flags  int64
	Lo, Hi float32
}

// PlanesArgs are the arguments of the "planes" family, convolutions of few output channels: neighbouring pixels stand in lanes, and
// the channels are rows. For channels i < MR and pixels j < 16·Panels it computes
//
//	acc = 0
//	for k < K: acc = fma(W[k][i], X[j] of tap k, acc)
//	C[i][j] = clamp(acc + Bias[i] + R[i][j])
//
// in exactly this order for every tile size. Pixels are read 16 at a time, those that Mask leaves out too.
type PlanesArgs struct {
	X      uintptr // pixel j of tap k at X + Taps[k] + 4·j
	Taps   uintptr // [K]int64 bytes
	W      uintptr // channel i of tap k at W + k·LdW + 4·i
	C      uintptr // channel i at C + i·LdC
	R      uintptr // residual with C's strides, or 0
	Bias   uintptr // one value a channel, or 0
	K      int64   // at least 1
	LdW    int64
	LdC    int64
	Mask   uint64 // bit j: pixel j of the last panel exists; nothing of C and R is touched in the others
	Flags  int64  // FlagClamp
	Lo, Hi float32
}

// TapArgs are the arguments of the families that walk a window over one block of 16 channels: "depthwise", "maxpool", "sumpool".
// For pixels p < N, with A_0 = A + p·LdA and A_{t+1} = A_t + Steps[t]:
//
//	depthwise: C[p] = clamp(sum over t of A_t · W[t] + Bias)
//	maxpool:   C[p] = max over t of A_t (NaN wins)
//	sumpool:   C[p] = Scale · sum over t of A_t
type TapArgs struct {
	A      uintptr
	W      uintptr // [Taps][16], depthwise only
	C      uintptr // pixel p at C + p·64
	Bias   uintptr // [16] or 0, depthwise only
	Steps  uintptr // [Taps-1]int64, 0 if Taps is 1
	Taps   int64   // at least 1
	N      int64   // pixels, at least 1
	LdA    int64
	Flags  int64 // FlagClamp, depthwise only
	Lo, Hi float32
	Scale  float32
}

// BlendArgs are the arguments of the "blend" family, pixels of 16 channels as weighted sums of others: for pixels p < N
//
//	C[p] = sum over t < Taps of W[p·Taps+t] · X[Index[p·Taps+t]]
type BlendArgs struct {
	X     uintptr // pixel i at X + i·64
	C     uintptr // pixel p at C + p·64
	W     uintptr // [N][Taps]float32
	Index uintptr // [N][Taps]int32
	Taps  int64   // at least 1
	N     int64   // at least 1
}

// VecArgs are the arguments of the "vec" family: Dst[i] = op(X[i], Y[i], Z[i]) for i < N. An operand's step is the bytes to
// move after 16 elements: 64 for a vector, 0 for 16 values used over and over (a scalar spread to 16 lanes, or one value a
// channel of an NCHWc block). Dst may be one of the operands; otherwise they must not overlap.
type VecArgs struct {
	Dst        uintptr
	X, Y, Z    uintptr
	SX, SY, SZ int64
	N          int64
	P0, P1     float32 // the operator's parameters
}

// ReduceArgs are the arguments of the "reduce" family over N contiguous values; see ReduceOp.
type ReduceArgs struct {
	X   uintptr
	Dst uintptr // N values, for ops that write them too
	Out uintptr // one value
	N   int64
	P0  float32
}

// TransposeArgs are the arguments of the "transpose" family: Dst[c][r] = Src[r][c] for r < 16, c < Cols.
type TransposeArgs struct {
	Src  uintptr // row r at Src + r·LdS
	Dst  uintptr // row c at Dst + c·LdD
	LdS  int64
	LdD  int64
	Cols int64 // a multiple of 8
}

// WinoArgs are the arguments of the families "winoin" and "winoout", Winograd's transforms of N neighbouring patches of 16 channels,
// patch t 4 pixels after the one before it:
//
//	winoin:  6×6 pixels at Src + row·LdS + (4·t + column)·64 to Dst + (6·row + column)·LdD + t·64
//	winoout: 6×6 values at Src + (6·row + column)·LdS + t·64 to 4×4 pixels at Dst + row·LdD + (4·t + column)·64,
//	         plus Bias and R, clamped as in GemmArgs
type WinoArgs struct {
	Src, Dst uintptr
	LdS, LdD int64
	Tmp      uintptr // 36·64 bytes to write to
	N        int64   // at least 1
	Bias     uintptr // [16] or 0, winoout only
	R        uintptr // of Dst's strides, or 0, winoout only
	Flags    int64   // FlagClamp, winoout only
	Lo, Hi   float32
}

// Args holds one of each, for a worker to fill in.
type Args struct {
	Gemm      GemmArgs
	Planes    PlanesArgs
	Tap       TapArgs
	Blend     BlendArgs
	Vec       VecArgs
	Reduce    ReduceArgs
	Transpose TransposeArgs
	Wino      WinoArgs
}

// Range is memory that a kernel touches: Count pieces of Len bytes, Stride bytes from one to the next.
type Range struct {
	Base   uintptr
	Len    int
	Count  int
	Stride int
	Write  bool
}

func span(p uintptr, n int, write bool) Range { return Range{p, n, 1, 0, write} }

func maskWidth(mask uint64) int {
	return bits.Len64(mask)
}

// Footprint is the memory that a kernel of mr rows and the given number of panels touches when called with g.
func (g *GemmArgs) Footprint(a, b int) []Range { return g.footprint(nil, a, b) }

func (g *GemmArgs) footprint(out []Range, mr, panels int) []Range {
	a := g.A
	steps := ints(g.Steps, int(g.Blocks)-1)
	for b := range int(g.Blocks) {
		out = append(out, Range{a, int(g.KB) * 4, mr, int(g.LdA), false})
		if b < len(steps) {
			a = at(a, int(g.KB*4+steps[b]))
		}
	}
	return g.others(out, steps, panels, mr)
}

// bounds is the footprint with A's blocks, of which there may be hundreds, as one range that holds all of them.
func (g *GemmArgs) bounds(out []Range, mr, panels int) []Range {
	steps := ints(g.Steps, int(g.Blocks)-1)
	var off, lo, hi int64
	for _, s := range steps {
		off += g.KB*4 + s
		lo, hi = min(lo, off), max(hi, off)
	}
	out = append(out, Range{at(g.A, int(lo)), int(hi - lo + g.KB*4), mr, int(g.LdA), false})
	return g.others(out, steps, panels, mr)
}

// others is the footprint besides A.
func (g *GemmArgs) others(out []Range, steps []int64, panels, mr int) []Range {
	for p := range panels {
		width := Lanes
		if p == panels-1 {
			width = maskWidth(g.Mask)
		}
		out = append(out, span(at(g.B, p*int(g.PanelB)), int(g.Blocks*g.KB)*laneBytes, false),
			Range{at(g.C, p*int(g.PanelC)), width * 4, mr, int(g.LdC), true})
		if g.R != 0 {
			out = append(out, Range{at(g.R, p*int(g.PanelC)), width * 4, mr, int(g.LdC), false})
		}
		if g.Bias != 0 {
			out = append(out, span(at(g.Bias, p*laneBytes), width*4, false))
		}
	}
	if len(steps) > 0 {
		out = append(out, span(g.Steps, 8*len(steps), false))
	}
	return out
}

// Footprint is the memory that a kernel of mr channels and the given number of panels touches when called with g.
func (g *PlanesArgs) Footprint(a, b int) []Range { return g.footprint(nil, a, b) }

func (g *PlanesArgs) footprint(out []Range, mr, panels int) []Range {
	lo, hi := g.reach()
	width := (panels-1)*Lanes + maskWidth(g.Mask)
	out = append(out, span(at(g.X, int(lo)), int(hi-lo)+panels*laneBytes, false), span(g.Taps, 8*int(g.K), false),
		Range{g.W, 4 * mr, int(g.K), int(g.LdW), false}, Range{g.C, 4 * width, mr, int(g.LdC), true})
	if g.R != 0 {
		out = append(out, Range{g.R, 4 * width, mr, int(g.LdC), false})
	}
	if g.Bias != 0 {
		out = append(out, span(g.Bias, 4*mr, false))
	}
	return out
}

// reach is the least and the largest of the taps.
func (g *PlanesArgs) reach() (lo, hi int64) {
	taps := ints(g.Taps, int(g.K))
	lo, hi = taps[0], taps[0]
	for _, t := range taps {
		lo, hi = min(lo, t), max(hi, t)
	}
	return lo, hi
}

// Footprint is the memory that a kernel touches when called with g; the two numbers are not used.
func (g *TapArgs) Footprint(a, b int) []Range { return g.footprint(nil, a, b) }

func (g *TapArgs) footprint(out []Range, _, _ int) []Range {
	a := g.A
	steps := ints(g.Steps, int(g.Taps)-1)
	for t := range int(g.Taps) {
		out = append(out, Range{a, laneBytes, int(g.N), int(g.LdA), false})
		if t < len(steps) {
			a = at(a, int(steps[t]))
		}
	}
	if g.W != 0 {
		out = append(out, span(g.W, int(g.Taps)*laneBytes, false))
	}
	if g.Bias != 0 {
		out = append(out, span(g.Bias, laneBytes, false))
	}
	if len(steps) > 0 {
		out = append(out, span(g.Steps, 8*len(steps), false))
	}
	return append(out, span(g.C, int(g.N)*laneBytes, true))
}

// Footprint is the memory that a kernel touches when called with g; the two numbers are not used.
func (g *BlendArgs) Footprint(a, b int) []Range { return g.footprint(nil, a, b) }

func (g *BlendArgs) footprint(out []Range, _, _ int) []Range {
	n := int(g.N * g.Taps)
	index := int32s(g.Index, n)
	lo, hi := index[0], index[0]
	for _, i := range index {
		lo, hi = min(lo, i), max(hi, i)
	}
	return append(out, span(at(g.X, int(lo)*laneBytes), int(hi-lo+1)*laneBytes, false), span(g.C, int(g.N)*laneBytes, true),
		span(g.W, 4*n, false), span(g.Index, 4*n, false))
}

// Footprint is the memory that a kernel with the given number of operands touches when called with g.
func (g *VecArgs) Footprint(a, b int) []Range { return g.footprint(nil, a, b) }

func (g *VecArgs) footprint(out []Range, operands, _ int) []Range {
	out = append(out, span(g.Dst, int(g.N)*4, true))
	for i, p := range []uintptr{g.X, g.Y, g.Z}[:operands] {
		n := int(g.N) * 4
		if []int64{g.SX, g.SY, g.SZ}[i] == 0 {
			n = laneBytes
		}
		out = append(out, span(p, n, false))
	}
	return out
}

// Footprint is the memory that a kernel touches when called with g; writes is 1 if it writes Dst.
func (g *ReduceArgs) Footprint(a, b int) []Range { return g.footprint(nil, a, b) }

func (g *ReduceArgs) footprint(out []Range, writes, _ int) []Range {
	out = append(out, span(g.X, int(g.N)*4, false), span(g.Out, 4, true))
	if writes == 1 {
		out = append(out, span(g.Dst, int(g.N)*4, true))
	}
	return out
}

// Footprint is the memory that a kernel touches when called with g; the two numbers are not used.
func (g *TransposeArgs) Footprint(a, b int) []Range { return g.footprint(nil, a, b) }

func (g *TransposeArgs) footprint(out []Range, _, _ int) []Range {
	return append(out, Range{g.Src, int(g.Cols) * 4, Lanes, int(g.LdS), false}, Range{g.Dst, laneBytes, int(g.Cols), int(g.LdD), true})
}

// Footprint is the memory that a kernel touches when called with g; out is 1 for the winoout family.
func (g *WinoArgs) Footprint(a, b int) []Range { return g.footprint(nil, a, b) }

func (g *WinoArgs) footprint(ranges []Range, out, _ int) []Range {
	ranges = append(ranges, span(g.Tmp, winoTmp, true))
	n := int(g.N)
	pixels := func(p uintptr, ld int64, rows int, write bool) {
		ranges = append(ranges, Range{p, (n*winoOut + rows - winoOut) * laneBytes, rows, int(ld), write})
	}
	points := func(p uintptr, ld int64, write bool) {
		ranges = append(ranges, Range{p, n * laneBytes, winoPoints, int(ld), write})
	}
	if out == 0 {
		pixels(g.Src, g.LdS, winoIn, false)
		points(g.Dst, g.LdD, true)
		return ranges
	}
	points(g.Src, g.LdS, false)
	pixels(g.Dst, g.LdD, winoOut, true)
	if g.R != 0 {
		pixels(g.R, g.LdD, winoOut, false)
	}
	if g.Bias != 0 {
		ranges = append(ranges, span(g.Bias, laneBytes, false))
	}
	return ranges
}
