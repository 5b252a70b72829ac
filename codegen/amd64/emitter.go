// Package amd64 writes the kernels of the avx2 and avx512 tiers with avo, one file a family. A generator states a kernel once
// for both vector widths; the emitter hides what differs between them: masks, blends, rounding. It is imported by
// `go generate` and the command line only.
package amd64

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

// emitter writes one kernel after another into one assembly file.
type emitter struct {
	*build.Context
	wide   bool // 512-bit vectors
	consts map[uint64]operand.Mem
	labels int
}

// File is the assembly of kernels of one tier, with a warning that it is generated.
func File(kernels []spec.Kernel) ([]byte, error) {
	e := &emitter{Context: build.NewContext(), consts: map[uint64]operand.Mem{}}
	for _, k := range kernels {
		e.wide = k.Tier != rt.AVX2
		e.labels = 0
		e.Function(ident(k.Name()))
		e.Attributes(attr.NOSPLIT)
		e.SignatureExpr("func(args *byte)")
		args := e.Load(e.Param("args"), e.GP64())
		switch k.Family {
		case spec.Gemm:
			e.gemm(k, args)
		case spec.Planes:
			e.planes(k, args)
		case spec.Blend:
			e.blend(args)
		case spec.Vec:
			e.vec(k, args)
		case spec.Reduce:
			e.reduce(k, args)
		case spec.Transpose:
			e.transpose(args)
		case spec.WinoIn:
			e.winoIn(args)
		case spec.WinoOut:
			e.winoOut(args)
		default:
			e.taps(k, args)
		}
		e.VZEROUPPER()
		e.RET()
	}
	f, err := e.Result()
	if err != nil {
		return nil, err
	}
	if err := pass.Compile.Execute(f); err != nil {
		return nil, err
	}
	cfg := printer.Config{Name: "go generate", Argv: nil, Pkg: "kernels"}
	return printer.NewGoAsm(cfg).Print(f)
}

// ident is a kernel's name as an identifier.
func ident(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c == '-' {
			b[i] = '_'
		}
	}
	return string(b)
}

// vecReg is a vector register of either width; mask a K register or a vector.
type (
	vecReg = reg.VecVirtual
	mask   = reg.Register
)

func (e *emitter) v() vecReg {
	if e.wide {
		return e.ZMM()
	}
	return e.YMM()
}

// width is the bytes of a vector.
func (e *emitter) width() int {
	if e.wide {
		return 64
	}
	return 32
}

// parts is the number of vectors in 16 lanes.
func (e *emitter) parts() int { return 64 / e.width() }

// label makes a name that is unique within the kernel.
func (e *emitter) label(name string) string {
	e.labels++
	return fmt.Sprintf("%s%d", name, e.labels)
}

// bits is a constant in memory, the same 32 bits in every lane.
func (e *emitter) bits(v uint32) operand.Mem {
	if m, ok := e.consts[uint64(v)]; ok {
		return m
	}
	m := e.StaticGlobal(fmt.Sprintf("c%08x", v))
	e.DataAttributes(attr.RODATA | attr.NOPTR)
	for range rt.Lanes {
		e.AppendDatum(operand.U32(v))
	}
	e.consts[uint64(v)] = m
	return m
}

// k is a float32 constant in memory, the same in every lane.
func (e *emitter) k(v float64) operand.Mem { return e.bits(math.Float32bits(float32(v))) }

// ptr reads a 64-bit argument.
func (e *emitter) arg(args reg.Register, off uintptr) reg.GPVirtual {
	r := e.GP64()
	e.MOVQ(field(args, off), r)
	return r
}

func field(args reg.Register, off uintptr) operand.Mem {
	return operand.Mem{Base: args, Disp: int(off)}
}

func mem(base reg.Register, disp int) operand.Mem { return operand.Mem{Base: base, Disp: disp} }

func memx(base, index reg.Register, scale uint8, disp int) operand.Mem {
	return operand.Mem{Base: base, Index: index, Scale: scale, Disp: disp}
}

// i32 is an immediate that every instruction takes.
func i32(v int) operand.Constant { return operand.I32(int32(v)) }

// The rest are the vector instructions that generators use, a three-operand expression each. Operands may be memory where the
// instruction allows it for its last source.

func (e *emitter) load(m operand.Op) vecReg { r := e.v(); e.VMOVUPS(m, r); return r }
func (e *emitter) splat(m operand.Mem) vecReg {
	r := e.v()
	e.VBROADCASTSS(m, r)
	return r
}
func (e *emitter) zero() vecReg {
	r := e.v()
	e.clear(r)
	return r
}
func (e *emitter) clear(r vecReg) {
	if e.wide {
		e.VPXORD(r, r, r)
	} else {
		e.VXORPS(r, r, r)
	}
}
func (e *emitter) add(a vecReg, b operand.Op) vecReg { r := e.v(); e.VADDPS(b, a, r); return r }
func (e *emitter) sub(a vecReg, b operand.Op) vecReg { r := e.v(); e.VSUBPS(b, a, r); return r }
func (e *emitter) mul(a vecReg, b operand.Op) vecReg { r := e.v(); e.VMULPS(b, a, r); return r }
func (e *emitter) div(a vecReg, b operand.Op) vecReg { r := e.v(); e.VDIVPS(b, a, r); return r }
func (e *emitter) sqrt(a vecReg) vecReg              { r := e.v(); e.VSQRTPS(a, r); return r }

// max and min return b if either operand is NaN.
func (e *emitter) max(a vecReg, b operand.Op) vecReg { r := e.v(); e.VMAXPS(b, a, r); return r }
func (e *emitter) min(a vecReg, b operand.Op) vecReg { r := e.v(); e.VMINPS(b, a, r); return r }
func (e *emitter) and(a vecReg, b operand.Op) vecReg { r := e.v(); e.VANDPS(b, a, r); return r }
func (e *emitter) or(a vecReg, b operand.Op) vecReg  { r := e.v(); e.VORPS(b, a, r); return r }
func (e *emitter) xor(a vecReg, b operand.Op) vecReg { r := e.v(); e.VXORPS(b, a, r); return r }

// round is a rounded by mode: 0 to nearest even, 1 down, 2 up, 3 toward zero.
func (e *emitter) round(a vecReg, mode uint8) vecReg {
	r := e.v()
	if e.wide {
		e.VRNDSCALEPS(operand.U8(mode|8), a, r)
	} else {
		e.VROUNDPS(operand.U8(mode|8), a, r)
	}
	return r
}

// Predicates of cmp: ordered, quiet, except unordered.
const (
	cmpEQ = 0
	cmpLT = 17
	cmpLE = 18
	cmpUN = 3
)

// cmp is the mask of lanes where "a pred b".
func (e *emitter) cmp(pred uint8, a vecReg, b operand.Op) mask {
	if e.wide {
		k := e.K()
		e.VCMPPS(operand.U8(pred), b, a, k)
		return k
	}
	r := e.YMM()
	e.VCMPPS(operand.U8(pred), b, a, r)
	return r
}

// sel is yes where m holds, else no.
func (e *emitter) sel(m mask, yes operand.Op, no vecReg) vecReg {
	r := e.v()
	if e.wide {
		e.VBLENDMPS(yes, no, m, r)
	} else {
		e.VBLENDVPS(m, yes, no, r)
	}
	return r
}

// lanesMask is the masks of a group of 16 lanes of which the first bits (a register) are set: one K register, or two vectors.
func (e *emitter) lanesMask(bits reg.GPVirtual) []mask {
	if e.wide {
		k := e.K()
		e.KMOVW(bits.As32(), k)
		return []mask{k}
	}
	x := e.XMM()
	e.VMOVD(bits.As32(), x)
	v := e.YMM()
	e.VPBROADCASTD(x, v)
	var out []mask
	for half := range 2 {
		m := e.YMM()
		e.VPAND(e.laneBits(half), v, m)
		e.VPCMPEQD(e.laneBits(half), m, m)
		out = append(out, m)
	}
	return out
}

// laneBits is the constant whose lane i is bit i of 16, for the low or high 8 lanes.
func (e *emitter) laneBits(half int) operand.Mem {
	key := 1<<40 | uint64(half)
	if m, ok := e.consts[key]; ok {
		return m
	}
	m := e.StaticGlobal(fmt.Sprintf("lanebits%d", half))
	e.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 8 {
		e.AppendDatum(operand.U32(1 << (half*8 + i)))
	}
	e.consts[key] = m
	return m
}

// loadm loads the lanes of m, zero elsewhere; storem stores them.
func (e *emitter) loadm(src operand.Mem, m mask) vecReg {
	r := e.v()
	if e.wide {
		e.VMOVUPS_Z(src, m, r)
	} else {
		e.VMASKMOVPS(src, m, r)
	}
	return r
}

func (e *emitter) storem(r vecReg, m mask, dst operand.Mem) {
	if e.wide {
		e.VMOVUPS(r, m, dst)
	} else {
		e.VMASKMOVPS(r, m, dst)
	}
}
