package rt

import (
	"fmt"
	"unsafe"
)

// Reg names a value of a Program: inputs come first, then constants, then temporaries.
type Reg int16

// Instr is one vector operator of a Program. X, Y and Z beyond the operator's operands are ignored.
type Instr struct {
	Op      VecOp
	Dst     Reg // a temporary
	X, Y, Z Reg
	P0, P1  float32
}

// Program is a pointwise region: a short list of vector operators that runs over one chunk of elements after another, each
// small enough that every value stays in L1. It is immutable once used.
type Program struct {
	In     int       // number of inputs: registers 0 to In-1
	Consts []float32 // registers In to In+len(Consts)-1
	Temps  int       // registers after the constants
	Code   []Instr
	Out    []Reg // where each output is found: a temporary
}

const (
	maxRegs    = 64 // registers of a program
	maxOutputs = 8
	chunkBig   = 1024 // elements of a chunk
	chunkSmall = 512  // when many values are live
)

// Temp is the register of the i-th temporary.
func (p *Program) Temp(i int) Reg { return Reg(p.In + len(p.Consts) + i) }

// Const is the register of the i-th constant.
func (p *Program) Const(i int) Reg { return Reg(p.In + i) }

// Validate checks that every register exists, is written before it is read, and that only temporaries are written.
func (p *Program) Validate() error {
	first := p.In + len(p.Consts)
	total := first + p.Temps
	if p.In < 0 || p.Temps < 0 || total > maxRegs || len(p.Out) == 0 || len(p.Out) > maxOutputs {
		return fmt.Errorf("program with %d inputs, %d constants, %d temporaries and %d outputs: want at most %d values and 1 to %d outputs",
			p.In, len(p.Consts), p.Temps, len(p.Out), maxRegs, maxOutputs)
	}
	var known [maxRegs]bool
	for i := range first {
		known[i] = true
	}
	for i, c := range p.Code {
		if c.Op >= NumVecOps {
			return fmt.Errorf("instruction %d: unknown operator %d", i, c.Op)
		}
		for _, r := range []Reg{c.X, c.Y, c.Z}[:c.Op.Operands()] {
			if r < 0 || int(r) >= total || !known[r] {
				return fmt.Errorf("instruction %d (%s): register %d is read before it is written", i, c.Op, r)
			}
		}
		if int(c.Dst) < first || int(c.Dst) >= total {
			return fmt.Errorf("instruction %d (%s): register %d is not a temporary", i, c.Op, c.Dst)
		}
		known[c.Dst] = true
	}
	for i, r := range p.Out {
		if int(r) < first || int(r) >= total || !known[r] {
			return fmt.Errorf("output %d: register %d is not a temporary that some instruction writes", i, r)
		}
	}
	return nil
}

// ScratchBytes is the scratch memory that running p needs.
func (p *Program) ScratchBytes() int {
	return (p.Temps*p.chunk() + p.In*Lanes) * 4
}

func (p *Program) chunk() int {
	if p.Temps > 4 {
		return chunkSmall
	}
	return chunkBig
}

// mode says how an input's elements lie along a run of elements.
type mode uint8

const (
	modeFull   mode = iota // one value an element
	modeScalar             // one value for the whole run
	modeLanes              // 16 values over and over
)

// boundProgram is a Program with what does not change from run to run worked out.
type boundProgram struct {
	*Program
	set    *Set
	modes  []mode // of the inputs
	consts []float32
	direct [maxRegs]int8 // output index+1 if a temporary lives in that output's memory
	copies []int         // outputs that an extra copy fills at the end
	chunk  int
}

// cursor is where a run of elements begins in each operand; it lives in Scratch.
type cursor struct {
	in  [maxRegs]uintptr
	out [maxOutputs]uintptr
}

// bind prepares p. aliased tells whether output o may overlap input i (at the same elements); such an output is written
// directly only if nothing reads the input afterwards.
func (p *Program) bind(set *Set, modes []mode, aliased func(o, i int) bool) (*boundProgram, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if len(modes) != p.In {
		return nil, fmt.Errorf("program of %d inputs got %d", p.In, len(modes))
	}
	b := &boundProgram{Program: p, set: set, modes: modes, chunk: p.chunk()}
	for _, c := range p.Consts {
		for range Lanes {
			b.consts = append(b.consts, c)
		}
	}
	for o, r := range p.Out {
		if b.direct[r] == 0 && p.directOK(r, func(i int) bool { return aliased(o, i) }) {
			b.direct[r] = int8(o + 1)
		} else {
			b.copies = append(b.copies, o)
		}
	}
	return b, nil
}

// directOK tells whether temporary r may live in an output's memory: no aliased input is read after r's first write.
func (p *Program) directOK(r Reg, aliased func(i int) bool) bool {
	written := false
	for _, c := range p.Code {
		if written {
			for _, x := range []Reg{c.X, c.Y, c.Z}[:c.Op.Operands()] {
				if int(x) < p.In && aliased(int(x)) {
					return false
				}
			}
		}
		written = written || c.Dst == r
	}
	return true
}

// tables are what kernels read of the program's own.
func (b *boundProgram) tables() []Range {
	if len(b.consts) == 0 {
		return nil
	}
	return []Range{span(addr(unsafe.Pointer(&b.consts[0])), 4*len(b.consts), false)}
}

// run computes n elements from the operands at s.cur, with ScratchBytes of scratch memory at off.
func (b *boundProgram) run(s *Scratch, off, n int) {
	temps := s.at(off)
	splats := at(temps, b.Temps*b.chunk*4)
	for i, m := range b.modes {
		if m == modeScalar {
			v := *float(s.cur.in[i])
			d := lanes(at(splats, i*laneBytes))
			for j := range d {
				d[j] = v
			}
		}
	}
	g := &s.Args.Vec
	for done := 0; done < n; done += b.chunk {
		g.N = int64(min(b.chunk, n-done))
		for i := range b.Code {
			c := &b.Code[i]
			g.P0, g.P1 = c.P0, c.P1
			g.Dst, _ = b.operand(s, c.Dst, temps, splats, done)
			g.X, g.SX = b.operand(s, c.X, temps, splats, done)
			if k := c.Op.Operands(); k > 1 {
				g.Y, g.SY = b.operand(s, c.Y, temps, splats, done)
				if k > 2 {
					g.Z, g.SZ = b.operand(s, c.Z, temps, splats, done)
				}
			}
			b.set.Vec[c.Op].Fn(g)
		}
		for _, o := range b.copies {
			g.Dst = at(s.cur.out[o], done*4)
			g.X, g.SX = b.operand(s, b.Out[o], temps, splats, done)
			b.set.Vec[OpCopy].Fn(g)
		}
	}
}

// operand is the address and step of register r for the chunk that begins done elements into the run.
func (b *boundProgram) operand(s *Scratch, r Reg, temps, splats uintptr, done int) (uintptr, int64) {
	i := int(r)
	if i < b.In {
		switch b.modes[i] {
		case modeFull:
			return at(s.cur.in[i], done*4), laneBytes
		case modeScalar:
			return at(splats, i*laneBytes), 0
		default:
			return s.cur.in[i], 0
		}
	}
	if o := b.direct[i]; o > 0 {
		return at(s.cur.out[o-1], done*4), laneBytes
	}
	i -= b.In
	if i < len(b.Consts) {
		return addr(unsafe.Pointer(&b.consts[i*Lanes])), 0
	}
	return at(temps, (i-len(b.Consts))*b.chunk*4), laneBytes
}
