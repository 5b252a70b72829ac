package amd64

import (
	"unsafe"

	"github.com/hone-ml/hone/backends/cpu/rt"
	"github.com/hone-ml/hone/codegen/spec"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var ga rt.GemmArgs // for field offsets

const (
	gemmUnroll   = 4  // k of the unrolled loop
	prefetchRows = 12 // how many k of B ahead to prefetch
)

// gemmTile is the state of one gemm kernel while it is written: Rows × Panels accumulators, rows addressed from a base every
// four rows plus one, two or three times the row stride.
type gemmTile struct {
	*emitter
	args       reg.Register
	rows, vecs int // vectors a row
	acc        [][]vecReg
	base       []reg.Register
	ld, ld3    reg.Register
	b          []reg.Register  // bases every four panels
	panelB     [2]reg.Register // the stride of panels, and three times that
}

// gemm writes a kernel of the gemm family: see rt.GemmArgs.
func (e *emitter) gemm(k spec.Kernel, args reg.Register) {
	t := &gemmTile{emitter: e, args: args, rows: k.Rows, vecs: k.Panels * e.parts()}
	t.start(k.Panels)
	t.loop(k.Panels)
	t.finish(k.Panels)
}

// rowAddr is the address of row i, disp bytes in, given bases every four rows.
func rowAddr(base []reg.Register, ld, ld3 reg.Register, i, disp int) operand.Mem {
	switch i % 4 {
	case 1:
		return memx(base[i/4], ld, 1, disp)
	case 2:
		return memx(base[i/4], ld, 2, disp)
	case 3:
		return memx(base[i/4], ld3, 1, disp)
	default:
		return mem(base[i/4], disp)
	}
}

// bases makes row bases from the first row and the stride.
func (e *emitter) bases(first, ld reg.Register, rows int) (base []reg.Register, ld3 reg.Register) {
	base = []reg.Register{first}
	for i := 4; i < rows; i += 4 {
		n := e.GP64()
		e.LEAQ(memx(base[len(base)-1], ld, 4, 0), n)
		base = append(base, n)
	}
	if rows > 3 {
		ld3 = e.GP64()
		e.LEAQ(memx(ld, ld, 2, 0), ld3)
	}
	return base, ld3
}

// start clears the accumulators, or loads them from C.
func (t *gemmTile) start(panels int) {
	for range t.rows {
		row := make([]vecReg, t.vecs)
		for j := range row {
			row[j] = t.v()
		}
		t.acc = append(t.acc, row)
	}
	load, ready := t.label("load"), t.label("ready")
	t.TESTQ(operand.U32(rt.FlagAccumulate), field(t.args, unsafe.Offsetof(ga.Flags)))
	t.JNE(operand.LabelRef(load))
	for _, row := range t.acc {
		for _, a := range row {
			t.clear(a)
		}
	}
	t.JMP(operand.LabelRef(ready))
	t.Label(load)
	c, ldc, panelC := t.arg(t.args, unsafe.Offsetof(ga.C)), t.arg(t.args, unsafe.Offsetof(ga.LdC)), t.arg(t.args, unsafe.Offsetof(ga.PanelC))
	masks := t.lanesMask(t.arg(t.args, unsafe.Offsetof(ga.Mask)))
	for i, row := range t.acc {
		addr := t.panelAddrs(c, panelC, panels)
		for j, a := range row {
			src := addr(j)
			switch {
			case j < (panels-1)*t.parts():
				t.VMOVUPS(src, a)
			case t.wide:
				t.VMOVUPS_Z(src, masks[0], a)
			default:
				t.VMASKMOVPS(src, masks[j%2], a)
			}
		}
		if i < t.rows-1 {
			t.ADDQ(ldc, c)
		}
	}
	t.Label(ready)
}

// panelAddrs tells where vector j of the row at c lies in C or R, whose panels are ld bytes apart.
func (t *gemmTile) panelAddrs(c, ld reg.Register, panels int) func(j int) operand.Mem {
	base, ld3 := t.bases(c, ld, panels)
	return func(j int) operand.Mem { return rowAddr(base, ld, ld3, j/t.parts(), j%t.parts()*t.width()) }
}

// loop runs over the blocks of k.
func (t *gemmTile) loop(panels int) {
	a := t.arg(t.args, unsafe.Offsetof(ga.A))
	t.ld = t.arg(t.args, unsafe.Offsetof(ga.LdA))
	t.base, t.ld3 = t.bases(a, t.ld, t.rows)
	b := t.arg(t.args, unsafe.Offsetof(ga.B))
	t.b = []reg.Register{b}
	if panels > 1 {
		t.panelB[0] = t.arg(t.args, unsafe.Offsetof(ga.PanelB))
		t.b, t.panelB[1] = t.bases(b, t.panelB[0], panels)
	}
	blocks, steps := t.arg(t.args, unsafe.Offsetof(ga.Blocks)), t.arg(t.args, unsafe.Offsetof(ga.Steps))
	k := t.GP64()

	t.Label("block")
	t.MOVQ(field(t.args, unsafe.Offsetof(ga.KB)), k)
	t.SUBQ(operand.Imm(gemmUnroll), k)
	t.JLT(operand.LabelRef("tail"))
	t.Label("unrolled")
	t.steps(gemmUnroll)
	t.SUBQ(operand.Imm(gemmUnroll), k)
	t.JGE(operand.LabelRef("unrolled"))
	t.Label("tail")
	t.ADDQ(operand.Imm(gemmUnroll), k)
	t.JEQ(operand.LabelRef("next"))
	t.Label("single")
	t.steps(1)
	t.DECQ(k)
	t.JNE(operand.LabelRef("single"))
	t.Label("next")
	t.DECQ(blocks)
	t.JEQ(operand.LabelRef("done"))
	t.MOVQ(mem(steps, 0), k)
	t.ADDQ(operand.Imm(8), steps)
	for _, r := range t.base {
		t.ADDQ(k, r)
	}
	t.JMP(operand.LabelRef("block"))
	t.Label("done")
}

// steps is n steps of k. A single row of many panels reads B from memory where it is used, and leaves it to the hardware to
// fetch ahead: loads are what bounds it.
func (t *gemmTile) steps(n int) {
	flat := t.rows == 1 && t.vecs >= 8
	for u := range n {
		bv := make([]operand.Op, t.vecs)
		for j := range bv {
			panel, part := j/t.parts(), j%t.parts()
			disp := u*64 + part*t.width()
			addr := rowAddr(t.b, t.panelB[0], t.panelB[1], panel, disp)
			if flat {
				bv[j] = addr
				continue
			}
			bv[j] = t.load(addr)
			if part == 0 {
				t.PREFETCHT0(rowAddr(t.b, t.panelB[0], t.panelB[1], panel, disp+prefetchRows*64))
			}
		}
		for i, row := range t.acc {
			x := t.splat(rowAddr(t.base, t.ld, t.ld3, i, 4*u))
			for j, a := range row {
				t.VFMADD231PS(bv[j], x, a)
			}
		}
	}
	for _, r := range t.base {
		t.ADDQ(operand.Imm(uint64(4*n)), r)
	}
	for _, b := range t.b {
		t.ADDQ(i32(64*n), b)
	}
}

// finish adds bias and residual, clamps, and stores.
func (t *gemmTile) finish(panels int) {
	bits := t.arg(t.args, unsafe.Offsetof(ga.Mask))
	if t.wide {
		t.epilogue(panels, t.lanesMask(bits))
		return
	}
	partial, end := t.label("partial"), t.label("end")
	t.CMPQ(bits, operand.U32(0xffff))
	t.JNE(operand.LabelRef(partial))
	t.epilogue(panels, nil)
	t.JMP(operand.LabelRef(end))
	t.Label(partial)
	t.epilogue(panels, t.lanesMask(bits))
	t.Label(end)
}

// epilogue is finish with the last panel's masks, nil for all lanes.
func (t *gemmTile) epilogue(panels int, masks []mask) {
	masked := func(j int) mask {
		if masks == nil || j < (panels-1)*t.parts() {
			return nil
		}
		return masks[j%t.parts()]
	}
	noBias, noRes, noClamp := t.label("nobias"), t.label("nores"), t.label("noclamp")
	bias := t.arg(t.args, unsafe.Offsetof(ga.Bias))
	t.TESTQ(bias, bias)
	t.JEQ(operand.LabelRef(noBias))
	for j := range t.vecs {
		src := mem(bias, j*t.width())
		var v vecReg
		if m := masked(j); m != nil {
			v = t.loadm(src, m)
		} else {
			v = t.load(src)
		}
		for _, row := range t.acc {
			t.VADDPS(v, row[j], row[j])
		}
	}
	t.Label(noBias)

	ldc, panelC := t.arg(t.args, unsafe.Offsetof(ga.LdC)), t.arg(t.args, unsafe.Offsetof(ga.PanelC))
	res := t.arg(t.args, unsafe.Offsetof(ga.R))
	t.TESTQ(res, res)
	t.JEQ(operand.LabelRef(noRes))
	for i, row := range t.acc {
		addr := t.panelAddrs(res, panelC, panels)
		for j, a := range row {
			if m := masked(j); m != nil {
				t.VADDPS(t.loadm(addr(j), m), a, a)
			} else {
				t.VADDPS(addr(j), a, a)
			}
		}
		if i < t.rows-1 {
			t.ADDQ(ldc, res)
		}
	}
	t.Label(noRes)

	t.TESTQ(operand.U32(rt.FlagClamp), field(t.args, unsafe.Offsetof(ga.Flags)))
	t.JEQ(operand.LabelRef(noClamp))
	for _, f := range []struct {
		off uintptr
		op  func(ops ...operand.Op)
	}{{unsafe.Offsetof(ga.Lo), t.VMAXPS}, {unsafe.Offsetof(ga.Hi), t.VMINPS}} {
		v := t.splat(field(t.args, f.off))
		for _, row := range t.acc {
			for _, a := range row {
				f.op(a, v, a) // NaN in a stays
			}
		}
	}
	t.Label(noClamp)

	c := t.arg(t.args, unsafe.Offsetof(ga.C))
	for i, row := range t.acc {
		addr := t.panelAddrs(c, panelC, panels)
		for j, a := range row {
			if m := masked(j); m != nil {
				t.storem(a, m, addr(j))
			} else {
				t.VMOVUPS(a, addr(j))
			}
		}
		if i < t.rows-1 {
			t.ADDQ(ldc, c)
		}
	}
}
