package arm64

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/codegen/vecmath"
)

// inst is one vector instruction over virtual registers, -1 where it has none.
type inst struct {
	text    func(d, n, m int) string // with physical registers
	d, n, m int
	update  bool // d is read too
}

// body is straight-line vector code that vecmath writes, and its constants.
type body struct {
	code   []inst
	values int
	consts *consts
}

// Virtual registers that are always in the same place, numbered from the top.
const (
	pinned  = 1 << 20 // pinned+i is register Vi
	scratch = 28      // V0 to V27 are for allocation
)

// consts are the constants of a file, 16 bytes each.
type consts struct {
	index map[uint32]int
	list  []uint32
}

func (c *consts) offset(v uint32) int {
	i, ok := c.index[v]
	if !ok {
		i = len(c.list)
		c.index[v] = i
		c.list = append(c.list, v)
	}
	return 16 * i
}

func (b *body) gen() vecmath.Gen[int, int] { return vecmath.Gen[int, int]{Machine: b} }

func (b *body) value() int { b.values++; return b.values - 1 }

// raw adds an instruction that defines a value by text with one verb, its register.
func (b *body) raw(format string) int {
	d := b.value()
	b.code = append(b.code, inst{func(d, _, _ int) string { return fmt.Sprintf(format, d) }, d, -1, -1, false})
	return d
}

// op adds an instruction given by its bits: d, n and m go to bits 0, 5 and 16.
func (b *body) op(name string, bits uint32, n, m int) int {
	return b.into(b.value(), false, name, bits, n, m)
}

func (b *body) into(d int, update bool, name string, bits uint32, n, m int) int {
	text := func(d, n, m int) string {
		w := bits | uint32(d) | uint32(n)<<5
		comment := fmt.Sprintf("%s V%d, V%d", name, d, n)
		if m >= 0 {
			w |= uint32(m) << 16
			comment += fmt.Sprintf(", V%d", m)
		}
		return fmt.Sprintf("WORD $0x%08x // %s", w, comment)
	}
	b.code = append(b.code, inst{text, d, n, m, update})
	return d
}

// effect adds an instruction without a result, by text with one verb, the register of v.
func (b *body) effect(format string, v int) {
	b.code = append(b.code, inst{func(_, n, _ int) string { return fmt.Sprintf(format, n) }, -1, v, -1, false})
}

func (b *body) move(a int) int { return b.op("ORR", 0x4EA01C00, a, a) }

// The methods of vecmath.Machine. Instructions are those of the Arm Architecture Reference Manual, .4S or .16B forms.

func (b *body) K(v float64) int { return b.Bits(math.Float32bits(float32(v))) }
func (b *body) Bits(v uint32) int {
	if v == 0 {
		return b.raw("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16")
	}
	return b.raw(fmt.Sprintf("FMOVQ %d(R9), F%%d", b.consts.offset(v)))
}
func (b *body) Add(x, y int) int  { return b.op("FADD", 0x4E20D400, x, y) }
func (b *body) Sub(x, y int) int  { return b.op("FSUB", 0x4EA0D400, x, y) }
func (b *body) Mul(x, y int) int  { return b.op("FMUL", 0x6E20DC00, x, y) }
func (b *body) Div(x, y int) int  { return b.op("FDIV", 0x6E20FC00, x, y) }
func (b *body) Sqrt(x int) int    { return b.op("FSQRT", 0x6EA1F800, x, -1) }
func (b *body) Max(x, y int) int  { return b.op("FMAX", 0x4E20F400, x, y) }
func (b *body) Min(x, y int) int  { return b.op("FMIN", 0x4EA0F400, x, y) }
func (b *body) And(x, y int) int  { return b.op("AND", 0x4E201C00, x, y) }
func (b *body) Or(x, y int) int   { return b.op("ORR", 0x4EA01C00, x, y) }
func (b *body) Xor(x, y int) int  { return b.op("EOR", 0x6E201C00, x, y) }
func (b *body) Nearest(x int) int { return b.op("FRINTN", 0x4E218800, x, -1) }
func (b *body) Floor(x int) int   { return b.op("FRINTM", 0x4E219800, x, -1) }
func (b *body) Ceil(x int) int    { return b.op("FRINTP", 0x4EA18800, x, -1) }

func (b *body) FMA(x, y, z int) int  { return b.into(b.move(z), true, "FMLA", 0x4E20CC00, x, y) }
func (b *body) FNMA(x, y, z int) int { return b.into(b.move(z), true, "FMLS", 0x4EA0CC00, x, y) }

func (b *body) Less(x, y int) int      { return b.op("FCMGT", 0x6EA0E400, y, x) }
func (b *body) LessEqual(x, y int) int { return b.op("FCMGE", 0x6E20E400, y, x) }
func (b *body) Equal(x, y int) int     { return b.op("FCMEQ", 0x4E20E400, x, y) }
func (b *body) IsNaN(x int) int        { return b.op("NOT", 0x6E205800, b.Equal(x, x), -1) }
func (b *body) Select(m, yes, no int) int {
	return b.into(b.move(m), true, "BSL", 0x6E601C00, yes, no)
}

func (b *body) ToInt(x int) int     { return b.op("FCVTNS", 0x4E21A800, x, -1) }
func (b *body) FromInt(x int) int   { return b.op("SCVTF", 0x4E21D800, x, -1) }
func (b *body) AddInt(x, y int) int { return b.op("ADD", 0x4EA08400, x, y) }
func (b *body) SubInt(x, y int) int { return b.op("SUB", 0x6EA08400, x, y) }
func (b *body) Left(x, n int) int {
	return b.op(fmt.Sprintf("SHL $%d,", n), 0x4F005400|uint32(32+n)<<16, x, -1)
}
func (b *body) Right(x, n int) int {
	return b.op(fmt.Sprintf("SSHR $%d,", n), 0x4F000400|uint32(64-n)<<16, x, -1)
}

func (b *body) Scale(y, n int) (int, bool) { return 0, false }

func (b *body) Horner(x int, cs []float64) int {
	r := b.K(cs[0])
	for _, c := range cs[1:] {
		r = b.into(b.K(c), true, "FMLA", 0x4E20CC00, r, x)
	}
	return r
}

// emit writes the body with registers given out as values are born and taken back after their last use. keep is a value that
// lives to the end, if not negative; its register is returned.
func (w *writer) emit(b *body, keep int) int {
	last := make([]int, b.values)
	for i, c := range b.code {
		for _, v := range []int{c.d, c.n, c.m} {
			if v >= 0 && v < pinned {
				last[v] = i
			}
		}
	}
	if keep >= 0 && keep < pinned {
		last[keep] = len(b.code)
	}
	where := make([]int, b.values)
	for i := range where {
		where[i] = -1
	}
	var used [scratch]bool
	reg := func(v int) int {
		if v < 0 || v >= pinned {
			return max(v-pinned, -1)
		}
		return where[v]
	}
	for i, c := range b.code {
		n, m := reg(c.n), reg(c.m)
		free := func(v int) {
			if v >= 0 && v < pinned && last[v] == i && v != c.d {
				used[where[v]] = false
			}
		}
		if !c.update { // an updated register must differ from the operands
			free(c.n)
			free(c.m)
		}
		if c.d >= 0 && c.d < pinned && where[c.d] < 0 {
			r := 0
			for r < scratch && used[r] {
				r++
			}
			if r == scratch {
				panic("out of vector registers")
			}
			where[c.d], used[r] = r, true
		}
		w.op("%s", c.text(reg(c.d), n, m))
		if c.update {
			free(c.n)
			free(c.m)
		}
		if c.d >= 0 && c.d < pinned && last[c.d] == i && c.d != keep { // never read
			used[where[c.d]] = false
		}
	}
	return reg(keep)
}
