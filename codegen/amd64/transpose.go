package amd64

import (
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var tr rt.TransposeArgs // for field offsets

// transpose writes the kernel of the transpose family: two blocks of 8×8 for every 8 columns.
func (e *emitter) transpose(args reg.Register) {
	src, dst := e.arg(args, unsafe.Offsetof(tr.Src)), e.arg(args, unsafe.Offsetof(tr.Dst))
	ls, ld := e.arg(args, unsafe.Offsetof(tr.LdS)), e.arg(args, unsafe.Offsetof(tr.LdD))
	n := e.arg(args, unsafe.Offsetof(tr.Cols))
	srcBase, ls3 := e.bases(src, ls, 16)
	ld3 := e.GP64()
	e.LEAQ(memx(ld, ld, 2, 0), ld3)
	e.Label("loop")
	for half := range 2 {
		var rows []vecReg
		for i := range 8 {
			rows = append(rows, e.load(rowAddr(srcBase, ls, ls3, half*8+i, 0)))
		}
		cols := e.transpose8(rows)
		p := e.GP64()
		e.MOVQ(dst, p)
		for i, v := range cols {
			if i == 4 {
				e.LEAQ(memx(p, ld, 4, 0), p)
			}
			e.VMOVUPS(v, rowAddr([]reg.Register{p}, ld, ld3, i%4, half*32))
		}
	}
	for _, b := range srcBase {
		e.ADDQ(operand.Imm(32), b)
	}
	e.LEAQ(memx(dst, ld, 8, 0), dst)
	e.SUBQ(operand.Imm(8), n)
	e.JGT(operand.LabelRef("loop"))
}

// transpose8 turns 8 rows of 8 into 8 columns.
func (e *emitter) transpose8(r []vecReg) []vecReg {
	pairs := make([]vecReg, 8) // rows i and i+1 interleaved, low and high
	for i := 0; i < 8; i += 2 {
		pairs[i], pairs[i+1] = e.YMM(), e.YMM()
		e.VUNPCKLPS(r[i+1], r[i], pairs[i])
		e.VUNPCKHPS(r[i+1], r[i], pairs[i+1])
	}
	quads := make([]vecReg, 8) // columns 0..3 of each 128-bit half, of rows 0..3 and 4..7
	for h := range 2 {
		p := pairs[h*4 : h*4+4]
		for i := range 4 {
			quads[h*4+i] = e.YMM()
			e.VSHUFPS(operand.U8([]uint8{0x44, 0xee}[i%2]), p[2+i/2], p[i/2], quads[h*4+i])
		}
	}
	out := make([]vecReg, 8)
	for i := range 4 {
		out[i], out[i+4] = e.YMM(), e.YMM()
		e.VPERM2F128(operand.U8(0x20), quads[4+i], quads[i], out[i])
		e.VPERM2F128(operand.U8(0x31), quads[4+i], quads[i], out[i+4])
	}
	return out
}
